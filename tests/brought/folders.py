"""Folders of photos, as people keep them, given to `--masks`."""

from brought import Case
from wallpaint.walls.propose import list_photos, name_room

TITLE = "Folders of photos (`--masks`)"


def read(path):
    photos, rest = list_photos(path)
    return [(str(photo.relative_to(path)), name_room(photo, path)) for photo in photos], rest


def files(*names):
    def make(folder):
        folder = folder / "photos"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
        return folder

    return make


def found(*photos, rest=""):
    return lambda answer: answer == (list(photos), rest)


CASES = (
    Case(
        "photos right in the folder",
        "each is a room of its own, named after its file",
        files("hall.jpg"),
        found(("hall.jpg", "hall")),
    ),
    Case(
        "photos in folders, however deep",
        "the folder that holds them is the room, named by its path",
        files("attic/1.jpg", "house/up/bed/2.jpg"),
        found(("attic/1.jpg", "attic"), ("house/up/bed/2.jpg", "house/up/bed")),
    ),
    Case(
        "videos, captions, `Thumbs.db`, `.DS_Store`, `__MACOSX` among them",
        "left out, and counted by suffix in one line",
        files("a.jpg", "a.txt", "b.mp4", "Thumbs.db", ".DS_Store", "__MACOSX/._a.jpg"),
        found(("a.jpg", "a"), rest="1 .DS_Store, 1 .db, 1 .jpg, 1 .mp4, 1 .txt"),
    ),
    Case(
        "raw files, broken photos",
        "named one by one, with what to do; the others are done",
        files("a.nef"),
        found(("a.nef", "a")),
    ),
    Case("a folder without photos", "(1 .txt are there), given to --masks, put JPEG", files("a.txt")),
)
