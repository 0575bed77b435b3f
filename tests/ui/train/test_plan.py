"""What is told of a run before it starts."""

import pytest

from wallpaint.runs import device, forecast
from wallpaint.runs.device import Device
from wallpaint.runs.forecast import Expected
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.loop import validation_due
from wallpaint.ui.train import plan


@pytest.fixture
def drawn(dataset, tmp_path, monkeypatch):
    """Draw the plan of a run of a few settings, on a CPU, with nothing shipped to learn from."""
    monkeypatch.setattr(forecast, "LORAS", tmp_path / "none")
    monkeypatch.setattr(device, "_find_gpu", lambda: None)

    def draw(**changes):
        settings = {"method": "lora_ip", "dataset": str(dataset), "max_train_steps": 100}
        return plan.draw_preflight(TrainConfig(**settings | changes), tmp_path, "en")

    return draw


@pytest.mark.parametrize(("method", "adapter"), [("lora", "absent"), ("lora_ip", "frozen"), ("joint", "learning")])
def test_it_says_whether_the_adapter_is_active_and_what_learns(drawn, method, adapter):
    html = drawn(method=method)
    assert plan.adapter_of(METHODS[method]) == adapter and f'class="pill {adapter}"' in html
    assert ("LoRA of rank 16 + image adapter" in html) == (method == "joint")


def test_it_counts_pictures_and_rooms_and_says_what_memory_is_estimated_and_free(drawn):
    html = drawn()
    assert "pictures: 4, rooms: 2, held out: 2" in html and html.count("<figure>") == 4
    assert "100, each of 8 pictures: every picture is seen about 200 times" in html
    assert "diffusion" not in html
    assert "diffusion + colour × 0.1 from step 20 on" in drawn(use_color_loss=True, color_loss_start_step=20)
    assert "not known before a run of this kind" in html and "GB, estimated;" in html and "GB free on CPU" in html


@pytest.mark.parametrize(
    ("steps", "every", "told"),
    [
        (8, 250, "at the start and at the end"),
        (250, 250, "at the start and at the end"),
        (251, 250, "at the start, every 250 steps and at the end, 3 times in all"),
        (1500, 250, "at the start, every 250 steps and at the end, 7 times in all"),
    ],
)
def test_it_says_when_the_validation_rooms_are_painted_in_this_run(drawn, steps, every, told):
    assert f"<dd>{told}</dd>" in drawn(max_train_steps=steps, validation_steps=every)
    config = TrainConfig(max_train_steps=steps, validation_steps=every)
    times = sum(validation_due(config, step) for step in range(steps + 1))
    assert told == "at the start and at the end" if times == 2 else f"{times} times" in told


def test_without_validation_the_plan_says_nothing_of_it(drawn):
    assert "at the start" in drawn() and "at the start" not in drawn(validation_steps=0)


def test_a_room_that_is_held_out_after_a_look_is_seen_at_the_next(drawn, dataset):
    assert "held out: 2" in drawn()
    rows = dataset / "validation" / "metadata.jsonl"
    rows.write_text(rows.read_text().splitlines()[0] + "\n")
    assert "held out: 1" in drawn()


def test_the_share_of_wall_is_measured(dataset):
    splits, (low, mean, high) = plan.look_at_dataset(str(dataset), (0,))
    assert len(splits["train"]) == 4 and 0.05 < low <= mean <= high < 0.95


def test_what_may_go_wrong_is_listed(dataset):
    splits, coverage = plan.look_at_dataset(str(dataset), (0,))
    roomy = Expected(Device("a", "cuda", 9, 9), 5, None, "", False, False)
    tight = Expected(Device("a", "cuda", 4, 9), 5, None, "", False, False)
    color = TrainConfig(family="sd15", method="lora_ip", checkpointing_steps=0, max_train_steps=501)
    assert plan.list_warnings(TrainConfig(method="lora_ip"), splits, coverage, roomy) == ["warn_few"]
    found = plan.list_warnings(color, {"train": splits["train"] * 9}, (0.0, 0.1, 0.2), tight)
    assert found == ["warn_no_validation", "warn_empty_mask", "warn_checkpoints", "warn_memory"]
    assert "warn_no_adapter" in plan.list_warnings(TrainConfig(method="lora"), splits, coverage, roomy)
