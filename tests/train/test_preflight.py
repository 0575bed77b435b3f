"""What a run measures before its first step."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from torch import nn

from wallpaint.train import preflight as module
from wallpaint.train.loop import draw_microbatches
from wallpaint.train.preflight import available_bytes, preflight
from wallpaint.train.session import open_session


def a_session(folder, device="cpu"):
    """As much of a session as the check of memory and disk reads."""
    config = SimpleNamespace(checkpoints_total_limit=1)
    models = SimpleNamespace(runtime=SimpleNamespace(device=torch.device(device)))
    return SimpleNamespace(config=config, models=models, learned={"a": torch.zeros(10)}, ema={}, folder=folder)


def test_weights_that_are_loaded_already_are_not_asked_for_again(tmp_path, monkeypatch):
    held, free = psutil.Process().memory_info().rss, 50 * 2**20
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert available_bytes(torch.device("cpu")) == pytest.approx(held + free, rel=0.1)
    assert module._tight(a_session(tmp_path), held) == []
    (warning,) = module._tight(a_session(tmp_path), 2 * held + free)
    assert "lower train_batch_size or set gradient_checkpointing" in warning


def test_of_a_gpu_what_torch_has_taken_counts_as_had(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 10**9, 24 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 8 * 10**9)
    assert module._tight(a_session(tmp_path, "cuda:1"), 10 * 10**9) == []
    (warning,) = module._tight(a_session(tmp_path, "cuda:1"), 12 * 10**9)
    assert "12.0 GB of memory are expected and 11.0 GB can be had on cuda:1" in warning


def test_the_preflight_compiles_nothing(config, monkeypatch):
    shapes, compile_module = [], nn.Module.compile

    def note(graph, inputs):
        shapes.append(tuple(inputs[-1].shape))
        raise RuntimeError("one graph is enough")

    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: compile_module(self, backend=note, **options))
    settings = config(method="lora_ip_color", color_loss_start_step=0, train_batch_size=2, torch_compile=True)
    session = open_session(settings, False)
    told = preflight(session)
    assert told["expected_seconds"] > 0 and shapes == []
    batch, noised = next(draw_microbatches(session)).sent
    with pytest.raises(Exception, match="one graph is enough"):
        session.denoiser(noised, batch)
    assert len(shapes) == 1  # a batch is compiled as before
