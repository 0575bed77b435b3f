"""Files too large for one request: they come in pieces with a progress bar, or lie in the workspace already."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.ui.handlers import serve_function
from wallpaint.ui.page import UPLOAD_BYTES, Page, run_script
from wallpaint.ui.words.words import TEXT, T

PIECE = 8_000_000  # bytes a request; well below what any proxy lets through
PUBLIC_FILES = 20  # that a public page holds at once, with those under way
SPARE_BYTES = 1_000_000_000  # of the disk that no upload may fill
TOKEN = re.compile(r"[0-9a-f]{24}")
WORDS = ("upload_path", "upload_take", "upload_cancel", "upload_going", "upload_broken", "upload_large")
_writing = threading.Lock()  # pieces of one file may overtake each other


def build_upload(page: Page, label: T, suffixes: Sequence[str], limit: int, elem_id: str) -> gr.HTML:
    """Make a button that takes one large file; listen to its `upload`, and open its value with `open_upload`.

    It takes `limit` bytes at most, or on a public page UPLOAD_BYTES, and there no path; `suffixes` are as '.zip'.
    """
    limit = min(limit, UPLOAD_BYTES) if page.public else limit

    def begin(workspace: Path, asked: dict) -> dict:
        return begin_upload(workspace, asked, suffixes, limit, page.public)

    def take_path(workspace: Path, asked: dict) -> dict:
        path = find_inside(workspace, str(asked.get("path") or ""), suffixes)
        return {"path": str(path.relative_to(workspace.resolve()))}

    functions = (begin, add_piece, end_upload, drop_upload, *(() if page.public else (take_path,)))
    about = {"suffixes": list(suffixes), "limit": limit, "paths": not page.public, "label": label}
    return gr.HTML(
        value=None,
        html_template=Path(__file__).with_suffix(".html").read_text("utf-8"),
        js_on_load=run_script("upload", {key: TEXT[key] for key in (label, *WORDS)}, about),
        apply_default_css=False,
        server_functions=[serve_function(function, page.workspace) for function in functions],
        elem_id=elem_id,
        elem_classes="upload",
    )


@contextmanager
def open_upload(workspace: Path, value: dict[str, Any] | None, suffixes: Sequence[str]) -> Iterator[Path]:
    """Give the file that an upload's value stands for; what came in pieces is thrown away afterwards.

    Raises:
        UserError: nothing was chosen, it is gone, or it lies outside the workspace.
    """
    value = value or {}
    if value.get("path"):
        yield find_inside(workspace, str(value["path"]), suffixes)
        return
    folder = _folder(workspace, value.get("token"))
    about = json.loads((folder / "about.json").read_text("utf-8"))
    if not (folder / about["name"]).is_file():
        raise UserError(f"{about['name']} has not arrived whole, in this upload, try it again")
    try:
        yield folder / about["name"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def begin_upload(workspace: Path, asked: dict, suffixes: Sequence[str], limit: int, public: bool = False) -> dict:
    """Make room for a file {name, size}: {token, piece}, `piece` the bytes to send at a time.

    Raises:
        UserError: a file of another kind, too large, or more than the disk or a public page has room for.
    """
    name, size = file_name(str(asked.get("name") or "")), asked.get("size")
    if not name.lower().endswith(tuple(suffixes)):
        raise UserError(f"{name} is of another kind, for this upload, choose a {' or '.join(suffixes)} file")
    if type(size) is not int or not 0 < size <= limit:
        raise UserError(f"{name} is empty or larger than {limit / 1e6:,.0f} MB, for this upload, choose another file")
    uploads = workspace / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    if public and sum(1 for _ in uploads.iterdir()) >= PUBLIC_FILES:
        raise UserError("too many uploads are under way, on this public studio, try again later")
    under_way = sum(_about(folder).get("size", 0) for folder in uploads.iterdir() if (folder / "part").is_file())
    if size + under_way + SPARE_BYTES > shutil.disk_usage(uploads).free:
        raise UserError(f"{name} does not fit on the disk of {workspace}, make room there")
    folder = uploads / secrets.token_hex(12)
    folder.mkdir()
    (folder / "about.json").write_text(json.dumps({"name": name, "size": size}), "utf-8")
    (folder / "part").touch()
    return {"token": folder.name, "piece": PIECE}


def add_piece(workspace: Path, asked: dict) -> dict:
    """Append bytes `file` that start at `offset` of the upload `token`: {arrived}, the bytes that are there.

    A piece that does not start where the file ends is left out: the sender goes on from `arrived`.
    """
    folder, piece = _folder(workspace, asked.get("token")), asked.get("file")
    with _writing:
        arrived = (folder / "part").stat().st_size if (folder / "part").is_file() else 0
        if isinstance(piece, bytes) and str(asked.get("offset")) == str(arrived):
            if len(piece) > PIECE or arrived + len(piece) > _about(folder)["size"]:
                raise UserError("more arrives than was announced, in this upload, try it again")
            try:
                with open(folder / "part", "ab") as sink:
                    sink.write(piece)
            except OSError as problem:  # a full disk: what is there stays whole
                os.truncate(folder / "part", arrived)
                raise UserError(f"cannot be written ({problem.strerror}), in {workspace}, make room there") from None
            arrived += len(piece)
    return {"arrived": arrived}


def end_upload(workspace: Path, asked: dict) -> dict:
    """Close the upload `token` once all of it is there: {token, name}."""
    folder = _folder(workspace, asked.get("token"))
    about = _about(folder)
    with _writing:
        if not (folder / "part").is_file() or (folder / "part").stat().st_size != about["size"]:
            raise UserError(f"{about['name']} has not arrived whole, in this upload, try it again")
        (folder / "part").rename(folder / about["name"])
    return {"token": folder.name, "name": about["name"]}


def drop_upload(workspace: Path, asked: dict) -> dict:
    """Throw away the upload `token`."""
    shutil.rmtree(_folder(workspace, asked.get("token")), ignore_errors=True)
    return {}


def find_inside(workspace: Path, path: str, suffixes: Sequence[str]) -> Path:
    """Find a file by its path in the workspace, links followed.

    Raises:
        UserError: it lies elsewhere, is of another kind, or is not there.
    """
    root = workspace.resolve()
    found = (root / path.strip().strip("'\"")).resolve() if "\0" not in path else root
    if not found.is_relative_to(root):
        raise UserError(f"{path!r} lies outside the workspace {root}, copy the file into it")
    if found.suffix.lower() not in suffixes or not found.is_file():
        kinds = " or ".join(suffixes)
        raise UserError(f"{path!r} is no {kinds} file, in the workspace {root}, write its path from there")
    return found


def file_name(name: str) -> str:
    """Make a name that any disk takes of an upload's own: no folders, no control characters, short."""
    name = unicodedata.normalize("NFC", re.split(r"[\\/]", name)[-1])
    name = re.sub(r'[\x00-\x1f\x7f<>:"|?*]|[\ud800-\udfff]', "", name).strip(". ")
    stem, dot, suffix = name.rpartition(".")
    return f"{stem[:40]}{dot}{suffix[:20]}"


def _folder(workspace: Path, token: object) -> Path:
    """Find an upload's folder; UserError for what is no token, or when it is gone."""
    folder = workspace / "uploads" / str(token)
    if not TOKEN.fullmatch(str(token)) or not (folder / "about.json").is_file():
        raise UserError("this upload is gone, choose the file again")
    return folder


def _about(folder: Path) -> dict[str, Any]:
    """Read the name and size announced for an upload; {} while it is being made or thrown away."""
    try:
        return json.loads((folder / "about.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
