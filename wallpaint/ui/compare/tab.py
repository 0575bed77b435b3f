"""Tab 3: one room, one paint or many, several ways to paint it, side by side and measured."""

from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.ui.board.component import AFTER_BOARD
from wallpaint.ui.compare.job import (
    Job,
    Shown,
    cast_vote,
    list_arms,
    paint_comparison,
    sweep_results,
    take_lora,
    write_heat,
)
from wallpaint.ui.compare.layout import build_choice, build_results, build_room
from wallpaint.ui.compare.room import Room, open_first_room, open_mask, open_photo, open_tab1_room, open_test_room
from wallpaint.ui.compare.view import LETTERS, draw_results
from wallpaint.ui.page import GPU, PRIVATE, Page, guarded
from wallpaint.ui.words.words import t

__all__ = ["add_run", "build_compare_tab", "sweep_results"]
QUIET = {**PRIVATE, "show_progress": "hidden"}
_cancelled: set[str] = set()  # sessions that have had enough


class Cancelled(Exception):
    """Somebody pressed Cancel."""


def add_run(name: str | None, arms: list[str], workspace: Path) -> Any:
    """Tick a run among the arms; UserError if it is none of ours, or has no weights yet."""
    choices = list_arms(workspace)
    found = [arm for label, arm in choices if label == name and "=" in arm]
    if not found:
        raise UserError(t("no_run"))
    return gr.update(choices=choices, value=list(dict.fromkeys([*arms, *found])))


def build_compare_tab(page: Page, language: gr.State, picture: gr.State) -> dict[str, Any]:
    """Build the tab and wire it; `picture` is tab 1's. Give its parts."""
    parts: dict[str, Any] = {}
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            parts |= build_room(page)
        with gr.Column(scale=2, min_width=320):
            parts |= build_choice(page)
            parts |= build_results(page)
    parts["state"] = {"room": gr.State(None), "shown": gr.State(None), "own": gr.State([])}
    wire_room(page, parts, language, picture)
    wire_painting(page, parts, language)
    wire_results(page, parts, language)
    return parts


def wire_room(page: Page, parts: dict[str, Any], language: gr.State, picture: gr.State) -> None:
    """Wire what opens a room and marks its wall."""
    workspace, room = page.workspace, parts["state"]["room"]
    opened = [room, parts["board"], parts["known"]]

    @guarded
    def open_first_here(room: Room | None) -> tuple:
        return open_first_room(room, workspace)

    @guarded
    def open_test_here(event: gr.SelectData) -> tuple:
        return open_test_room(event.index, workspace)

    @guarded
    def open_tab1_here(picture: Any, language: str) -> tuple:
        return open_tab1_room(picture, workspace, language)

    @guarded
    def open_photo_here(path: str) -> tuple:
        return open_photo(path, workspace)

    @guarded
    def open_mask_here(path: str, room: Room | None, language: str) -> tuple:
        return open_mask(path, room, workspace, language)

    parts["looks"] = [(open_first_here, [room], opened)]
    parts["rooms"].select(open_test_here, None, opened, **QUIET)
    taken = [picture, language]
    parts["tab1"].click(open_tab1_here, taken, [*opened, parts["paint"]], js=AFTER_BOARD, **QUIET)
    parts["photo"].upload(open_photo_here, parts["photo"], opened, **PRIVATE)
    parts["mask"].upload(open_mask_here, [parts["mask"], room, language], opened, **PRIVATE)
    parts["known"].input(lambda known: known or gr.skip(), parts["known"], parts["paint"], **QUIET)


def wire_painting(page: Page, parts: dict[str, Any], language: gr.State) -> None:
    """Wire the arms, the buttons Paint and Cancel."""
    workspace, state = page.workspace, parts["state"]

    @guarded
    def take_lora_here(path: str, arms: list[str], own: list, language: str) -> tuple:
        label, arm = take_lora(path, workspace, language)
        own = [*own, (label, arm)]
        gr.Info(t("added_lora", language, name=label))
        return own, gr.update(choices=[*list_arms(workspace), *own], value=[*arms, arm])

    @guarded
    def paint_here(
        room: Room | None,
        own: list,
        language: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (how gradio finds it)
        *values: Any,
    ) -> tuple:
        session = request.session_hash or ""

        def on_step(share: float) -> None:
            if session in _cancelled:
                raise Cancelled
            progress(share, desc=t("painting", language))

        try:
            on_step(0.0)
            return show(paint_comparison(workspace, room, Job(*values), own, language, on_step), language)
        except Cancelled:
            gr.Info(t("cancelled", language))
            return (gr.skip(),) * 6

    def forget_cancel(request: gr.Request) -> None:
        _cancelled.discard(request.session_hash or "")

    def cancel_here(request: gr.Request) -> None:
        _cancelled.add(request.session_hash or "")

    job = [parts[name] for name in ("paint", "more", "arms", "seed", "steps", "guidance", "scale", "blind")]
    shown = [state["shown"], *(parts[name] for name in ("results", "vote", "heat", "report", "zip"))]
    parts["lora"].upload(
        take_lora_here,
        [parts["lora"], parts["arms"], state["own"], language],
        [state["own"], parts["arms"]],
        **PRIVATE,
    )
    asked = parts["go"].click(forget_cancel, None, None, queue=False, js=AFTER_BOARD, **QUIET)
    asked.then(
        paint_here,
        [state["room"], state["own"], language, *job],
        shown,
        show_progress_on=parts["results"],
        **GPU,
        **PRIVATE,
    )
    parts["cancel"].click(cancel_here, None, None, queue=False, **QUIET)
    parts["reload"] = lambda: gr.update(choices=list_arms(workspace))
    parts["reload_inputs"], parts["reload_outputs"] = None, [parts["arms"]]


def wire_results(page: Page, parts: dict[str, Any], language: gr.State) -> None:
    """Wire the vote, the map of errors and the language."""
    workspace, shown = page.workspace, parts["state"]["shown"]

    @guarded
    def vote_here(choice: int | None, shown: Shown | None, language: str) -> tuple:
        if shown is None or not shown["blind"] or choice is None:
            return (gr.skip(),) * 6
        shown, votes = cast_vote(shown, int(choice), workspace, keep=not page.public)
        said = show(shown, language)
        return said[0], draw_results(shown, language, votes), *said[2:]

    @guarded
    def heat_here(wanted: bool, shown: Shown | None, language: str) -> tuple:
        if shown is None:
            return gr.skip(), gr.skip()
        if wanted:
            write_heat(shown)
        shown = {**shown, "heat": wanted}
        return shown, draw_results(shown, language)

    outputs = [shown, *(parts[name] for name in ("results", "vote", "heat", "report", "zip"))]
    parts["vote"].input(vote_here, [parts["vote"], shown, language], outputs, **QUIET)
    parts["heat"].input(heat_here, [parts["heat"], shown, language], [shown, parts["results"]], **PRIVATE)
    language.change(
        lambda shown, language: draw_results(shown, language), [shown, language], parts["results"], **QUIET
    )


def show(shown: Shown, language: str) -> tuple:
    """Give (what is shown, the results, the vote, the map's box, the report, the zip)."""
    folder = Path(shown["folder"])
    letters = [(LETTERS[number], number) for number in range(len(shown["arms"]))]
    open_ = not shown["blind"]
    return (
        shown,
        draw_results(shown, language),
        gr.update(choices=letters, value=None, visible=shown["blind"]),
        gr.update(visible=open_, value=shown["heat"]),
        gr.update(value=str(folder / "report.html"), visible=open_),
        gr.update(value=str(folder / "wallpaint.zip"), visible=open_),
    )
