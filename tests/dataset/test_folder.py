"""A dataset folder: rows are checked one by one, samples are written whole or not at all."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from wallpaint.dataset import folder as dataset
from wallpaint.dataset.folder import PROMPT, add_sample, read_samples, read_splits
from wallpaint.errors import UserError

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8))
MASK = Image.new("L", (20, 12))
MASK.paste(255, (5, 2, 15, 9))


def add(folder, split="train", room="Living room", color=(122, 158, 126), text="a room", photo=PHOTO, mask=MASK):
    return add_sample(folder, split, photo, mask, color, text, room)


@pytest.fixture
def rooms(tmp_path):
    """One good row with truths, and a way to change it."""
    for name in ("a.png", "t.png"):
        PHOTO.save(tmp_path / name)
    MASK.save(tmp_path / "m.png")
    PHOTO.resize((10, 6)).save(tmp_path / "small.png")
    good = {
        "file_name": "a.png",
        "mask_file_name": "m.png",
        "reference_color_rgb": [1, 2, 3],
        "text": "a room",
        "room_id": "r1",
        "kind": "plain",
        "truths": [{"color": [4, 5, 6], "file_name": "t.png"}],
    }

    def write(*changes, raw=""):
        rows = [{key: value for key, value in (good | change).items() if value is not ...} for change in changes]
        (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + raw)
        return tmp_path

    return write


def test_a_written_sample_is_read_back(tmp_path):
    written = add(tmp_path)
    assert read_samples(tmp_path, "train") == [written]
    assert written.color == (122, 158, 126)
    assert (written.text, written.room_id, written.kind, written.truths) == ("a room", "Living room", None, ())
    assert Image.open(written.image).tobytes() == PHOTO.tobytes()
    assert Image.open(written.mask).tobytes() == MASK.tobytes()
    row = json.loads((tmp_path / "train" / "metadata.jsonl").read_text())
    assert row == {
        "file_name": "Living-room-001.png",
        "mask_file_name": "Living-room-001_mask.png",
        "reference_color_rgb": [122, 158, 126],
        "text": "a room",
        "room_id": "Living room",
    }


def test_samples_add_up_and_never_overwrite(tmp_path):
    names = [add(tmp_path).image.name for _ in range(3)]
    assert names == ["Living-room-001.png", "Living-room-002.png", "Living-room-003.png"]
    assert len(read_samples(tmp_path, "train")) == 3


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("phòng khách / Đ", "phong-khach-D-001.png"),
        ("../../etc", "etc-001.png"),
        ("日本", "room-001.png"),
        ("a" * 99, "a" * 40 + "-001.png"),
    ],
)
def test_file_names_are_plain_whatever_the_room_is_called(tmp_path, room, name):
    sample = add(tmp_path, room=room)
    assert sample.image == tmp_path / "train" / name
    assert sample.room_id == room


def test_stored_pictures_carry_no_exif_and_the_mask_is_two_valued(tmp_path):
    photo = PHOTO.copy()
    photo.getexif()[0x010E] = "my address"
    photo.info["exif"] = photo.getexif().tobytes()
    mask = Image.fromarray((np.asarray(MASK) // 2 + 20).astype(np.uint8))
    sample = add(tmp_path, photo=photo, mask=mask)
    assert b"my address" not in sample.image.read_bytes()
    assert Image.open(sample.mask).tobytes() == MASK.tobytes()


def test_an_empty_text_becomes_a_plain_prompt_and_lines_are_joined(tmp_path):
    assert add(tmp_path, text="  ").text == PROMPT
    assert add(tmp_path, text="a\nb").text == "a b"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "test"}, "split 'test' is unknown"),
        ({"color": (1, 2, 300)}, "0 to 255"),
        ({"mask": Image.new("L", (20, 12), 100)}, "the mask is empty"),
        ({"mask": Image.new("L", (3, 3), 255)}, "make them the same size"),
        ({"room": "  "}, "the room has no name"),
    ],
)
def test_a_bad_sample_is_refused_and_leaves_nothing(tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        add(tmp_path, **change)
    assert not list(tmp_path.rglob("*.*"))


def test_no_room_goes_into_both_splits(tmp_path):
    add(tmp_path, "train", "r1")
    with pytest.raises(UserError, match=r"'r1' is in .*train already"):
        add(tmp_path, "validation", "r1")
    add(tmp_path, "validation", "r2")
    assert {name: len(rows) for name, rows in read_splits(tmp_path).items()} == {"train": 1, "validation": 1}
    path = tmp_path / "validation" / "metadata.jsonl"
    path.write_text(path.read_text().replace('r2"', 'r1"'))
    with pytest.raises(UserError, match="'r1' is in both splits"):
        read_splits(tmp_path)


def test_a_failure_half_way_leaves_the_dataset_as_it_was(tmp_path, monkeypatch):
    add(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    monkeypatch.setattr(dataset, "append_row", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        add(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_a_missing_line_end_does_not_glue_rows(tmp_path):
    add(tmp_path)
    path = tmp_path / "train" / "metadata.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    add(tmp_path)
    assert len(read_samples(tmp_path, "train")) == 2


def test_rooms_with_truths_are_read(rooms):
    (sample,) = read_samples(rooms({}), None)
    assert sample.kind == "plain"
    assert [(truth.color, truth.image.name) for truth in sample.truths] == [((4, 5, 6), "t.png")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file_name": "none.png"}, r"row 2: 'file_name': image .*none\.png does not exist"),
        ({"file_name": "metadata.jsonl"}, r"row 2: image .*metadata\.jsonl is a JSON file: give a picture"),
        ({"file_name": ...}, "row 2 has no 'file_name'"),
        ({"file_name": 7}, "row 2: 'file_name' is 7"),
        ({"file_name": ""}, "row 2: 'file_name' is ''"),
        ({"mask_file_name": "small.png"}, r"row 2: mask .*small\.png is 10x6 but its photo is 20x12"),
        ({"mask_file_name": "../m.png"}, r"row 2: 'mask_file_name' '\.\./m\.png' leads out of"),
        ({"mask_file_name": "/etc/passwd"}, "leads out of"),
        ({"reference_color_rgb": [1, 2]}, r"row 2: 'reference_color_rgb' is \[1, 2\]"),
        ({"reference_color_rgb": "#123456"}, "row 2: 'reference_color_rgb' is '#123456'"),
        ({"reference_color_rgb": None}, "row 2: 'reference_color_rgb' is None"),
        ({"text": 3}, "row 2: 'text' is 3"),
        ({"room_id": " "}, "row 2: 'room_id' is ' '"),
        ({"kind": "odd"}, "row 2: 'kind' is 'odd': write one of plain, dark, patterned, accent"),
        ({"truths": "t.png"}, "row 2: 'truths' is not a list"),
        ({"truths": [{"color": [1, 2, 3]}]}, "row 2: a truth needs 'color' and 'file_name'"),
        ({"truths": [{"color": [1, 2, 3], "file_name": "small.png"}]}, r"row 2: truth .*small\.png is 10x6"),
        ({"truths": [{"color": [1, 2, -3], "file_name": "t.png"}]}, "row 2: a truth's 'color'"),
    ],
)
def test_a_bad_row_is_named_with_its_file_and_remedy(rooms, change, said):
    with pytest.raises(UserError, match=said) as error:
        read_samples(rooms({}, change), None)
    assert "\n" not in str(error.value)
    assert "metadata.jsonl" in str(error.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("{oops\n", "row 2 is not JSON"),
        ("[1]\n", "row 2 is not a JSON object"),
        ("[" * 99999 + "\n", "row 2 is not JSON"),
    ],
)
def test_a_line_that_is_no_row_is_named(rooms, raw, said):
    with pytest.raises(UserError, match=said):
        read_samples(rooms({}, raw=raw), None)


def test_a_link_out_of_the_folder_is_refused(rooms, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    PHOTO.save(secret)
    folder = rooms({"file_name": "link.png"})
    os.symlink(secret, folder / "link.png")
    with pytest.raises(UserError, match="leads out of"):
        read_samples(folder, None)


def test_an_empty_or_missing_or_garbled_metadata_is_said(rooms, tmp_path):
    with pytest.raises(UserError, match="has no rows: mark at least one wall first"):
        read_samples(rooms(raw="\n\n"), None)
    with pytest.raises(UserError, match=r"train.metadata\.jsonl does not exist"):
        read_samples(tmp_path, "train")
    (tmp_path / "metadata.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_samples(tmp_path, None)
