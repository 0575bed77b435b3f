"""Which finder is at work, and the offer of the other: a line and a button, in each tab that marks walls."""

from typing import Any

import gradio as gr

from wallpaint.runs.device import find_device
from wallpaint.ui.board import segmenter
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import PRIVATE, Page, Step
from wallpaint.ui.words.words import t
from wallpaint.walls.finders import FINDERS, Finder


def show_finder(language: str) -> tuple[str, Any]:
    """Give the line and the button."""
    other = _other()
    label = t(f"use_{other.name}" if other.there else "fetch_sam", language, size=f"{other.size:.1g}")
    line = t(f"finder_{segmenter.at_work().name}", language, device=find_device().name)
    return line, gr.update(value=label)


def switch_finder(
    language: str,
    progress: gr.Progress = gr.Progress(track_tqdm=True),  # noqa: B008  (how gradio finds it)
) -> tuple[str, Any]:
    """Let the other finder work, its weights fetched with a bar; give the line and the button."""
    progress(0, desc=t("fetching_finder", language))
    segmenter.use(_other())
    return show_finder(language)


def build_finder(page: Page, language: gr.State) -> Step:
    """Lay out and wire the line and the button; a public page fetches and switches nothing. Give what shows both."""
    with gr.Row(elem_classes="buttons finder"):
        line = gr.Markdown(elem_classes="quiet")
        button = gr.Button(size="sm", visible=not page.public)
    button.click(guarded(switch_finder), language, [line, button], show_progress_on=line, **PRIVATE)
    return Step(guarded(show_finder), [language], [line, button])


def _other() -> Finder:
    return next(finder for finder in FINDERS.values() if finder != segmenter.at_work())
