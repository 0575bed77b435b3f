"""What tab 3 does when one presses Paint: paint, measure, pack; the votes of a blind look."""

import contextlib
import json
import os
import random
import secrets
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter

from wallpaint.disk import atomic_path, link_or_copy
from wallpaint.errors import UserError
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.images import load_mask, load_photo, read_size, save_png
from wallpaint.report.heat import draw_layer
from wallpaint.ui.board import pictures
from wallpaint.ui.compare.arms import OwnLora, list_arms
from wallpaint.ui.compare.scene import Outlook, Room, ScenePaths, is_showcase, look_ahead, paint_of, write_scene
from wallpaint.ui.handlers import reader_language
from wallpaint.ui.page import SHARED_GPU, on_gpu
from wallpaint.ui.words.words import t

VIEW = 1600  # longest side of the stage's small pictures


@dataclass(frozen=True)
class PaintRequest:
    """What the tab asks for; an empty number, or steps and guidance of 0: the family's own, the run's own strength."""

    arms: list[str]
    sheet_arm: str  # paints the sheet
    seed: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    ip_adapter_scale: float | str | None
    blind: bool
    bounce: bool = False

    @property
    def sampling(self) -> tuple[int, int | None, float | None, float | None]:
        """Seed, steps, guidance and strength; None for what is left to the family or the run."""
        steps, guidance = int(self.num_inference_steps or 0) or None, self.guidance_scale or None
        return int(self.seed or 0), steps, guidance, read_strength(self.ip_adapter_scale)


def read_strength(text: float | str | None) -> float | None:
    """Read the strength of the image adapter as it is written; None for what is left empty.

    Raises:
        UserError: it is no number from 0 to 2.
    """
    written = str("" if text is None else text).strip()
    try:
        strength = float(written.replace(",", ".")) if written else None
    except ValueError:
        strength = -1.0
    if strength is not None and not 0 <= strength <= 2:
        raise UserError(t("bad_strength", reader_language(), text=written[:20]))
    return strength


@dataclass(frozen=True)
class Results:
    """What was painted and how it is shown."""

    folder: Path
    paints: tuple[str, ...]  # '#RRGGBB'
    arms: tuple[str, ...]  # names in the order shown
    blind: bool = False  # letters stand for the names
    truth: bool = False  # the true repaint in the first paint is known
    heat: bool = False  # the maps of errors are drawn
    voted: str = ""  # the arm chosen while it was blind
    size: tuple[int, int] = (3, 2)  # (w, h) of the photo
    outlooks: tuple[Outlook, ...] = ()  # of the first paint and of `others`
    others: tuple[str, ...] = ()  # the paints of further walls, which every picture shows too
    called: dict[str, str] = field(default_factory=dict, hash=False)  # paints that a palette names
    showcase: bool = False  # of the room that was chosen to show something

    @property
    def views(self) -> Path:
        """The stage's pictures."""
        return self.folder / "views"


@on_gpu
def paint_scene(
    paths: ScenePaths,
    paints: list[str],
    arms: list[str],
    out: str,
    settings: SamplingSettings,
    on_step: Callable | None,
) -> None:
    """Paint a scene; takes and gives nothing that could not go to another process."""
    from wallpaint.report.compare import compare_paints, load_scene  # torch, only once somebody paints

    walls = [
        (mask, parse_color(paint), parse_color(old) if old else None)
        for mask, paint, old in [(paths.mask, paints[0], paths.old_paint), *paths.more]
    ]
    scene = replace(load_scene(paths.photo, walls, paths.truth), name=paths.name)
    compare_paints(scene, [parse_color(paint) for paint in paints], arms, out, settings, on_step, save=save_views)


def paint_comparison(
    workspace: Path,
    room: Room | None,
    request: PaintRequest,
    own: list[OwnLora],
    language: str,
    on_step: Callable[[float], None] | None = None,
    sheet: bool = False,
) -> Results:
    """Paint the room in its paint with every arm, or with one in every paint of its `sheet`, into a fresh folder.

    Raises:
        UserError: no room, no mask, an empty sheet, no arm, or an arm the page did not offer.
    """
    known = pictures.read_sheet(room.picture["folder"]) if room else pictures.Sheet()
    paints, arms = ([*known.paints], [request.sheet_arm]) if sheet else ([paint_of(room)], request.arms)
    if room and not paints:
        raise UserError(t("no_sheet", language))
    paths = write_scene(room, paints[0] if paints else "", language)
    offered = {arm: name for name, arm in list_arms(workspace, own)}
    if not arms or any(arm not in offered for arm in arms):
        raise UserError(t("no_arms", language))
    out = workspace / "results" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(12)}"
    assert room is not None  # write_scene would have complained
    outlooks = look_ahead(room, paints[0])
    paths = replace(paths, old_paint=outlooks[0].old_paint)
    settings = SamplingSettings(*request.sampling, bounce=bool(request.bounce))
    paint_scene(paths, paints, arms, str(out), settings, None if SHARED_GPU else on_step)
    names, blind = [offered[arm] for arm in arms], request.blind and not sheet
    if blind:
        random.SystemRandom().shuffle(names)
    results = Results(
        out,
        tuple(paints),
        tuple(names),
        blind,
        paths.truth is not None,
        outlooks=outlooks,
        others=tuple(paint for _, paint, _ in paths.more),
        called=known.names,
        showcase=not sheet and is_showcase(paths),
    )
    results = replace(results, size=write_views(results, paths))
    keep_results(room, results)
    return results


def keep_results(room: Room, results: Results) -> None:
    """Keep what was painted with its room: it goes and comes with it."""
    with atomic_path(Path(room.picture["folder"]) / "results.json") as path:
        path.write_bytes(TypeAdapter(Results).dump_json(results))


def read_results(room: Room | None) -> Results | None:
    """Read what was painted of a room last; None where nothing was, or where it was deleted meanwhile."""
    try:
        kept = (Path(room.picture["folder"]) / "results.json").read_bytes() if room else b""
        results = TypeAdapter(Results).validate_json(kept)
    except (FileNotFoundError, ValueError):
        return None
    return results if results.views.is_dir() else None


def read_arms(results: Results, paint: str) -> list[dict[str, Any]]:
    """Read the figures of a paint's arms, in the order shown.

    Raises:
        FileNotFoundError: the results were deleted meanwhile.
    """
    path = results.folder / paint.lstrip("#") / "comparison.json"
    arms = {arm["name"]: arm for arm in json.loads(path.read_text(encoding="utf-8"))["arms"]}
    return [arms[name] for name in results.arms]


def save_views(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, and beside it the small JPEG that the stage shows first."""
    save_png(picture, path)
    save_small(picture, path.with_suffix(".jpg"))


def save_small(picture: Image.Image, path: Path) -> None:
    """Write a picture as the stage shows it until somebody looks closely."""
    if max(picture.size) > 1.25 * VIEW:  # else it is small enough as it is
        picture = picture.copy()
        picture.thumbnail((VIEW, VIEW), Image.Resampling.LANCZOS)
    picture.save(path, quality=92, subsampling=0)


def write_views(results: Results, paths: ScenePaths) -> tuple[int, int]:
    """Give the stage its pictures, named by number, so that no address tells an arm's name.

    A picture is there twice: NAME.jpg small, and NAME.png at the photo's own size for who looks closely.

    Returns:
        the photo's size (w, h).
    """
    views, photo = results.views, Path(paths.photo)
    views.mkdir()
    link_or_copy(photo, views / "photo.png")
    link_or_copy(paths.mask, views / "mask.png")
    small = photo.with_name("stage.jpg")  # the same for every paint
    if not small.is_file():
        with atomic_path(small) as temporary:
            save_small(load_photo(photo), temporary)
    link_or_copy(small, views / "photo.jpg")
    if paths.truth is not None:
        link_or_copy(paths.truth, views / "truth.png")
        save_small(load_photo(paths.truth), views / "truth.jpg")
    for paint in results.paints:
        for number, arm in enumerate(read_arms(results, paint)):
            path, view = results.folder / paint[1:] / arm["image"], views / f"{paint[1:]}-{number}.png"
            link_or_copy(path, view)
            os.replace(path.with_suffix(".jpg"), view.with_suffix(".jpg"))
    return read_size(photo)


def write_heat(results: Results) -> None:
    """Draw the map of errors of every arm in every paint, to lie over the stage's small pictures."""
    views = results.views
    whole = load_mask(views / "mask.png")
    for paint in results.paints:
        known = results.truth and paint == results.paints[0]
        truth = load_photo(views / "truth.jpg") if known else None
        for number in range(len(results.arms)):
            out = load_photo(views / f"{paint[1:]}-{number}.jpg")
            mask = whole.resize(out.size, Image.Resampling.BOX)
            draw_layer(out, mask, parse_color(paint), truth).save(views / f"{paint[1:]}-{number}-heat.png")


def write_results(results: Results, packed: bool = False) -> Path:
    """Write the report, or all with the pictures at the photo's own size `packed` into one zip; give the file.

    Nobody waits for them who does not ask.

    Raises:
        FileNotFoundError: the results were deleted meanwhile.
    """
    from wallpaint.report.compare import write_report

    out, views = results.folder, results.views
    if not (out / "report.html").is_file():
        truth = load_photo(views / "truth.png") if results.truth else None
        write_report(out, [out / paint[1:] for paint in results.paints], load_photo(views / "photo.png"), truth)
    if not packed:
        return out / "report.html"
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and "views" not in path.parts]
    with atomic_path(out / "wallpaint.zip") as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in files:  # PNG does not shrink further
            if path.suffix != ".zip":
                archive.write(path, path.relative_to(out))
    return out / "wallpaint.zip"


def cast_vote(results: Results, choice: int, workspace: Path, store: bool) -> tuple[Results, Counter]:
    """Give the results with their names, and the votes so far for these arms; `store` writes this one down."""
    voted = results.arms[choice]
    path = workspace / "results" / "votes.jsonl"
    if store:
        row = {
            "arms": sorted(results.arms),
            "voted": voted,
            "paint": results.paints[0],
            "results": results.folder.name,
            "time": round(time.time()),
        }
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    votes = Counter(row["voted"] for row in _read_votes(path) if row.get("arms") == sorted(results.arms))
    return replace(results, blind=False, voted=voted), votes or Counter([voted])


def _read_votes(path: Path) -> list[dict[str, Any]]:
    """Read the votes; a line that another studio has not written whole does not count."""
    rows = []
    for line in path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and "voted" in row]


def sweep_results(workspace: Path) -> None:
    """Throw away results older than a day."""
    for folder in (workspace / "results").glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another studio sweeps as well
            if folder.is_dir() and time.time() - folder.stat().st_mtime > pictures.KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
