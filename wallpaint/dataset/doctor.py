"""The dataset doctor: what in a dataset would teach the model something wrong, where, and how to mend it.

Reads every row on its own, so that one broken row does not hide the others. Pictures are looked at small
(LOOK pixels), which is enough for every check; sizes and emptiness come from the files themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.dataset.rows import SPLITS, Sample, iterate_rows, read_row
from wallpaint.errors import UserError
from wallpaint.pixels.color import delta_e, rgb_to_lab
from wallpaint.pixels.hues import HUES, LIGHTNESSES, hue_name, lightness_name
from wallpaint.pixels.images import load_mask, load_photo

LOOK = 256  # longest side that a picture is looked at
TINY, WHOLE = 0.02, 0.97  # share of the picture below and above which a mask is hardly a wall
ALIKE = 2.0  # mean CIEDE2000 of two 16 x 16 thumbnails below which they show one picture
SAME_MASK = 0.9  # IoU of their masks above which two such samples say the same thing twice
CLIPPED, BLACK = 252 / 255, 6 / 255  # sRGB of a channel burnt out, of a pixel lost in the dark
BURNT, LOST = 0.25, 0.5  # share of the wall that may be either

# kind -> (what is wrong, how to mend it); the page has its own words for these kinds.
MESSAGES = {
    "bad_row": ("{problem}", "mend the row in metadata.jsonl or delete it"),
    "mask_size": ("{problem}", "mark the wall again on this photo, or delete the sample"),
    "empty_mask": ("the mask is empty", "mark the wall again, or delete the sample"),
    "tiny_mask": ("the mask covers {share} of the photo", "mark the whole wall, or delete the sample"),
    "whole_mask": ("the mask covers {share} of the photo", "leave out what is no wall"),
    "duplicate": ("the same photo and wall as {other}", "delete one of the two"),
    "two_names": ("the same photo as {other}, of room {room}", "give both the same room"),
    "leak": ("the same photo as {other} in the other split", "delete one, or put both rooms into one split"),
    "split_room": ("room {room} is in both splits", "put all its photos into one split"),
    "overexposed": ("{share} of the wall is burnt out", "take it darker, or delete the sample"),
    "underexposed": ("{share} of the wall is lost in the dark", "take it lighter, or delete the sample"),
    "no_validation": ("there is no validation split", "put a room or two into validation"),
    "missing_hues": ("no wall is {hues}", "add rooms in these hues if you mean to paint in them"),
    "missing_lightness": ("no wall is {lightness}", "add such rooms if you mean to use such paints"),
}


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
        return MESSAGES[self.kind][1]

    def __str__(self) -> str:
        """Write 'what, where, what to do'."""
        return f"{self.what}, {self.split}{'/' if self.where else ''}{self.where}, {self.remedy}"


@dataclass(frozen=True)
class Seen:
    """What the checks need of a sample."""

    split: str
    sample: Sample
    thumbnail: np.ndarray  # (16, 16, 3) CIELAB
    wall: np.ndarray  # (h, w) boolean, LOOK pixels
    pixels: np.ndarray  # (N, 3) sRGB of the wall, 0 to 1

    @property
    def name(self) -> str:
        """The photo's file name."""
        return self.sample.image.name


def check_dataset(folder: str | Path) -> list[Finding]:
    """Look at a whole dataset; give what is wrong with it, train first.

    Raises:
        UserError: there is nothing to read: no folder, no metadata.jsonl, broken JSON, no rows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such folder {str(folder)!r}, given as the dataset, check the path")
    splits = [split for split in SPLITS if (folder / split / "metadata.jsonl").is_file()]
    if not splits:
        raise UserError(f"{folder} has no train/metadata.jsonl, it is no dataset, save a sample first")
    findings, seen = [], []
    for split in splits:
        for finding, sample in _look(folder / split, split):
            findings += [finding] if finding else []
            seen += [sample] if sample else []
    if not findings and not seen:
        raise UserError(f"{folder / splits[0] / 'metadata.jsonl'} has no rows, add a sample first")
    if "validation" not in splits:
        findings.append(Finding("no_validation", "validation", ""))
    for sample in seen:
        findings += check_exposure(sample)
    return [*findings, *check_rooms(seen), *check_pairs(seen), *check_paints(seen)]


def _look(where: Path, split: str) -> Iterator[tuple[Finding | None, Seen | None]]:
    """Read a split row by row; give (what is wrong with the row itself, what was seen of it)."""
    for place, row in iterate_rows(where / "metadata.jsonl"):
        name = str(row.get("file_name") or place.rpartition(" row ")[0])
        try:
            sample = read_row(row, where, "")
            photo, mask = load_photo(sample.image), load_mask(sample.mask)
        except UserError as error:
            problem = " ".join(str(error).replace(f"{where}/", "").split()).lstrip(": ")
            kind = "empty_mask" if "is empty" in problem else "bad_row"
            kind = "mask_size" if "but its photo is" in problem else kind
            values = {} if kind == "empty_mask" else {"problem": problem.rpartition(": ")[0] or problem}
            yield Finding(kind, split, name, values), None
            continue
        share = float(np.asarray(mask).mean() / 255)
        kinds = [kind for kind, bad in (("tiny_mask", share < TINY), ("whole_mask", share > WHOLE)) if bad]
        percent = f"{100 * share:.1f} %"
        yield (Finding(kinds[0], split, name, {"share": percent}) if kinds else None, _see(split, sample, photo, mask))


def _see(split: str, sample: Sample, photo: Image.Image, mask: Image.Image) -> Seen:
    """Shrink a sample to what the checks need; the mask by its nearest pixels, so it stays one."""
    tiny = np.asarray(photo.resize((16, 16), Image.Resampling.BOX), dtype=np.float32) / 255
    scale = LOOK / max(photo.size)
    width, height = (max(1, round(side * min(1, scale))) for side in photo.size)
    size = (width, height)
    wall = np.asarray(mask.resize(size, Image.Resampling.NEAREST)) >= 128
    pixels = np.asarray(photo.resize(size, Image.Resampling.NEAREST), dtype=np.float32)[wall] / 255
    return Seen(split, sample, rgb_to_lab(tiny), wall, pixels)


def check_exposure(seen: Seen) -> list[Finding]:
    """Find walls that are burnt out (though their paint is not that light) or lost in the dark."""
    if not len(seen.pixels):
        return []
    paint = np.array(seen.sample.color) / 255
    burnt = ((seen.pixels >= CLIPPED) & (paint < CLIPPED)).any(axis=1).mean()
    lost = (seen.pixels.max(axis=1) <= BLACK).mean()
    shares = (("overexposed", burnt, BURNT), ("underexposed", lost, LOST))
    return [
        Finding(kind, seen.split, seen.name, {"share": f"{100 * share:.0f} %"})
        for kind, share, limit in shares
        if share > limit
    ]


def check_rooms(seen: Sequence[Seen]) -> list[Finding]:
    """Find rooms that are in both splits: a model is then praised for what it has seen."""
    rooms = defaultdict(set)
    for one in seen:
        rooms[one.sample.room_id].add(one.split)
    return [Finding("split_room", "validation", "", {"room": r}) for r, s in rooms.items() if len(s) > 1]


def check_pairs(seen: Sequence[Seen]) -> list[Finding]:
    """Find photos that are there twice: in both splits, under two names, or with the same wall marked."""
    findings: list[Finding] = []
    lab = np.stack([one.thumbnail for one in seen]) if seen else np.zeros((0, 16, 16, 3))
    means = lab.mean(axis=(1, 2))
    for j, one in enumerate(seen):
        near = np.flatnonzero(np.abs(means[:j] - means[j]).max(axis=-1) < 2 * ALIKE)  # ΔE of few pairs alone
        for i in near[delta_e(lab[near], lab[j]).mean(axis=(1, 2)) < ALIKE] if len(near) else []:
            kind = _pair_kind(seen[i], one)
            if kind:
                other = f"{seen[i].split}/{seen[i].name}"
                findings.append(Finding(kind, one.split, one.name, {"other": other, "room": seen[i].sample.room_id}))
                break  # the first twin tells enough
    return findings


def _pair_kind(first: Seen, second: Seen) -> str | None:
    """Say what is wrong with two samples of one photo; two walls of one photo are as they should be."""
    if first.split != second.split:
        return "leak"
    if first.sample.room_id != second.sample.room_id:
        return "two_names"
    if first.wall.shape != second.wall.shape:
        return "duplicate"
    both, either = (first.wall & second.wall).sum(), (first.wall | second.wall).sum()
    return "duplicate" if both > SAME_MASK * either else None


def check_paints(seen: Sequence[Seen]) -> list[Finding]:
    """Find hues and lightnesses that no training wall has: the model never learns to paint them."""
    train = [one.sample.color for one in seen if one.split == "train"]
    if not train:
        return []
    there_hues = {hue_name(color) for color in train}
    there_lights = {lightness_name(color) for color in train}
    hues = ", ".join(name for name in HUES if name not in there_hues)
    lights = ", ".join(name for name in LIGHTNESSES if name not in there_lights)
    found = (("missing_hues", {"hues": hues}), ("missing_lightness", {"lightness": lights}))
    return [Finding(kind, "train", "", values) for kind, values in found if any(values.values())]
