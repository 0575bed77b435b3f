"""Painting: three arms as one batch against three calls of the stock pipeline, in one run.

    python tests/bench/bench_paint.py                                        room-tiny on the CPU, a minute
    python tests/bench/bench_paint.py --family sd15-random --device cuda     (--steps 30, --megapixels 12)

Same weights, steps, seed and device. The pictures are compared in float32, before they are rounded to bytes;
the speed is measured in the family's own dtype. Then one large photo from its file to three repaints, with
its time broken down, and a second colour on it. Prints one JSON object; its `goals` say what was reached.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image, ImageDraw
from random_models import bench_models

from wallpaint.learned.denoiser import build_denoiser
from wallpaint.learned.weights import save_weights
from wallpaint.models import latents
from wallpaint.models.bundle import Models
from wallpaint.models.runtime import pick_runtime
from wallpaint.paint import arms, painter, sampler
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import load_photo
from wallpaint.pixels.recolor import Coat
from wallpaint.settings.methods import METHODS

SAGE, TERRACOTTA = Swatch((122, 158, 126)), Swatch((190, 98, 70))
LAYING = {"find_layings": painter, "repaint_each": arms}  # what puts the pictures back over the photo
ARMS = ("old", "new", "color")
GUIDANCE = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=("room-tiny", "sd15-random"), default="room-tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=0, help="sampling steps (CPU: 4, GPU: 30)")
    parser.add_argument("--repeats", type=int, default=0, help="timed repeats (CPU: 1, GPU: 5)")
    parser.add_argument("--resolution", type=int, default=0, help="0: the family's own")
    parser.add_argument("--megapixels", type=float, default=12.0, help="of the large photo")
    options = parser.parse_args()
    gpu = options.device == "cuda"
    options.steps, options.repeats = options.steps or (30 if gpu else 4), options.repeats or (5 if gpu else 1)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(options, Path(folder)), indent=2))


@torch.no_grad()
def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, in order: exactness, speed, the large photo, clicks."""
    torch.backends.cudnn.allow_tf32 = False  # float32 is compared
    exact = bench_models(options.family, pick_runtime(options.device, "no"), options.resolution)
    save_arms(exact, folder)
    photo, mask = room(exact.family.resolution, exact.family.resolution)
    difference = compare_pictures(exact, folder, photo, mask)
    del exact
    torch.backends.cudnn.allow_tf32 = True
    models = bench_models(options.family, pick_runtime(options.device), options.resolution)
    ours, laying, stock = time_arms(options, models, folder, photo, mask)
    models = bench_models(options.family, pick_runtime(options.device), options.resolution)
    large = large_photo(options, models, folder)
    clicks = click_seconds(options)
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    goals = {
        "speed": stock / (ours - laying) >= 2.5,
        "difference": difference <= 1e-4,
        "second_color": large["second_color"]["encode_pictures_calls"] == 1,  # its classical repaint, not the photo
        "click": clicks is not None and clicks["answer"] <= 0.03,
    }
    return {
        "options": vars(options),
        "device": device,
        "dtype": str(models.runtime.weight_dtype),
        "speed": stock / (ours - laying),
        "speed_with_laying": stock / ours,
        "seconds_three_arms": ours,
        "seconds_laying": laying,
        "seconds_three_stock_calls": stock,
        "difference_float32": difference,
        "large_photo": large,
        "sam": clicks,
        "goals": goals,
    }


def room(width: int, height: int) -> tuple[Image.Image, Image.Image]:
    """A picture and a mask whose edges lie on the grid of latents, where both ways to shrink it agree."""
    photo = Image.effect_noise((width // 8, height // 8), 60).resize((width, height)).convert("RGB")
    mask = Image.new("L", (width, height))
    unit = max(8, width // 64 * 8)
    ImageDraw.Draw(mask).rectangle((unit, unit, width - 2 * unit - 1, height - 2 * unit - 1), fill=255)
    return photo, mask


def save_arms(models: Models, folder: Path) -> None:
    """Three LoRAs that differ, in the layout both read."""
    with torch.enable_grad():
        build_denoiser(models, METHODS["lora_ip"])
    for seed, name in enumerate(ARMS):
        torch.manual_seed(seed)
        for key, parameter in models.unet.named_parameters():
            if ".lora_B." in key:
                parameter.copy_(0.02 * torch.randn_like(parameter))
        save_weights(folder / name, models, METHODS["lora_ip"].learns)
    models.unet.unload_lora()


def stock_pipeline(models: Models, folder: Path) -> Any:
    """diffusers' own pipeline around the same modules, every LoRA loaded once; eager, one dtype."""
    models.unet.encoder_hid_proj.image_projection_layers[0] = models.image_proj
    pipe = StableDiffusionInpaintPipeline(
        models.vae.to(models.runtime.weight_dtype),
        models.text_encoder,
        models.tokenizer,
        models.unet,
        models.noise_scheduler,
        None,
        models.image_processor,
        image_encoder=models.image_encoder,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    for name in ARMS:
        pipe.load_lora_weights(
            folder / name, weight_name="pytorch_lora_weights.safetensors", adapter_name=name, use_safetensors=True
        )
    return pipe


def call_stock(pipe: Any, name: str, photo: Image.Image, mask: Image.Image, steps: int) -> torch.Tensor:
    """One arm as a user of the pipeline paints it: (1, 3, H, W), 0 to 1."""
    pipe.set_adapters([name])
    size = pipe.image_encoder.config.image_size
    return pipe(
        prompt="a room",
        image=photo,
        mask_image=mask,
        height=photo.height,
        width=photo.width,
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        ip_adapter_image=SAGE.image(size),
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).images


def open_painter(models: Models, folder: Path) -> arms.Arms:
    """The three arms, painted by one painter."""
    return arms.Arms(ARMS, (painter.Painter(models, {name: folder / name for name in ARMS}),))


def compare_pictures(models: Models, folder: Path, photo: Image.Image, mask: Image.Image) -> float:
    """The largest difference of a pixel, 0 to 1, between our batch and the pipeline's calls, in float32."""
    models = replace(models, family=replace(models.family, mask_growth=0))
    ours, whole = [], latents.decode_latents
    opened = open_painter(models, folder)
    sampler.decode_latents = lambda *args: ours.append(whole(*args).clamp(0, 1)) or ours[-1]
    opened.paint(Coat(photo, mask, SAGE), SamplingSettings(0, 4, GUIDANCE, prompt="a room"))
    sampler.decode_latents = whole
    models.unet.unload_lora()
    pipe = stock_pipeline(models, folder)
    theirs = [call_stock(pipe, name, photo, mask, 4) for name in ARMS]
    painted = torch.cat(ours)[: len(ARMS)]  # after them the classical repaint that they are laid over by is decoded
    return max(float((a - b).abs().max()) for a, b in zip(painted, theirs, strict=True))


def time_arms(
    options: argparse.Namespace, models: Models, folder: Path, photo: Image.Image, mask: Image.Image
) -> tuple[float, float, float]:
    """Seconds for three arms: ours (a fresh photo each time, nothing recalled), three stock calls.

    Between them the share of ours that lays the pictures back over the photo, which the pipeline never does.
    """
    opened = open_painter(models, folder)

    def ours() -> None:
        (mine,) = opened.painters
        for cache in [*mine._pictures.values(), *(group.encodings for group in mine._groups)]:
            cache._values.clear()
        opened.paint(Coat(photo, mask, SAGE), SamplingSettings(0, options.steps, GUIDANCE, prompt="a room"))

    def stock() -> None:
        for name in ARMS:
            call_stock(pipe, name, photo, mask, options.steps)

    first = timed(ours, options)
    with watched() as (seconds, _):
        ours()
    models.unet.unload_lora()
    pipe = stock_pipeline(models, folder)
    return first, sum(seconds[name] for name in LAYING), timed(stock, options)


def timed(do: Callable[[], Any], options: argparse.Namespace) -> float:
    """Seconds a call, once warm."""
    do()
    sync()
    start = time.perf_counter()
    for _ in range(options.repeats):
        do()
    sync()
    return (time.perf_counter() - start) / options.repeats


def sync() -> None:
    """Wait for the device."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def large_photo(options: argparse.Namespace, models: Models, folder: Path) -> dict[str, Any]:
    """A photo of many megapixels from its file to three repaints, the time of its parts; a second colour."""
    height = int((options.megapixels * 1e6 * 3 / 4) ** 0.5) // 8 * 8
    made, mask = room(height * 4 // 3 // 8 * 8, height)
    made.save(folder / "large.jpg", quality=92)
    start = time.perf_counter()
    photo = load_photo(folder / "large.jpg")
    result: dict[str, Any] = {"size": photo.size, "load": time.perf_counter() - start}
    opened = open_painter(models, folder)
    small = Coat(photo.resize((256, 192)), mask.resize((256, 192)), SAGE)
    opened.paint(small, SamplingSettings(0, 1, GUIDANCE, prompt="warm"))
    for label, color in (("first_color", SAGE), ("second_color", TERRACOTTA)):
        with watched() as (seconds, calls):
            start = time.perf_counter()
            opened.paint(Coat(photo, mask, color), SamplingSettings(0, options.steps, GUIDANCE, prompt="a room"))
            sync()
            total = time.perf_counter() - start
        result[label] = {"seconds": total, **seconds, "encode_pictures_calls": calls["encode_pictures"]}
    return result


@contextmanager
def watched():
    """Time the parts of a painting: encoders, sampling loop, decoder, laying; count their calls."""
    seconds, calls, kept = Counter(), Counter(), []

    def watch(module: Any, name: str) -> None:
        original = getattr(module, name)

        def run(*args: Any, **kwargs: Any) -> Any:
            sync()
            start = time.perf_counter()
            result = original(*args, **kwargs)
            sync()
            seconds[name] += time.perf_counter() - start
            calls[name] += 1
            return result

        kept.append((module, name, original))
        setattr(module, name, run)

    for name in ("prepare_picture", "encode_pictures", "encode_images", "encode_text", "denoise", "decode_latents"):
        watch(sampler, name)
    for name, module in LAYING.items():
        watch(module, name)
    yield seconds, calls
    for module, name, original in kept:
        setattr(module, name, original)


def click_seconds(options: argparse.Namespace) -> dict[str, Any] | None:
    """Seconds to look at a photo and to answer a click; None without segment-anything.

    `answer` is the family's own SAM, vit_b for SD1.5, up to three masks at the photo's size. Tidying them up
    needs masks of walls, not those of random weights: `tidied` is a whole click with room-tiny's.
    """
    try:
        from segment_anything import sam_model_registry

        from wallpaint.walls.masks import Masker
    except ImportError:
        return None
    photo = load_photo(ROOT / "assets" / "rooms" / "test" / "000001-0-paint0.jpg").resize((1024, 768))
    tiny = Masker.load(ROOT / "assets" / "models" / "room-tiny", options.device)
    own = tiny
    if options.family != "room-tiny":
        own = Masker(sam_model_registry["vit_b"]().to(options.device))
    embed = timed(lambda: own.predictor.set_image(np.asarray(photo)), options)  # `own` would embed it once
    own.set_image(photo)
    tiny.set_image(photo)
    points = [(x, 300) for x in range(100, 1000, 90)]
    ones = np.ones(1)
    return {
        "embed": embed,
        "answer": median_seconds(lambda p: own.predictor.predict(np.array([p]), ones), points),
        "tidied": median_seconds(lambda p: tiny.predict([p], [1]), points),
    }


def median_seconds(do: Callable[[Any], Any], inputs: list[Any]) -> float:
    """The median of the seconds that each input takes, once warm."""
    do(inputs[0])
    times = []
    for value in inputs:
        start = time.perf_counter()
        do(value)
        sync()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
