"""What tab 3 paints with: the arms, how they paint, and the buttons that paint."""

from collections import deque
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from wallpaint.paint.settings import COMPARED_ARMS
from wallpaint.ui.board.component import AFTER_COMPARE_BOARD
from wallpaint.ui.compare.arms import LORA_SUFFIXES, MAX_LORA, SHEET_ARM, OwnLora, draw_own, list_arms, take_lora
from wallpaint.ui.compare.painting import PaintRequest, paint_comparison
from wallpaint.ui.compare.results_panel import ResultsPanel
from wallpaint.ui.compare.scene import Room
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import GPU, PRIVATE, QUIET, Page, Step
from wallpaint.ui.upload import build_upload
from wallpaint.ui.words.words import T, t

# Sessions that pressed Cancel; one that had nothing to cancel is forgotten after so many others.
_cancelled: deque[str] = deque(maxlen=1000)


class Cancelled(Exception):
    """Somebody pressed Cancel."""


@dataclass(frozen=True)
class ChoicePanel:
    """The arms, how they paint, and the buttons."""

    arms: gr.CheckboxGroup
    go: gr.Button
    cancel: gr.Button
    sheet_arm: gr.Dropdown
    go_sheet: gr.Button
    lora: gr.HTML  # uploads one
    own: gr.HTML  # what is known of those brought
    seed: gr.Number
    num_inference_steps: gr.Number
    guidance_scale: gr.Number
    ip_adapter_scale: gr.Textbox
    blind: gr.Checkbox
    bounce: gr.Checkbox

    @property
    def request(self) -> list[Any]:
        """The inputs of a PaintRequest, in its order."""
        sampling = [self.seed, self.num_inference_steps, self.guidance_scale, self.ip_adapter_scale]
        return [self.arms, self.sheet_arm, *sampling, self.blind, self.bounce]


def build_choice(page: Page) -> ChoicePanel:
    """Lay out the arms, the buttons and, folded, the rarer choices."""
    parts: dict[str, Any] = {}
    arms = list_arms(page.workspace)
    ticked = [arm for _, arm in arms if arm in COMPARED_ARMS]
    look: dict[str, Any] = {"elem_id": "arms", "label": T("arms")}
    parts["arms"] = page.add(gr.CheckboxGroup, choices=arms, value=ticked, **look)
    with gr.Row(elem_classes="buttons", elem_id="paint-row"):
        look = {"min_width": 140, "scale": 3, "variant": "primary"}
        parts["go"] = page.add(gr.Button, value=T("paint_button"), elem_id="paint", **look)
        look = {"elem_id": "cancel", "min_width": 90, "scale": 1, "interactive": False}
        parts["cancel"] = page.add(gr.Button, value=T("cancel"), **look)
    with page.add(gr.Accordion, label=T("arms_help"), open=False, elem_id="arms-help"):
        page.add(gr.Markdown, value=T("arms_info"))
    with page.add(gr.Accordion, label=T("sheet_fold"), open=False, elem_id="sheet"):
        look = {"label": T("sheet_arm"), "info": T("sheet_info"), "elem_id": "sheet-arm"}
        parts["sheet_arm"] = page.add(gr.Dropdown, choices=arms, value=SHEET_ARM, **look)
        parts["go_sheet"] = page.add(gr.Button, value=T("paint_sheet"), elem_id="paint-sheet", size="md")
    with page.add(gr.Accordion, label=T("lora_fold"), open=False, elem_id="loras"):
        parts["lora"] = build_upload(page, T("add_lora"), LORA_SUFFIXES, MAX_LORA, "add-lora")
        parts["own"] = gr.HTML(elem_id="own-loras")
    with page.add(gr.Accordion, label=T("sampling"), open=False, elem_id="sampling"):
        parts |= build_sampling(page)
    return ChoicePanel(**parts)


def build_sampling(page: Page) -> dict[str, Any]:
    """Lay out the rarer choices; give them by their names in ChoicePanel."""
    parts: dict[str, Any] = {}
    with gr.Row():
        for name, most, info in (
            ("seed", None, "seed_info"),
            ("num_inference_steps", 200, "own_default"),
            ("guidance_scale", 30, "own_default"),
        ):
            texts: dict[str, Any] = {"label": T(name), "info": T(info), "min_width": 90}
            step = {"precision": 0} if name in ("seed", "num_inference_steps") else {"step": 0.05}
            parts[name] = page.add(gr.Number, value=0, minimum=0, maximum=most, **texts, **step)
        texts = {"label": T("ip_adapter_scale"), "info": T("own_scale"), "min_width": 90}
        parts["ip_adapter_scale"] = page.add(gr.Textbox, max_lines=1, **texts)  # a Number cannot be empty
    for name in ("blind", "bounce"):
        texts = {"label": T(name), "info": T(f"{name}_info"), "elem_id": name}
        parts[name] = page.add(gr.Checkbox, value=False, **texts)
    return parts


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
) -> list[Any]:
    """Wire the buttons that paint, and Cancel; give the events after which a room has been painted.

    `states` are the room and the reader's own LoRAs.
    """
    room, own_loras = states

    def paint_arms(
        sheet: bool,
        room: Room | None,
        own: list[OwnLora],
        language: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (how gradio finds it)
        *values: Any,
    ) -> None:
        session = request.session_hash or ""

        def on_step(share: float) -> None:
            if session in _cancelled:
                raise Cancelled
            progress(share, desc=t("painting", language))

        try:
            on_step(0.0)
            paint_comparison(page.workspace, room, PaintRequest(*values), own, language, on_step, sheet)
        except Cancelled:
            gr.Info(t("cancelled", language))

    def begin(language: str, request: gr.Request) -> tuple:
        while (request.session_hash or "") in _cancelled:
            _cancelled.remove(request.session_hash or "")
        busy = gr.update(value=f"{t('painting', language)}…", interactive=False)  # a second press would paint twice
        return gr.update(interactive=True), busy, busy

    def end(language: str) -> tuple:
        again = [gr.update(value=t(key, language), interactive=True) for key in ("paint_button", "paint_sheet")]
        return gr.update(interactive=False), *again

    def cancel_painting(request: gr.Request) -> None:
        _cancelled.append(request.session_hash or "")

    given, events = [room, own_loras, language, *choice.request], []
    buttons = [choice.cancel, choice.go, choice.go_sheet]
    for button, sheet in ((choice.go, False), (choice.go_sheet, True)):
        asked = button.click(begin, language, buttons, queue=False, js=AFTER_COMPARE_BOARD, **QUIET)
        paint = {"show_progress_on": panel.results, **GPU, **PRIVATE}
        painted = asked.then(guarded(paint_arms, sheet), given, None, **paint)
        events.append(painted.success)
        for ended in (painted.success, painted.failure):  # `then` alone does not follow on an error
            ended(end, language, buttons, queue=False, **QUIET)
    choice.cancel.click(cancel_painting, None, None, queue=False, **QUIET)
    return events
