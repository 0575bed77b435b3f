"""Datasets come back from a zip as they went out, whoever made the zip; a hostile one leaves nothing behind."""

import filecmp
import json
import os
import stat
import struct
import tracemalloc
import types
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image
from toys import toy_dataset

from wallpaint.dataset import zips
from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import picture_names
from wallpaint.errors import UserError

GREEN, RED = (122, 158, 126), (200, 60, 50)


@pytest.fixture
def folder(tmp_path):
    """Two photos of `attic` and one of `hall` to learn from, `loft` held out."""
    return toy_dataset(tmp_path / "mine")


def pack(path, files, compression=zipfile.ZIP_DEFLATED):
    """Write {name or ZipInfo: bytes} as a zip."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def files_of(folder, split="train"):
    """The files of a split by their names."""
    return {path.name: path.read_bytes() for path in sorted((folder / split).iterdir())}


def rename(files, names):
    """A split's files under other names, which its rows say as well."""
    rows = files["metadata.jsonl"].decode()
    for old, new in names.items():
        rows = rows.replace(f'"{old}"', json.dumps(new, ensure_ascii=False))
    return {names.get(name, name): data for name, data in files.items()} | {"metadata.jsonl": rows.encode()}


def told(samples):
    """What samples say, and their pictures' bytes."""
    return [(s.color, s.text, s.room_id, s.image.read_bytes(), s.mask.read_bytes()) for s in samples]


def test_a_zip_goes_out_and_comes_in_as_it_was(folder, tmp_path):
    (folder / "train" / "private.txt").write_text("not part of it")
    path = zips.export_zip(folder, tmp_path / "mine.zip")
    assert "train/private.txt" not in zipfile.ZipFile(path).namelist()
    assert zips.import_zip(path, tmp_path / "again") == {"train": 3, "validation": 1}
    for split in ("train", "validation"):
        pairs = zip(read_samples(folder, split), read_samples(tmp_path / "again", split), strict=True)
        assert all((a.image.read_bytes(), a.color) == (b.image.read_bytes(), b.color) for a, b in pairs)
    with pytest.raises(UserError, match="exists"):
        zips.import_zip(path, tmp_path / "again")


@pytest.mark.parametrize(
    ("places", "left_out"),
    [(("train", "training"), ["training"]), (("a/train", "b/train", "b/val"), ["b/train", "b/val"])],
)
def test_what_of_a_zip_is_not_read_is_named(folder, tmp_path, places, left_out):
    files = {f"{place}/{name}": data for place in places for name, data in files_of(folder).items()}
    said = []
    path = pack(tmp_path / "two.zip", files)
    assert zips.import_zip(path, tmp_path / "again", said.append) == {"train": 3} and said == left_out


def test_a_zip_of_the_folder_itself_is_understood(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    assert zips.import_zip(tmp_path / "x.zip", tmp_path / "again")["train"] == 3


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entry", "data", "told"),
    [
        ("../evil.png", b"x", "leads out"),
        ("/etc/evil.png", b"x", "leads out"),
        ("train/../../evil.png", b"x", "leads out"),
        ("train\\..\\..\\evil.png", b"x", "leads out"),
        ("C:/evil.png", b"x", "leads out"),
        (link("train/link.png"), b"/etc/passwd", "link"),
        ("train/run.py", b"x", "no train/metadata"),
        ("evil.png", b"x", "no train/metadata"),
        ("train/metadata.jsonl", b'{"file_name": "../../x.png"}\n', "leads out"),
        ("train/metadata.jsonl", b'{"file_name": "/etc/passwd"}\n', "leads out"),
        ("train/metadata.jsonl", b'{"file_name": "x.png"}\n', "lacks 'train/x.png', which a row names"),
        ("train/metadata.jsonl", b'{"text": "x"}\n', "row 1 has no 'file_name'"),
        ("train/metadata.jsonl", b"oops", "x.zip: train/metadata.jsonl row 1 is not JSON"),
        ("train/metadata.jsonl", b"", "has no rows"),
        ("train/a.png", b"x", "no train/metadata"),
    ],
)
def test_a_hostile_zip_leaves_nothing_behind(tmp_path, entry, data, told):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, data)
    with pytest.raises(UserError, match=told):
        zips.import_zip(tmp_path / "x.zip", tmp_path / "sets" / "new")
    assert list((tmp_path / "sets").iterdir()) == [] and sorted(p.name for p in tmp_path.iterdir()) == [
        "sets",
        "x.zip",
    ]


def test_what_is_no_zip_is_told(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match="no readable zip"):
        zips.import_zip(tmp_path / "x.zip", tmp_path / "new")


def test_a_bomb_is_told_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "BOMB_BYTES", 1_000_000)
    row = b'{"file_name": "bomb.png"}\n'
    path = pack(tmp_path / "x.zip", {"train/metadata.jsonl": row, "train/bomb.png": bytes(30_000_000)})
    with pytest.raises(UserError, match="a zip bomb"):
        zips.import_zip(path, tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


def test_what_would_not_fit_on_the_disk_is_told_before_anything_is_written(folder, tmp_path, monkeypatch):
    path = zips.export_zip(folder, tmp_path / "mine.zip")
    monkeypatch.setattr(zips.shutil, "disk_usage", lambda where: types.SimpleNamespace(free=9))
    with pytest.raises(UserError, match="are free, make room"):
        zips.import_zip(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_zip_with_a_password_says_so(folder, tmp_path):
    path = zips.export_zip(folder, tmp_path / "mine.zip")
    packed = bytearray(path.read_bytes())
    at = packed.index(b"PK\x01\x02")
    struct.pack_into("<H", packed, at + 8, struct.unpack_from("<H", packed, at + 8)[0] | 1)
    path.write_bytes(packed)
    with pytest.raises(UserError, match="needs a password"):
        zips.import_zip(path, tmp_path / "new")


def test_more_files_than_a_dataset_has_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "MAX_FILES", 5)
    with pytest.raises(UserError, match="more than 5 files or 100 GB, split the dataset"):
        zips.import_zip(zips.export_zip(folder, tmp_path / "mine.zip"), tmp_path / "new")


def test_finders_zip_of_a_folder_that_masks_wrote_is_read(folder, tmp_path):
    files = {f"my rooms/train/{name}": data for name, data in files_of(folder).items()}
    files |= {f"__MACOSX/my rooms/train/._{name}": b"\0\5\x16\7" for name in files_of(folder)}
    files |= {
        "my rooms/proposals.json": b"[]",
        "my rooms/.DS_Store": b"x",
        "my rooms/train/.DS_Store": b"x",
        "my rooms/train/Thumbs.db": b"x",
        "my rooms/.deleted/00000-ab/row.json": b"{}",
        "my rooms/train/.deleted/train/metadata.jsonl": b"{}",
        "my rooms/notes/clip.mp4": b"x",
    }
    assert zips.import_zip(pack(tmp_path / "x.zip", files), tmp_path / "new") == {"train": 3}
    assert told(read_samples(tmp_path / "new", "train")) == told(read_samples(folder, "train"))
    assert {p.name for p in (tmp_path / "new").rglob("*") if p.is_file()} == set(files_of(folder))


def test_explorers_backslashes_are_slashes_in_the_zip_and_in_the_rows(folder, tmp_path):
    files = rename(files_of(folder), {"hall-001.png": "sub\\hall-001.png"})
    path = pack(tmp_path / "x.zip", {f"mine\\train\\{name}": data for name, data in files.items()})
    assert zips.import_zip(path, tmp_path / "new") == {"train": 3}
    assert read_samples(tmp_path / "new", "train")[2].file_name == "sub/hall-001.png"  # as an imagefolder has it
    assert told(read_samples(tmp_path / "new", "train")) == told(read_samples(folder, "train"))


NAMES = {"attic-001.png": "phòng (1).png", "attic-002.png": "部屋🏠.png", "hall-001.png": "café.png"}


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", NAMES),  # Finder's, which does not mark its names as UTF-8
        ("cp437", {"hall-001.png": "Küche.png"}),
        ("cp932", {"hall-001.png": "表の部屋.png"}),  # its second byte is a backslash
        ("gbk", {"hall-001.png": "客厅.png"}),
        ("cp1252", {"hall-001.png": "Wöhnzimmer–1.png"}),
        ("latin-1", {"hall-001.png": "salão.png"}),
    ],
)
def test_names_that_are_not_marked_utf8_are_those_that_the_rows_name(folder, tmp_path, encoding, names):
    files, entries = rename(files_of(folder), names), {}
    for number, name in enumerate(files):
        entries[f"{number:03d}".ljust(len(name.encode(encoding)), "x")] = name
    path = pack(tmp_path / "x.zip", {f"train/{fake}": files[name] for fake, name in entries.items()})
    packed = path.read_bytes()
    for fake, name in entries.items():
        packed = packed.replace(b"train/" + fake.encode(), b"train/" + name.encode(encoding))
    path.write_bytes(packed)
    assert zips.import_zip(path, tmp_path / "new") == {"train": 3}
    assert told(read_samples(tmp_path / "new", "train")) == told(read_samples(folder, "train"))
    assert set(names.values()) <= {unicodedata.normalize("NFC", name) for name in files_of(tmp_path / "new")}


@pytest.mark.parametrize("inside", ["NFC", "NFD"])
def test_accents_may_be_composed_in_the_zip_and_not_in_the_rows(folder, tmp_path, inside):
    other = {"NFC": "NFD", "NFD": "NFC"}[inside]
    name = unicodedata.normalize(inside, "salón é.png")
    files = rename(files_of(folder), {"hall-001.png": unicodedata.normalize(other, name)})
    files[name] = files.pop(unicodedata.normalize(other, name))
    path = pack(tmp_path / "x.zip", {f"train/{name}": data for name, data in files.items()})
    assert zips.import_zip(path, tmp_path / "new") == {"train": 3}
    assert told(read_samples(tmp_path / "new", "train")) == told(read_samples(folder, "train"))


def test_names_that_differ_in_case_or_accents_alone_get_distinct_names_on_export(folder, tmp_path):
    names = {"attic-001.png": "Hall.png", "attic-002.png": "hall.PNG", "hall-001.png": "a:b?.png"}
    for name, data in rename(files_of(folder), names).items():
        (folder / "train" / name).write_bytes(data)
    path = zips.export_zip(folder, tmp_path / "mine.zip")
    listed = [name.casefold() for name in zipfile.ZipFile(path).namelist()]
    assert len(set(listed)) == len(listed) and not any(set(name) & set(':?*"<>|') for name in listed)
    assert zips.import_zip(path, tmp_path / "new") == {"train": 3, "validation": 1}
    assert told(read_samples(tmp_path / "new", "train")) == told(read_samples(folder, "train"))


def test_rows_of_any_kind_survive_the_way_out_and_back(folder, tmp_path):
    """Subfolders, columns that we do not know, rooms with truths, one photo with two walls."""
    where = folder / "train"
    (where / "deep" / "er").mkdir(parents=True)
    (where / "attic-001.png").rename(where / "deep" / "er" / "a (1).png")
    rows = [json.loads(line) for line in (where / "metadata.jsonl").read_text().splitlines()]
    rows[0] |= {"file_name": "deep/er/a (1).png", "note": {"by": "me"}, "kind": "dark"}
    rows[1] |= {"truths": [{"color": [1, 2, 3], "file_name": "attic-002.png", "lamp": "on"}]}
    rows.append({**rows[2], "mask_file_name": rows[1]["mask_file_name"]})
    (where / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    zips.import_zip(zips.export_zip(folder, tmp_path / "mine.zip"), tmp_path / "new")
    again = [json.loads(line) for line in (tmp_path / "new" / "train" / "metadata.jsonl").read_text().splitlines()]
    assert again == rows
    assert told(read_samples(tmp_path / "new", "train")) == told(read_samples(folder, "train"))
    for name in {name for row in rows for name in picture_names(row)}:
        assert (tmp_path / "new" / "train" / name).read_bytes() == (where / name).read_bytes()


def test_a_photo_from_before_zips_could_say_when_is_exported(folder, tmp_path):
    os.utime(folder / "train" / "hall-001.png", (0, 0))
    assert zips.import_zip(zips.export_zip(folder, tmp_path / "mine.zip"), tmp_path / "new")["train"] == 3


def test_a_large_dataset_goes_out_and_in_a_piece_at_a_time(tmp_path):
    """60 MB of photos that no compression shrinks; what is at hand at once stays far below one of them."""
    noise = np.random.default_rng(0).integers(0, 256, (2400, 2800, 3), dtype=np.uint8)
    where = tmp_path / "d" / "train"
    where.mkdir(parents=True)
    Image.new("1", (2800, 2400), 1).save(where / "m.png")
    rows = []
    for number in range(3):
        Image.fromarray(noise).save(where / f"{number}.bmp")
        rows.append({"file_name": f"{number}.bmp", "mask_file_name": "m.png", "reference_color_rgb": [1, 2, 3]})
    rows = [{**row, "text": "x", "room_id": f"r{number}"} for number, row in enumerate(rows)]
    (where / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    del noise
    tracemalloc.start()
    assert zips.import_zip(zips.export_zip(tmp_path / "d", tmp_path / "x.zip"), tmp_path / "new") == {"train": 3}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000 < (where / "0.bmp").stat().st_size
    names = [path.name for path in where.iterdir()]
    assert filecmp.cmpfiles(where, tmp_path / "new" / "train", names, shallow=False)[1:] == ([], [])
