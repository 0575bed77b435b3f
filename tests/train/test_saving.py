"""Nothing is lost: what is kept, what is refused, what a signal leaves behind."""

import importlib.util
import json
import os
import signal
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from PIL import Image
from processes import digest, write_config
from safetensors.torch import load_file

import studio
from wallpaint.dataset.folder import read_samples
from wallpaint.runs import state as runs
from wallpaint.runs.state import read_metrics, read_run
from wallpaint.settings.methods import METHODS
from wallpaint.train import loop as train_module
from wallpaint.train import losses, saving, session, validation
from wallpaint.train.checkpoints import atomic_folder, list_checkpoints, mend_folder, save_checkpoint
from wallpaint.train.loop import train
from wallpaint.train.warnings import idle_settings, other_settings


@pytest.fixture(autouse=True)
def own_signals():
    """Leave the process's signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def signal_when(monkeypatch, module, name, call=1, times=1):
    """Send this process SIGTERM when `module.name` is called for the `call`-th time."""
    original, count = getattr(module, name), [0]

    def sending(*args, **kwargs):
        count[0] += 1
        if count[0] == call:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, sending)


def test_a_signal_while_it_caches_is_130_and_the_run_can_be_gone_on_with(config, tmp_path, monkeypatch):
    path = write_config(config(max_train_steps=2), tmp_path / "my.yaml")
    with monkeypatch.context() as patched:
        signal_when(patched, session, "encode_views")
        assert studio.main(["--train", str(path)]) == 130
    state = read_run(tmp_path / "run")
    assert (state.state, state.exit_code, state.step) == ("stopped", 130, 0)
    assert studio.main(["--train", str(path), "--resume"]) == 0  # there was no checkpoint yet: from step 0
    assert read_run(tmp_path / "run").state == "done"


def test_a_signal_while_it_validates_leaves_a_checkpoint_and_the_rest_is_made_up_for(config, tmp_path, monkeypatch):
    options = {"validation_steps": 2, "num_validation_images": 2, "max_train_steps": 4}
    whole = train(config(**options, output_dir=str(tmp_path / "whole")))
    with monkeypatch.context() as patched:
        signal_when(patched, validation, "paint_wall", call=3)  # the first of the two after step 2
        folder = train(config(**options))
    assert (read_run(folder).state, read_run(folder).step) == ("stopped", 2)
    assert list_checkpoints(folder)[-1].name == "step-000002"
    assert not (folder / "samples" / "step-000002.png").exists()
    train(config(**options), resume=True)
    assert digest(folder) == digest(whole)
    figures = [
        {row["step"]: row["delta_e_paint"] for row in read_metrics(run) if "delta_e_paint" in row}
        for run in (folder, whole)
    ]
    assert figures[0] == figures[1] and set(figures[0]) == {0, 2, 4}


def test_a_second_signal_ends_at_once(config, monkeypatch):
    signal_when(monkeypatch, train_module, "take_step", call=3, times=2)
    with pytest.raises(KeyboardInterrupt):
        train(config(max_train_steps=50, checkpointing_steps=1))
    assert list_checkpoints(Path(config().output_dir))[-1].name == "step-000002"  # of before the signals


def test_a_step_whose_gradient_is_not_finite_moves_nothing_and_is_counted(config, monkeypatch, tmp_path):
    original, calls = losses.diffusion_loss, [0]

    def sometimes(step):
        calls[0] += 1
        edge = (0 * step.noise_pred.sum()).sqrt()  # 0, but of infinite slope
        return original(step) + (edge if calls[0] == 2 else 0)

    monkeypatch.setitem(losses.LOSSES, "diffusion", sometimes)
    folder = train(config(max_train_steps=2, output_dir=str(tmp_path / "two")))
    monkeypatch.undo()
    good = train(config(max_train_steps=1, output_dir=str(tmp_path / "one")))
    assert digest(folder) == digest(good)
    row = read_metrics(folder)[-1]
    assert row["loss"] > 0 and row["skipped_steps"] == 1


def test_a_run_that_is_never_finite_leaves_its_last_good_weights(config, monkeypatch, tmp_path):
    original, calls = losses.diffusion_loss, [0]

    def soon_never(step):
        calls[0] += 1
        return original(step) * (1.0 if calls[0] <= 2 else float("nan"))

    monkeypatch.setitem(losses.LOSSES, "diffusion", soon_never)
    with pytest.raises(RuntimeError, match="20 times running"):
        train(config(max_train_steps=50, output_dir=str(tmp_path / "bad")))
    monkeypatch.undo()
    good = train(config(max_train_steps=2, output_dir=str(tmp_path / "good")))
    assert digest(tmp_path / "bad") == digest(good)


def test_the_best_weights_by_colour_stay_and_pruning_leaves_them(config, monkeypatch):
    truths, seen = iter([9.0, 5.0, 3.0, 4.0, 6.0]), {}  # after steps 0 to 4
    run_validation = saving.run_validation

    def noting(session, *args):
        figures = run_validation(session, *args)
        seen[session.step] = {name: p.detach().clone() for name, p in session.learned.items()}
        return figures

    monkeypatch.setattr(saving, "validate", lambda *args: {"delta_e_truth": next(truths), "delta_e_paint": 1.0})
    monkeypatch.setattr(train_module, "run_validation", noting)
    folder = train(config(max_train_steps=4, validation_steps=1, checkpointing_steps=1, checkpoints_total_limit=1))
    best = json.loads((folder / "weights-best" / "best.json").read_text())
    assert (best["step"], best["delta_e_truth"]) == (2, 3.0)
    kept = load_file(folder / "weights-best" / "pytorch_lora_weights.safetensors")
    kept = {key.replace("unet.", "", 1): value for key, value in kept.items()}
    for name, value in seen[2].items():
        assert torch.equal(kept[name.replace("unet.", "", 1).replace(".default", "")], value), name
    assert [path.name for path in list_checkpoints(folder)] == ["step-000004"]
    assert validation_losses(folder) and best["validation_loss"] == validation_losses(folder)[2]


def validation_losses(folder):
    return {row["step"]: row["validation_loss"] for row in read_metrics(folder) if "validation_loss" in row}


def test_the_validation_loss_is_the_same_whenever_it_is_asked_and_falls_with_learning(config, tmp_path):
    options = {"validation_steps": 10, "max_train_steps": 20, "lora_rank": 8, "train_batch_size": 4}
    first, again = (validation_losses(train(config(**options, output_dir=str(tmp_path / name)))) for name in "ab")
    assert first == again and set(first) == {0, 10, 20}
    assert first[20] < first[0]


def test_another_run_is_never_overwritten_or_damaged(config, tmp_path, capsys):
    folder = train(config(max_train_steps=1))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    path = write_config(config(max_train_steps=2), tmp_path / "my.yaml")
    assert studio.main(["--train", str(path)]) == 2
    assert "came to step 1: go on with it by --resume" in capsys.readouterr().err
    step = folder / "checkpoints" / "step-000001" / "step.json"
    step.write_text(json.dumps({"step": 1}))  # as an older version wrote it
    before[step] = step.read_bytes()
    assert studio.main(["--train", str(path), "--resume"]) == 2
    assert "another version of wallpaint" in capsys.readouterr().err
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_a_second_start_in_a_folder_at_work_is_one_line_and_2(config, tmp_path, capsys):
    path = write_config(config(), tmp_path / "my.yaml")
    with runs.claim(tmp_path / "run"):
        assert studio.main(["--train", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: another process is at work in") and error.count("\n") == 1
    assert not (tmp_path / "run" / "run.json").exists()
    assert studio.main(["--train", str(path), "--max_train_steps", "1"]) == 0  # free again


def test_a_folder_replaced_is_the_old_or_the_new_one_whenever_it_is_killed(tmp_path):
    final = tmp_path / "best"
    for text in ("old", "new"):
        with atomic_folder(final) as temporary:
            (temporary / "a").write_text(text)
    assert (final / "a").read_text() == "new"
    with pytest.raises(OSError), atomic_folder(final) as temporary:
        (temporary / "a").write_text("half")
        raise OSError
    assert (final / "a").read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["best"]
    final.rename(tmp_path / "best.old")  # as a kill between the two renames leaves it
    mend_folder(final)
    assert (final / "a").read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["best"]


def test_before_the_first_step_a_run_says_what_it_is_about_to_do(config):
    settings = config(
        method="lora", validation_steps=0, num_validation_images=3, color_loss_weight=0.7, max_train_steps=1
    )
    folder = train(settings)
    log, told = (folder / "train.log").read_text(), read_run(folder).fields["preflight"]
    assert read_run(folder).fields["held_out"] == len(read_samples(settings.dataset, "validation")) > 0
    assert "warning: color_loss_weight 0.7 has no effect: no colour loss is used" in log
    assert "warning: num_validation_images 3 has no effect: validation_steps is 0" in log
    assert "warning: dataset: no wall is" in log
    assert told["parameters"]["lora"] > 0 and told["parameters"]["frozen"] > 10 * told["parameters"]["lora"]
    assert 0 < told["mask_coverage"]["min"] <= told["mask_coverage"]["max"] < 1
    used = max(row["memory_gb"] for row in read_metrics(folder)) * 2**30
    assert 0.5 * used < told["expected_memory_bytes"] < 1.5 * used and 0 < told["expected_seconds"] < 100
    assert 0 < told["vae_floor_delta_e"] < 100
    assert "color_loss_weight 0.7 has no effect: no colour loss is used" in told["warnings"]
    with Image.open(folder / told["overlay"]) as overlay:
        marked, swatch = overlay.getpixel((80, 60)), overlay.getpixel((4, 4))
    assert marked[0] > marked[1] < marked[2] and swatch == (122, 158, 126)
    assert log.index("has no effect") < log.index("encoding or finding") < log.index("step 1/1")


def test_settings_without_effect_and_settings_changed_on_the_way_are_named(config):
    assert idle_settings(config(method="joint"), METHODS["joint"]) == [
        "color_loss_start_step 0 has no effect: no colour loss is used",
        "color_loss_crop 4 has no effect: no colour loss is used",
        "num_validation_images 1 has no effect: validation_steps is 0",
        "num_inference_steps 2 has no effect: validation_steps is 0",
    ]
    assert other_settings(config(seed=1, max_train_steps=9), config()) == ["seed was 0 before and is 1 now"]
    longer = other_settings(config(lr_scheduler="cosine", max_train_steps=9), config(lr_scheduler="cosine"))
    assert longer == ["max_train_steps was 3 before and is 9 now"]  # the rate would not have come down so


def test_the_model_card_is_one_the_hub_reads(config):
    folder = train(config(method="joint", validation_steps=2, max_train_steps=2))
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "diffusers"
    assert "lora" in card.data.tags and "ip_adapter" in card.data.tags
    measured = {result.metric_type: result.metric_value for result in card.data.eval_results}
    row = read_metrics(folder)[-1]
    assert measured == {name: row[name] for name in measured} and "delta_e_truth" in measured
    front = yaml.safe_load(card.content.split("---")[1])
    assert front["model-index"][0]["name"] == "run" and "base_model" not in front  # a folder is no hub id
    assert "samples/step-000002.png" in card.text and (folder / "samples" / "step-000002.png").is_file()
    assert "| `lora_rank` | `2` |" in card.text and "4 samples in train" in card.text


def test_tensorboard_hears_what_the_metrics_say_and_a_missing_tracker_is_a_warning(config, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = train(config(report_to="tensorboard", max_train_steps=2, validation_steps=2))
    events = EventAccumulator(str(folder / "logs" / "wallpaint")).Reload()
    for name in ("loss", "lr", "delta_e_paint", "validation_loss"):
        heard = {event.step: event.value for event in events.Scalars(name)}
        told = {row["step"]: row[name] for row in read_metrics(folder) if name in row}
        assert heard == pytest.approx(told) and 2 in heard, name
    if importlib.util.find_spec("trackio"):
        return
    folder = train(config(report_to="trackio", max_train_steps=1, output_dir=str(tmp_path / "other")))
    assert "warning: trackio is not installed, metrics.jsonl alone is written" in (folder / "train.log").read_text()


def test_what_a_kill_left_while_a_checkpoint_was_deleted_goes_and_blocks_nothing(tmp_path):
    left = tmp_path / "checkpoints" / "step-000001.tmp"
    left.mkdir(parents=True)
    (left / "states.pt").write_bytes(b"half")
    for step in (2, 3):
        save_checkpoint(tmp_path, step, {"learned": {"a": torch.zeros(2)}}, {}, keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000003"]
