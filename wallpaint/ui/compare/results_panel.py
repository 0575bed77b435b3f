"""The results of tab 3: the pictures with their figures, the vote, the files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.ui.compare.painting import Results, cast_vote, keep_results, read_results, write_heat, write_results
from wallpaint.ui.compare.results_html import LETTERS, draw_nothing, draw_results
from wallpaint.ui.compare.scene import Room
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import DOWNLOAD, PRIVATE, QUIET, Page, run_script
from wallpaint.ui.words.words import T, t


@dataclass(frozen=True)
class ResultsPanel:
    """The pictures with their figures, the vote and the files."""

    results: gr.HTML
    vote: gr.Radio
    report: gr.Button
    zip: gr.Button
    written: gr.DownloadButton  # of what they write

    @property
    def shown(self) -> list[Any]:
        """What new results change."""
        return [self.results, self.vote, self.report, self.zip]


def build_results(page: Page) -> ResultsPanel:
    """Lay out the results, the vote and the files."""
    css, script = Path(__file__).with_name("stage.css").read_text("utf-8"), run_script("stage", {}, {})
    look: dict[str, Any] = {"css_template": css, "js_on_load": script, "apply_default_css": False, "min_height": 120}
    results = gr.HTML(draw_nothing("en"), elem_id="results", **look)
    vote = page.add(gr.Radio, choices=[], label=T("vote"), visible=False, elem_id="vote", interactive=True)
    with gr.Row(elem_classes="buttons"):
        report, packed = (
            page.add(gr.Button, value=T(name), visible=False, elem_id=name, size="md") for name in ("report", "zip")
        )
    return ResultsPanel(results, vote, report, packed, gr.DownloadButton(visible="hidden", elem_id="written"))


def wire_results(
    page: Page, panel: ResultsPanel, states: tuple[gr.State, ...], changes: Sequence[Any], language: gr.State
) -> None:
    """Wire the vote, the files and the maps of errors, which the stage asks for.

    `states` are the room, the one before it and the results; after the events `changes` the room has others.
    """
    room, before, results = states

    def add_vote(choice: int | None, room: Room | None, results: Results | None, language: str) -> tuple | dict:
        if room is None or results is None or not results.blind or choice is None:
            return gr.skip()
        results, votes = cast_vote(results, int(choice), page.workspace, store=not page.public)
        keep_results(room, results)
        return show_results(results, language, votes)

    def draw_maps(room: Room | None, results: Results | None, language: str) -> tuple | dict:
        if room is None or results is None or results.blind:
            return gr.skip()
        if results.views.is_dir():
            write_heat(results)
        results = replace(results, heat=True)
        keep_results(room, results)
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
    panel.vote.input(guarded(add_vote), [panel.vote, room, results, language], [results, *panel.shown], **QUIET)
    panel.results.input(guarded(draw_maps), [room, results, language], [results, panel.results], **PRIVATE)
    for change in (*changes, language.change):
        change(guarded(show_room_results), [room, before, language], [results, *panel.shown], **QUIET)


def show_room_results(room: Room | None, before: Room | None, language: str) -> tuple:
    """Give what `show_results` gives of what was painted of the room, or where that of the room before is."""
    if results := read_results(room):
        return show_results(results, language)
    unseen = gr.update(visible=False)
    return None, draw_nothing(language, elsewhere=read_results(before) is not None), unseen, unseen, unseen


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
