"""The results of tab 3: the pictures with their figures, the vote, the files."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.ui.compare.painting import Results, cast_vote, write_heat, write_results
from wallpaint.ui.compare.results_html import LETTERS, draw_results
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
    results = gr.HTML(draw_results(None, "en"), elem_id="results", **look)
    vote = page.add(gr.Radio, choices=[], label=T("vote"), visible=False, elem_id="vote", interactive=True)
    with gr.Row(elem_classes="buttons"):
        report, packed = (
            page.add(gr.Button, value=T(name), visible=False, elem_id=name, size="md") for name in ("report", "zip")
        )
    return ResultsPanel(results, vote, report, packed, gr.DownloadButton(visible="hidden", elem_id="written"))


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
