"""Tab 3: one room, one paint or many, several ways to paint it, side by side and measured."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import TypeAdapter

from wallpaint.dataset.project import SUFFIX
from wallpaint.errors import UserError
from wallpaint.ui.board import pictures
from wallpaint.ui.board.component import AFTER_BOARD, AFTER_COMPARE_BOARD
from wallpaint.ui.compare import project, scene
from wallpaint.ui.compare.arms import SHEET_ARM, OwnLora, draw_own, find_loras, list_arms, take_lora
from wallpaint.ui.compare.layout import (
    ChoicePanel,
    ProjectPanel,
    ResultsPanel,
    RoomPanel,
    build_choice,
    build_project,
    build_results,
    build_room,
)
from wallpaint.ui.compare.painting import PaintRequest, Results, cast_vote, paint_comparison, write_heat, write_results
from wallpaint.ui.compare.results_html import LETTERS, draw_results
from wallpaint.ui.compare.scene import Room
from wallpaint.ui.finder import build_finder
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import GPU, PRIVATE, QUIET, Page, Step
from wallpaint.ui.upload import open_upload
from wallpaint.ui.visits import Kept, note_opened, was_opened
from wallpaint.ui.words.words import t

# What was written is fetched at once, by a button that stands unseen on the page and has to hear of it first.
DOWNLOAD = """() => { setTimeout(() => document.querySelector("#%s").click(), 300); }"""
# Sessions that pressed Cancel; one that had nothing to cancel is forgotten after so many others.
_cancelled: deque[str] = deque(maxlen=1000)


class Cancelled(Exception):
    """Somebody pressed Cancel."""


@dataclass(frozen=True)
class CompareTab:
    """What the page needs of the tab."""

    arms: gr.CheckboxGroup
    kept: tuple[Kept, ...]
    refresh: tuple[Step, ...]


def add_run(name: str | None, arms: list[str], workspace: Path) -> Any:
    """Tick a run among the arms; UserError if it is none of ours, or has no weights yet."""
    choices = list_arms(workspace)
    folder = workspace / "runs" / str(name)
    found = [arm for _, arm in choices if "=" in arm and Path(arm.partition("=")[2]) == folder]
    if not found:
        raise UserError(t("no_run"))
    return gr.update(choices=choices, value=list(dict.fromkeys([*arms, *found])))


def build_compare_tab(page: Page, language: gr.State, picture: gr.State) -> CompareTab:
    """Build the tab and wire it; `picture` is tab 1's."""
    room, before, results, own_loras = gr.State(None), gr.State(None), gr.State(None), gr.State([])
    with gr.Column(elem_id="compare"):
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                room_panel = build_room(page)
                finder = build_finder(page, language)
            with gr.Column(scale=1, min_width=300):
                choice = build_choice(page)
                project_panel = build_project(page)
        shown = build_results(page)  # as wide as the page
    open_first = wire_room(page, room_panel, room, picture, language)
    wire_way_back(room_panel, room, before)
    list_all = wire_loras(page, choice, own_loras, language)
    wire_painting(page, choice, shown, (room, own_loras, results), language)
    wire_results(page, shown, results, language)
    wire_project(page, project_panel, room_panel.board, choice, (room, own_loras), language)
    kept = keep_comparison(page.workspace, room_panel, choice, shown, (room, before, own_loras, results))
    return CompareTab(choice.arms, kept, (list_all, open_first, finder))


def keep_comparison(
    workspace: Path, panel: RoomPanel, choice: ChoicePanel, shown: ResultsPanel, states: tuple[gr.State, ...]
) -> tuple[Kept, ...]:
    """Say what of the tab comes back: the room and the one before, the reader's LoRAs, the choices, the results."""
    room, before, own_loras, results = states

    def find_room(packed: dict) -> Room:
        pictures.find_folder(workspace, Path(packed["picture"]["folder"]).name)
        return Room(**packed)

    def bring_room(packed: dict, language: str) -> tuple:
        return scene.show_room(find_room(packed))

    def bring_before(packed: dict, language: str) -> tuple:
        return find_room(packed), gr.update(visible=True)

    def pack_choices(own: list[OwnLora], *values: Any) -> list:
        return [*values, TypeAdapter(list[OwnLora]).dump_python(own, mode="json")]

    def bring_choices(packed: list, language: str) -> list:
        arms, sheet_arm, *others, loras = packed
        own = find_loras(workspace, TypeAdapter(list[OwnLora]).validate_python(loras))
        choices = list_arms(workspace, own)
        offered = [arm for _, arm in choices]
        ticked = gr.update(choices=choices, value=[arm for arm in arms if arm in offered])
        sheet = gr.update(choices=choices, value=sheet_arm if sheet_arm in offered else SHEET_ARM)
        return [own, draw_own(own, language), ticked, sheet, *(gr.update(value=value) for value in others)]

    def bring_results(packed: dict, language: str) -> tuple:
        (workspace / "results" / Path(packed["folder"]).name / "views").stat()
        return show_results(TypeAdapter(Results).validate_python(packed), language)

    def pack_results(results: Results | None) -> dict | None:
        return TypeAdapter(Results).dump_python(results, mode="json") if results else None

    return (
        Kept("room", [room], [room, panel.board], lambda room: room and asdict(room), bring_room),
        Kept("before", [before], [before, panel.back], lambda room: room and asdict(room), bring_before),
        Kept(
            *("choices", [own_loras, *choice.request], [own_loras, choice.own, *choice.request]),
            *(pack_choices, bring_choices),
        ),
        Kept("results", [results], [results, *shown.shown], pack_results, bring_results),
    )


def choose_room(open_room: Callable, request: gr.Request, *values: Any) -> tuple:
    """Open a room that somebody asks for; the first one, or the last visit's, may come later and leaves it there."""
    opened = open_room(*values)
    note_opened(request, "room")
    return opened


def open_first_room(workspace: Path, room: Room | None, request: gr.Request) -> tuple | dict:
    """Open the room that stands there before anybody has chosen one, unless somebody has meanwhile."""
    opened = scene.open_first_room(workspace, room)
    return gr.skip() if was_opened(request, "room") else opened


def wire_room(page: Page, panel: RoomPanel, room: gr.State, picture: gr.State, language: gr.State) -> Step:
    """Wire what opens a room and marks its wall; give the step that opens the first one."""
    workspace, opened = page.workspace, [room, panel.board]

    def open_shipped_room(room: Room | None, event: gr.SelectData, request: gr.Request) -> tuple:
        return choose_room(scene.open_shipped_room, request, workspace, event.index, room)

    def open_dataset_room(picture: pictures.Picture | None, language: str, request: gr.Request) -> tuple:
        return choose_room(scene.open_dataset_room, request, workspace, picture, language)

    def open_photo(uploaded: str | None, room: Room | None, request: gr.Request) -> tuple:
        return choose_room(scene.open_photo, request, workspace, uploaded, room)

    panel.rooms.select(guarded(open_shipped_room), room, opened, **QUIET)
    panel.from_dataset.click(guarded(open_dataset_room), [picture, language], opened, js=AFTER_BOARD, **QUIET)
    panel.photo.upload(guarded(open_photo), [panel.photo, room], opened, **PRIVATE)
    panel.mask.upload(guarded(scene.open_mask, workspace), [panel.mask, room, language], opened, **PRIVATE)
    return Step(guarded(open_first_room, workspace), [room], opened)


def wire_way_back(panel: RoomPanel, room: gr.State, before: gr.State) -> None:
    """Let the room that another has replaced be had back, whatever replaced it: a second press changes them again."""
    at_hand = gr.State(None)

    def note_room(room: Room | None, at_hand: Room | None) -> tuple:
        if at_hand is None or room == at_hand:  # the first one, or one that came back with the page
            return room, gr.skip(), gr.skip()
        return room, at_hand, gr.update(visible=True)

    room.change(guarded(note_room), [room, at_hand], [at_hand, before, panel.back], **QUIET)
    panel.back.click(guarded(scene.show_room), before, [room, panel.board], js=AFTER_COMPARE_BOARD, **QUIET)


def wire_project(
    page: Page,
    panel: ProjectPanel,
    board: gr.HTML,
    choice: ChoicePanel,
    states: tuple[gr.State, ...],
    language: gr.State,
) -> None:
    """Wire saving the room as a project and opening one; `states` are the room and the reader's own LoRAs."""
    workspace, (room, own_loras) = page.workspace, states

    def save_project(room: Room | None, own: list[OwnLora], language: str, *values: Any) -> str:
        offered = {arm: name for name, arm in list_arms(workspace, own)}
        return str(project.save_project(workspace, room, PaintRequest(*values), offered, language))

    def open_project(uploaded: Any, own: list[OwnLora], language: str, request: gr.Request) -> tuple:
        with open_upload(workspace, uploaded, (SUFFIX,)) as path:
            opened = project.open_project(workspace, path, dict(list_arms(workspace, own)))
        if opened.left_out:
            gr.Warning(escape(t("project_arms", language, names=", ".join(opened.left_out))))
        arms, sheet_arm, *others = astuple(opened.request)
        shown = choose_room(scene.show_room, request, opened.room)
        return *shown, arms or gr.skip(), sheet_arm or gr.skip(), *others

    given = [room, own_loras, language, *choice.request]
    saved = panel.save.click(guarded(save_project), given, panel.saved, js=AFTER_COMPARE_BOARD, **PRIVATE)
    saved.success(None, None, None, js=DOWNLOAD % panel.saved.elem_id)
    shown = [room, board, *choice.request]
    panel.open.upload(guarded(open_project), [panel.open, own_loras, language], shown, **PRIVATE)


def wire_loras(page: Page, choice: ChoicePanel, own_loras: gr.State, language: gr.State) -> Step:
    """Wire the list of arms and what adds a LoRA to it; give the step that lists the arms anew."""
    workspace = page.workspace

    def list_all_arms(own: list[OwnLora], language: str) -> tuple:
        choices = gr.update(choices=list_arms(workspace, own))
        return choices, choices, draw_own(own, language)

    def add_lora(uploaded: Any, ticked: list[str], own: list[OwnLora], language: str) -> tuple:
        own, arms = take_lora(workspace, uploaded, ticked, own)
        lora = own[-1]
        gr.Info(escape(t("added_lora", language, name=lora.label)))
        if set(ticked) - set(arms):
            gr.Info(t("switched_family", language, family=lora.file.family))
        choices = list_arms(workspace, own)
        return own, gr.update(choices=choices, value=arms), gr.update(choices=choices), draw_own(own, language)

    given = [choice.lora, choice.arms, own_loras, language]
    listed = [choice.arms, choice.sheet_arm, choice.own]
    choice.lora.upload(guarded(add_lora), given, [own_loras, *listed], **PRIVATE)
    return Step(guarded(list_all_arms), [own_loras, language], listed)


def wire_painting(
    page: Page, choice: ChoicePanel, panel: ResultsPanel, states: tuple[gr.State, ...], language: gr.State
) -> None:
    """Wire the buttons that paint, and Cancel; `states` are the room, the reader's own LoRAs and the results."""
    room, own_loras, results = states

    def paint_arms(
        sheet: bool,
        room: Room | None,
        own: list[OwnLora],
        language: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (how gradio finds it)
        *values: Any,
    ) -> tuple | dict:
        session = request.session_hash or ""

        def on_step(share: float) -> None:
            if session in _cancelled:
                raise Cancelled
            progress(share, desc=t("painting", language))

        try:
            on_step(0.0)
            painted = paint_comparison(page.workspace, room, PaintRequest(*values), own, language, on_step, sheet)
            return show_results(painted, language)
        except Cancelled:
            gr.Info(t("cancelled", language))
            return gr.skip()

    def forget_cancel(request: gr.Request) -> None:
        while (request.session_hash or "") in _cancelled:
            _cancelled.remove(request.session_hash or "")

    def cancel_painting(request: gr.Request) -> None:
        _cancelled.append(request.session_hash or "")

    given, shown = [room, own_loras, language, *choice.request], [results, *panel.shown]
    for button, sheet in ((choice.go, False), (choice.go_sheet, True)):
        asked = button.click(forget_cancel, None, None, queue=False, js=AFTER_COMPARE_BOARD, **QUIET)
        asked.then(guarded(paint_arms, sheet), given, shown, show_progress_on=panel.results, **GPU, **PRIVATE)
    choice.cancel.click(cancel_painting, None, None, queue=False, **QUIET)


def wire_results(page: Page, panel: ResultsPanel, results: gr.State, language: gr.State) -> None:
    """Wire the vote, the files, the maps of errors, which the stage asks for, and the language."""

    def add_vote(choice: int | None, results: Results | None, language: str) -> tuple | dict:
        if results is None or not results.blind or choice is None:
            return gr.skip()
        results, votes = cast_vote(results, int(choice), page.workspace, store=not page.public)
        return show_results(results, language, votes)

    def draw_maps(results: Results | None, language: str) -> tuple | dict:
        if results is None or results.blind:
            return gr.skip()
        if results.views.is_dir():
            write_heat(results)
        results = replace(results, heat=True)
        return results, draw_results(results, language)

    def write_file(packed: bool, results: Results | None, language: str) -> str | dict:
        if results is None or results.blind:
            return gr.skip()
        try:
            return str(write_results(results, packed))
        except FileNotFoundError:
            raise UserError(t("results_gone", language)) from None

    for button, packed in ((panel.report, False), (panel.zip, True)):
        asked = button.click(guarded(write_file, packed), [results, language], panel.written, **PRIVATE)
        asked.success(None, None, None, js=DOWNLOAD % panel.written.elem_id)
    panel.vote.input(guarded(add_vote), [panel.vote, results, language], [results, *panel.shown], **QUIET)
    panel.results.input(guarded(draw_maps), [results, language], [results, panel.results], **PRIVATE)
    language.change(draw_results, [results, language], panel.results, **QUIET)


def show_results(results: Results, language: str, votes: Counter | None = None) -> tuple:
    """Give (the results, their HTML, the vote, the buttons of report and zip)."""
    letters = [(LETTERS[number], number) for number in range(len(results.arms))]
    named = not results.blind
    return (
        results,
        draw_results(results, language, votes),
        gr.update(choices=letters, value=None, visible=results.blind),
        gr.update(visible=named),
        gr.update(visible=named),
    )
