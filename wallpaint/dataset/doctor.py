"""The dataset doctor: what in a dataset would teach the model something wrong, where, and how to mend it.

Reads every row on its own, so that one broken row does not hide the others. Pictures are looked at small
(SIDE pixels), which is enough for every check; of each no more is kept than 10 KB, whatever its size.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.dataset.metadata import (
    ALIASES,
    Row,
    explain_missing,
    find_metadata,
    find_splits,
    find_unread,
    scan_rows,
)
from wallpaint.dataset.rows import Sample, read_row
from wallpaint.errors import EmptyMask, OtherSize, UserError
from wallpaint.pixels.arrays import fit_size
from wallpaint.pixels.color import delta_e, rgb_to_lab
from wallpaint.pixels.hues import HUES, LIGHTNESSES, hue_name, lightness_name
from wallpaint.pixels.images import TELLING, load_mask, load_photo, missing_turn, read_size
from wallpaint.pixels.mask_ops import from_mask

SIDE = 256  # longest side at which a picture is looked at
TINY, WHOLE = 0.02, 0.97  # share of the picture below and above which a mask is hardly a wall
ALIKE = 2.0  # mean CIEDE2000 of two 16 x 16 thumbnails below which they show one picture
SAME_MASK = 0.9  # IoU of their masks above which two such samples say the same thing twice
CLIPPED, BLACK = 252, 6  # of 255: a channel burnt out, a pixel lost in the dark
BURNT, LOST = 0.25, 0.5  # share of the wall that may be either

# kind -> (what is wrong, how to mend it); the page has its own words for these kinds.
MESSAGES = {
    "bad_row": ("{problem}", "mend the row in metadata.jsonl or delete it"),
    "mask_size": ("{problem}", "mark the wall again on this photo, or delete the sample"),
    "empty_mask": ("the mask is empty", "mark the wall again, or delete the sample"),
    "turned_masks": ("{count} masks are turned as their photos' EXIF says", "look at {first}: is its wall in place?"),
    "either_way": ("EXIF turns the photo, perhaps not its mask", "look at it, or save the photo upright"),
    "tiny_mask": ("the mask covers {share} of the photo", "mark the whole wall, or delete the sample"),
    "whole_mask": ("the mask covers {share} of the photo", "leave out what is no wall"),
    "duplicate": ("the same photo and wall as {other}", "delete one of the two"),
    "two_names": ("the same photo as {other}, of room {room}", "give both the same room"),
    "leak": ("the same photo as {other} in the other split", "delete one, or put both rooms into one split"),
    "split_room": ("room {room} is in both splits", "put all its photos into one split"),
    "overexposed": ("{share} of the wall is burnt out", "take it darker, or delete the sample"),
    "underexposed": ("{share} of the wall is lost in the dark", "take it lighter, or delete the sample"),
    "unread_split": ("the folder {folder} is not read", "rename it to {split} if its rooms are meant"),
    "no_validation": ("there is no validation split", "put a room or two into validation"),
    "missing_hues": (
        "no wall is painted in any of these hues ({hues})",
        "add rooms in these hues if you mean to paint in them",
    ),
    "missing_lightness": (
        "no wall is painted in any of these shades ({lightness})",
        "add rooms in these shades if you mean to use them",
    ),
}

KIND_OF = {EmptyMask: "empty_mask", OtherSize: "mask_size"}  # of a row that cannot be read; others are bad_row


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind (a key of MESSAGES), where, and what the message has to name."""

    kind: str
    split: str
    where: str  # a photo's file name, a row, or '' for the split as a whole
    values: dict[str, str] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """What is wrong, in English."""
        return MESSAGES[self.kind][0].format(**self.values)

    @property
    def remedy(self) -> str:
        """How to mend it, in English."""
        return MESSAGES[self.kind][1].format(**self.values)

    def __str__(self) -> str:
        """Write 'what, where, what to do'."""
        return f"{self.what}, {self.split}{'/' if self.where else ''}{self.where}, {self.remedy}"


@dataclass(frozen=True)
class CheckedSample:
    """What the checks of samples against each other need of one."""

    split: str
    sample: Sample
    thumbnail: np.ndarray  # (16, 16, 3) CIELAB
    wall: np.ndarray  # (h, w) boolean at SIDE pixels, packed into bytes
    shape: tuple[int, ...]  # (h, w)
    share: float  # of the photo that is wall
    burnt: float  # share of the wall that is burnt out though its paint is not that light
    lost: float  # share of the wall that is lost in the dark
    turned: str = ""  # 'turned_masks': by the photo's EXIF; 'either_way': its size does not tell whether it has to be

    @property
    def name(self) -> str:
        """The photo as its row names it."""
        return self.sample.file_name


def check_dataset(folder: str | Path) -> list[Finding]:
    """Look at a whole dataset; give what is wrong with it, train first.

    Raises:
        UserError: there is nothing to read: no folder, no metadata.jsonl, no rows, or not one that is JSON.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such folder {str(folder)!r}, given as the dataset, check the path")
    splits = find_splits(folder)
    if not splits:
        raise UserError(f"{folder} has no train/metadata.jsonl{explain_missing(folder / 'train')}")
    rows = [(split, place, row) for split in splits for place, row in scan_rows(folder / split)]
    if not rows:
        raise UserError(f"{find_metadata(folder / splits[0])} has no rows, add a sample first")
    if all(isinstance(row, UserError) for *_, row in rows):
        raise rows[0][2]  # type: ignore[misc]  # they all are
    found = [_check_row(folder / split, split, place, row) for split, place, row in rows]
    findings = [one for one in found if isinstance(one, Finding)]
    samples = [one for one in found if isinstance(one, CheckedSample)]
    for name in find_unread(folder):
        split = ALIASES.get(name, "validation")
        findings.append(Finding("unread_split", split, "", {"folder": f"{name}/", "split": split}))
    if "validation" not in splits:
        findings.append(Finding("no_validation", "validation", ""))
    checks = (check_walls, check_rooms, check_pairs, check_paints)
    return [*findings, *(finding for check in checks for finding in check(samples))]


def _check_row(where: Path, split: str, place: str, row: Row | UserError) -> Finding | CheckedSample:
    """Read a row and its pictures whole; give what the checks need of it, or what is wrong with it."""
    number = place.rpartition(" ")[2]
    name = str(row.get("file_name") or f"row {number}") if isinstance(row, dict) else f"row {number}"
    try:
        if isinstance(row, UserError):
            raise row
        sample = read_row(row, where, "")
        photo = load_photo(sample.image)
        return _summarise(split, sample, photo, *_load_mask(sample, photo))
    except UserError as error:
        problem = " ".join(str(error).replace(f"{place} ", "it ").replace(f"{where}/", "").split()).lstrip(": ")
        kind = KIND_OF.get(type(error), "bad_row")
    return Finding(kind, split, name, {"problem": problem.rpartition(": ")[0] or problem})


def _load_mask(sample: Sample, photo: Image.Image) -> tuple[Image.Image, str]:
    """The mask as the photo stands, and `CheckedSample.turned`."""
    mask = load_mask(sample.mask, photo.size, photo=sample.image)
    if read_size(sample.mask) != photo.size:
        return mask, "turned_masks"
    turn, better = missing_turn(load_mask(sample.mask, photo.size), sample.image)
    if turn is None or better < 1 / TELLING:
        return mask, ""
    return mask, "turned_masks" if better > TELLING else "either_way"


def _summarise(split: str, sample: Sample, photo: Image.Image, mask: Image.Image, turned: str) -> CheckedSample:
    """Shrink a sample to what the checks need, by its nearest pixels, so that the mask stays one."""
    tiny = np.asarray(photo.resize((16, 16), Image.Resampling.BOX), dtype=np.float32) / 255
    size = fit_size(photo.size, SIDE)
    wall = from_mask(mask.resize(size, Image.Resampling.NEAREST))
    pixels = np.asarray(photo.resize(size, Image.Resampling.NEAREST))[wall]
    light_paint = np.array(sample.color) >= CLIPPED
    burnt = ((pixels >= CLIPPED) & ~light_paint).any(axis=1).sum() / max(1, len(pixels))
    lost = (pixels.max(axis=1, initial=0) <= BLACK).sum() / max(1, len(pixels))
    share = float(np.asarray(mask).mean() / 255)
    return CheckedSample(split, sample, rgb_to_lab(tiny), np.packbits(wall), wall.shape, share, burnt, lost, turned)


def check_walls(samples: Sequence[CheckedSample]) -> list[Finding]:
    """Find masks that are hardly a wall or may lie wrong, and walls that are burnt out or lost in the dark."""
    findings = []
    for split in dict.fromkeys(one.split for one in samples):
        names = [one.name for one in samples if one.split == split and one.turned == "turned_masks"]
        values = {"count": str(len(names)), "first": names[0] if names else ""}
        findings += [Finding("turned_masks", split, "", values)] if names else []
    for one in samples:
        for kind, share, bad in (
            ("tiny_mask", f"{100 * one.share:.1f} %", one.share < TINY),
            ("whole_mask", f"{100 * one.share:.1f} %", one.share > WHOLE),
            ("overexposed", f"{100 * one.burnt:.0f} %", one.burnt > BURNT),
            ("either_way", "", one.turned == "either_way"),
            ("underexposed", f"{100 * one.lost:.0f} %", one.lost > LOST),
        ):
            findings += [Finding(kind, one.split, one.name, {"share": share})] if bad else []
    return findings


def check_rooms(samples: Sequence[CheckedSample]) -> list[Finding]:
    """Find rooms that are in both splits: a model is then praised for what it has seen."""
    rooms = defaultdict(set)
    for one in samples:
        rooms[one.sample.room_id].add(one.split)
    return [Finding("split_room", "validation", "", {"room": r}) for r, s in rooms.items() if len(s) > 1]


def check_pairs(samples: Sequence[CheckedSample]) -> list[Finding]:
    """Find photos that are there twice: in both splits, under two names, or with the same wall marked."""
    findings: list[Finding] = []
    lab = np.stack([one.thumbnail for one in samples]) if samples else np.zeros((0, 16, 16, 3))
    means = lab.mean(axis=(1, 2))
    for j, one in enumerate(samples):
        near = np.flatnonzero(np.abs(means[:j] - means[j]).max(axis=-1) < 2 * ALIKE)  # ΔE of few pairs alone
        for i in near[delta_e(lab[near], lab[j]).mean(axis=(1, 2)) < ALIKE] if len(near) else []:
            kind = _pair_kind(samples[i], one)
            if kind:
                other = f"{samples[i].split}/{samples[i].name}"
                findings.append(
                    Finding(kind, one.split, one.name, {"other": other, "room": samples[i].sample.room_id})
                )
                break  # the first twin tells enough
    return findings


def _pair_kind(first: CheckedSample, second: CheckedSample) -> str | None:
    """Say what is wrong with two samples of one photo; two walls of one photo are as they should be."""
    if first.split != second.split:
        return "leak"
    if first.sample.room_id != second.sample.room_id:
        return "two_names"
    if first.shape != second.shape:
        return "duplicate"
    both, either = (np.unpackbits(bits).sum() for bits in (first.wall & second.wall, first.wall | second.wall))
    return "duplicate" if both > SAME_MASK * either else None


def check_paints(samples: Sequence[CheckedSample]) -> list[Finding]:
    """Find hues and lightnesses that no training wall has: the model never learns to paint them."""
    train = [one.sample.color for one in samples if one.split == "train"]
    if not train:
        return []
    there_hues = {hue_name(color) for color in train}
    there_lights = {lightness_name(color) for color in train}
    hues = ", ".join(name for name in HUES if name not in there_hues)
    lights = ", ".join(name for name in LIGHTNESSES if name not in there_lights)
    found = (("missing_hues", {"hues": hues}), ("missing_lightness", {"lightness": lights}))
    return [Finding(kind, "train", "", values) for kind, values in found if any(values.values())]
