"""Dataset folders with their rows, as other programs and editors write them."""

import json
import shutil
import unicodedata

from PIL import Image
from toys import toy_room

from brought import Case
from wallpaint.dataset.doctor import check_dataset
from wallpaint.dataset.folder import read_samples

TITLE, GREEN = "Datasets (a Hugging Face `imagefolder`)", (122, 158, 126)
PHOTO, MASK = toy_room(1, GREEN, (48, 32))
ROW = {
    "file_name": "a.png",
    "mask_file_name": "m.png",
    "reference_color_rgb": list(GREEN),
    "text": "a room",
    "room_id": "attic",
}
NFD = unicodedata.normalize("NFD", "salón")


def read(path):
    return read_samples(path, "train")


def folder(on_disk="a.png", file="metadata.jsonl", encode=lambda text: text.encode(), mask=MASK, text="", **changes):
    def make(where):
        where = where / "dataset"
        (where / "train" / on_disk).parent.mkdir(parents=True)
        PHOTO.save(where / "train" / on_disk)
        mask.save(where / "train" / "m.png")
        row = json.dumps({key: value for key, value in {**ROW, **changes}.items() if value is not ...})
        (where / "train" / file).write_bytes(encode(text or row + "\n"))
        return where

    return make


def turned_by_exif(where):
    """Pixels as a camera stores them, the photo's EXIF turns them by a quarter; the mask says nothing of it."""
    path, exif = folder(file_name="a.jpg")(where), Image.Exif()
    exif[0x0112] = 6
    PHOTO.save(path / "train" / "a.jpg", exif=exif)
    return path


def unread_split(where):
    path = folder()(where)
    shutil.copytree(path / "train", path / "val")
    return path


def doctored(samples):
    return check_dataset(samples[0].image.parents[1])


def one(samples):
    return len(samples) == 1 and samples[0].image.is_file()


def both_tables(where):
    path = folder()(where)
    (path / "train" / "metadata.csv").write_text(TABLE)
    return path


TABLE = 'file_name,mask_file_name,reference_color_rgb,text,room_id\na.png,m.png,"[1, 2, 3]",a room,attic\n'
CASES = (
    Case("rows that name photos in folders", "read", folder("rooms/up/a.png", file_name="rooms/up/a.png"), one),
    Case("backslashes in rows", "read as slashes", folder("rooms/a.png", file_name="rooms\\a.png"), one),
    Case(
        "accents composed on disk and not in the row, or the other way",
        "found",
        folder("salón.png", file_name=f"{NFD}.png"),
        one,
    ),
    Case(
        "`image%20name.jpg` in a row, `image name.jpg` on disk, or the other way",
        "found",
        folder("my room/image name.png", file_name="my%20room/image%20name.png"),
        one,
    ),
    Case(
        "a folder with rows beside `train` and `validation` (`val/`, `test/`)",
        "not read; `--check` and a run say so",
        unread_split,
        lambda samples: one(samples) and any("the folder val/ is not read" in str(f) for f in doctored(samples)),
    ),
    Case(
        "a room with decomposed accents",
        "one room with its composed name",
        folder(room_id=NFD),
        lambda s: s[0].room_id == "salón",
    ),
    Case(
        "a byte order mark, CRLF, blank lines, UTF-16",
        "read",
        folder(encode=lambda t: f"\n\r\n{t}\r\n".encode("utf-16")),
        one,
    ),
    Case(
        "`metadata.csv`",
        "read; it becomes metadata.jsonl at the first change",
        folder(file="metadata.csv", text=TABLE),
        one,
    ),
    Case(
        "a `metadata.csv` whose text has a comma without quotes",
        "put a text with a separator into quotes",
        folder(file="metadata.csv", text=TABLE.replace("a room", "a room, bright")),
    ),
    Case(
        "`metadata.parquet`",
        "metadata.parquet is not read: give a dataset folder with a metadata.jsonl",
        folder(file="metadata.parquet"),
    ),
    Case(
        "the folder of a split in the dataset's place",
        "has rows of its own, give the folder above it",
        lambda where: folder()(where) / "train",
    ),
    Case(
        "`IMG_1.JPG` in a row, `img_1.jpg` on disk, or the other way",
        "found where one file alone is called so",
        folder("Rooms/A.PNG", file_name="rooms/a.png"),
        one,
    ),
    Case(
        "a `metadata.csv` with `#7A9E7E` or `122, 158, 126` as a colour",
        "read",
        folder(file="metadata.csv", text=TABLE.replace("[1, 2, 3]", "#7A9E7E").replace(",", ", ")),
        lambda samples: samples[0].color == GREEN,
    ),
    Case(
        "a colour of `[122.0, 158.0, 126.0]`, as pandas writes it",
        "read",
        folder(reference_color_rgb=[122.0, 158.0, 126.0]),
        lambda samples: samples[0].color == GREEN,
    ),
    Case("a colour of `[1.0, 1.0, 0.0]`", "write three whole numbers", folder(reference_color_rgb=[1.0, 1.0, 0.0])),
    Case(
        "a row that says a thing twice",
        "has 'text' twice: keep one",
        folder(text=json.dumps(ROW).replace("{", '{"text": "x", ')),
    ),
    Case(
        "a `metadata.csv` that has a column twice",
        "has 'text' twice: keep one",
        folder(file="metadata.csv", text=TABLE.replace("room_id", "text")),
    ),
    Case("`metadata.jsonl` and `metadata.csv` side by side", "keep the one that is right", both_tables),
    Case("a row that leads out of its folder", "leads out of", folder(file_name="../../a.png")),
    Case("a row without a mask", "has no 'mask_file_name'", folder(mask_file_name=...)),
    Case("a row whose photo is gone", "does not exist: bring it, or delete the row", folder(file_name="b.png")),
    Case("a mask of another size", "make them the same size", folder(mask=MASK.resize((9, 9)))),
    Case(
        "a mask made without the photo's EXIF orientation",
        "turned as the photo is; `--check` and a run say so",
        turned_by_exif,
        one,
    ),
    Case(
        "a mask on its side of a photo that no EXIF turns",
        "when it stands upright: turn it as the photo stands",
        folder(mask=MASK.resize((32, 48))),
    ),
    Case(
        "a row that is no JSON, or not UTF-8",
        "is not UTF-8 text",
        folder(encode=lambda t: t.replace("a room", "salón").encode("latin-1")),
    ),
)
