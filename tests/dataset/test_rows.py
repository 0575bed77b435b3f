"""Rows as people and tools write them: other spellings, other line ends, deeper folders; and how fast many are."""

import csv
import io
import json
import os
import time
import unicodedata

import pytest
from PIL import Image
from toys import toy_room

from wallpaint.dataset import curate
from wallpaint.dataset.doctor import check_dataset
from wallpaint.dataset.folder import add_sample, list_samples, read_samples, read_splits
from wallpaint.errors import UserError

GREEN = (122, 158, 126)
PHOTO, MASK = toy_room(1, GREEN, (48, 32))


@pytest.fixture
def write(tmp_path):
    """Write pictures under these names, and rows that may name them in another way."""

    def write(*names, file="metadata.jsonl", text=None, encode=lambda text: text.encode(), **changes):
        where, rows = tmp_path / "d" / "train", []
        where.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            name, said = name if isinstance(name, tuple) else (name, name)
            for picture, path in ((PHOTO, where / name), (MASK, where / f"{number}_mask.png")):
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path, "PNG")
            row = {"file_name": said, "mask_file_name": f"{number}_mask.png", "reference_color_rgb": list(GREEN)}
            rows.append({**row, "text": "a room", "room_id": f"room {number}", **changes})
        (where / file).write_bytes(encode("".join(json.dumps(row) + "\n" for row in rows) if text is None else text))
        return tmp_path / "d"

    return write


NFC, NFD = "salón é.png", unicodedata.normalize("NFD", "salón é.png")


@pytest.mark.parametrize(
    ("on_disk", "in_row"),
    [
        ("rooms/deep/a.jpg", "rooms/deep/a.jpg"),
        ("rooms/a.png", "rooms\\a.png"),
        ("rooms/a.png", "./rooms//a.png"),
        (NFC, NFD),
        (NFD, NFC),
        (f"{NFD}/{NFC}", f"{NFC}\\{NFD}"),
        ("a\\b.png", "a\\b.png"),
        ("a (1) 🏠.png", "a (1) 🏠.png"),
        ("a:b?.png", "a:b?.png"),
        ("Rooms/A.PNG", "rooms\\a.png"),
    ],
)
def test_a_picture_is_found_however_its_row_spells_it(write, on_disk, in_row):
    folder = write((on_disk, in_row), "plain.png")
    (sample, _), broken = list_samples(folder, "train")
    assert read_samples(folder, "train")[0] == sample and broken == 0
    assert sample.image.samefile(folder / "train" / on_disk) and sample.file_name == in_row
    assert not [finding for finding in check_dataset(folder) if finding.kind == "bad_row"]
    # What the list shows can be edited, moved, deleted and brought back by the name that it shows.
    assert curate.edit_sample(folder, "train", sample.file_name, text="new").text == "new"
    assert curate.move_room(folder, "room 0", "validation") == curate.move_room(folder, "room 0", "train") == 1
    moved = read_samples(folder, "train")[-1]
    curate.delete_sample(folder, "train", moved.file_name)
    assert curate.undo_delete(folder).text == "new" and len(read_samples(folder, "train")) == 2


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/etc/passwd", "\\\\server\\x.png", "C:\\x.png", "c:/x"]
)
def test_a_row_never_leads_out(write, name):
    folder = write("good.png")
    rows = folder / "train" / "metadata.jsonl"
    rows.write_text(rows.read_text().replace('"good.png"', json.dumps(name)))
    assert list_samples(folder, "train") == ([], 1)
    with pytest.raises(UserError, match="leads out of"):
        read_samples(folder, "train")


def test_a_folder_that_is_a_link_out_is_no_way_out_either(write, tmp_path):
    folder = write("good.png", "sub/good.png")
    (tmp_path / "secret").mkdir()
    PHOTO.save(tmp_path / "secret" / "good.png")
    (folder / "train" / "sub" / "good.png").unlink()
    (folder / "train" / "sub").rmdir()
    os.symlink(tmp_path / "secret", folder / "train" / "sub")
    with pytest.raises(UserError, match="row 2: 'file_name' 'sub/good.png' leads out of"):
        read_samples(folder, "train")
    assert [finding.where for finding in check_dataset(folder) if finding.kind == "bad_row"] == ["sub/good.png"]
    inside = folder / "train" / "more"
    inside.mkdir()
    (folder / "train" / "sub").unlink()
    os.symlink(inside, folder / "train" / "sub")
    PHOTO.save(inside / "good.png")
    assert len(read_samples(folder, "train")) == 2


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: ("\n \n" + text.replace("\n", "\n\n\n")).encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.rstrip().encode(),
    ],
    ids=["BOM", "CRLF", "CR", "blank lines", "PowerShell", "no last line end"],
)
def test_metadata_is_read_as_editors_save_it_and_added_to(write, encode):
    folder = write("a.png", "b.png", encode=encode)
    assert [sample.image.name for sample in read_samples(folder, "train")] == ["a.png", "b.png"]
    add_sample(folder, "train", PHOTO, MASK, GREEN, "", "new")
    assert [sample.image.name for sample in read_samples(folder, "train")] == ["a.png", "b.png", "new-001.png"]
    curate.delete_sample(folder, "train", "a.png")
    assert len(read_samples(folder, "train")) == 2


CSV = """file_name,mask_file_name,reference_color_rgb,text,room_id,kind,truths
a.png,0_mask.png,"[122, 158, 126]","a ""nice"", lit one",a,dark,"[{""color"": [1, 2, 3], ""file_name"": ""b.png""}]"
b.png,1_mask.png,"[1, 2, 3]",,hall,,
"""


SHEETS = [(",", "\n", ""), (",", "\r\n", "\ufeff"), (";", "\n", "\ufeff")]


@pytest.mark.parametrize(("delimiter", "end", "bom"), SHEETS)
def test_an_imagefolder_with_metadata_csv_is_read_and_becomes_jsonl_when_it_changes(write, delimiter, end, bom):
    packed = io.StringIO(newline="")
    csv.writer(packed, delimiter=delimiter, lineterminator=end).writerows(csv.reader(io.StringIO(CSV)))
    folder = write("a.png", "b.png", file="metadata.csv", text=bom + packed.getvalue())
    first, second = read_splits(folder)["train"]
    assert (first.text, first.kind, first.color) == ('a "nice", lit one', "dark", GREEN)
    assert first.truths[0].image.name == "b.png" and (second.text, second.kind, second.truths) == ("", None, ())
    add_sample(folder, "train", PHOTO, MASK, GREEN, "", "new")
    assert [sample.room_id for sample in read_samples(folder, "train")] == ["a", "hall", "new"]
    assert sorted(path.name for path in (folder / "train").glob("metadata*")) == ["metadata.csv.old", "metadata.jsonl"]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        (
            "metadata.csv",
            CSV.replace("[122, 158, 126]", "green"),
            r"row 2 has a 'reference_color_rgb' that is not JSON",
        ),
        ("metadata.csv", "file_name\na.png\n", "row 2 has no 'mask_file_name'"),
        ("metadata.parquet", "PAR1", r"metadata\.jsonl does not exist, metadata\.parquet is not read"),
        ("metadata.jsonl", '{"file_name": "' + "x" * 2_000_000, "row 1 is longer than a row can be"),
        ("metadata.jsonl", '{"n": ' + "1" * 5000 + "}", "row 1 is not JSON"),
        ("metadata.jsonl", '{"file_name": "\\ud800.png"}', "row 1 has no"),
    ],
)
def test_metadata_that_cannot_be_read_is_named(write, file, text, told):
    with pytest.raises(UserError, match=told):
        read_samples(write("a.png", "b.png", file=file, text=text), "train")


def test_a_row_that_is_not_utf8_or_not_json_hides_no_other(write):
    folder = write("a.png", "b.png")
    rows = folder / "train" / "metadata.jsonl"
    rows.write_bytes(b'{"text": "caf\xe9"}\n{oops\n' + rows.read_bytes() + b"[1]\n")
    assert [sample.image.name for sample in list_samples(folder, "train")[0]] == ["a.png", "b.png"]
    assert list_samples(folder, "train")[1] == 3
    found = [(finding.where, finding.what) for finding in check_dataset(folder) if finding.kind == "bad_row"]
    assert [where for where, _ in found] == ["row 1", "row 2", "row 5"]
    assert "not UTF-8" in found[0][1] and "not JSON" in found[1][1] and "not a JSON object" in found[2][1]


def test_a_room_is_one_however_its_accents_are_composed(tmp_path):
    for room in (NFC, NFD, f"  {NFD} ", NFC.replace(" ", "  ")):
        add_sample(tmp_path, "train", PHOTO, MASK, GREEN, "", room)
    assert {sample.room_id for sample in read_samples(tmp_path, "train")} == {NFC}
    with pytest.raises(UserError, match="is in train already"):
        add_sample(tmp_path, "validation", PHOTO, MASK, GREEN, "", NFD)
    rows = tmp_path / "train" / "metadata.jsonl"
    rows.write_text(rows.read_text().replace(NFC, NFD))  # as another program wrote it
    assert {sample.room_id for sample in read_samples(tmp_path, "train")} == {NFC}
    assert curate.move_room(tmp_path, NFD, "validation") == 4


def test_files_never_differ_in_case_alone(tmp_path):
    names = [add_sample(tmp_path, "train", PHOTO, MASK, GREEN, "", room).file_name for room in ("Attic", "attic")]
    assert names == ["Attic-001.png", "attic-002.png"]


def test_a_mask_on_its_side_is_named_with_its_cause(write):
    folder = write("a.png")
    PHOTO.transpose(Image.Transpose.ROTATE_90).save(folder / "train" / "a.png")  # no EXIF says so
    (finding,) = [finding for finding in check_dataset(folder) if finding.kind == "mask_size"]
    assert "is 48x32 but its photo is 32x48, when it stands upright" in finding.what


def test_a_photo_whose_exif_block_is_broken_is_a_photo(write):
    folder = write("a.png")
    PHOTO.save(folder / "train" / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)
    rows = folder / "train" / "metadata.jsonl"
    rows.write_text(rows.read_text().replace("a.png", "a.jpg"))
    assert not [finding for finding in check_dataset(folder) if finding.kind == "bad_row"]


def test_a_listing_opens_no_picture_and_ten_thousand_rows_take_seconds_at_most(write, monkeypatch):
    folder = write("a.png")
    rows = folder / "train" / "metadata.jsonl"
    row = json.loads(rows.read_text())
    rows.write_text("".join(json.dumps({**row, "room_id": f"room {n}"}) + "\n" for n in range(10_000)))
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    began = time.process_time()
    samples, broken = list_samples(folder, "train")
    assert (len(samples), broken) == (10_000, 0) and time.process_time() - began < 2
