"""Readers of photos, masks and palettes given anything: a result or one line for the person, and no hang."""

import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from brought import masks, palettes, photos
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from processes import peak_bytes

from wallpaint.errors import UserError
from wallpaint.paths import ROOT
from wallpaint.pixels.images import load_mask, load_photo, read_size
from wallpaint.pixels.palettes import find_paint, read_palette

# Files of a few hundred bytes to a few kilobytes each, of every format that is read.
FORMATS = ("jpg", "png", "webp", "bmp", "tif", "gif", "heic", "avif")
fuzz = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)
cuts = st.floats(0, 1)
flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def pictures(folder):
    """Small real files by suffix, EXIF and profile in the JPEG."""
    found = {}
    for suffix in FORMATS:
        form = {"tif": "TIFF", "jpg": "JPEG", "heic": "HEIF"}.get(suffix, suffix.upper())
        found[suffix] = photos.saved(f"whole.{suffix}", form)(folder).read_bytes()
    found["jpg"] = photos.encoded(exif=photos.turned_exif(6), icc_profile=photos.ADOBE_RGB)
    return found


def damaged(data, cut, changes):
    data = bytearray(data[: int(len(data) * cut) + 1])
    for place, bits in changes:
        data[int(place * len(data))] ^= bits
    return bytes(data)


def test_the_largest_pictures_take_no_more_than_a_gigabyte(tmp_path):
    """A ninth of the most pixels, a ninth of the memory: of each mode, in a process of its own."""
    size, limit = (4000, 3000), 1e9 / 9
    deep = np.zeros(size[::-1], np.uint16)
    deep[:2000] = 65535
    Image.fromarray(deep).save(tmp_path / "I.png", compress_level=1)
    for mode, colors in (("L", (0, 255)), ("RGB", ("black", "lime")), ("RGBA", ("black", "white"))):
        image = Image.new(mode, size, colors[0])
        image.paste(colors[1], (0, 0, 4000, 2000))
        image.save(tmp_path / f"{mode}.png", compress_level=1)
    code = (
        "import resource, sys\nfrom wallpaint.pixels.images import load_mask, load_photo\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "load_photo(sys.argv[1]), load_mask(sys.argv[1])\nfirst = peak()\n"
        "for path in sys.argv[2:]:\n"
        "    for read in (load_photo, load_mask):\n"
        "        read(path)\n        print(read.__name__, path[-8:], peak() - first, sep='|')\n"
    )
    Image.new("L", (9, 9), 255).save(tmp_path / "0.png")
    paths = sorted(map(str, tmp_path.glob("*.png")))
    told = subprocess.run([sys.executable, "-c", code, *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split("|") for line in told.stdout.splitlines()]
    assert len(lines) == 8 and not [line for line in lines if int(line[-1]) > limit]


def read_all(path, *readers):
    """Give a file to readers; anything but a result or a single line is a fault."""
    for read in readers:
        start, at_first = time.monotonic(), peak_bytes()  # a process that has taken more before shows less
        try:
            read(path)
        except UserError as error:
            assert "\n" not in str(error)
        assert time.monotonic() - start < 10
        assert peak_bytes() - at_first < 1e9


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_pictures(folder, pictures, suffix):
    @fuzz
    @given(cuts, flips)
    def run(cut, changes):
        path = folder / f"damaged.{suffix}"
        for part in (1, cut):
            path.write_bytes(damaged(pictures[suffix], part, changes))
            read_all(path, load_photo, load_mask, read_size)

    run()


def test_damaged_masks_with_alpha(folder):
    whole = masks.saved("whole-mask.png", image=masks.furnished(0))(folder).read_bytes()

    @fuzz
    @given(cuts, flips)
    def run(cut, changes):
        (folder / "mask.png").write_bytes(damaged(whole, cut, changes))
        read_all(folder / "mask.png", load_mask)

    run()


def test_any_exif_block(folder):
    @fuzz
    @given(st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]), st.binary(max_size=400))
    def run(head, block):
        (folder / "exif.jpg").write_bytes(photos.with_exif(head + block))
        assert load_photo(folder / "exif.jpg").mode == "RGB"

    run()


def test_any_bytes(folder):
    heads = [magic.rjust(at + len(magic), b"\0") for at, magic, _ in photos.SIGNATURES]

    @fuzz
    @given(
        st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0", *heads]),
        st.binary(),
    )
    def run(head, data):
        path = folder / "any.jpg"
        path.write_bytes(head + data)
        read_all(path, load_photo, load_mask, read_size)

    run()


@pytest.mark.parametrize("suffix", ["csv", "gpl", "ase", "aco", "json"])
def test_any_palette(folder, suffix):
    whole = next(
        case.make(folder).read_bytes() for case in palettes.CASES if f".{suffix}" in case.brought or suffix == "csv"
    )
    cells = st.sampled_from(
        ["name", "hex", "r", "g", "b", "Sage", "#7A9E7E", "122", "0.5", "0,5", "50%", "999", '"', "", "٣", "²", "1e9"]
    )
    tables = st.tuples(st.sampled_from(",;\t| "), st.lists(st.lists(cells, max_size=6), max_size=5))

    @fuzz
    @given(cuts, flips, st.binary(max_size=200), st.text(max_size=200), tables)
    def run(cut, changes, data, text, table):
        separator, rows = table
        lines = "\n".join(separator.join(row) for row in rows).encode()
        for content in (
            damaged(whole, cut, changes),
            data,
            text.encode("utf-8", "replace"),
            lines,
            b"GIMP Palette\n" + lines,
        ):
            (folder / f"any.{suffix}").write_bytes(content)
            read_all(folder / f"any.{suffix}", read_palette)

    run()


@pytest.mark.parametrize(
    "data", [b"ab\n" * 600_000, b"a,b\n" * 400_000, b"1" * 2_000_000, b" " * 1_999_990 + b"a,b", b'"' * 2_000_000]
)
def test_a_large_table_that_is_none_is_told_soon(folder, data):
    (folder / "large.csv").write_bytes(data)
    start = time.monotonic()
    with pytest.raises(UserError):
        read_palette(folder / "large.csv")
    assert time.monotonic() - start < 5


def test_any_name_of_a_paint():
    @fuzz
    @given(st.text(max_size=40))
    def run(name):
        read_all(name, partial(find_paint, palette=None))

    run()
