import json
import signal
import threading

import pytest
import torch
from PIL import Image
from steps import check_moved, rows, same, stop_after, weights
from toys import PAINTS

from wallpaint.dataset.folder import read_samples
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_photo
from wallpaint.runs.state import read_run
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import load_config
from wallpaint.train import loop as train_module
from wallpaint.train import losses, session, validation
from wallpaint.train.loop import active_losses, train
from wallpaint.train.validation import pick_samples


@pytest.mark.parametrize("method", METHODS)
def test_exactly_what_a_method_learns_moves_and_all_else_is_bit_identical(config, opened, method):
    train(config(method=method))
    check_moved(opened, METHODS[method].learns)


@pytest.mark.parametrize("method", ["lora_ip_color", "joint", "paint_by_example", "anydoor"])
def test_stopped_and_resumed_ends_bit_identical_to_never_stopped(config, tmp_path, method):
    options = {"method": method, "max_train_steps": 4, "lr_scheduler": "cosine", "lora_dropout": 0.3, "use_ema": True}
    whole = train(config(**options, output_dir=str(tmp_path / "whole")))
    halves = config(**options, output_dir=str(tmp_path / "halves"), checkpointing_steps=2)
    stop_after(2)
    folder = train(halves)
    assert read_run(folder).state == "stopped" and read_run(folder).step == 2
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 3, "loss": 9.9}) + "\n")  # logged after the last checkpoint, then lost
    assert not same(weights(folder), weights(whole))
    train(halves, resume=True)
    assert same(weights(folder), weights(whole))
    assert read_run(folder).state == "done"
    assert [row["step"] for row in rows(folder)] == [1, 2, 3, 4]
    assert [row["loss"] for row in rows(folder)] == [row["loss"] for row in rows(whole)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_checkpoint_and_130(config, number):
    before = signal.getsignal(number)
    stop_after(2, number)
    folder = train(config(max_train_steps=50))
    state = read_run(folder)
    assert (state.state, state.step, state.exit_code) == ("stopped", 2, 130)
    assert (folder / "checkpoints" / "step-000002" / "learned.safetensors").is_file()
    assert (folder / "weights" / "pytorch_lora_weights.safetensors").is_file()
    assert signal.getsignal(number) == before


def test_a_run_is_the_same_twice_and_another_with_another_seed(config, tmp_path):
    first, again, other = (
        weights(train(config(output_dir=str(tmp_path / name), seed=seed, max_train_steps=2)))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert same(first, again) and not same(first, other)


def test_the_old_method_learns_without_ever_hearing_the_adapter(config, tmp_path, monkeypatch):
    heard = train(config(method="lora", output_dir=str(tmp_path / "a"), max_train_steps=2))
    original = session.encode_views

    def silenced(*args, **kwargs):
        encoded = original(*args, **kwargs)
        for shard in encoded.references.shards:
            shard.fill_(1e3)  # whatever the references say; the files stay as they are
        return encoded

    monkeypatch.setattr(session, "encode_views", silenced)
    deaf = train(config(method="lora", output_dir=str(tmp_path / "b"), max_train_steps=2))
    assert same(weights(heard), weights(deaf))
    new = train(config(method="lora_ip", output_dir=str(tmp_path / "c"), max_train_steps=2))
    assert not same(weights(new), weights(deaf))


def test_the_run_folder_tells_all(config, capsys):
    settings = config(
        method="joint",
        validation_steps=2,
        max_train_steps=4,
        checkpointing_steps=1,
        checkpoints_total_limit=2,
        train_batch_size=3,
    )
    folder = train(settings)
    assert load_config(folder / "config.yaml") == settings
    run = read_run(folder)
    assert (run.state, run.step, run.exit_code, run.fields["num_processes"]) == ("done", 4, 0, 1)
    assert run.fields["pid_started"] and run.fields["versions"]["torch"] == torch.__version__
    logged = rows(folder)
    assert [row["step"] for row in logged] == [0, 1, 2, 3, 4]
    for row in logged[1:]:
        assert row["loss"] == pytest.approx(row["loss_diffusion"]) and row["samples_per_second"] > 0
        assert row["lr"] == settings.learning_rate
    assert [row["step"] for row in logged if "delta_e_truth" in row and "delta_e_paint" in row] == [0, 2, 4]
    assert sorted(p.name for p in (folder / "samples").iterdir()) == [
        "step-000000.png",
        "step-000002.png",
        "step-000004.png",
    ]
    kept = sorted(p.name for p in (folder / "checkpoints").iterdir())
    assert kept == ["step-000003", "step-000004"]
    assert sorted(p.name for p in (folder / "weights").iterdir()) == [
        "ip_adapter.safetensors",
        "pytorch_lora_weights.safetensors",
    ]
    card = (folder / "README.md").read_text()
    assert "`joint`" in card and "delta_e_truth" in card and "4 steps of batch 3" in card
    out = capsys.readouterr().out
    assert "step 4/4 [########################]" in out and "walls cover" in out
    assert (folder / "train.log").read_text().splitlines() == out.splitlines()


def test_the_colour_loss_starts_when_it_is_told_and_adds_to_the_sum(config):
    logged = rows(train(config(method="lora", use_color_loss=True, color_loss_start_step=1, color_loss_weight=0.5)))
    assert ["loss_color" in row for row in logged] == [False, True, True]
    for row in logged[1:]:
        assert row["loss_color"] > 0 and row["loss"] == pytest.approx(row["loss_diffusion"] + row["loss_color"])
    assert active_losses(config(use_color_loss=True, color_loss_weight=0.5), 0) == {"diffusion": 1.0, "color": 0.5}


def test_both_modes_of_the_colour_loss_train(config, tmp_path):
    results = [
        weights(train(config(method="lora_ip_color", color_loss_mode=mode, output_dir=str(tmp_path / mode))))
        for mode in ("flat", "shaded")
    ]
    assert not same(*results) and all(v.isfinite().all() for result in results for v in result.values())


def test_a_step_whose_loss_is_not_finite_moves_nothing(config, monkeypatch, tmp_path):
    original, calls = losses.diffusion_loss, [0]

    def sometimes(step):
        calls[0] += 1
        return original(step) * (float("nan") if calls[0] == 4 else 1.0)

    # The fourth batch is the second half of step 2: its first half has left a gradient that must not act.
    monkeypatch.setitem(losses.LOSSES, "diffusion", sometimes)
    halves = {"gradient_accumulation_steps": 2}
    folder = train(config(max_train_steps=2, output_dir=str(tmp_path / "nan"), **halves))
    good = train(config(max_train_steps=1, output_dir=str(tmp_path / "one"), **halves))
    assert same(weights(folder), weights(good))
    assert "not finite" in (folder / "train.log").read_text()
    assert all("loss" not in row or row["loss"] == row["loss"] for row in rows(folder))


def test_every_step_draws_noise_timesteps_and_latents_of_its_own(config, monkeypatch):
    drawn, original = [], train_module.add_noise

    def noting(*args):
        drawn.append(original(*args))
        return drawn[-1]

    monkeypatch.setattr(train_module, "add_noise", noting)
    train(config(max_train_steps=3, gradient_accumulation_steps=2))
    del drawn[6:]  # the next one may be drawn already
    assert len({tuple(noised.timesteps.tolist()) for noised in drawn}) == 6
    assert all(not torch.equal(a.noise, b.noise) for i, a in enumerate(drawn) for b in drawn[:i])


def test_accumulated_batches_are_one_big_step(config, tmp_path):
    runs = []
    for name, size, pieces in (("whole", 4, 1), ("pieces", 2, 2)):
        settings = {"train_batch_size": size, "gradient_accumulation_steps": pieces, "max_train_steps": 2}
        runs.append(train(config(method="lora_ip_color", output_dir=str(tmp_path / name), **settings)))
    whole, pieces = map(weights, runs)
    for key, value in whole.items():
        torch.testing.assert_close(pieces[key], value, atol=1e-5, rtol=1e-4)
    assert [row["step"] for row in rows(runs[1])] == [1, 2]
    for first, second in zip(*map(rows, runs), strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-4)


def test_resuming_without_a_checkpoint_or_with_another_shape_is_a_clear_error(config, tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        train(config(), resume=True)
    folder = train(config(max_train_steps=1))
    told = [(folder / name).read_bytes() for name in ("config.yaml", "run.json")]
    with pytest.raises(UserError, match="another method, rank"):
        train(config(lora_rank=4), resume=True)
    assert [(folder / name).read_bytes() for name in ("config.yaml", "run.json")] == told  # to resume by them


def test_a_run_folder_whose_name_is_no_utf_8_is_trained_in(config, tmp_path):
    folder = train(config(max_train_steps=1, output_dir=str(tmp_path / "ph\udcf2ng")))
    assert "ph\\udcf2ng" in (folder / "train.log").read_text("utf-8")
    assert load_config(folder / "config.yaml").output_dir == str(folder)
    assert (folder / "README.md").is_file()


def test_a_missing_dataset_is_said_before_anything_is_written(config, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        train(config(dataset=str(tmp_path / "nowhere")))
    assert not (tmp_path / "run").exists()


def test_the_studys_block_without_weights_ends_with_the_command_that_fetches_them(config, dataset, tmp_path):
    block = {
        "use_ip_adapter_training": True,
        "ip_adapter_model": "h94/IP-Adapter",
        "freeze_ip_adapter": True,
        "ip_adapter_weight_name": "ip-adapter-plus_sd15.bin",
        "use_color_loss": True,
        "color_loss_weight": 0.1,
        "color_loss_start_step": 1000,
        "lora_rank": 16,
        "lora_alpha": 32,
    }
    settings = load_config(None, block | {"dataset": str(dataset), "output_dir": str(tmp_path / "run")})
    with pytest.raises(UserError, match="hf download stable-diffusion-v1-5/stable-diffusion-inpainting"):
        train(settings)
    assert not (tmp_path / "run").exists()


def test_training_in_a_thread_works_without_signals(config):
    result = []
    thread = threading.Thread(target=lambda: result.append(train(config(max_train_steps=1))))
    thread.start()
    thread.join()
    assert read_run(result[0]).state == "done"


def test_a_half_written_checkpoint_is_never_resumed_from(config):
    folder = train(config(max_train_steps=2))
    (folder / "checkpoints" / "step-000009.tmp").mkdir()
    (folder / "checkpoints" / "step-000008").mkdir()
    train(config(max_train_steps=3), resume=True)
    assert [row["step"] for row in rows(folder)] == [1, 2, 3]


def test_validation_repaints_a_room_that_stood_there_in_another_paint(dataset):
    samples = read_samples(dataset, "validation")
    picked = pick_samples(samples, 2)
    assert [(before.color, after.color) for before, after in picked] == [PAINTS[::-1], PAINTS]
    assert all(before.room_id == after.room_id for before, after in picked)
    assert pick_samples(samples[:1], 5) == [(samples[0], samples[0])]  # known in one paint only


def test_validation_measures_against_the_truth_and_shows_it(load, config, dataset, tmp_path, monkeypatch):
    repaints = pick_samples(read_samples(dataset, "validation"), 1)
    truth = load_photo(repaints[0][1].image)
    monkeypatch.setattr(validation, "lay_painted", lambda *args: [truth])  # a perfect painter
    figures = validation.validate(load(), config(), repaints, tmp_path / "grid.png")
    assert figures["delta_e_truth"] < 0.5  # the soft rim alone
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (5 * validation.TILE, validation.TILE)


def test_a_repaint_of_a_method_that_was_shown_the_field_is_laid_as_at_inference(config, load, tmp_path, monkeypatch):
    shown, lay = [], validation.lay_painted
    monkeypatch.setattr(validation, "lay_painted", lambda *args: shown.append(args[3]) or lay(*args))
    repaints = pick_samples(read_samples(config().dataset, "train"), 1)
    for method in ("lora_ip", "refine"):
        validation.validate(load(), config(method=method), repaints, tmp_path / f"{method}.png")
    assert shown == ["", "field"]


def test_the_share_of_late_timesteps_reaches_the_training(config, tmp_path, monkeypatch):
    drawn, add = [], train_module.add_noise
    monkeypatch.setattr(train_module, "add_noise", lambda *args: drawn.append(add(*args)) or drawn[-1])
    train(config(max_train_steps=2, timestep_bias=1.0, output_dir=str(tmp_path / "late")))
    assert drawn and all((noised.timesteps >= 900).all() for noised in drawn)
