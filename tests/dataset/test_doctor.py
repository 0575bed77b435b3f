"""The doctor finds what was made wrong, where it is, and nothing in what is right."""

import json

import numpy as np
import pytest
from PIL import Image

from wallpaint.dataset.doctor import check_dataset
from wallpaint.dataset.folder import add_sample, read_samples
from wallpaint.errors import UserError
from wallpaint.pixels.hues import BORDERS, HUES, hue_name, lightness_name
from wallpaint.pixels.images import load_mask, read_size

# Every hue and lightness once, so that nothing is missing.
PAINTS = {
    "red": (200, 60, 80),
    "orange": (214, 120, 60),
    "yellow": (220, 190, 80),
    "green": (122, 158, 126),
    "teal": (60, 140, 145),
    "blue": (70, 110, 170),
    "violet": (120, 80, 150),
    "night": (30, 32, 40),
    "white": (240, 238, 230),
}


def room(color, seed, light=0.9, size=(96, 64), top=40):
    """A room: random furniture below, a wall of this paint above, in a light that falls off."""
    rng = np.random.default_rng(seed)
    photo = Image.fromarray(rng.integers(20, 230, (8, 12, 3), dtype=np.uint8)).resize(size, Image.Resampling.NEAREST)
    pixels = np.array(photo)
    shade = np.linspace(light, 0.7 * light, size[0])[None, :, None]
    pixels[:top] = (np.array(color) * shade + rng.normal(0, 2, (top, size[0], 1))).clip(0, 255)
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0], top))
    return Image.fromarray(pixels), mask


@pytest.fixture
def clean(tmp_path):
    """A dataset with nothing to mend."""
    for seed, (name, color) in enumerate(PAINTS.items()):
        add_sample(tmp_path / "d", "train", *room(color, seed), color, "", name)
    add_sample(tmp_path / "d", "validation", *room((122, 158, 126), 99), (122, 158, 126), "", "other")
    return tmp_path / "d"


def found(folder):
    return [(finding.kind, finding.split, finding.where) for finding in check_dataset(folder)]


def test_nothing_is_found_in_a_good_dataset(clean):
    assert check_dataset(clean) == []


def test_two_walls_of_one_photo_and_one_wall_in_two_paints_are_fine(clean):
    photo, mask = room((122, 158, 126), 3)
    left, right = mask.copy(), mask.copy()
    left.paste(0, (48, 0, 96, 64))
    right.paste(0, (0, 0, 48, 64))
    for half in (left, right):
        add_sample(clean, "train", photo, half, (122, 158, 126), "", "halves")
    add_sample(clean, "train", *room((200, 60, 80), 20), (200, 60, 80), "", "twice")
    add_sample(clean, "train", *room((70, 110, 170), 20), (70, 110, 170), "", "twice")
    # The two halves are of a photo that `green` has as well: that is two names for one room, twice.
    assert found(clean) == [("two_names", "train", f"halves-00{n}.png") for n in (1, 2)]


def test_masks_that_are_empty_tiny_whole_or_of_another_size(clean):
    for name, area, kind in (
        ("red", None, "empty_mask"),
        ("orange", (0, 0, 10, 10), "tiny_mask"),
        ("teal", (0, 0, 96, 64), "whole_mask"),
    ):
        mask = Image.new("L", (96, 64))
        if area:
            mask.paste(255, area)
        mask.save(clean / "train" / f"{name}-001_mask.png")
        assert (kind, "train", f"{name}-001.png") in found(clean)
    Image.new("L", (48, 32), 255).save(clean / "train" / "blue-001_mask.png")
    (finding,) = [f for f in check_dataset(clean) if f.kind == "mask_size"]
    assert finding.where == "blue-001.png" and "48x32" in finding.what and "96x64" in finding.what
    assert "make them the same size" not in finding.what and str(clean) not in finding.what


def test_a_broken_row_does_not_hide_the_others(clean):
    rows = clean / "train" / "metadata.jsonl"
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    del lines[0]["text"]
    lines[1]["file_name"] = "../../etc/passwd"
    (clean / "train" / lines[2]["file_name"]).unlink()
    (clean / "train" / lines[3]["file_name"]).write_bytes(b"")  # a photo that is empty, no mask
    rows.write_text("\n".join(map(json.dumps, lines)))
    names = ["red-001.png", "../../etc/passwd", "yellow-001.png", "green-001.png"]
    assert [one[2] for one in found(clean) if one[0] == "bad_row"] == names


def test_a_photo_saved_twice_in_one_split_or_in_both(clean):
    photo, mask = room((122, 158, 126), 3)
    noise = np.random.default_rng(0).normal(0, 2, (64, 96, 3))
    again = Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8))
    add_sample(clean, "train", again, mask, (122, 158, 126), "", "green")
    (finding,) = check_dataset(clean)
    assert (finding.kind, finding.where) == ("duplicate", "green-002.png") and "train/green-001.png" in finding.what
    add_sample(clean, "validation", again, mask, (122, 158, 126), "", "elsewhere")
    assert found(clean)[-1] == ("leak", "validation", "elsewhere-001.png")


def test_a_room_in_both_splits(clean):
    rows = clean / "validation" / "metadata.jsonl"
    rows.write_text(rows.read_text().replace('"other"', '"green"'))
    (finding,) = check_dataset(clean)
    assert finding.kind == "split_room" and "room green" in finding.what


@pytest.mark.parametrize(("light", "kind"), [(1.9, "overexposed"), (0.02, "underexposed")])
def test_walls_that_the_camera_lost(clean, light, kind):
    color = (200, 190, 160)
    add_sample(clean, "train", *room(color, 50, light), color, "", "lost")
    assert found(clean) == [(kind, "train", "lost-001.png")]


def test_paints_that_are_missing(clean):
    rows = clean / "train" / "metadata.jsonl"
    lines, gone = rows.read_text().splitlines(), ("blue", "night", "teal")
    rows.write_text("\n".join(line for line in lines if json.loads(line)["room_id"] not in gone))
    told = {finding.kind: finding.what for finding in check_dataset(clean)}
    assert told == {
        "missing_hues": "no wall is painted in any of these hues (teal, blue)",
        "missing_lightness": "no wall is painted in any of these shades (dark)",
    }


def test_no_validation_split(clean):
    (clean / "validation" / "metadata.jsonl").unlink()
    assert found(clean) == [("no_validation", "validation", "")]


def test_names_of_hues_and_lightnesses():
    names = {name: (hue_name(color), lightness_name(color)) for name, color in PAINTS.items()}
    assert names["red"] == ("pink and red", "medium") and names["blue"] == ("blue", "medium")
    assert names["night"] == ("grey", "dark") and names["white"] == ("grey", "light")
    assert hue_name((128, 128, 128)) == "grey" and hue_name((255, 180, 190)) == "pink and red"
    assert len(HUES) == len(BORDERS) and list(BORDERS) == sorted(BORDERS)


@pytest.mark.parametrize("make", ["nothing", "no_rows", "broken"])
def test_what_cannot_be_read_is_an_error_not_a_finding(tmp_path, make):
    if make != "nothing":
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "metadata.jsonl").write_text("" if make == "no_rows" else "{broken\n")
    with pytest.raises(UserError, match=r"metadata\.jsonl"):
        check_dataset(tmp_path)


@pytest.mark.parametrize(
    ("way", "size", "bare", "kind"),
    [
        (6, (96, 64), False, "turned_masks"),
        (3, (96, 64), False, "turned_masks"),
        (6, (64, 64), False, "turned_masks"),
        (3, (96, 64), True, "either_way"),
    ],
)
def test_a_photo_that_exif_alone_turns(clean, way, size, bare, kind):
    photo, mask = room((122, 158, 126), 50, size=size)
    if bare:  # no edge tells
        photo = Image.new("RGB", photo.size, "grey")
    exif = Image.Exif()
    exif[0x0112] = way
    for name in ("turned-1", "turned-2"):  # as cameras store them; the mask was made of the same pixels
        photo.save(clean / "train" / f"{name}.jpg", quality=100, exif=exif)
        mask.save(clean / "train" / f"{name}-mask.png")
        row = {"file_name": f"{name}.jpg", "mask_file_name": f"{name}-mask.png", "text": "x", "room_id": name}
        with open(clean / "train" / "metadata.jsonl", "a") as file:
            file.write(json.dumps({**row, "reference_color_rgb": [122, 158, 126]}) + "\n")
    where = [""] if kind == "turned_masks" else ["turned-1.jpg", "turned-2.jpg"]
    assert [one for one in found(clean) if one[0] != "two_names"] == [(kind, "train", name) for name in where]
    if kind == "turned_masks":
        told = next(str(finding) for finding in check_dataset(clean) if finding.kind == kind)
        assert told.startswith("2 masks are turned") and "look at turned-1.jpg" in told
        split = read_samples(clean, "train")
        shown = load_mask(split[-1].mask, read_size(split[-1].image), photo=split[-1].image)
        assert np.array_equal(np.asarray(shown), np.rot90(np.asarray(mask), {3: 2, 6: -1}[way]))


def test_a_mask_that_is_turned_by_its_own_exif_is_no_finding(clean):
    photo, mask = room((122, 158, 126), 50)
    exif = Image.Exif()
    exif[0x0112] = 3
    photo.save(clean / "train" / "turned.jpg", quality=100, exif=exif)
    mask.save(clean / "train" / "turned-mask.png", exif=exif)
    row = {"file_name": "turned.jpg", "mask_file_name": "turned-mask.png", "text": "x", "room_id": "new"}
    with open(clean / "train" / "metadata.jsonl", "a") as file:
        file.write(json.dumps({**row, "reference_color_rgb": [122, 158, 126]}) + "\n")
    assert found(clean) == []
