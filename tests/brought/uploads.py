"""Files too large for one request, as the page takes them."""

from brought import Case
from wallpaint.dataset.zips import MAX_BYTES
from wallpaint.ui.compare.arms import LORA_SUFFIXES, MAX_LORA
from wallpaint.ui.page import PHOTO_BYTES, UPLOAD_BYTES, Page
from wallpaint.ui.upload import PIECE, begin_upload, find_inside

TITLE = "Uploads on the page"
MB = 1_000_000


def read(path):
    """Give how many bytes go at a time, none for a path; a file called 'public' goes to a public page."""
    if path.parent.name == "workspace":
        return 0 if find_inside(path.parent, path.name, (".zip",)) == path else None
    public, size = "public" in path.stem, path.stat().st_size
    if path.suffix == ".png":
        return size if size <= Page(path.parent, public).photo_bytes else None
    suffixes, limit = ((".zip",), MAX_BYTES) if path.suffix == ".zip" else (LORA_SUFFIXES, MAX_LORA)
    limit = min(limit, UPLOAD_BYTES) if public else limit
    return begin_upload(path.parent, {"name": path.name, "size": size}, suffixes, limit, public)["piece"]


def file(name, size):
    def make(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        with open(folder / name, "wb") as sink:
            sink.truncate(size)
        return folder / name

    return make


def in_pieces(piece):
    return piece == PIECE


CASES = (
    Case(
        f"a photo or mask of up to {PHOTO_BYTES // MB} MB",
        "goes up at once",
        file("a.png", PHOTO_BYTES),
        lambda size: size == PHOTO_BYTES,
    ),
    Case(
        f"a zip of up to {MAX_BYTES // 1000 // MB} GB",
        "goes up in pieces with a progress bar",
        file("a.zip", UPLOAD_BYTES + 1),
        in_pieces,
    ),
    Case(
        f"a LoRA of up to {MAX_LORA // 1000 // MB} GB",
        "goes up in pieces with a progress bar",
        file("a.safetensors", UPLOAD_BYTES + 1),
        in_pieces,
    ),
    Case(
        "the path of a zip or LoRA in the workspace",
        "taken where it lies",
        file("workspace/b.zip", 1),
        lambda sent: sent == 0,
    ),
    Case(
        f"on a public page more than {UPLOAD_BYTES // MB} MB",
        f"is empty or larger than {UPLOAD_BYTES // MB} MB",
        file("public.safetensors", UPLOAD_BYTES + 1),
    ),
)
