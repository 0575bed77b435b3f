"""Where the models run, decided once."""

import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from wallpaint.errors import UserError

Given = ParamSpec("Given")
Result = TypeVar("Result")
_building = threading.RLock()


def build_alone(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let one thread at a time run what builds modules.

    While diffusers and transformers load a model, every module that any thread makes gets weights without memory.
    """

    @functools.wraps(function)
    def alone(*args: Given.args, **named: Given.kwargs) -> Result:
        with _building:
            return function(*args, **named)

    return alone


@dataclass(frozen=True)
class Runtime:
    """Where the models run, in which arithmetic, and why."""

    device: torch.device
    weight_dtype: torch.dtype  # of what is frozen; what learns is always float32
    reason: str

    @property
    def mixed_precision(self) -> str:
        """The name accelerate has for it."""
        return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(self.weight_dtype, "no")


def pick_runtime(device: str = "auto", mixed_precision: str = "auto") -> Runtime:
    """Choose the device and the dtype once; the reason is for the log.

    Raises:
        UserError: a GPU was asked for and there is none, or half precision on a CPU without need.
    """
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as nvidia-smi counts, see device.find_device
    found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device not in ("auto", "cpu") and device != found:
        raise UserError(f"device {device} was asked for but torch finds {found} here: choose auto or {found}")
    kind = found if device == "auto" else device
    dtypes = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if mixed_precision != "auto":
        return Runtime(torch.device(kind), dtypes[mixed_precision], f"{kind}, {mixed_precision} as asked")
    if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return Runtime(torch.device(kind), torch.bfloat16, f"{torch.cuda.get_device_name()} computes in bf16")
    if kind == "cuda":
        return Runtime(torch.device(kind), torch.float16, f"{torch.cuda.get_device_name()} has no bf16")
    return Runtime(torch.device(kind), torch.float32, f"{kind} is fastest and exact in float32")


def quick_half(device: torch.device) -> bool:
    """Whether bf16 hastens convolutions: on a GPU, and on a CPU with AVX-512; others take many times as long."""
    return device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX512"
