"""Batches, arms and runs of the random family, for tests of several wings."""

import json
import os
import signal

import torch
from safetensors.torch import load_file

from wallpaint.cache.batches import Batch
from wallpaint.learned.denoiser import Noised, build_denoiser
from wallpaint.learned.weights import save_weights
from wallpaint.models.encoders import encode_references, encode_text
from wallpaint.settings.methods import METHODS
from wallpaint.train import loop as train_module


def a_batch(models, size=2):
    torch.manual_seed(3)
    with torch.no_grad():
        tokens = models.image_proj(encode_references(models, [None]))
    latents = torch.randn(size, 4, 8, 8)
    return Batch(
        latents=latents,
        masked_image_latents=torch.randn(size, 4, 8, 8),
        mask=torch.ones(size, 1, 8, 8),
        wall=torch.ones(size, 1, 64, 64),
        color=torch.rand(size, 3),
        **encode_text(models, ["a room"] * size),
        image_embeds=tokens.repeat(size, 1, 1),
    )


def a_noised(size=2):
    return Noised(torch.randn(size, 4, 8, 8), torch.tensor([7, 900][:size]))


def save_arm(models, folder, method, seed):
    """A run folder whose learned weights are moved at random."""
    torch.manual_seed(seed)
    denoiser = build_denoiser(models, METHODS[method], lora_rank=2 + seed, lora_alpha=4)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    save_weights(folder / "weights", models, METHODS[method].learns, shown=METHODS[method].shown)
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    return {
        f"{path.stem}.{key}": value
        for path in sorted((folder / "weights").rglob("*.safetensors"))
        for key, value in load_file(path).items()
    }


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def check_moved(opened, learns):
    """Assert that a training has moved every tensor of the groups that learn, and no other; see fixture `opened`."""
    _, named, start = opened[0]
    moved = {group: set() for group, _ in named}
    for (group, name), value in named.items():
        moved[group].add(not torch.equal(value, start[group, name]))
    assert moved == {group: {group in learns} for group in moved} and set(learns) <= set(moved)


def stop_after(step, number=signal.SIGTERM):
    """Send this process a signal at the start of step `step` (counted from 1)."""
    count = [0]
    original = train_module.take_step

    def sending(*args):
        count[0] += 1
        if count[0] == step:
            train_module.take_step = original
            os.kill(os.getpid(), number)
        return original(*args)

    train_module.take_step = sending
