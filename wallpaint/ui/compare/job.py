"""What tab 3 does when one presses Paint: paint, measure, keep; the votes of a blind look."""

import json
import random
import secrets
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from wallpaint.errors import UserError
from wallpaint.paint.arms import Settings
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.images import atomic_path, load_mask, load_photo
from wallpaint.report.heat import draw_heat
from wallpaint.runs import state
from wallpaint.ui.board import pictures as picture
from wallpaint.ui.compare.room import Room, RoomFiles, find_files
from wallpaint.ui.page import SHARED_GPU, on_gpu, read_paint
from wallpaint.ui.words.words import t

SHIPPED = ("old", "new", "color", "base", "recolor")
TICKED = ("old", "new", "color", "recolor")
MORE_PAINTS = 7
MAX_LORA = 2_000_000_000  # bytes
# What was painted: folder, paints (hex), arms in the order shown, whether they are still nameless, whether
# the truth is known, whether the maps of errors are open.
Shown = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What the tab's left column asks for; 0 or None of the numbers: the family's own."""

    paint: str
    more: list[str]
    arms: list[str]
    seed: int | None
    steps: int | None
    guidance: float | None
    scale: float
    blind: bool


def list_arms(workspace: Path) -> list[tuple[str, str]]:
    """Give (label, arm) of what can be compared: the shipped arms that are there, then runs with weights."""
    there = [name for name in SHIPPED if name in ("base", "recolor") or (picture.ASSETS / "loras" / name).is_dir()]
    trained = [run for run in state.list_runs(workspace) if any((run.folder / "weights").glob("*.safetensors"))]
    return [*((name, name) for name in there), *((run.name, f"{run.name}={run.folder}") for run in trained)]


def take_lora(path: str, workspace: Path, language: str) -> tuple[str, str]:
    """Check an uploaded LoRA (or adapter) by its header and keep it for a day; give (label, arm).

    Raises:
        UserError: it is no safetensors file, too large, or holds nothing that an arm could be.
    """
    file = Path(path)
    if file.suffix != ".safetensors" or file.stat().st_size > MAX_LORA:
        raise UserError(t("bad_lora", language, name=file.name))
    try:
        with safe_open(str(file), framework="numpy") as opened:
            names = list(opened.keys())
    except (SafetensorError, OSError):
        raise UserError(t("bad_lora", language, name=file.name)) from None
    if not any("lora" in name or name.startswith(("image_proj.", "ip_adapter.")) for name in names):
        raise UserError(t("bad_lora", language, name=file.name))
    label = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in file.stem)[:40]
    label = label if label not in SHIPPED else f"my-{label}"
    kept = picture.working_folder(workspace) / f"{label or 'lora'}.safetensors"
    shutil.copyfile(file, kept)
    return kept.stem, f"{kept.stem}={kept}"


def read_paints(paint: str, more: list[str] | None) -> list:
    """Read the paint and the further ones, each once, at most 1 + MORE_PAINTS."""
    swatches = [read_paint(text) for text in [paint, *(more or [])[:MORE_PAINTS]]]
    return list(dict.fromkeys(swatches))


@on_gpu
def paint_all(
    room: RoomFiles, paints: list[str], arms: list[str], out: str, settings: Settings, on_step: Callable | None
) -> None:
    """Paint a room; takes and gives nothing that could not go to another process."""
    from wallpaint.report.compare import compare_paints, load_scene  # torch, only once somebody paints

    scene = replace(load_scene(room.photo, room.mask, room.truth), name=room.name)
    compare_paints(scene, [parse_color(paint) for paint in paints], arms, out, settings, on_step)


def paint_comparison(
    workspace: Path,
    room: Room | None,
    job: Job,
    own: list[tuple[str, str]],
    language: str,
    on_step: Callable[[float], None] | None = None,
) -> Shown:
    """Paint the room with every arm in every paint, into a fresh folder of results.

    Raises:
        UserError: no room, no mask, no arm, or an arm the page did not offer.
    """
    paints = [swatch.hex for swatch in read_paints(job.paint, job.more)]
    files = find_files(room, paints[0], language)
    known = {arm: name for name, arm in [*list_arms(workspace), *own]}
    if not job.arms or any(arm not in known for arm in job.arms):
        raise UserError(t("no_arms", language))
    out = workspace / "results" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(12)}"
    settings = Settings(int(job.seed or 0), int(job.steps or 0) or None, job.guidance or None, job.scale)
    paint_all(files, paints, job.arms, str(out), settings, None if SHARED_GPU else on_step)
    names = [arm.partition("=")[0] for arm in job.arms]
    if job.blind:
        random.SystemRandom().shuffle(names)
    shown = {
        "folder": str(out),
        "paints": paints,
        "arms": names,
        "blind": job.blind,
        "truth": files.truth is not None,
        "heat": False,
    }
    write_views(shown, files)
    pack(out)
    return shown


def read_arms(shown: Shown, paint: str) -> list[dict[str, Any]]:
    """Read the figures of a paint's arms, in the order shown."""
    path = Path(shown["folder"]) / paint.lstrip("#") / "comparison.json"
    arms = {arm["name"]: arm for arm in json.loads(path.read_text(encoding="utf-8"))["arms"]}
    return [arms[name] for name in shown["arms"]]


def write_views(shown: Shown, room: RoomFiles) -> None:
    """Write small copies for the page, named by number, so that no address tells an arm's name."""
    folder = Path(shown["folder"])
    (folder / "views").mkdir()
    for name, path in (("photo", room.photo), ("mask", room.mask), ("truth", room.truth)):
        if path is not None:
            _save_view(folder, name, path)
    for paint in shown["paints"]:
        for number, arm in enumerate(read_arms(shown, paint)):
            _save_view(folder, f"{paint[1:]}-{number}", folder / paint[1:] / arm["image"])


def _save_view(folder: Path, name: str, path: str | Path) -> None:
    picture.thumbnail(path, picture.VIEW).save(folder / "views" / f"{name}.jpg", quality=92, subsampling=0)


def write_heat(shown: Shown) -> None:
    """Draw the map of errors of every arm in every paint, at the size of the page's copies."""
    views = Path(shown["folder"]) / "views"
    photo = load_photo(views / "photo.jpg")
    mask = load_mask(views / "mask.jpg")
    for paint in shown["paints"]:
        true = shown["truth"] and paint == shown["paints"][0]
        truth = load_photo(views / "truth.jpg") if true else None
        for number in range(len(shown["arms"])):
            out = load_photo(views / f"{paint[1:]}-{number}.jpg")
            heat = draw_heat(out, photo, mask, parse_color(paint), truth)
            heat.save(views / f"{paint[1:]}-{number}-heat.jpg", quality=88)


def pack(out: Path) -> None:
    """Put the pictures at the photo's own size, the tables and the report into one zip."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and "views" not in path.parts]
    with atomic_path(out / "wallpaint.zip") as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in files:  # PNG does not shrink further
            archive.write(path, path.relative_to(out))


def cast_vote(shown: Shown, choice: int, workspace: Path, keep: bool) -> tuple[Shown, Counter]:
    """Give what is shown with its names, and the votes so far for these arms; `keep` writes this one down."""
    voted = shown["arms"][choice]
    path = workspace / "results" / "votes.jsonl"
    if keep:
        row = {
            "arms": sorted(shown["arms"]),
            "voted": voted,
            "paint": shown["paints"][0],
            "results": Path(shown["folder"]).name,
            "time": round(time.time()),
        }
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
    votes = Counter(row["voted"] for row in rows if row["arms"] == sorted(shown["arms"]))
    return {**shown, "blind": False, "voted": voted}, votes or Counter([voted])


def sweep_results(workspace: Path) -> None:
    """Throw away results older than a day."""
    for folder in (workspace / "results").glob("*"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > picture.KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
