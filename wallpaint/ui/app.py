"""The studio: the page put together from its tabs, and the server it runs on."""

import os
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from wallpaint.runs import launch
from wallpaint.ui.board import pictures, segmenter
from wallpaint.ui.compare.painting import sweep_results
from wallpaint.ui.compare.tab import add_run, build_compare_tab
from wallpaint.ui.dataset.tab import build_dataset_tab
from wallpaint.ui.guard import EVERYWHERE, bracketed, check_bind, check_free, middleware
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import OPENING, PRIVATE, QUIET, SCRIPTS, SCRIPTS_AT, Page, Step
from wallpaint.ui.train.actions import choose_dataset
from wallpaint.ui.train.tab import POLL_SECONDS, build_train_tab
from wallpaint.ui.visits import wire_visits
from wallpaint.ui.words.words import T, pick_language

# The reader's own fonts: nothing is fetched from elsewhere.
FONTS = ["system-ui", "Segoe UI", "Roboto", "sans-serif"]
STYLE = Path(__file__).with_name("style.css")
SWEEP_SECONDS = 3600.0
# The page says its language to screen readers, and the address keeps it for the next visit.
SAY_LANGUAGE = "(language) => { document.documentElement.lang = language; }"
KEEP_LANGUAGE = """(language) => {
  const url = new URL(window.location); url.searchParams.set('lang', language);
  window.history.replaceState(null, '', url); return language; }"""


def build_page(workspace: Path, public: bool) -> gr.Blocks:
    """Put the page together; a public one (a Space) registers nothing that trains or keeps."""
    page = Page(workspace.resolve(), public)
    page.workspace.mkdir(parents=True, exist_ok=True)
    pictures.clear_old(page.workspace)
    with gr.Blocks(title="wallpaint", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as demo:
        language, picture = gr.State("en"), gr.State(None)
        timer = gr.Timer(POLL_SECONDS, active=False)  # outside the tabs, so it ticks; see follow_runs
        with gr.Row(elem_id="header"):
            page.add(gr.Markdown, value=T("intro"))
            switch = page.add(
                gr.Radio,
                choices=[("English", "en"), ("Tiếng Việt", "vi")],
                value="en",
                label=T("language"),
                show_label=False,
                container=False,
                elem_id="language",
            )
        with gr.Tabs(elem_id="tabs") as tabs:
            with page.add(gr.Tab, label=T("tab_compare"), id="compare") as compare_tab:
                compare = build_compare_tab(page, language, picture)
            with page.add(gr.Tab, label=T("tab_dataset"), id="dataset") as dataset_tab:
                dataset = build_dataset_tab(page, language, picture)
            with page.add(gr.Tab, label=T("tab_train"), id="train") as train_tab:
                train = build_train_tab(page, language, timer)
        said, switched = wire_language(page, demo, language, switch)
        each, kept = (compare_tab, dataset_tab, train_tab), (*dataset.kept, *train.kept, *compare.kept)
        back = wire_visits(page, said, language, tabs, each, kept)
        wire_refresh(
            (back, switched),
            (
                (None, dataset.refresh),
                (dataset_tab, (dataset.finder,)),
                (train_tab, train.refresh),
                (compare_tab, compare.refresh),
            ),
        )
        if not public:
            follow_runs(timer, each, train_tab)
        if train.use:
            wire_use(page, train.use, train.run, compare.arms, tabs)
            wire_saved(page, dataset.saved, dataset.name, train.dataset, language)
    return demo.queue(max_size=60, api_open=False)  # twenty visitors who each paint, open a room and click


def wire_language(page: Page, demo: gr.Blocks, language: gr.State, switch: gr.Radio) -> tuple:
    """Let the page's words follow the browser's language, `?lang=` and the switch; give its events."""
    worded = [part for part, _ in page.words]

    def choose_language(request: gr.Request) -> list:
        """Give the page's language, by ?lang= or the browser's own, and its words where it does not speak it yet."""
        chosen = pick_language(request.query_params.get("lang"), request.headers.get("accept-language"))
        words = page.translate(chosen) if chosen != "en" else [gr.skip()] * len(worded)
        return [chosen, chosen, *words]

    def switch_language(wanted: str) -> list:
        """Give the language asked for and its words."""
        chosen = pick_language(wanted, None)
        return [chosen, *page.translate(chosen)]

    said = demo.load(choose_language, None, [language, switch, *worded], **OPENING)
    said.then(None, switch, None, js=SAY_LANGUAGE)  # a State is not known there
    kept = switch.input(switch_language, switch, [language, *worded], js=KEEP_LANGUAGE, **QUIET)
    kept.then(None, switch, None, js=SAY_LANGUAGE)
    return said, kept


def wire_refresh(spoken: tuple, tabs: tuple[tuple[gr.Tab | None, Sequence[Step]], ...]) -> None:
    """Read anew what is on disk, which may have changed since the page was built or the tab was open.

    The chain of steps that reads what a tab shows follows its opening, and the `spoken` events after which the
    reader's language is known, anew or for the first time.
    """
    for tab, steps in tabs:
        for listen in [*(event.then for event in spoken), *([tab.select] if tab is not None else [])]:
            for step in steps:
                listen = listen(*step, **OPENING).then


def follow_runs(timer: gr.Timer, tabs: Sequence[gr.Tab], train: gr.Tab) -> None:
    """Let the timer that reads runs tick while their tab is open.

    Every tick keeps Gradio's page busy for a tenth of a second, whatever is looked at.
    """
    for tab in tabs:
        active = "true" if tab is train else "false"
        tab.select(None, None, timer, js=f"() => ({{ __type__: 'update', active: {active} }})")


def wire_use(page: Page, use: gr.Button, run: gr.Dropdown, arms: gr.CheckboxGroup, tabs: gr.Tabs) -> None:
    """Let 'Use in Compare' tick the run among the arms and open the tab."""

    @guarded
    def use_here(name: str | None, arms: list[str]) -> tuple:
        return add_run(name, arms, page.workspace), gr.Tabs(selected="compare")

    use.click(use_here, [run, arms], [arms, tabs], **PRIVATE)


def wire_saved(page: Page, saved: Sequence, name: gr.Dropdown, chosen: gr.Dropdown, language: gr.State) -> None:
    """Let tab Train choose the dataset that was saved to: it is what one goes on with."""

    def follow_saved(name: str, language: str) -> Any:
        return choose_dataset(str(page.workspace / "datasets" / name), page.workspace, language)

    for event in saved:
        event.success(follow_saved, [name, language], chosen, **QUIET)


def start_housekeeping(workspace: Path, public: bool) -> None:
    """Move the queue of runs on and throw away what is old, in the background, as long as the studio runs."""

    def keep_in_order() -> None:
        swept = 0.0
        while True:
            if not public:
                launch.start_next(workspace)
            if time.monotonic() - swept > SWEEP_SECONDS:
                pictures.clear_old(workspace)
                if public:  # at home, results are the user's
                    sweep_results(workspace)
                swept = time.monotonic()
            time.sleep(POLL_SECONDS)

    threading.Thread(target=keep_in_order, daemon=True).start()


def make_theme() -> gr.themes.Base:
    """Give the page's look: the reader's own fonts, quiet text dark enough to read."""
    theme = gr.themes.Default(primary_hue="teal", font=FONTS, font_mono=["ui-monospace", "monospace"])
    quiet = {"body_text_color_subdued": "*neutral_600", "body_text_color_subdued_dark": "*neutral_300"}
    info = {"block_info_text_color": "*neutral_600", "block_info_text_color_dark": "*neutral_300"}
    hints = {"input_placeholder_color": "*neutral_500", "input_placeholder_color_dark": "*neutral_400"}
    labels = {"block_label_text_color": "*neutral_700", "block_title_text_color": "*neutral_700"}
    return theme.set(
        **quiet,
        **info,
        **labels,
        **hints,
        **{f"button_primary_background_fill{dark}": "*primary_700" for dark in ("", "_dark")},
        **{f"button_primary_background_fill_hover{dark}": "*primary_800" for dark in ("", "_dark")},
        **{f"button_cancel_background_fill{dark}": "#b91c1c" for dark in ("", "_dark")},
        button_primary_text_color="white",
    )


def launch_options(host: str, share: bool, public: bool, allowed_hosts: Iterable[str] = ()) -> dict:
    """Give launch()'s options that keep the studio private, whoever starts it."""
    scripts = Mount(f"/{SCRIPTS_AT}", StaticFiles(directory=SCRIPTS))
    return {
        "app_kwargs": {"middleware": middleware(host, share, public, allowed_hosts), "routes": [scripts]},
        "theme": make_theme(),
        "css": STYLE.read_text(encoding="utf-8"),
        "max_file_size": Page(Path(), public).photo_bytes,
        "run_history": False,
        "footer_links": [],
        "ssr_mode": False,
        "show_error": False,
        "enable_monitoring": False,
        "quiet": True,
    }


def serve(
    host: str, port: int, auth: str | None, share: bool, workspace: Path, allowed_hosts: Iterable[str] = ()
) -> None:
    """Serve the studio until it is interrupted.

    `auth`, USER:PASSWORD, is asked of every visitor; `share` lends it a public address of Gradio's; by
    `allowed_hosts` it is reached too, as behind a proxy, '*.domain' for all names under a domain.

    Raises:
        UserError: an address that is taken or too open, or a host name that is none.
    """
    public = bool(os.environ.get("SPACE_ID"))
    options = launch_options(host, share, public, allowed_hosts)
    if public:
        host = "0.0.0.0"
        check_free(host, port)
    else:
        check_bind(host, port, auth, share)
        if allowed_hosts and not auth:
            print("note: whoever reaches the allowed host reaches the studio, --auth asks for a password", flush=True)
    tempfile.tempdir = str(workspace.resolve() / "tmp")  # Gradio's lie there too, see studio.py
    Path(tempfile.tempdir).mkdir(parents=True, exist_ok=True)
    demo = build_page(workspace, public)
    start_housekeeping(workspace.resolve(), public)
    results = str(workspace.resolve() / "results")
    name = tuple(auth.split(":", 1)) if auth else None
    demo.launch(
        server_name=bracketed(host),
        server_port=port,
        auth=name,
        share=share,
        allowed_paths=[results],
        prevent_thread_lock=True,
        **options,
    )
    segmenter.warm_up()  # once the page answers: torch takes as long to read as all the rest
    here = "localhost" if host in EVERYWHERE else bracketed(host)
    print(f"wallpaint is on http://{here}:{port}  (Ctrl+C ends it)", flush=True)
    demo.block_thread()
