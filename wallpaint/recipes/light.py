"""Teach `pixels.light` from rendered rooms: `python -m wallpaint.recipes.light --layers DIR --out FILE`.

A room is photographed again and again, by a camera drawn anew and with another paint on its wall each time; the
network reads the photo's statistics and is told how the wall's mean colour should have become in other paints.
One room in twenty is held out: the spread is widened until it covers 90 % there, under cameras stranger than those
that were learned from, as other people's are.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file
from torch import nn

from wallpaint.dataset.folder import read_samples
from wallpaint.models.field import recolor_by_field, repaint
from wallpaint.pixels.arrays import erode
from wallpaint.pixels.color import Swatch, bytes_to_linear, delta_e, linear_to_lab, luminance
from wallpaint.pixels.images import load_photo
from wallpaint.pixels.light import FAR, LEAST, MOST, SLOPE, WALL, WEIGHTS, estimate_light, features, is_lost
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.pixels.metrics import brightness_error, expected_lightness, wall_region
from wallpaint.pixels.recolor import Coat
from wallpaint.recipes.rooms import palette
from wallpaint.recipes.rooms.develop import MAKERS, develop_view, read_rows, read_view, spread
from wallpaint.recipes.rooms.palette import sample_paints, to_linear, to_srgb
from wallpaint.recipes.tiny.data import is_held_out

SKETCHES = 0.15  # so many drawings a photograph
PAINTS = 4  # repaints of a photograph
HIDDEN = (128, 64)
COVERED = 0.9
LUMINANCE = torch.from_numpy(palette.LUMINANCE)
# sRGB's linear RGB to CIE XYZ relative to D65 (IEC 61966-2-1).
TO_XYZ = torch.tensor([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])
NAMES = ("features", "wall", "paint", "truth", "held")


def photograph_row(task: tuple) -> list[tuple]:
    """Rows of NAMES of a view, photographed so many times; none where it shows next to no wall."""
    layers, row, cameras, seed, maker = task
    view = read_view(layers, row)
    mask, wall = to_mask(view.wall >= 128), erode(view.wall >= 128, 1)
    found: list[tuple] = []
    for number in range(cameras if wall.sum() >= 50 else 0):
        rng = np.random.default_rng([seed, number, *row["file_name"].encode()])
        paints = sample_paints(rng, PAINTS)
        photo, pictures, _ = develop_view(view, rng, paints, MAKERS[maker])
        seen = features(Image.fromarray(photo), mask)
        before, *after = (bytes_to_linear(shown[wall]).mean(0) for shown in (photo, *(p for _, p in pictures)))
        found.append((seen, before, to_linear(paints), after, is_held_out(row["room_id"])))
    return found


def photograph_all(
    layers: Path, cameras: int, seed: int, maker: str, workers: int, held: bool = False
) -> dict[str, np.ndarray]:
    """Features (N, F), the wall's mean (N, 3) before and (N, P, 3) after, paints (N, P, 3); `held`: rooms held out."""
    rows_of = [row for row in read_rows(layers) if not held or is_held_out(row["room_id"])]
    tasks = [(layers, row, cameras, seed, maker) for row in rows_of]
    rows = [found for part in spread(photograph_row, tasks, workers) for found in part]
    columns = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    return {name: np.asarray(values, bool if name == "held" else np.float32) for name, values in columns.items()}


def sketch_all(count: int, seed: int) -> dict[str, np.ndarray]:
    """The same of plain drawings: a flat wall in falling light before one or two flat colours.

    They are what little there is to read off a bare wall, a screenshot or a drawing: the light is as bright as
    pictures usually are, nothing bounces, and no camera bends it.
    """
    found: dict[str, list] = {name: [] for name in NAMES}
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        height, width = rng.integers(48, 97, 2)
        wall = np.zeros((height, width), bool)
        left, top = int(width * rng.uniform(0, 0.25)), int(height * rng.uniform(0, 0.25))
        wall[top : int(height * rng.uniform(0.6, 1)), left : int(width * rng.uniform(0.7, 1))] = True
        bare = rng.random() < 0.35  # nothing but the wall: then it is as bright as pictures usually are
        light = (0.75 if bare else 0.7) * np.exp((0.15 if bare else 0.3) * rng.standard_normal())
        light = light * np.exp(0.05 * rng.standard_normal(3) * (1, 0, 1))
        fall = np.linspace(rng.uniform(0.7 if bare else 0.3, 1), rng.uniform(0.7, 1.3), width)[None, :, None]
        fall = fall * np.linspace(1, rng.uniform(0.7 if bare else 0.4, 1.3), height)[:, None, None]
        old, paints = (to_linear(sample_paints(rng, n)) for n in (1, PAINTS))
        around = np.broadcast_to(to_linear(sample_paints(rng, 1)[0]), (height, width, 3)).copy()
        around[int(0.7 * height) :] = to_linear(sample_paints(rng, 1)[0])
        if bare:
            around[:] = old[0]
        pictures = [np.where(wall[..., None], paint, around) * light * fall for paint in (*old, *paints)]
        shown = [to_srgb(picture.clip(0, 1)) for picture in pictures]
        means = [bytes_to_linear(picture[wall]).mean(0) for picture in shown]
        mask = to_mask(wall)
        if rng.random() < 0.3:  # something stands before the wall and the mask does not know
            y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
            color = (255, 255, 255) if rng.random() < 0.5 else rng.integers(0, 255, 3)
            shown[0][y : y + rng.integers(4, 16), x : x + rng.integers(4, 40)] = color
        found["features"].append(features(Image.fromarray(shown[0]), mask))
        found["wall"].append(means[0])
        found["truth"].append(means[1:])
        found["paint"].append(paints)
        found["held"].append(number % 10 == 0)
    return {name: np.asarray(values, bool if name == "held" else np.float32) for name, values in found.items()}


class Reader(nn.Module):
    """The network of `pixels.light`, and what its six numbers mean."""

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        widths = (len(mean), *HIDDEN, 6)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.drop = nn.Dropout(0.1)
        with torch.no_grad():
            self.layers[-1].weight.mul_(0.1)
            self.layers[-1].bias.copy_(torch.tensor([-1.2, 0, 0, 0, 0, -1.0]))

    def forward(
        self, seen: torch.Tensor, wall: torch.Tensor, paint: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The wall's mean (N, P, 3) in other paints, and the spread (N,) of its log luminance."""
        x = ((seen - self.mean) / self.deviation).clamp(-FAR, FAR)
        for number, layer in enumerate(self.layers):
            x = layer(self.drop(x) if number else x)
            x = nn.functional.leaky_relu(x, SLOPE) if number < 2 else x
        level, red, blue, bounce, slope, spread = x.unbind(-1)
        zero = torch.zeros_like(red)
        tint = torch.exp(torch.stack([seen[:, WALL + 1] - red, zero, seen[:, WALL + 2] - blue], -1))
        reflected = torch.exp(level).clamp(max=MOST) / (tint @ LUMINANCE)
        old = (reflected[:, None] * tint).clamp(LEAST, 1)
        numbers = 0.7 * torch.sigmoid(bounce), torch.exp(0.4 * torch.tanh(slope))
        shown = repaint(wall[:, None], old[:, None], paint, *(number[:, None, None] for number in numbers))
        return shown, torch.exp(spread)


def to_lab(linear: torch.Tensor) -> torch.Tensor:
    """CIELAB (..., 3) of linear light."""
    xyz = (linear @ TO_XYZ.to(linear).T).clamp(min=0)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-4) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Colour difference (CIE94 in all but the hue term) of linear light, (..., 3) -> (...)."""
    a, b = to_lab(first.clamp(0, 1) + 0.02 * (first - first.clamp(0, 1))), to_lab(second)
    chroma = 1 + 0.045 * b[..., 1:].norm(dim=-1)
    return ((a[..., 0] - b[..., 0]) ** 2 + ((a - b)[..., 1:] ** 2).sum(-1) / chroma**2 + 1e-4).sqrt()


def miss(shown: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Error of the log luminance."""
    return ((shown.clamp(max=1) @ LUMINANCE + 0.01) / (truth @ LUMINANCE + 0.01)).log()


def fit(data: dict[str, torch.Tensor], steps: int, seed: int = 0) -> Reader:
    """Train on the rooms that are not held out."""
    torch.manual_seed(seed)
    learned = ~data["held"]
    rows = {name: values[learned] for name, values in data.items()}
    reader = Reader(rows["features"].mean(0), rows["features"].std(0).clamp(min=0.05))
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.1)
    for step in range(1, steps + 1):
        picked = torch.randint(len(rows["wall"]), (256,))
        seen = rows["features"][picked]
        seen = seen + 0.05 * reader.deviation * torch.randn_like(seen)
        shown, spread = reader(seen, rows["wall"][picked], rows["paint"][picked])
        error = miss(shown, rows["truth"][picked]).detach()
        likelihood = (error**2 / (2 * spread[:, None] ** 2)).clamp(max=20) + spread[:, None].log()
        loss = distance(shown, rows["truth"][picked]).mean() + likelihood.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 1000 == 0:
            print(json.dumps({"step": step, **measure(reader, data)}), flush=True)
    return reader.eval()


@torch.no_grad()
def measure(reader: Reader, data: dict[str, torch.Tensor]) -> dict[str, float]:
    """Figures on the rooms and drawings held out."""
    held = data["held"]
    reader.eval()
    shown, spread = reader(data["features"][held], data["wall"][held], data["paint"][held])
    error = miss(shown, data["truth"][held])
    reader.train()
    return {
        "delta_e": round(float(distance(shown, data["truth"][held]).mean()), 2),
        "bias": round(float(error.mean()), 3),
        "deviation": round(float(error.std()), 3),
        "quantile": round(float((error.abs() / spread[:, None]).quantile(COVERED)), 3),
    }


def measure_rooms(rooms: Path) -> dict[str, float]:
    """How well the shipped network does on rooms with truths: log luminance, its cover, and brightness_error.

    `doubt` is what the studio says, "in this light about #RRGGBB, ± ΔE": how many repaints come out within it, within
    twice as much.
    """
    errors, covered, bright, doubts = [], [], [], []
    for sample in read_samples(rooms, None):
        photo, mask = sample.load()
        wall, light = wall_region(mask), estimate_light(photo, mask)
        before = bytes_to_linear(np.asarray(photo)[wall]).mean(0)[None]
        for truth in sample.truths:
            swatch, true = Swatch(truth.color), load_photo(truth.image)
            coat = Coat(photo, mask, swatch)
            after = bytes_to_linear(np.asarray(true)[wall]).mean(0)
            shown = light.repaint(before, swatch.linear)[0].clip(0, 1)
            errors.append(float(np.log((luminance(shown) + 0.01) / (luminance(after) + 0.01))))
            covered.append(abs(errors[-1]) < 1.645 * light.spread)
            bright.append(abs(brightness_error(true, expected_lightness(coat), mask)))
            if not is_lost(photo, mask):
                middles = [np.median(np.asarray(picture)[wall], axis=0) for picture in (recolor_by_field(coat), true)]
                seen, came = (bytes_to_linear(middle.round().astype(np.uint8)) for middle in middles)
                doubts.append(float(delta_e(linear_to_lab(seen), linear_to_lab(came))) / max(1, light.doubt(seen)))
    figures = {"bias": np.mean(errors), "deviation": np.std(errors), "covered": np.mean(covered)}
    figures |= {f"within {times} doubt": np.mean(np.array(doubts) < times) for times in (1, 2)}
    return {name: round(float(value), 3) for name, value in figures.items()} | {
        "brightness_error_p90_of_truths": round(float(np.nanpercentile(bright, 90)), 1)
    }


def main() -> None:
    """Photograph, train, write the weights and the log; or measure."""
    parser = argparse.ArgumentParser(prog="python -m wallpaint.recipes.light", description=__doc__)
    parser.add_argument("--layers", type=Path, nargs="+", default=[], help="folders of `rooms --layout layers`")
    parser.add_argument(
        "--measure", type=Path, metavar="ROOMS", help="measure the shipped network on rooms with truths"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the .safetensors to write; its log lies beside it")
    parser.add_argument("--cameras", type=int, default=10, help="photographs of a view")
    parser.add_argument("--mixed", type=int, default=0, help="more of them, by cameras with curves that no camera has")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=1, help="processes that photograph")
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure_rooms(args.measure)))
        return
    torch.set_num_threads(1)
    started = time.monotonic()
    parts = [
        photograph_all(folder, count, 0, maker, args.workers)
        for folder in args.layers
        for maker, count in {"any": args.cameras, "mixed": args.mixed}.items()
        if count
    ]
    parts.append(sketch_all(round(SKETCHES * sum(len(part["wall"]) for part in parts)), 0))
    data = {name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in NAMES}
    print(f"{len(data['wall'])} photographs in {time.monotonic() - started:.0f} s", flush=True)
    reader = fit(data, args.steps)
    figures = measure(reader, data)
    held = [folder for folder in args.layers if any(is_held_out(row["room_id"]) for row in read_rows(folder))]
    if held:  # its ± has to hold under cameras that it never learned from
        strange = [photograph_all(folder, 4, 0, "strange", args.workers, held=True) for folder in held]
        unseen = {name: torch.from_numpy(np.concatenate([part[name] for part in strange])) for name in NAMES}
        figures["quantile"] = measure(reader, unseen)["quantile"]
    weights = {"mean": reader.mean, "deviation": reader.deviation}
    weights |= {
        key.removeprefix("layers."): value for key, value in reader.layers.state_dict(prefix="layers.").items()
    }
    # 1.645 standard deviations cover 90 % of a normal error: so the spread reads as one.
    arrays = {key: value.numpy().astype(np.float16) for key, value in weights.items()}
    arrays["widen"] = np.array([figures["quantile"] / 1.645], np.float32)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, args.out)
    figures |= {"photographs": len(data["wall"]), "held out": int(data["held"].sum())}
    args.out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
