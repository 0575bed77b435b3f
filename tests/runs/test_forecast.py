"""The device that is found, and what a run is said to take there."""

import json
from dataclasses import replace

import psutil
import pytest

from wallpaint.paths import LORAS
from wallpaint.runs import device, forecast, state
from wallpaint.runs.device import Device, find_device
from wallpaint.runs.forecast import expect, find_cost, peak_bytes, run_seconds
from wallpaint.settings.choices import FAMILY_PRESETS, PRESETS
from wallpaint.settings.train_config import TrainConfig, load_config, to_yaml

GB = 10**9
# The README's table, and SDXL's: GB of a step and of one with the colour loss.
MEASURED = {
    ("sd15", "8 GB"): (4.4, 6.7),
    ("sd15", "12 GB"): (4.9, 9.7),
    ("sd15", "24 GB"): (11.4, 15.0),
    ("sd15", "80 GB"): (19.1, 22.9),
    ("sdxl", "24 GB"): (11.7, 20.3),
    ("sdxl", "80 GB"): (15.9, 50.1),
}
TWO = """GPU 0, 10000, 24000, GPU-aaaa-1
GPU 1, 70000, 80000, GPU-bbbb-2
"""


@pytest.fixture
def expected(tmp_path, monkeypatch):
    """Expect a run of a few settings, on a CPU, with nothing shipped to learn from."""
    monkeypatch.setattr(forecast, "LORAS", tmp_path / "none")
    monkeypatch.setattr(device, "_find_gpu", lambda: None)

    def tell(**changes):
        return expect(TrainConfig(**{"method": "lora_ip", "max_train_steps": 100} | changes), tmp_path)

    return tell


@pytest.fixture
def smi(monkeypatch, tmp_path):
    """Put an nvidia-smi on the path that tells of these GPUs, under these environment variables."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)

    def put(told, **variables):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat <<'E'\n{told}\nE\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def test_without_an_earlier_run_the_time_is_unknown_and_memory_is_reckoned(expected):
    told = expected()
    assert (told.seconds, told.earlier, told.measured) == (None, "", False)
    assert 0.5 * GB < told.memory < 2 * GB


def test_time_and_memory_come_from_a_run_of_the_same_kind(expected, tmp_path):
    folder = state.new_run_folder(tmp_path, "lora")
    (folder / "config.yaml").write_text(to_yaml(TrainConfig(method="lora", train_batch_size=4)))
    rows = [{"step": 0}, *({"step": n, "samples_per_second": 20.0, "memory_gb": 1.5} for n in (10, 20))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = expected(train_batch_size=4)
    assert told.seconds == pytest.approx(100 * 4 / 20) and told.memory == 1.5 * 2**30
    assert (told.earlier, told.here, told.measured) == ("lora-1", True, True)
    assert not expected(train_batch_size=8).measured  # another batch takes other memory, but the same pace
    assert expected(train_batch_size=8).seconds == pytest.approx(40)
    assert expected(method="lora_ip_color", color_loss_start_step=1).seconds is None  # it decodes, so is slower


@pytest.mark.parametrize(("family", "preset"), MEASURED)
def test_the_model_of_memory_keeps_to_what_was_measured(family, preset):
    plain = TrainConfig(family=family, method="lora_ip", memory_preset=preset)
    color = TrainConfig(family=family, method="lora_ip_color", memory_preset=preset)
    cost = replace(find_cost(plain, "cuda"), picture=0)
    said = [peak_bytes(cost, config) / GB for config in (plain, color)]
    assert said == pytest.approx(MEASURED[family, preset], abs=1.2)
    assert peak_bytes(find_cost(color, "cuda"), color) < float(preset.split()[0]) * GB


@pytest.mark.parametrize("name", ["old", "new", "color", "refine"])
def test_room_tinys_memory_keeps_to_what_the_shipped_loras_took(name):
    rows, config = state.read_metrics(LORAS / name), load_config(LORAS / name / "config.yaml")
    took = max(row["memory_gb"] for row in rows) * 2**30
    assert peak_bytes(find_cost(config, "cpu"), config) == pytest.approx(took, abs=0.15 * GB)


def test_every_preset_was_measured():
    rows = {("sd15", name) for name in PRESETS} | {(f, name) for f, own in FAMILY_PRESETS.items() for name in own}
    assert rows == set(MEASURED)


def test_float32_resolution_batch_and_accumulation_change_what_a_run_takes():
    def peak(kind="cuda", **changes):
        config = TrainConfig(family="sd15", method="lora_ip", train_batch_size=8, **changes)
        return peak_bytes(find_cost(config, kind), config)

    assert peak("cpu") == peak(mixed_precision="no") == pytest.approx(2 * peak())
    assert peak(resolution=1024) - 3.9 * GB == pytest.approx(4 * (peak() - 3.9 * GB))
    assert peak(gradient_checkpointing=True) < peak()
    config = TrainConfig(max_train_steps=100, train_batch_size=4, gradient_accumulation_steps=2)
    timed = replace(find_cost(config, "cpu"), seconds=0.5)
    assert run_seconds(timed, config) == 400 and run_seconds(timed, config, done=90) == 40


def test_a_gpu_is_found_without_torch(smi):
    smi("NVIDIA H100, 70000, 81559")
    assert find_device() == Device("NVIDIA H100", "cuda", 70000 * 2**20, 81559 * 2**20)
    assert find_device("cpu").kind == "cpu"


@pytest.mark.parametrize("told", ["", "broken", "No devices were found"])
def test_an_nvidia_smi_that_tells_nothing_is_no_gpu(smi, told):
    smi(told)
    assert find_device().kind == "cpu"


@pytest.mark.parametrize(
    ("visible", "index"),
    [("0", 0), ("1", 1), ("1,0", 1), (" 1 ", 1), ("GPU-bbbb-2", 1), ("GPU-b", 1), ("GPU-aaaa-1,1", 0), ("1,7", 1)],
)
def test_of_several_gpus_the_one_that_cuda_shows_first_is_taken_and_named(smi, visible, index):
    smi(TWO, CUDA_VISIBLE_DEVICES=visible)
    free, total = ((10000, 24000), (70000, 80000))[index]
    assert find_device() == Device(f"GPU {index}: GPU {index}", "cuda", free * 2**20, total * 2**20)


@pytest.mark.parametrize("told", ["Orin, [N/A], [N/A], GPU-1", "NVIDIA GB10, Not Supported, Not Supported, GPU-1"])
def test_a_gpu_that_tells_no_memory_of_its_own_has_the_machines(smi, told):
    smi(told, LOCAL_WORLD_SIZE="many")
    assert find_device().kind == "cuda" and find_device().total == psutil.virtual_memory().total


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles", "7", "7,0", "GPU-cccc", "GPU-", "MIG-1234"])
def test_where_cuda_shows_none_of_them_it_is_the_cpu(smi, visible):
    smi(TWO, CUDA_VISIBLE_DEVICES=visible)
    assert find_device().kind == "cpu"


def test_a_slice_of_a_gpu_has_its_own_size(smi):
    smi(
        "GPU 0: NVIDIA A100 (UUID: GPU-aaaa)\n  MIG 3g.20gb     Device  0: (UUID: MIG-1111-2222)\n"
        "  MIG 1g.10gb+me  Device  1: (UUID: MIG-3333-4444)",
        CUDA_VISIBLE_DEVICES="MIG-3333",
    )
    assert find_device() == Device("MIG 1g.10gb+me", "cuda", 10 * 10**9, 10 * 10**9)


def test_a_run_of_several_processes_goes_by_its_smallest_gpu(smi):
    smi(TWO, CUDA_VISIBLE_DEVICES="1,0", LOCAL_WORLD_SIZE="2")
    assert find_device().total == 24000 * 2**20
    smi(TWO, CUDA_VISIBLE_DEVICES="1,0", LOCAL_WORLD_SIZE="1")
    assert find_device().total == 80000 * 2**20
