"""Walls found without a click: proposals for a photo or for a whole folder of them.

By what, `finders.py` says. A proposal is a guess; its confidence says how good a one.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.dataset.folder import add_sample
from wallpaint.dataset.metadata import find_splits
from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.file_kinds import PHOTO_SUFFIXES, RAW_SUFFIXES
from wallpaint.pixels.images import load_photo
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.pixels.recolor import estimate_paint
from wallpaint.pixels.refine import refine_mask
from wallpaint.walls.features import find_smooth
from wallpaint.walls.finders import WallFinder

log = logging.getLogger(__name__)
DROPPINGS = (".", "__MACOSX", "@eaDir")  # folders of previews that macOS and NAS boxes leave
LEAST = 0.02  # of the picture: a smaller wall is no proposal
SURE = 0.5  # a proposal less likely than this wants to be looked at
# Share of a photo that is smooth, which in rooms is 0.40 to 0.83 (the sample's, two real photos). Beyond these bounds
# a finder has seen nothing like it, and how sure it says to be tells nothing; that counts for LITTLE then.
FEW, MOST, LITTLE = 0.2, 0.95, 0.1


@dataclass(frozen=True)
class Proposal:
    """The wall proposed for a photo."""

    mask: Image.Image  # 'L' of the photo's size, 255 = wall
    confidence: float  # guessed IoU with the true wall, 0 to 1
    paint: Swatch  # estimated from the wall

    @property
    def share(self) -> float:
        """Share of the photo that is wall."""
        return float(np.asarray(self.mask).mean() / 255)


def propose_wall(finder: WallFinder, photo: Image.Image) -> Proposal | None:
    """Propose the wall of one photo; None where hardly any is found."""
    return shape_wall(photo, *finder.find(photo))


def shape_wall(photo: Image.Image, chance: np.ndarray, confidence: float) -> Proposal | None:
    """Make of what a finder gave for a photo its wall at the photo's own size; None where that is hardly any."""
    full = Image.fromarray(chance.astype(np.float32)).resize(photo.size, Image.Resampling.BILINEAR)
    wall = np.asarray(full) > 0.5
    if wall.mean() < LEAST:
        return None
    cell = max(photo.width / chance.shape[1], photo.height / chance.shape[0])
    mask = refine_mask(photo, to_mask(wall), cell)
    return Proposal(mask, confidence * trust(photo), estimate_paint(photo, mask))


def trust(photo: Image.Image) -> float:
    """How far to believe a finder about a photo, LITTLE to 1: not where nothing stands out, nor where all is noise."""
    smooth = float(find_smooth(photo).mean())
    return float(np.clip(min(smooth / FEW, (1 - smooth) / (1 - MOST)), LITTLE, 1))


def list_photos(folder: Path) -> tuple[list[Path], str]:
    """List the photos in a folder and below it, in order, and count what else is there: '2 .txt, 1 .mp4'.

    A raw file counts as a photo: who opens it says what to do. Hidden files and what systems leave are none.
    Links are followed, but no folder is read twice.

    Raises:
        UserError: there are none.
    """
    photos, others, read = [], Counter[str](), set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=lambda error: others.update([str(error)])):
        if os.path.realpath(root) in read:
            folders.clear()
            continue
        read.add(os.path.realpath(root))
        hidden = any(part.startswith(DROPPINGS) for part in Path(root).relative_to(folder).parts)
        for name in files:
            suffix = Path(name).suffix.lower()
            if suffix in PHOTO_SUFFIXES | RAW_SUFFIXES and not hidden and not name.startswith("."):
                photos.append(Path(root, name))
            else:
                others[suffix or (name if name.startswith(".") else "without a suffix")] += 1
    rest = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
    if not photos:
        there = f" ({rest} are there)" if rest else ""
        raise UserError(f"no photo in {str(folder)!r}{there}, given to --masks, put JPEG, PNG or WebP files there")
    return sorted(photos), rest


def name_room(photo: Path, folder: Path) -> str:
    """Name the room of a photo: the folder it lies in, below `folder`; right in it, each is a room of its own."""
    return "/".join(photo.parent.relative_to(folder).parts) or photo.stem


def mask_folder(folder: Path, out: Path, finder: WallFinder) -> Iterator[tuple[Path, Proposal | None, str]]:
    """Propose walls for a folder of photos and write them as a dataset's training split.

    `proposals.json` in the dataset lists file, photo, confidence, share, least confident first.

    Yields:
        (photo, its proposal or None, why there is none) as each photo is done.

    Raises:
        UserError: the folder has no photos, the dataset has samples already, or nothing can be written there.
    """
    photos, _ = list_photos(folder)
    if find_splits(out):
        raise UserError(f"{str(out)!r} has samples already, given to --out, choose a new folder")
    proposals: list[dict] = []
    for path in photos:
        problem, proposal = "no wall found", None
        try:
            photo = load_photo(path)
            proposal = propose_wall(finder, photo)
        except UserError as error:
            problem = str(error)
        except Exception as error:  # one odd photo must not end the run
            log.exception("no wall could be proposed for %s", path)
            problem = f"it failed ({type(error).__name__})"
        if proposal is None:
            yield path, None, problem
            continue
        sample = add_sample(out, "train", photo, proposal.mask, proposal.paint.rgb, "", name_room(path, folder))
        about = {"confidence": round(proposal.confidence, 3), "share": round(proposal.share, 3)}
        source = str(path.relative_to(folder)).encode("utf-8", "backslashreplace").decode()
        proposals.append({"file_name": f"train/{sample.file_name}", "photo": source, **about})
        with atomic_path(out / "proposals.json") as temporary:
            rows = sorted(proposals, key=lambda row: row["confidence"])
            temporary.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
        yield path, proposal, ""
