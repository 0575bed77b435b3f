"""Zipped datasets, as Finder, Explorer, the command line and the studio make them; and those that nobody should."""

import stat
import struct
import zipfile

from brought import Case, datasets
from wallpaint.dataset import zips
from wallpaint.dataset.folder import read_samples

TITLE = "Zipped datasets"


def read(path):
    zips.import_zip(path, path.parent / "new")
    samples = read_samples(path.parent / "new", "train")
    return [sample.file_name for sample in samples], sorted(p.name for p in (path.parent / "new").rglob("*.*"))


def pack(prefix="", also=(), name="a.png", entry=None, change=lambda data: data, **changes):
    """Zip a dataset of one sample, its files under `prefix`, its photo as `entry`; `change` the zip's bytes."""

    def make(folder):
        source = datasets.folder(name, file_name=name, **changes)(folder) / "train"
        with zipfile.ZipFile(folder / "rooms.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(p for p in source.rglob("*") if p.is_file()):
                inside = str(path.relative_to(source))
                archive.write(path, prefix + (entry if entry and inside == name else inside))
            for other in also:
                archive.writestr(other, b"x")
        (folder / "rooms.zip").write_bytes(change((folder / "rooms.zip").read_bytes()))
        return folder / "rooms.zip"

    return make


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def locked(data):
    packed, at = bytearray(data), data.index(b"PK\x01\x02")
    struct.pack_into("<H", packed, at + 8, struct.unpack_from("<H", packed, at + 8)[0] | 1)
    return bytes(packed)


def exported(folder):
    return zips.export_zip(datasets.folder()(folder), folder / "rooms.zip")


def plain(answer):
    return answer == (["a.png"], ["a.png", "m.png", "metadata.jsonl"])


def only(name):
    return lambda answer: answer[0] == [name]


MAC = ("__MACOSX/rooms/train/._a.png", "rooms/.DS_Store", "rooms/train/.DS_Store", "rooms/train/._m.png")
CASES = (
    Case("the studio's own export", "comes back as it was", exported, plain),
    Case(
        "zipped by Finder: `__MACOSX`, `.DS_Store`, `._x`, all in one folder",
        "read without them",
        pack("rooms/train/", MAC),
        plain,
    ),
    Case(
        "a folder that `--masks` wrote (`proposals.json`), other files beside it",
        "read without them",
        pack("rooms/train/", ("rooms/proposals.json", "rooms/notes.txt")),
        plain,
    ),
    Case("zipped by Windows, with backslashes", "read", pack("rooms\\train\\"), plain),
    Case(
        "names in another encoding than UTF-8, unmarked",
        "read: the name that the rows have",
        pack(
            "train/",
            name="salón.png",
            entry="sal0n.png",
            change=lambda d: d.replace(b"sal0n", "salón".encode("cp437")),
        ),
        lambda answer: answer[0] == ["salón.png"],
    ),
    Case(
        "the same in Russian (cp866)",
        "read: the name that the rows have",
        pack("train/", name="зал.png", entry="zal.png", change=lambda d: d.replace(b"zal.", "зал.".encode("cp866"))),
        lambda answer: answer[0] == ["зал.png"],
    ),
    *(
        Case(
            f"the same in {language}, the folder's name too",
            "read: the name that the rows have",
            pack(
                f"{'x' * len(raw)}/train/",
                name=f"{name}.png",
                entry=f"{'x' * len(raw)}.png",
                change=lambda d, raw=raw: d.replace(b"x" * len(raw), raw),
            ),
            only(f"{name}.png"),
        )
        for language, name, raw in (
            ("Japanese (cp932, a letter with a backslash in it)", "表の部屋", "表の部屋".encode("cp932")),
            ("Polish (cp1250)", "pokój żółty", "pokój żółty".encode("cp1250")),
            ("Chinese (Big5)", "房間", "房間".encode("big5")),
            ("German on an old Mac (Mac Roman)", "Küche für zwei", "Küche für zwei".encode("mac_roman")),
        )
    ),
    *(
        Case(f"names that Windows cannot have (`{name}`)", "read; renamed", pack("train/", name=name), only(renamed))
        for name, renamed in (
            ("CON.png", "_CON.png"),
            ("aux.jpg", "_aux.jpg"),
            ("a:b.png", "a_b.png"),
            ("up./a.png", "up_/a.png"),
        )
    ),
    Case("two files of one name that differ", "holds 'train/a.png' twice", pack("train/", ("train/a.png",))),
    Case(
        "`IMG_1.JPG` in the rows, `img_1.jpg` in the zip, or the other way",
        "found where one file alone is called so",
        pack("Mine/train/", entry="A.PNG"),
        plain,
    ),
    Case(
        "two files of one name that is not marked UTF-8",
        "twice, zip the dataset folder anew",
        pack(
            "train/",
            ("train/x.png",),
            name="ü.png",
            entry="y.png",
            change=lambda d: d.replace(b"x.png", b"\x81.png").replace(b"y.png", b"\x81.png"),
        ),
    ),
    Case("`metadata.jsonl` and `metadata.csv`", "keep the one that is right", pack("train/", ("train/metadata.csv",))),
    Case("a picture that no row names", "left out", pack("train/", ("train/b.png",)), plain),
    Case(
        "the splits called `training`, `val`, `valid` or `dev`",
        "read as train and validation",
        pack("training/"),
        plain,
    ),
    Case(
        "another folder with rows (`test/`)",
        "left out, and named once",
        pack("train/", ("test/metadata.jsonl",)),
        plain,
    ),
    Case(
        "`image%20name.jpg` in the rows, `image name.jpg` in the zip, or the other way",
        "found",
        pack("train/", name="image name.png", entry="image%20name.png"),
        only("image name.png"),
    ),
    Case("no `train/metadata.jsonl`", "holds no train/metadata.jsonl, zip a dataset folder", pack("other/")),
    Case(
        "a picture missing",
        "which a row names, zip the whole dataset folder",
        pack("train/", mask_file_name="gone.png"),
    ),
    Case("a path that leads out", "leads out of the zip's folder", pack("train/", ("../evil.png",))),
    Case("a link", "is a link, zip the pictures themselves", pack("train/", (link("train/b.png"),))),
    Case("a password", "needs a password, zip the dataset without one", pack("train/", change=locked)),
    Case("a download cut short", "is no readable zip", pack("train/", change=lambda data: data[: len(data) // 2])),
)
