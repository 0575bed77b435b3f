"""The arms over a folder of rooms whose true repaint is known: the figures that count.

A repaint is one room in one colour. Every arm paints every repaint from the same noise, with the row's own
text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import Sample, Truth
from wallpaint.errors import UserError
from wallpaint.paint.arms import Arms, open_arms
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels import metrics
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.file_kinds import PHOTO_SUFFIXES
from wallpaint.pixels.images import load_photo
from wallpaint.pixels.recolor import Coat
from wallpaint.report.compare import say_left_out
from wallpaint.report.files import Figures, all_or_nothing, write_csv, write_json, write_text
from wallpaint.report.measure import Yardstick
from wallpaint.report.pages import evaluation_page, evaluation_table, markdown, number, show_repaint
from wallpaint.report.summary import describe, summarise

if TYPE_CHECKING:
    from wallpaint.models.bundle import Models

EVALUATED_ARMS = "base old new color refine field recolor keep_lightness flat untouched".split()
SHOWN = 12  # repaints that the report shows as pictures
Repaint = tuple[Sample, Truth]


def evaluate(
    rooms: str | Path,
    arms: Sequence[str] | None,
    limit: int | None,
    out_dir: str | Path,
    settings: SamplingSettings | None = None,
    family: str | None = None,
    models: Models | None = None,
    say: Callable[[str], None] = print,
    old_paint: bool = False,
) -> Figures:
    """Paint every repaint with every arm; write results.csv, summary.json, table.md and report.html.

    Args:
        rooms: a folder with metadata.jsonl, whose rows have `truths`.
        arms: NAME or NAME=PATH; None takes EVALUATED_ARMS. A path may be a folder of pictures that anything
            else has painted, named as the true repaints are ('000001-0-paint0', in any format, of its size).
        limit: at most so many repaints (room x colour), see `choose_repaints`; None takes all.
        out_dir: gets the files at the end, all or none of them.
        settings: how to paint, the same for every arm and repaint; None takes the usual. The prompt is
            each row's own.
        family: see `compare.open_arms`.
        models: a loaded family, in place of loading one.
        say: gets a line a repaint, and the table.
        old_paint: tell the arms what each row says is on the wall now; else it is read off the photo.

    Returns:
        the summary, as in summary.json. Figures of an arm are means over its repaints of each one's own mean,
        median, 90th percentile and so on; `outside_changed_pixels` is their sum.

    Raises:
        UserError: rooms that cannot be read or have no truths, or arms that cannot be opened.
    """
    chosen = choose_repaints(read_samples(rooms, None), limit)
    if not chosen:
        raise UserError(f"no row of {rooms} has 'truths': give rooms whose true repaint is known")
    with all_or_nothing(out_dir) as folder:
        settings = settings or SamplingSettings()
        arms = EVALUATED_ARMS if arms is None else arms
        given = find_folders(arms, chosen)
        asked = [arm for arm in arms if arm.partition("=")[0] not in given]
        opened = open_arms(asked, family, models, settings.ip_adapter_scale) if asked else Arms(())
        say_left_out(opened)
        rows, floors, strips = _paint_all(opened, given, chosen, settings, say, old_paint)
        summary = summarise(rows, floors, len({sample.room_id for sample, _ in chosen}))
        for name, left_out in opened.left_out.items():
            summary["arms"][name]["left_out"] = list(left_out)
        write_csv(folder / "results.csv", rows)
        write_json(folder / "summary.json", summary)
        order = [describe(pair) for pair in summary["pairs"]]
        table = markdown(evaluation_table(summary["arms"])) + "".join(f"\n- {text}" for text in order) + "\n"
        write_text(folder / "table.md", table)
        write_text(folder / "report.html", evaluation_page(summary, order, strips))
    say(table)
    return summary


def find_folders(arms: Sequence[str], chosen: Sequence[Repaint]) -> dict[str, dict[Path, Path]]:
    """The arms that are folders of pictures: by name, the picture of each true repaint.

    Raises:
        UserError: a picture is missing.
    """
    found: dict[str, dict[Path, Path]] = {}
    for name, _, path in (arm.partition("=") for arm in arms):
        folder = Path(path)
        if not path or not folder.is_dir() or any(folder.rglob("*.safetensors")):
            continue
        pictures = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in PHOTO_SUFFIXES}
        missing = [truth.image.stem for _, truth in chosen if truth.image.stem not in pictures]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"arm {name} has no picture named {missing[0]}{more} in {folder}: paint every true repaint"
            )
        found[name] = {truth.image: pictures[truth.image.stem] for _, truth in chosen}
    return found


def choose_repaints(samples: Iterable[Sample], limit: int | None) -> list[Repaint]:
    """Choose at most `limit` repaints: kinds in turn, within a kind rooms in turn, then colours.

    The choice is the same every time, and a larger limit adds to a smaller one.
    """
    kinds: dict[str | None, list[Sample]] = {}
    for sample in samples:
        kinds.setdefault(sample.kind, []).append(sample)
    queues = []
    for k, (_, rooms) in enumerate(sorted(kinds.items(), key=lambda item: str(item[0]))):
        rounds = range(max(len(room.truths) for room in rooms))
        # Room i of kind k starts at its colour i + k: a short run sees more than the first colour of a list.
        queue = [
            (room, room.truths[(turn + i + k) % len(room.truths)])
            for turn in rounds
            for i, room in enumerate(rooms)
            if turn < len(room.truths)
        ]
        queues.append(queue)
    longest = max((len(queue) for queue in queues), default=0)
    chosen = [queue[i] for i in range(longest) for queue in queues if i < len(queue)]
    return chosen if limit is None else chosen[: max(0, limit)]


def _paint_all(
    opened: Arms,
    given: dict[str, dict[Path, Path]],
    chosen: Sequence[Repaint],
    settings: SamplingSettings,
    say: Callable[[str], None],
    old_paint: bool,
) -> tuple[list[Figures], list[float], list[dict[str, Any]]]:
    """Paint every repaint: rows, floors, and the pictures of some SHOWN of them; a line to `say` after each."""
    rows: list[Figures] = []
    floors: list[float] = []
    strips: list[dict[str, Any]] = []
    step = max(1, len(chosen) // SHOWN)
    start = time.perf_counter()
    painted_back: set[Path] = set()  # each photo once: it takes as long as painting
    for count, (sample, truth) in enumerate(chosen, start=1):
        back = sample.image not in painted_back
        painted_back.add(sample.image)
        room_rows, floor, pictures = _repaint(opened, given, sample, truth, settings, back, old_paint)
        rows += room_rows
        floors += floor
        if count % step == 0 and len(strips) < SHOWN:
            title = f"{sample.room_id}, {sample.kind or 'room'}"
            strips.append(show_repaint(title, Swatch(truth.color).hex, pictures, room_rows))
        left = (time.perf_counter() - start) / count * (len(chosen) - count)
        seen = "  ".join(f"{row['arm']} {number(row['delta_e_truth']['mean'])}" for row in room_rows)
        color = Swatch(truth.color).hex
        say(f"{count}/{len(chosen)}  {sample.room_id} {color}  ΔE {seen}  {left:.0f} s left")
    return rows, floors, strips


def _repaint(
    opened: Arms,
    given: dict[str, dict[Path, Path]],
    sample: Sample,
    truth: Truth,
    settings: SamplingSettings,
    back: bool,
    old_paint: bool,
) -> tuple[list[Figures], list[float], list]:
    """Paint one room in one colour, and `back`: a row an arm, the VAE's floor where there is one, titled pictures."""
    (photo, mask), true = sample.load(), load_photo(truth.image)
    before = Swatch(sample.color)
    coat = Coat(photo, mask, Swatch(truth.color), before if old_paint else None)
    prompted = replace(settings, prompt=sample.text)
    painted = opened.paint(coat, prompted)
    for name, pictures in given.items():
        picture = load_photo(pictures[truth.image])
        if picture.size != true.size:
            raise UserError(
                f"{pictures[truth.image]} is {picture.size}, not {true.size} as the room: paint it so large"
            )
        painted[name] = (picture, 0.0)
    rows, true_wall, yardstick = [], metrics.wall_mean(true, mask), Yardstick.of(coat, true)
    for name, (picture, seconds) in painted.items():
        row: dict[str, Any] = {"room_id": sample.room_id, "kind": sample.kind or ""}
        row |= {"photo": sample.image.name, "color": coat.swatch.hex, "arm": name, "seconds": round(seconds, 3)}
        row["there_and_back"] = math.nan
        if back and name in opened.names:  # unless `old_paint`, it has to read the light again
            returning = Coat(picture, mask, before, coat.swatch if old_paint else None)
            again, _ = opened.paint(returning, prompted, only=(name,))[name]
            row["there_and_back"] = metrics.delta_e_truth(again, photo, mask)["mean"]
        walls = {"wall": metrics.wall_mean(picture, mask), "true_wall": true_wall}
        rows.append(row | yardstick.measure(picture) | walls)
    floor = []
    if opened.painters:
        from wallpaint.paint.sampler import vae_round_trip

        again = vae_round_trip(opened.painters[0].models, true, coat)
        floor = [metrics.delta_e_truth(again, true, mask)["mean"]]
    shown = [("photo", photo), ("truth", true), *((name, picture) for name, (picture, _) in painted.items())]
    return rows, floor, shown
