"""The image contract: what is let in, and what comes back out."""

import io
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from brought import photos
from PIL import Image, ImageCms

from wallpaint.errors import UserError
from wallpaint.paths import ROOT
from wallpaint.pixels import photo_files
from wallpaint.pixels.images import load_mask, load_photo, model_size, read_size, save_png, to_image, to_tensor

torch.set_num_threads(1)


def noise(width=24, height=16, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def bomb(path, width, height):
    """A PNG of some hundred bytes whose header promises width x height."""
    path.write_bytes(photos.png_header(width, height))


@pytest.mark.parametrize("head", [b"no picture", b"\x89PNG\r\n\x1a\n\0\0\0\rnone"], ids=["no PNG", "a broken PNG"])
def test_a_large_file_that_is_no_picture_is_not_read_whole(tmp_path, head):
    with open(tmp_path / "a.png", "wb") as file:
        file.write(head)
        file.truncate(300_000_000)
    tracemalloc.start()
    with pytest.raises(UserError, match="cannot be read"):
        load_photo(tmp_path / "a.png")
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("size", [(12001, 9000), (12000, 12000), (60000, 60000)])
@pytest.mark.parametrize("load", [load_photo, load_mask, read_size])
def test_a_bomb_is_refused_from_its_header(tmp_path, monkeypatch, size, load):
    bomb(tmp_path / "bomb.png", *size)
    Image.init()  # PIL draws a picture of its own while it looks for plugins
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"bomb\.png is larger than 108 megapixels"):
        load(tmp_path / "bomb.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_one_line(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png (cannot be read|is a PostScript file|is a text file)") as error:
        load_photo(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_file_cut_short_is_refused(tmp_path, form):
    path = tmp_path / f"cut.{form.lower()}"
    noise(64, 64).save(path, form)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cannot be read"):
        load_photo(path)


@pytest.mark.parametrize("name", ["a.heic", "a.jpg"])
def test_heic_without_its_library_is_one_line_with_the_remedy(tmp_path, monkeypatch, name):
    path = photos.saved(name, "HEIF")(tmp_path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for read in (load_photo, read_size):
        with pytest.raises(UserError, match=rf"{name} is a HEIC picture: run pip install pillow-heif"):
            read(path)


def test_a_photo_of_64_megapixels_is_let_in(tmp_path):
    bomb(tmp_path / "a.png", 9248, 6936)
    assert read_size(tmp_path / "a.png") == (9248, 6936)


def test_what_is_wrong_with_a_photo_is_told_from_its_header(tmp_path):
    (tmp_path / "a.nef").write_bytes(b"??")
    with pytest.raises(UserError, match=r"a\.nef is a camera raw file: export it as JPEG"):
        read_size(tmp_path / "a.nef")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.jpg does not exist"):
        load_photo(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="does not exist"):
        load_photo(tmp_path)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_stands_upright_and_loses_its_exif(tmp_path, form, orientation):
    exif = Image.Exif()
    exif[photo_files.ORIENTATION] = orientation
    exif[0x010E] = "secret place"
    photo = Image.new("RGB", (40, 20), "white")
    photo.paste("red", (0, 0, 20, 20))
    path = tmp_path / f"a.{form.lower()}"
    photo.save(path, form, exif=exif)
    loaded = load_photo(path)
    assert loaded.size == read_size(path) == ((20, 40) if orientation >= 5 else (40, 20))
    red = {1: (5, 10), 3: (35, 10), 6: (10, 5), 8: (10, 35)}[orientation]
    assert loaded.getpixel(red)[0] > 200 > 60 > loaded.getpixel(red)[1]
    assert not loaded.getexif() and "exif" not in loaded.info


def test_transparency_lies_over_white(tmp_path):
    rgba = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    rgba.putpixel((0, 0), (10, 20, 30, 255))
    rgba.save(tmp_path / "a.png")
    loaded = load_photo(tmp_path / "a.png")
    assert loaded.mode == "RGB"
    assert loaded.getpixel((0, 0)) == (10, 20, 30)
    assert loaded.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    noise().convert(mode).save(path)
    assert load_photo(path).mode == "RGB"


def test_16_bit_grey_keeps_its_scale(tmp_path):
    Image.fromarray(np.full((4, 4), 128 * 257, dtype=np.uint16)).save(tmp_path / "a.png")
    assert load_photo(tmp_path / "a.png").getpixel((0, 0)) == (128, 128, 128)
    assert load_mask(tmp_path / "a.png").getpixel((0, 0)) == 255


def test_a_colour_profile_is_turned_to_srgb_and_goes(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, is_other in ((srgb, False), (b"no profile", False), (photos.ADOBE_RGB, True)):
        photo = noise()
        photo.save(tmp_path / "a.png", icc_profile=profile)
        loaded = load_photo(tmp_path / "a.png")
        assert "icc_profile" not in loaded.info
        assert (np.abs(np.asarray(loaded).astype(int) - np.asarray(photo)).max() > 1) == is_other


def test_a_mask_is_0_and_255(tmp_path):
    Image.fromarray(np.array([[0, 127, 128, 255]], dtype=np.uint8)).save(tmp_path / "m.png")
    mask = load_mask(tmp_path / "m.png", (4, 1))
    assert mask.mode == "L"
    assert np.asarray(mask).tolist() == [[0, 0, 255, 255]]


def test_an_empty_mask_and_one_of_another_size_are_refused(tmp_path):
    Image.new("L", (8, 6), 127).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"m\.png is empty"):
        load_mask(tmp_path / "m.png")
    with pytest.raises(UserError, match="8x6 but its photo is 6x8"):
        load_mask(tmp_path / "m.png", (6, 8))


@pytest.mark.parametrize("size", [(4000, 3000), (100, 900), (128, 128), (3, 5000), (1, 1)])
@pytest.mark.parametrize(("resolution", "multiple"), [(128, 8), (512, 64)])
def test_model_size_has_the_area_the_aspect_and_the_multiple(size, resolution, multiple):
    width, height = model_size(size, resolution, multiple)
    assert width % multiple == height % multiple == 0 < min(width, height)
    if max(size) / min(size) < 2:
        assert width * height == pytest.approx(resolution**2, rel=0.15)
        assert width / height == pytest.approx(size[0] / size[1], rel=0.15)


def test_tensors_and_pictures_are_the_same_bytes():
    photo, mask = noise(), noise().convert("L")
    assert to_tensor(photo).shape == (1, 3, 16, 24) and to_tensor(mask).shape == (1, 1, 16, 24)
    assert to_tensor(photo).dtype == torch.float32 and 0 <= to_tensor(photo).min() <= to_tensor(photo).max() <= 1
    assert to_image(to_tensor(photo)).tobytes() == photo.tobytes()
    assert to_image(to_tensor(mask)[0]).tobytes() == mask.tobytes()
    assert to_image(torch.tensor([-1.0, 2.0]).view(1, 1, 2).bfloat16()).tobytes() == b"\x00\xff"


def test_a_png_of_ours_holds_the_very_bytes_and_says_so_to_others(tmp_path):
    for picture in (noise(), noise().convert("L"), Image.new("RGB", (1, 1), (1, 2, 3)), Image.new("L", (3, 200), 255)):
        save_png(picture, tmp_path / "p.png")
        with Image.open(tmp_path / "p.png") as read:
            assert (read.format, read.mode, read.size) == ("PNG", picture.mode, picture.size)
            read.verify()  # the checksums
        assert Image.open(tmp_path / "p.png").tobytes() == picture.tobytes()
    save_png(Image.new("RGB", (500, 500), "teal"), tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size < 5000


def test_a_photo_can_be_read_from_a_buffered_copy(tmp_path):
    buffer = io.BytesIO()
    noise().save(buffer, "PNG")
    (tmp_path / "a.bin").write_bytes(buffer.getvalue())  # the content tells the format, not the name
    assert load_photo(tmp_path / "a.bin").tobytes() == noise().tobytes()


@pytest.mark.parametrize("suffix", ["avif", "webp", "tif"])
def test_a_format_is_read_by_a_process_that_has_read_nothing_else(tmp_path, suffix):
    """In this one other tests have registered what plugins there are."""
    path = tmp_path / f"room.{suffix}"
    Image.new("RGB", (64, 48), (122, 158, 126)).save(path)
    code = f"from wallpaint.pixels.images import load_photo; print(load_photo({str(path)!r}).size)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "(64, 48)\n", done.stderr


@pytest.mark.parametrize("case", [case for case in photos.CASES if case.check], ids=lambda case: case.brought)
def test_the_header_tells_the_size_that_the_photo_has(tmp_path, case):
    path = case.make(tmp_path)
    assert read_size(path) == load_photo(path).size
