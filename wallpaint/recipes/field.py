"""Teach `models.field` from rendered rooms: `python -m wallpaint.recipes.field --layers DIR --out FILE`.

A room is photographed again and again, by a camera drawn anew and with another paint on its wall each time, and cut
another way; the network is shown the photo and what `recolor` makes of it, and told what the same camera would have
shown. The light is misread at random, because on rooms that it was learned from it is read too well. Photo and truth
are bent alike at random, as by a camera that nobody built.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from wallpaint.cache.references import MISREAD
from wallpaint.disk import atomic_path
from wallpaint.models.field import GRID, WIDTHS, Field, known_share, look, lost_light, middle_light, small, small_mask
from wallpaint.models.runtime import quick_half
from wallpaint.pixels.light import LEAST, estimate_light
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.pixels.recolor import bend
from wallpaint.recipes.light import LUMINANCE, distance
from wallpaint.recipes.rooms.develop import MAKERS, develop_view, read_rows, read_view, spread
from wallpaint.recipes.rooms.palette import sample_paints, to_linear
from wallpaint.recipes.tiny.data import is_held_out

PAINTS = 3  # repaints of a photograph
LEAST_SIDE = 0.6  # a photograph is cut to so much of a side at least
LEAST_WALL = 0.04  # of the cut; what shows less teaches nothing
OUTSIDE_WEIGHT = 0.3
RATE, WARM_UP = 2e-3, 100  # of learning, at most; steps
BENT, MIDDLE = 0.6, 0.2  # share of rows that `bend_tones` bends; linear light that a power leaves as it is
NAMES = ("photo", "share", "truth", "old", "bounce", "slope", "paint", "held")


def photograph_view(view, rng: np.random.Generator, maker: str) -> list[tuple]:
    """Rows of NAMES of one photograph, one a paint; none where the cut shows no wall."""
    paints = sample_paints(rng, PAINTS)
    photo, pictures, _ = develop_view(view, rng, paints, MAKERS[maker])
    size = np.array(photo.shape[:2])
    cut = np.round(size * (rng.uniform(LEAST_SIDE, 1, 2) if rng.random() < 0.7 else 1)).astype(int)
    top, left = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(size, cut, strict=True))
    area = (slice(top, top + cut[0]), slice(left, left + cut[1]))
    mask = to_mask(view.wall[area] >= 128)
    share, seen = small_mask(mask), Image.fromarray(photo[area])
    if share.mean() < LEAST_WALL:
        return []
    light = estimate_light(seen, mask)
    told = (light.paint, light.bounce, light.slope)
    held = is_held_out(view.row["room_id"])
    return [
        (small(seen), share, small(Image.fromarray(picture[area])), *told, to_linear(paint), held)
        for paint, picture in pictures
    ]


def photograph_row(task: tuple) -> list[tuple]:
    """Rows of NAMES of a view, photographed so many times."""
    layers, row, cameras, seed, maker = task
    view = read_view(layers, row)
    return [
        tuple(np.asarray(value, np.float16) if np.ndim(value) > 1 else value for value in found)
        for number in range(cameras)
        for found in photograph_view(view, np.random.default_rng([seed, number, *row["file_name"].encode()]), maker)
    ]


def photograph_all(layers: Path, cameras: int, seed: int, maker: str, workers: int) -> dict[str, torch.Tensor]:
    """What NAMES says, stacked over all photographs and paints: pictures float16, channels first."""
    tasks = [(layers, row, cameras, seed, maker) for row in read_rows(layers)]
    rows = [found for part in spread(photograph_row, tasks, workers) for found in part]
    data = {
        name: torch.from_numpy(np.stack(values)) for name, values in zip(NAMES, zip(*rows, strict=True), strict=True)
    }
    data |= {name: data[name].permute(0, 3, 1, 2).contiguous() for name in ("photo", "truth")}
    return data | {"share": data["share"][:, None]}


def gather(args: argparse.Namespace) -> dict[str, torch.Tensor]:
    """All photographs of all layers, of every kind of camera; from the file where they are kept, if it is there."""
    if args.photographs and args.photographs.exists():
        return torch.load(args.photographs, weights_only=True)
    counts = {"any": args.cameras, "strange": args.strange, "mixed": args.mixed}
    parts = [
        photograph_all(layers, count, 0, maker, args.workers)
        for layers in args.layers
        for maker, count in counts.items()
        if count
    ]
    data = {name: torch.cat([part[name] for part in parts]) for name in NAMES}
    if args.photographs:
        with atomic_path(args.photographs) as temporary:
            torch.save(data, temporary)
    return data


def bend_tones(rows: dict[str, torch.Tensor], draws: torch.Generator) -> dict[str, torch.Tensor]:
    """Bend photo and truth of most rows alike: exposure, tint, a power, a toe, a shoulder, saturation."""
    count, device = len(rows["photo"]), rows["photo"].device
    bent = (torch.rand(count, 1, 1, 1, generator=draws) < BENT).float()

    def factor(spread: float, channels: int = 1) -> torch.Tensor:
        return (spread * bent * torch.randn(count, channels, 1, 1, generator=draws)).exp().to(device)

    def some(most: float, chance: float) -> torch.Tensor:
        drawn = torch.rand(2, count, 1, 1, 1, generator=draws)
        return (most * bent * drawn[0] * (drawn[1] < chance)).to(device)

    exposure, tint, power, saturation = factor(0.25), factor(0.06, 3), factor(0.15), factor(0.12)
    toe, shoulder = some(0.04, 0.3), some(1.2, 0.5)

    def tone(light: torch.Tensor) -> torch.Tensor:
        light = MIDDLE * (light.float() * exposure * tint / MIDDLE) ** power
        light = light * light / (light + toe + 1e-6)
        light = light * (1 + shoulder) / (1 + shoulder * light)  # white stays white
        grey = torch.einsum("bchw,c->bhw", light, LUMINANCE.to(device))[:, None]
        return torch.lerp(grey, light, saturation).clamp(0, 1)

    slope = rows["slope"] * power.flatten().to(rows["slope"].dtype)
    return rows | {"photo": tone(rows["photo"]), "truth": tone(rows["truth"]), "slope": slope}


def loss_of(network: Field, rows: dict[str, torch.Tensor], misread: torch.Generator | None) -> dict[str, torch.Tensor]:
    """Mean colour difference over the wall and outside it; `misread` draws misread light, half of the time."""
    photo, truth, share = (rows[name].float() for name in ("photo", "truth", "share"))
    old, count = rows["old"].float(), len(photo)
    if misread is not None:
        level = MISREAD[0] * torch.randn(count, 1, generator=misread)
        tint = MISREAD[1] * torch.randn(count, 3, generator=misread) * torch.tensor([1.0, 0.0, 1.0])
        wrong = (torch.rand(count, 1, generator=misread) < 0.5).float()
        old = (old * (wrong * (level + tint)).exp().to(old.device)).clamp(LEAST, 1)
    lights = {"paint": old, "bounce": rows["bounce"].float(), "slope": rows["slope"].float()}
    seen, guess = look(photo, share, lights, rows["paint"].float())
    half = torch.is_grad_enabled() and quick_half(photo.device)
    with torch.autocast(photo.device.type, torch.bfloat16, enabled=half):
        told = network(seen).float()
    told = torch.nn.functional.interpolate(told, size=photo.shape[-2:], mode="bilinear")
    gains, beyond, contrast, lit = told.chunk(4, 1)
    wall, outside = share > 0.95, share < 0.05
    turned = (gains - contrast * middle_light(guess, share)).exp() * bend(guess, contrast)
    painted = torch.lerp(lost_light(lit, rows["paint"].float()), turned, known_share(photo))
    shown = torch.where(share > 0.5, painted, guess * beyond.exp())
    error = distance(shown.permute(0, 2, 3, 1), truth.permute(0, 2, 3, 1))[:, None]

    def mean(where: torch.Tensor) -> torch.Tensor:
        return ((error * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1)).mean()

    return {"wall": mean(wall), "outside": mean(outside)}


def fit(
    data: dict[str, torch.Tensor],
    minutes: float,
    steps: int | None = None,
    batch: int = 32,
    rate: float = RATE,
    seed: int = 0,
    begin: Field | None = None,
) -> Field:
    """Train on the rooms that are not held out, by the clock or so many steps; give the averaged weights.

    It trains where the data lie, and goes on from `begin`.
    """
    torch.manual_seed(seed)
    network, generator = begin or Field(), torch.Generator().manual_seed(seed)
    network.to(data["photo"].device)
    average = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    learned = (~data["held"]).nonzero()[:, 0]
    started, step, said = time.monotonic(), 0, 0.0
    while (spent := step / steps if steps else (time.monotonic() - started) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / WARM_UP) * (1 + np.cos(np.pi * spent)) / 2
        picked = learned[torch.randint(len(learned), (batch,), generator=generator).to(learned.device)]
        rows = {name: values[picked] for name, values in data.items()}
        if torch.rand(1, generator=generator) < 0.5:
            rows |= {name: rows[name].flip(-1) for name in ("photo", "truth", "share")}
        losses = loss_of(network, bend_tones(rows, generator), generator)
        optimizer.zero_grad()
        (losses["wall"] + OUTSIDE_WEIGHT * losses["outside"]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            for name, value in network.named_parameters():
                average[name].lerp_(value, 1 / min(step + 1, 300))
        if spent - said > 0.1:
            said = spent
            print(json.dumps({"step": step, "share": round(spent, 2), **measure(network, data)}), flush=True)
    network.load_state_dict(average)
    print(json.dumps({"step": step, **measure(network, data)}), flush=True)
    return network.eval()


@torch.no_grad()
def measure(network: Field, data: dict[str, torch.Tensor]) -> dict[str, float]:
    """Mean colour difference on the rooms held out, with the field and without it."""
    held = data["held"].nonzero()[:, 0][:1200]
    totals: dict[str, float] = {}
    plain = Field().to(data["photo"].device).eval()  # begins at no gain at all
    for picked in held.split(100):
        rows = {name: values[picked] for name, values in data.items()}
        for kind, model in (("", network), ("_without", plain)):
            for name, value in loss_of(model, rows, None).items():
                totals[name + kind] = totals.get(name + kind, 0.0) + float(value) * len(picked) / len(held)
    return {name: round(value, 2) for name, value in totals.items()}


def main() -> None:
    """Photograph, train, write the weights and the log."""
    parser = argparse.ArgumentParser(prog="python -m wallpaint.recipes.field", description=__doc__)
    parser.add_argument("--layers", type=Path, nargs="+", required=True, help="folders of `rooms --layout layers`")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors to write; its log lies beside it")
    parser.add_argument("--cameras", type=int, default=6, help="photographs of a view")
    parser.add_argument("--strange", type=int, default=0, help="more of them, by stranger cameras")
    parser.add_argument("--mixed", type=int, default=0, help="more of them, by cameras with curves that no camera has")
    parser.add_argument("--photographs", type=Path, help="the file where they are kept for other networks, and found")
    parser.add_argument("--begin", type=Path, help="weights to go on from")
    parser.add_argument("--widths", type=int, nargs=3, default=WIDTHS, help="of a network that begins from nothing")
    parser.add_argument("--rate", type=float, default=RATE, help="of learning, at most")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn while learning")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1, help="processes that photograph")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    data = {name: values.to(args.device) for name, values in gather(args).items()}
    print(f"{len(data['photo'])} repaints in {time.monotonic() - started:.0f} s, {GRID} places a side", flush=True)
    begin = Field.load(args.begin) if args.begin else Field(args.widths)
    network = fit(data, args.minutes, batch=args.batch, rate=args.rate, seed=args.seed, begin=begin)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().cpu().contiguous() for name, value in network.state_dict().items()}, args.out)
    figures = measure(network, data) | {"repaints": len(data["photo"]), "held out": int(data["held"].sum())}
    args.out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
