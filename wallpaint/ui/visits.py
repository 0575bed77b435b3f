"""What a visitor had on the page comes back: after F5, a closed tab, a phone that slept.

A visit is a file of the workspace that says what was open; marks and paints lie in the pictures' own folders. Its
name cannot be guessed, only the browser that was given it knows it, and after a day it is thrown away with them.
"""

import contextlib
import json
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.ui.board.pictures import TOKEN, copy_folder
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import OPENING, QUIET, Page

TABS = ("compare", "dataset", "train")  # in the page's order
# What somebody has opened, by (session, name of the Kept): what comes late on a busy machine leaves it there.
_opened: deque[tuple[str | None, str]] = deque(maxlen=10_000)
# A tab of the browser has a visit of its own; one that is opened anew begins with what the last one had.
READ = """(language) => {
  const read = (store) => { try { return window[store].getItem("wallpaint-visit"); } catch { return null; } };
  document.querySelector("#tabs").addEventListener("click", (event) => {
    if (event.isTrusted && event.target.closest("[role=tab]")) window.tabChosen = true; });
  return [language, ["sessionStorage", "localStorage"].map(read)]; }"""
# The page opens on its first tab, which is nobody's choice: tabs are noted once it has come back. Where a person has
# chosen one meanwhile, it stays.
WRITE = """(told) => { window.cameBack = true;
  let tab = null;
  try {
    tab = window.tabChosen && document.querySelector("#tabs [role=tab][aria-selected=true]")?.dataset.tabId
      || sessionStorage.getItem("wallpaint-tab");
    if (tab) sessionStorage.setItem("wallpaint-tab", tab);
    for (const store of [sessionStorage, localStorage]) store.setItem("wallpaint-visit", told[0]);
  } catch { }
  return { __type__: "update", ...(["dataset", "train"].includes(tab) ? { selected: tab } : {}) }; }"""
NOTE_TAB = """() => { if (window.cameBack) try { sessionStorage.setItem("wallpaint-tab", "%s"); } catch { } }"""


@dataclass(frozen=True)
class Kept:
    """A part of the page that comes back."""

    name: str
    parts: list[Any]  # the states and inputs that say what it is
    shown: list[Any]  # what bringing it back updates
    pack: Callable[..., Any]  # their values -> something for JSON, None for nothing
    bring: Callable[[Any, str], Sequence[Any]]  # that and the language -> updates of `shown`


def note_opened(request: gr.Request, name: str) -> None:
    """Note that somebody has opened this part of the page by themselves."""
    _opened.append((request.session_hash, name))


def was_opened(request: gr.Request, name: str) -> bool:
    """Tell whether somebody has."""
    return (request.session_hash, name) in _opened


def visit_file(workspace: Path, token: object) -> Path | None:
    """Find a visit by its token; None for what is no token, or for one that was never given or is old."""
    path = workspace / "visits" / f"{token}.json"
    return path if isinstance(token, str) and TOKEN.fullmatch(token) and path.is_file() else None


def read_visit(workspace: Path, tokens: Sequence[object]) -> tuple[str, dict[str, Any]]:
    """Give (token, what was kept) by the first token that is a visit's.

    A tab without one of its own gets a fresh one, and copies of the pictures: two tabs mark each its own.
    """
    own = bool(tokens) and visit_file(workspace, tokens[0]) is not None
    found = next((path for token in tokens if (path := visit_file(workspace, token))), None)
    with contextlib.suppress(OSError, ValueError):
        if found is not None:
            kept = found.read_text("utf-8")
            for token in set() if own else set(TOKEN.findall(kept)):
                if (workspace / "working" / token / "view.png").is_file():
                    kept = kept.replace(token, copy_folder(workspace / "working" / token, workspace).name)
            return found.stem if own else secrets.token_hex(12), json.loads(kept)
    return secrets.token_hex(12), {}


def write_visit(workspace: Path, token: str, kept: dict[str, Any]) -> None:
    """Keep what is open under a token that `read_visit` gave."""
    (workspace / "visits").mkdir(exist_ok=True)
    with atomic_path(workspace / "visits" / f"{token}.json") as path:
        path.write_text(json.dumps(kept), "utf-8")


def bring_back(
    kepts: Sequence[Kept], visit: dict[str, Any], language: str, request: gr.Request | None = None
) -> list[Any]:
    """Give the updates of all parts; one whose files are gone stays as it is, and what was opened meanwhile."""
    updates: list[Any] = []
    for kept in kepts:
        brought: Sequence[Any] = [gr.skip()] * len(kept.shown)
        if visit.get(kept.name) is not None and not (request and was_opened(request, kept.name)):
            if request:  # before it is read, which takes time: a first room that opens meanwhile leaves it there
                note_opened(request, kept.name)
            try:
                brought = kept.bring(visit[kept.name], language)
            except (UserError, OSError, KeyError, TypeError, ValueError):  # of yesterday, or an older version
                if request:
                    _opened.remove((request.session_hash, kept.name))
        updates += brought
    return updates


def wire_visits(
    page: Page, said: Any, language: gr.State, tabs: gr.Tabs, each: Sequence[gr.Tab], kepts: Sequence[Kept]
) -> Any:
    """Bring back what was open once the language is known, and keep what changes; give the event that brought it."""
    token, told = gr.State(None), gr.JSON(visible=False)
    parts = [part for kept in kepts for part in kept.parts]

    def restore_visit(language: str, asked: list | None, request: gr.Request) -> list:
        name, visit = read_visit(page.workspace, asked or [])
        return [name, [name], *bring_back(kepts, visit, language, request)]

    def keep_visit(token: str | None, *values: Any) -> None:
        if token is None:  # the page has not come back yet
            return
        left, visit = list(values), {}
        for kept in kepts:
            mine, left = left[: len(kept.parts)], left[len(kept.parts) :]
            visit[kept.name] = kept.pack(*mine)
        write_visit(page.workspace, token, visit)

    shown = [part for kept in kepts for part in kept.shown]
    back = said.then(restore_visit, [language, told], [token, told, *shown], js=READ, **OPENING)
    back.then(None, told, tabs, js=WRITE)
    how: dict[str, Any] = {"fn": guarded(keep_visit), "inputs": [token, *parts], "queue": False, **QUIET}
    gr.on([part.change for part in parts], **how, trigger_mode="always_last")
    back.then(**how)  # what was opened before the page came back
    for tab, name in zip(each, TABS, strict=True):
        tab.select(None, None, None, js=NOTE_TAB % name)
    return back
