"""Tab 3: one room, one paint or many, several ways to paint it, side by side and measured."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import TypeAdapter

from wallpaint.errors import UserError
from wallpaint.ui.board import pictures
from wallpaint.ui.compare import scene
from wallpaint.ui.compare.arms import SHEET_ARM, OwnLora, draw_own, find_loras, list_arms
from wallpaint.ui.compare.choice_panel import ChoicePanel, build_choice, wire_loras, wire_painting
from wallpaint.ui.compare.project_panel import build_project, wire_project
from wallpaint.ui.compare.results_panel import build_results, wire_results
from wallpaint.ui.compare.room_panel import RoomPanel, build_room, wire_room, wire_way_back
from wallpaint.ui.compare.scene import Room
from wallpaint.ui.finder import build_finder
from wallpaint.ui.page import Page, Step
from wallpaint.ui.visits import Kept
from wallpaint.ui.words.words import t


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
    changed = wire_way_back(room_panel, room, before)
    list_all = wire_loras(page, choice, own_loras, language)
    painted = wire_painting(page, choice, shown, (room, own_loras), language)
    wire_results(page, shown, (room, before, results), [changed, *painted], language)
    wire_project(page, project_panel, room_panel.board, choice, (room, own_loras), language)
    kept = keep_comparison(page.workspace, room_panel, choice, (room, before, own_loras))
    return CompareTab(choice.arms, kept, (list_all, open_first, finder))


def keep_comparison(
    workspace: Path, panel: RoomPanel, choice: ChoicePanel, states: tuple[gr.State, ...]
) -> tuple[Kept, ...]:
    """Say what of the tab comes back: the room, with its results, the one before, the reader's LoRAs, the choices."""
    room, before, own_loras = states

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

    return (
        Kept("room", [room], [room, panel.board], lambda room: room and asdict(room), bring_room),
        Kept("before", [before], [before, panel.back], lambda room: room and asdict(room), bring_before),
        Kept(
            *("choices", [own_loras, *choice.request], [own_loras, choice.own, *choice.request]),
            *(pack_choices, bring_choices),
        ),
    )
