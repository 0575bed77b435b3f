"""Whatever stands in rows and zips: a result or one line that says what is wrong, and nothing outside the folder."""

import functools
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import peak_bytes
from toys import toy_room

from wallpaint.dataset import curate, zips
from wallpaint.dataset.doctor import check_dataset
from wallpaint.dataset.folder import add_sample, list_samples, read_samples
from wallpaint.dataset.metadata import read_table
from wallpaint.errors import UserError

AT_FIRST = peak_bytes()
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
FEW = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
GREEN = (122, 158, 126)
PHOTO, MASK = toy_room(1, GREEN, (24, 16))
ODD = [
    "..",
    "../x.png",
    "/etc/passwd",
    "C:\\x",
    "a/../..",
    "a\0b",
    "\ud800",
    "x" * 300,
    ".",
    "",
    "a.png/",
    "é",
    "e\u0301",
]
NAMES = st.one_of(
    st.sampled_from(["a.png", "m.png", "sub/a.png", "sub\\a.png", "metadata.jsonl", *ODD]), st.text(max_size=8)
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), NAMES),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=3)),
    max_leaves=6,
)
KEYS = ("file_name", "mask_file_name", "reference_color_rgb", "text", "room_id", "kind", "truths", "note")
GOOD = {
    "file_name": "a.png",
    "mask_file_name": "m.png",
    "reference_color_rgb": list(GREEN),
    "text": "x",
    "room_id": "r",
}
TRUTHS = st.lists(st.fixed_dictionaries({}, optional={"color": VALUES, "file_name": NAMES}), max_size=3)
ROWS = st.lists(
    st.one_of(
        VALUES,
        st.dictionaries(st.sampled_from(KEYS), st.one_of(VALUES, TRUTHS), max_size=3).map(lambda odd: {**GOOD, **odd}),
    ),
    max_size=4,
)


def attempt(act):
    """Do this; UserError is one line, anything else a fault of ours."""
    try:
        try:
            return act()
        finally:
            assert peak_bytes() - AT_FIRST < 1e9
    except UserError as error:
        assert "\n" not in str(error)
        str(error).encode("utf-8")  # can be printed
        return None


def write_split(where):
    (where / "sub").mkdir(parents=True)
    for path, picture in (("a.png", PHOTO), ("m.png", MASK), ("sub/a.png", PHOTO)):
        picture.save(where / path)


@functools.cache
def pictures():
    with tempfile.TemporaryDirectory() as folder:
        write_split(Path(folder) / "train")
        return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*.png")}


def outside(root):
    """Everything in the tree but what the dataset holds."""
    return {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and "d" not in p.relative_to(root).parts[:1]}


@FEW
@given(
    st.one_of(
        ROWS.map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
        st.binary(max_size=80),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ),
    st.sampled_from(["metadata.jsonl", "metadata.csv"]),
)
def test_rows(packed, file):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "secret.png").write_bytes(b"not yours")
        write_split(root / "d" / "train")
        (root / "d" / "train" / file).write_bytes(packed)
        folder = root / "d"
        attempt(lambda: read_samples(folder, "train"))
        samples, _ = list_samples(folder, "train")
        attempt(lambda: check_dataset(folder))
        attempt(lambda: zips.export_zip(folder, root / "d" / "x.zip"))
        attempt(lambda: add_sample(folder, "train", PHOTO, MASK, GREEN, "", "new"))
        for row in attempt(lambda: read_table(folder, "train")) or []:
            for act in (curate.edit_sample, curate.delete_sample):
                attempt(lambda act=act, row=row: act(folder, "train", row.get("file_name")))
            attempt(lambda row=row: curate.move_room(folder, row.get("room_id"), "validation"))
            attempt(lambda: curate.undo_delete(folder))
        assert outside(root) == {root / "secret.png": b"not yours"}
        for sample in samples:
            assert {sample.image.resolve().is_relative_to(folder.resolve()), sample.image.name != ""} == {True}


def import_there(packed):
    """Import a zip; what came of it is a dataset that reads, or nothing at all."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "x.zip").write_bytes(packed)
        counts = attempt(lambda: zips.import_zip(root / "x.zip", root / "d" / "new"))
        assert outside(root) == {root / "x.zip": packed}
        assert [path.name for path in (root / "d").iterdir()] == (["new"] if counts else [])
        for split, count in (counts or {}).items():
            assert len(read_samples(root / "d" / "new", split)) == count > 0
        return counts


@pytest.mark.filterwarnings("ignore:Duplicate name")
@FEW
@given(
    ROWS,
    st.lists(st.tuples(NAMES, st.binary(max_size=30)), max_size=4),
    st.sampled_from(["", "mine/", "a\\b\\", "./"]),
)
def test_zips_with_hostile_names_and_rows(rows, others, top):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in pictures().items():
            archive.writestr(top + name, data)
        archive.writestr(f"{top}train/metadata.jsonl", "\n".join(map(json.dumps, rows)))
        for name, data in others:
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x"), data)
    import_there(packed.getvalue())


@FEW
@given(st.data())
def test_zips_that_were_damaged_and_what_is_no_zip(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", data.draw(st.sampled_from([0, 8, 12, 14]))) as archive:
        for name, picture in {**pictures(), "train/metadata.jsonl": json.dumps(GOOD).encode()}.items():
            archive.writestr(name, picture)
    whole = packed.getvalue()
    assert import_there(whole) == {"train": 1}
    damaged = bytearray(whole)
    directory = whole.index(b"PK\x01\x02")
    place = st.one_of(st.integers(0, len(whole) - 1), st.integers(directory, len(whole) - 1), st.integers(0, 60))
    for at, byte in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6)):
        damaged[at] = byte
    import_there(bytes(damaged[: data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))]))
    import_there(data.draw(st.binary(max_size=60)))
