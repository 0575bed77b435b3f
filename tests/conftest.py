"""Fixtures: a family of untrained models in the final layout, toy rooms, and a config that trains on both."""

import copy
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from toys import PAINTS, toy_room


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """A folder of every model of room-tiny, with random weights."""
    import torch

    from wallpaint.tiny.build import save_random_family

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "room-tiny"
    save_random_family(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Two rooms to learn from in two paints each, and one room held out."""
    from wallpaint.dataset import add_sample

    folder = tmp_path_factory.mktemp("dataset")
    for seed in range(3):
        for color in PAINTS:
            photo, mask = toy_room(seed, color)
            split = "train" if seed < 2 else "validation"
            add_sample(folder, split, photo, mask, color, f"room {seed}", f"room{seed}")
    return folder


@pytest.fixture(scope="session")
def loaded(family):
    from wallpaint.models import load_models, pick_runtime

    return load_models("room-tiny", pick_runtime("cpu"), base_model=str(family), resolution=64)


@pytest.fixture
def load(loaded):
    """Give a fresh copy of the random family's models (64 px)."""
    return lambda: copy.deepcopy(loaded)


@pytest.fixture
def config(family, dataset, tmp_path, tmp_path_factory):
    """Make a TrainConfig for a few fast steps; keyword arguments replace its settings."""
    from wallpaint.config import TrainConfig

    settings = {
        "method": "lora_ip", "base_model": str(family), "dataset": str(dataset), "resolution": 64,
        "device": "cpu",
        "output_dir": str(tmp_path / "run"), "cache_dir": str(tmp_path_factory.getbasetemp() / "cache"),
        "max_train_steps": 3, "train_batch_size": 2, "learning_rate": 1e-3, "color_loss_start_step": 0,
        "color_loss_crop": 4, "validation_steps": 0, "num_validation_images": 1, "num_inference_steps": 2,
        "logging_steps": 1, "lora_rank": 2, "lora_alpha": 4, "checkpointing_steps": 0,
    }  # fmt: skip
    return lambda **changes: TrainConfig(**settings | changes)
