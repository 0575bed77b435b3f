"""Fixtures: a family of untrained models in the final layout, toy rooms, and a config that trains on both."""

import copy
import gc
import json
import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
from PIL import Image
from toys import FAST, PAINTS, toy_room

from wallpaint.process import collector_paused


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Read the tests, and with them every library, without looking for garbage in what stays to the end."""
    with collector_paused():
        collected = yield
    gc.freeze()
    return collected


@pytest.fixture(autouse=True)
def own_environment():
    """What a command sets for its own process and its children ends with the test that ran it."""
    variables, directory = dict(os.environ), tempfile.tempdir
    yield
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = directory


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """A folder of every model of room-tiny, with random weights."""
    import torch

    from wallpaint.recipes.tiny.build import build_family, save_family

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "room-tiny"
    save_family(build_family(), folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Two rooms to learn from in two paints each, and one room held out."""
    from wallpaint.dataset.folder import add_sample

    folder = tmp_path_factory.mktemp("dataset")
    for seed in range(3):
        for color in PAINTS:
            photo, mask = toy_room(seed, color)
            split = "train" if seed < 2 else "validation"
            add_sample(folder, split, photo, mask, color, f"room {seed}", f"room{seed}")
    return folder


@pytest.fixture(scope="session")
def loaded(family):
    from wallpaint.models.bundle import load_models
    from wallpaint.models.runtime import pick_runtime

    return load_models("room-tiny", pick_runtime("cpu"), base_model=str(family), resolution=64)


@pytest.fixture
def load(loaded):
    """Give a fresh copy of the random family's models (64 px)."""
    return lambda: copy.deepcopy(loaded)


@pytest.fixture
def config(family, dataset, tmp_path, tmp_path_factory):
    """Make a TrainConfig for a few fast steps; keyword arguments replace its settings."""
    from wallpaint.settings.train_config import TrainConfig

    settings = FAST | {
        "method": "lora_ip",
        "base_model": str(family),
        "dataset": str(dataset),
        "output_dir": str(tmp_path / "run"),
        "cache_dir": str(tmp_path_factory.getbasetemp() / "cache"),
        "max_train_steps": 3,
        "learning_rate": 1e-3,
        "color_loss_start_step": 0,
        "color_loss_crop": 4,
        "validation_steps": 0,
        "logging_steps": 1,
        "lora_alpha": 4,
        "checkpointing_steps": 0,
    }
    return lambda **changes: TrainConfig(**settings | changes)


@pytest.fixture
def room_photo(tmp_path):
    """A grey wall of 160 x 90 px, as a file."""
    path = tmp_path / "my room.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(140, 156, (90, 160, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def shipped_rooms(tmp_path, monkeypatch, room_photo):
    """Ship one sample room and one test room with a truth, in place of those of the repository."""
    from wallpaint.dataset.folder import add_sample

    assets, image = tmp_path / "assets", Image.open(room_photo)
    mask = Image.new("L", image.size)
    mask.paste(255, (0, 0, 160, 40))
    sample, test = assets / "rooms" / "sample", assets / "rooms" / "test"
    file = add_sample(sample, "train", image, mask, (150, 150, 150), "", "attic").image.name
    (sample / "train").rename(test)
    add_sample(sample, "train", image, mask, (150, 150, 150), "", "attic")
    rows = test / "metadata.jsonl"
    truth = {"color": [122, 158, 126], "file_name": file}
    rows.write_text(json.dumps({**json.loads(rows.read_text()), "kind": "dark", "truths": [truth]}))
    monkeypatch.setattr("wallpaint.paths.ASSETS", assets)
    return assets


@pytest.fixture
def run_folder(tmp_path):
    """A run at work (this process), half a line of metrics in its file."""
    from wallpaint.runs import state

    folder = state.new_run_folder(tmp_path, "lora")
    state.write_state(folder, state="running", pid=os.getpid(), step=0, max_train_steps=200)
    state.write_state(folder, step=50)
    (folder / "metrics.jsonl").write_text('{"step": 10, "loss": 0.5, "loss_diffusion": 0.4}\n{"step": 20, "lo')
    (folder / "train.log").write_text("hello\nstep 50/200\n")
    (folder / "samples").mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "samples" / "step-000050.png")
    return folder


@pytest.fixture
def heard(monkeypatch):
    """The latents that every painting ends with."""
    from wallpaint.paint import sampler

    latents, denoise = [], sampler.denoise

    def noting(*args):
        latents.append(denoise(*args))
        return latents[-1]

    monkeypatch.setattr(sampler, "denoise", noting)
    return latents


@pytest.fixture
def opened(monkeypatch):
    """The sessions that `train` opens, and a copy of all their parameters at the start."""
    from wallpaint.learned.denoiser import parameter_groups
    from wallpaint.train import loop
    from wallpaint.train.session import open_session

    sessions = []

    def spy(*args):
        found = open_session(*args)
        names = ("vae", "text_encoder", "text_encoder_2", "image_encoder")
        modules = {name: module for name in names if (module := getattr(found.models, name))}
        tensors = {f"{m}.{k}": v for m, module in modules.items() for k, v in module.state_dict().items()}
        groups = parameter_groups(found.denoiser)
        named = {(g, k): p for g, group in groups.items() for k, p in group.items()}
        projection = {("image_proj", k): p for k, p in found.models.image_proj.named_parameters()}
        if "dino" in found.models.parts:
            tensors |= {f"dino.{k}": v for k, v in found.models.parts["dino"].state_dict().items()}
        named |= {("encoders", k): v for k, v in tensors.items()}
        if "ip_adapter" not in found.method.learns:
            named |= projection  # where it learns it is part of the denoiser
        start = {key: value.detach().clone() for key, value in named.items()}
        sessions.append((found, named, start))
        return found

    monkeypatch.setattr(loop, "open_session", spy)
    return sessions
