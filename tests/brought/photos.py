"""Photos as phones, cameras and tools make them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from brought import Case
from wallpaint.pixels.file_kinds import SIGNATURES as SIGNATURES
from wallpaint.pixels.images import load_photo

TITLE, read = "Photos", load_photo
SIZE = (80, 40)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height):
    """A PNG of some hundred bytes whose header promises width x height."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def profile(gamma, red, green, blue):
    """An ICC profile (version 2) of three primaries, XYZ at D50, and one gamma."""
    fixed = lambda values: b"".join(struct.pack(">i", round(value * 65536)) for value in values)  # noqa: E731
    tags = {b"wtpt": (0.9642, 1, 0.8249), b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    data = {tag: b"XYZ \0\0\0\0" + fixed(values) for tag, values in tags.items()}
    curve = b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(gamma * 256)) + b"\0\0"
    data |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    data |= {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(80)}
    at, table, body = 132 + 12 * len(data), b"", b""
    for tag, value in data.items():
        table += tag + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">4sI4s4s4s", b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    head += fixed((0.9642, 1, 0.8249)) + bytes(48)
    return struct.pack(">I", 132 + len(table) + len(body)) + head + struct.pack(">I", len(data)) + table + body


# What `about` expects of these was reckoned with colour-science.
DISPLAY_P3 = profile(2.2, (0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE_RGB = profile(563 / 256, (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def after_pixels(kind, data):
    """The room as a PNG that tells something only after its pixels."""
    whole = encoded("PNG")
    end = whole.rindex(b"IEND") - 4
    return whole[:end] + chunk(kind, data) + whole[end:]


def before_pixels(kind, data):
    """The room as a PNG that has a broken chunk before its pixels."""
    whole = encoded("PNG")
    start = whole.index(b"IDAT") - 4
    return whole[:start] + chunk(kind, data)[:-4] + bytes(4) + whole[start:]


def coded(primaries, transfer, form="PNG", color=(120, 160, 90)):
    """A picture that tells its colour space by the numbers of ITU-T H.273 alone."""
    whole = encoded(form, lambda: Image.new("RGB", SIZE, color))
    if form == "AVIF":
        return whole.replace(b"nclx\0\1\0\x0d", b"nclx\0" + bytes([primaries, 0, transfer]), 1)
    start = whole.index(b"IDAT") - 4
    return whole[:start] + chunk(b"cICP", bytes([primaries, transfer, 0, 1])) + whole[start:]


def told(*chunks, color=(120, 160, 90)):
    """A PNG that tells its colours by chunks before its pixels."""
    whole = encoded("PNG", lambda: Image.new("RGB", SIZE, color))
    start = whole.index(b"IDAT") - 4
    return whole[:start] + b"".join(chunk(kind, data) for kind, data in chunks) + whole[start:]


GAMMA_1, GAMMA_2 = ((b"gAMA", struct.pack(">I", value)) for value in (100000, 45455))
ADOBE_XY = (b"cHRM", struct.pack(">8I", *(100 * v for v in (313, 329, 640, 330, 210, 710, 150, 60))))
SRGB_XY = (b"cHRM", struct.pack(">8I", *(100 * v for v in (313, 329, 640, 330, 300, 600, 150, 60))))


def grey_tiff(value, bits=16, white=1, kind=1):
    """A TIFF of one grey; `white` is 0 where 0 is white, `kind` 2 where numbers have signs."""
    count = SIZE[0] * SIZE[1]
    data = (sum(value << bits * (7 - i) for i in range(8)).to_bytes(bits, "big") if bits % 8 else b"") * (count // 8)
    data = data or value.to_bytes(bits // 8, "little") * count
    tags = {256: SIZE[0], 257: SIZE[1], 258: bits, 259: 1, 262: white, 273: 134, 277: 1, 278: SIZE[1], 279: len(data)}
    entries = [struct.pack("<HHII", tag, 4, 1, number) for tag, number in (tags | {339: kind}).items()]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 10) + b"".join(entries) + bytes(4) + data


def raw_profile(data):
    return zlib.compress(b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n")


def odd_tiff(bits=32, kind=3, planes=1):
    """A TIFF of one pixel of three numbers, floats of 32 bits or others, each channel in a plane of its own or not."""
    tags = {256: 1, 257: 1, 259: 1, 262: 2, 273: 8, 277: 3, 278: 1, 279: 12, 284: planes}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    entries += [struct.pack("<HHII", tag, 3, 3, 20 + 2 + 11 * 12 + 4 + at) for tag, at in ((258, 0), (339, 6))]
    table = (
        struct.pack("<H", 11) + b"".join(sorted(entries, key=lambda entry: struct.unpack("<H", entry[:2]))) + bytes(4)
    )
    return b"II*\0\x14\0\0\0" + bytes(12) + table + struct.pack("<6H", bits, bits, bits, kind, kind, kind)


def room(mode="RGB"):
    """A photo whose upper left quarter is red and the rest pale."""
    photo = Image.new("RGB", SIZE, (200, 190, 180))
    photo.paste((220, 30, 30), (0, 0, SIZE[0] // 2, SIZE[1] // 2))
    return photo.convert(mode)


def shows_room(photo):
    red, pale = photo.getpixel((10, 8)), photo.getpixel((70, 32))
    return photo.mode == "RGB" and photo.size == SIZE and red[0] > 190 > 80 > red[1] and min(pale) > 160


def saved(name, form=None, image=room, **options):
    def make(folder):
        if (form or name).upper().endswith(("HEIC", "HEIF")):
            __import__("pillow_heif").register_heif_opener(thumbnails=False)
        image().save(folder / name, form, **options)
        return folder / name

    return make


def written(name, data):
    def make(folder):
        (folder / name).write_bytes(data() if callable(data) else data)
        return folder / name

    return make


def encoded(form="JPEG", image=room, **options):
    if form == "HEIF":
        __import__("pillow_heif").register_heif_opener(thumbnails=False)
    buffer = io.BytesIO()
    image().save(buffer, form, **options)
    return buffer.getvalue()


def turned_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def turned(orientation):
    """A JPEG that stands upright only if its EXIF is heard."""
    turn = Image.Transpose
    backwards = {2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE}
    backwards |= {6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270}
    return encoded(image=lambda: room().transpose(backwards[orientation]), exif=turned_exif(orientation), quality=95)


def adobe_by_exif(color=(120, 160, 90)):
    """A JPEG in Adobe RGB as cameras write it: no profile, EXIF says uncalibrated, and R03."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    return encoded(image=lambda: Image.new("RGB", SIZE, color), exif=exif, quality=95)


def with_exif(block):
    """A JPEG whose EXIF block is these bytes."""
    data = encoded(quality=95)
    block = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def raw_with_thumbnail():
    """What NEF, ARW and DNG look like to a reader of TIFF: a thumbnail first, the picture in a part below."""
    from PIL import TiffImagePlugin

    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[254], info[330] = 1, 8
    info.tagtype[254], info.tagtype[330] = 4, 4
    return encoded("TIFF", tiffinfo=info)


def about(color, tolerance=3):
    return lambda photo: np.abs(np.subtract(photo.getpixel((40, 20)), color)).max() <= tolerance


def frames(form, name):
    others = [Image.new("RGB", SIZE, "black")]
    return saved(name, form, save_all=True, append_images=others, duration=100)


def flat(color, mode="RGB"):
    return lambda: Image.new(mode, SIZE, color)


BROKEN_EXIF = (
    b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\xff\xff",
    b"MM\0*",
    b"\0" * 40,
    b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0up!\0\0\0\0\0",
    b"II*\0\x08\0\0\0\xff\xff" + bytes(range(256)) * 8,
)

DEEP = "is a TIFF of a layout that is not read here: save it with 8 or 16 bits a channel, or as PNG"
CASES = (
    *(
        Case(f"`{name}`", "read", saved(name, form, quality=95), shows_room)
        for name, form in (("room.jpg", "JPEG"), ("ROOM.JPEG", "JPEG"), ("room.jfif", "JPEG"), ("room.jpe", "JPEG"))
    ),
    *(
        Case(f"`{name}`", "read", saved(name), shows_room)
        for name in ("room.png", "room.webp", "room.bmp", "room.tif", "room.gif")
    ),
    Case("`room.heic`, as iPhones write it", "read (needs pillow-heif)", saved("room.heic", "HEIF"), shows_room),
    Case("`room.avif`", "read", saved("room.avif", "AVIF"), shows_room),
    Case("a wrong suffix: a HEIC called `room.jpg`", "read: the content counts", saved("a.jpg", "HEIF"), shows_room),
    Case("a wrong suffix: a JPEG called `room.png`", "read: the content counts", saved("a.png", "JPEG"), shows_room),
    *(
        Case(
            f"EXIF orientation {number}",
            "read, turned upright",
            written("a.jpg", lambda n=number: turned(n)),
            shows_room,
        )
        for number in range(2, 9)
    ),
    *(
        Case(
            f"a broken EXIF block ({number})", "read: the block is ignored", written("a.jpg", with_exif(b)), shows_room
        )
        for number, b in enumerate(BROKEN_EXIF, 1)
    ),
    Case(
        "a PNG whose EXIF fails its checksum",
        "read: the block is ignored",
        written("a.png", lambda: before_pixels(b"eXIf", b"MM\0*none")),
        shows_room,
    ),
    Case(
        "Display P3 by its profile",
        "read, turned to sRGB",
        saved("a.png", image=flat((120, 160, 90)), icc_profile=DISPLAY_P3),
        about((109, 163, 79)),
    ),
    Case(
        "the same in a palette of colours",
        "read, turned to sRGB",
        saved("a.png", image=lambda: flat((120, 160, 90))().quantize(2), icc_profile=DISPLAY_P3),
        about((109, 163, 79)),
    ),
    *(
        Case(
            f"Display P3 by its numbers alone ({form})",
            "read, turned to sRGB",
            written(f"a.{form.lower()}", lambda form=form: coded(12, 13, form)),
            about((109, 163, 79), 3),
        )
        for form in ("PNG", "AVIF")
    ),
    *(
        Case(f"a PNG with {what}", happens, written("a.png", lambda chunks=chunks: told(*chunks)), about(color, 1))
        for what, happens, chunks, color in (
            ("a gamma of 1 (gAMA)", "read, turned to sRGB", [GAMMA_1], (182, 208, 160)),
            ("primaries of Adobe RGB (cHRM)", "read, turned to sRGB", [GAMMA_2, ADOBE_XY], (99, 161, 85)),
            ("gamma and primaries near sRGB's", "read as sRGB", [GAMMA_2, SRGB_XY], (120, 160, 90)),
            ("a gamma beside its word for sRGB", "read as sRGB", [(b"sRGB", b"\0"), GAMMA_1], (120, 160, 90)),
        )
    ),
    *(
        Case(
            f"light coded for HDR screens ({name}, {form})",
            "is an HDR picture: save it as JPEG",
            written(f"a.{form.lower()}", lambda form=form, transfer=transfer: coded(9, transfer, form)),
        )
        for name, transfer, form in (("PQ", 16, "AVIF"), ("HLG", 18, "PNG"))
    ),
    Case(
        "Adobe RGB by its profile",
        "read, turned to sRGB",
        saved("a.png", image=flat((120, 160, 90)), icc_profile=ADOBE_RGB),
        about((99, 161, 85)),
    ),
    Case("Adobe RGB by EXIF alone", "read, turned to sRGB", written("_A.jpg", adobe_by_exif), about((99, 161, 85))),
    Case(
        "a broken colour profile",
        "read: the profile is ignored",
        saved("a.png", icc_profile=b"no profile"),
        shows_room,
    ),
    Case("CMYK", "read, turned to sRGB", saved("a.jpg", image=lambda: room("CMYK"), quality=95), shows_room),
    Case(
        "grey of 16 bits (PNG, TIFF)",
        "read at its scale",
        saved("a.png", image=lambda: Image.fromarray(np.full((40, 80), 128 * 257, np.uint16))),
        about((128, 128, 128), 0),
    ),
    Case(
        "the same where 0 is white (TIFF)",
        "read, dark as it is",
        written("a.tif", lambda: grey_tiff(55 * 257, white=0)),
        about((200, 200, 200), 0),
    ),
    Case(
        "grey of 12 bits (TIFF)",
        "read at its scale",
        written("a.tif", lambda: grey_tiff(3212, bits=12)),
        about((200, 200, 200), 0),
    ),
    Case(
        "grey of 32 bits (TIFF)",
        "its numbers have 32 bits, or signs",
        written("a.tif", lambda: grey_tiff(2**31, bits=32)),
    ),
    Case("numbers with signs (TIFF)", DEEP, written("a.tif", lambda: grey_tiff(3000, kind=2))),
    Case(
        "16 bits, each channel in a plane of its own (TIFF of Photoshop)",
        DEEP,
        written("a.tif", lambda: odd_tiff(16, 1, planes=2)),
    ),
    Case(
        "a PNG with megabytes of text in it (ComfyUI)",
        "read",
        written("a.png", lambda: after_pixels(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3_000_000))),
        shows_room,
    ),
    Case(
        "floats from 0 to 1 (TIFF)",
        "read at their scale",
        saved("a.tif", image=lambda: Image.fromarray(np.full((40, 80), 0.5, np.float32))),
        about((128, 128, 128), 0),
    ),
    Case(
        "CIELAB (TIFF)",
        "read, turned to sRGB",
        saved("a.tif", image=flat((135, 128, 128), "LAB")),
        about((126, 126, 126), 3),
    ),
    Case("a palette of colours", "read", saved("a.png", image=lambda: room("P")), shows_room),
    Case("grey, or black and white", "read", saved("a.png", image=flat(1, "1")), about((255, 255, 255), 0)),
    Case(
        "transparent parts",
        "read, laid over white",
        saved("a.png", image=flat((9, 9, 9, 0), "RGBA")),
        about((255, 255, 255), 0),
    ),
    Case(
        "a photo whose every pixel is transparent",
        "read without its transparency",
        saved("a.png", image=lambda: Image.merge("RGBA", (*room().split(), Image.new("L", SIZE)))),
        shows_room,
    ),
    *(
        Case(f"moving pictures ({form})", "its first picture is read", frames(form, f"a.{form.lower()}"), shows_room)
        for form in ("GIF", "WEBP", "PNG", "AVIF")
    ),
    *(
        Case(
            f"a PNG with its orientation after the pixels, {what}",
            "read, turned upright; its size too",
            written("a.png", lambda kind=kind, data=data: after_pixels(kind, data)),
            lambda photo: shows_room(photo.transpose(Image.Transpose.ROTATE_90)),
        )
        for what, kind, data in (
            ("EXIF (exiftool)", b"eXIf", turned_exif(6).tobytes()[6:]),
            ("XMP", b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + b'<x:xmpmeta tiff:Orientation="6"/>'),
            (
                "EXIF as text (ImageMagick)",
                b"zTXt",
                b"Raw profile type exif\0\0" + raw_profile(turned_exif(6).tobytes()),
            ),
        )
    ),
    Case(
        "a TIFF of several pages, a thumbnail first",
        "its largest page is read",
        saved(
            "a.tif", image=lambda: room().resize((16, 8)), save_all=True, append_images=[room(), room().resize((8, 4))]
        ),
        shows_room,
    ),
    Case(
        "a panorama, 4000 x 400",
        "read",
        saved("a.png", image=lambda: Image.new("RGB", (4000, 400))),
        lambda photo: photo.size == (4000, 400),
    ),
    Case(
        "a side above 64 times the other",
        "is 1300x20, too long and narrow: crop it",
        saved("a.png", image=lambda: Image.new("L", (1300, 20))),
    ),
    Case(
        "more than 108 megapixels",
        "is larger than 108 megapixels: make it smaller",
        written("a.png", png_header(16320, 12240)),
    ),
    Case(
        "a camera's raw file that holds a thumbnail (`.dng`, `.nef`, `.arw`)",
        "is a camera raw file (.nef): export it as JPEG",
        written("a.nef", raw_with_thumbnail),
    ),
    Case(
        "the same, named `.tif`",
        "is a camera raw file (.tif): export it as JPEG",
        written("a.tif", raw_with_thumbnail),
    ),
    *(
        Case(f"another raw file (`{suffix}`)", "is a camera raw file: export it as JPEG", written(f"a{suffix}", data))
        for suffix, data in (
            (".cr3", b"\0\0\0\x18ftypcrx \0\0\0\1"),
            (".raf", b"FUJIFILMCCD-RAW 0201"),
            (".rw2", b"IIU\0"),
            (".x3f", b"FOVb"),
            (".pef", b"??"),
        )
    ),
    *(
        Case(what, f"is {kind}: {remedy}", written(name, data))
        for what, name, data, kind, remedy in (
            ("a video", "a.mp4", b"\0\0\0\x18ftypisom", "a video", "take a still from it"),
            ("a PDF", "a.jpg", b"%PDF-1.7", "a PDF", "save it as JPEG or PNG"),
            ("JPEG XL", "a.jxl", b"\xff\x0a\0", "a JPEG XL picture", "save it as JPEG or PNG"),
            ("a Photoshop file", "a.psd", b"8BPS\0\1", "a Photoshop file", "save it as JPEG or PNG"),
            ("a web page saved as a picture", "a.jpg", b"\n<HTML>", "a web page", "save it as JPEG or PNG"),
            ("an archive (7z, rar, tar, gzip)", "a.7z", b"7z\xbc\xaf'\x1c", "an archive", "unpack it"),
            ("a zip, also a `.livp`", "a.livp", b"PK\3\4", "a zip archive", "unpack it and give what is in it"),
            ("a link or a text", "a.url", b"[InternetShortcut]", "a text file", "give the picture itself"),
            (
                "what macOS leaves (`._a.jpg`)",
                "._a.jpg",
                b"\0\5\x16\7\0\2",
                "what macOS keeps beside a file",
                "give the",
            ),
        )
    ),
    *(
        Case(
            f"a picture of another kind (`.{suffix}`)",
            f"is a picture of kind {kind}: save it as JPEG or PNG",
            saved(f"a.{suffix}"),
        )
        for suffix, kind in (("ico", "ICO"), ("tga", "TGA"), ("pcx", "PCX"), ("ppm", "PPM"), ("dds", "DDS"))
    ),
    *(
        Case(what, f"is {kind}: save it as JPEG or PNG", written(name, data))
        for what, name, data, kind in (
            ("OpenEXR", "a.exr", b"v/1\x01\2\0\0\0", "an OpenEXR picture"),
            ("Radiance (`.hdr`)", "a.hdr", b"#?RADIANCE\n", "a Radiance picture"),
            ("a Word document", "a.jpg", b"\xd0\xcf\x11\xe0\xa1\xb1", "an Office document"),
        )
    ),
    Case(
        "a TIFF of float colours",
        "is a TIFF of a layout that is not read here: save it with 8 or 16 bits a channel, or as PNG",
        written("a.tif", lambda: odd_tiff()),
    ),
    Case(
        "a JPEG with something before it",
        "is a JPEG with something else before it: save it as JPEG or PNG",
        written("a.jpg", lambda: b"HTTP/1.1 200 OK\r\n\r\n" + encoded()),
    ),
    Case("a download cut short", "cannot be read (", written("a.jpg", lambda: encoded()[:500])),
    Case("a HEIC or AVIF cut short", "cannot be read (", written("a.heic", lambda: encoded("HEIF")[:-99])),
    Case("an empty file", "cannot be read (it is empty)", written("a.jpg", b"")),
)
