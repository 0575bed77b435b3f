"""What is told of a run before it starts."""

import json

import pytest

from wallpaint.runs import forecast as module
from wallpaint.runs import state
from wallpaint.runs.forecast import find_device, forecast
from wallpaint.settings.train_config import TrainConfig, to_yaml


@pytest.fixture
def told(dataset, tmp_path, monkeypatch):
    """Forecast a run of a few settings, on a CPU, with nothing shipped to learn from."""
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "none")
    monkeypatch.setattr(module, "_read_gpu", lambda: None)

    def tell(**changes):
        settings = {"method": "lora_ip", "dataset": str(dataset), "max_train_steps": 100}
        return forecast(TrainConfig(**settings | changes), tmp_path)

    return tell


@pytest.mark.parametrize(
    ("method", "adapter", "learns"),
    [("lora", "absent", ("lora",)), ("lora_ip", "frozen", ("lora",)), ("joint", "learning", ("lora", "ip_adapter"))],
)
def test_it_says_whether_the_adapter_is_active_and_what_learns(told, method, adapter, learns):
    said = told(method=method)
    assert (said.adapter, said.learns, said.losses) == (adapter, learns, ("diffusion",))
    assert ("warn_no_adapter" in said.warnings) == (method == "lora")


def test_it_counts_pictures_rooms_and_the_share_of_wall(told):
    said = told()
    assert said.samples == {"train": 4, "validation": 2} and said.rooms == 2
    low, mean, high = said.coverage
    assert 0.05 < low <= mean <= high < 0.95
    assert "warn_few" in said.warnings and len(said.shown) == 4


def test_without_an_earlier_run_time_and_memory_are_unknown(told):
    said = told()
    assert (said.seconds, said.memory, said.learned_from) == (None, None, "")


def test_time_and_memory_come_from_a_run_of_the_same_kind(told, dataset, tmp_path):
    folder = state.new_run_folder(tmp_path, "lora")
    config = TrainConfig(method="lora", dataset=str(dataset), train_batch_size=4)
    (folder / "config.yaml").write_text(to_yaml(config))
    rows = [{"step": 0}, *({"step": n, "samples_per_second": 20.0, "memory_gb": 1.5} for n in (10, 20))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = told(train_batch_size=4)
    assert said.seconds == pytest.approx(100 * 4 / 20) and said.memory == 1.5 * module.GIB
    assert (said.learned_from, said.here) == ("lora-1", True)
    assert told(train_batch_size=8).memory is None  # another batch takes other memory, but the same pace
    assert told(train_batch_size=8).seconds == pytest.approx(40)
    assert told(method="lora_ip_color", color_loss_start_step=1).seconds is None  # it decodes, so is slower


def test_a_gpu_is_found_without_torch(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 70000, 81559'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(tool))
    gpu = find_device()
    assert (gpu.name, gpu.kind, gpu.free) == ("NVIDIA H100", "cuda", 70000 * 2**20)
    assert find_device("cpu").kind == "cpu"
    tool.write_text("#!/bin/sh\necho broken\n")
    assert find_device().kind == "cpu"
