"""The studio: the page put together from its tabs, and the server it runs on."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr  # noqa: E402  (reads the line above)
import psutil  # noqa: E402
from starlette.datastructures import Headers  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402

from wallpaint.ui import canvas  # noqa: E402
from wallpaint.ui.compare_tab import build_compare_tab  # noqa: E402
from wallpaint.ui.dataset_tab import build_dataset_tab  # noqa: E402
from wallpaint.ui.page import PRIVATE, Page  # noqa: E402
from wallpaint.ui.text import T, pick_language  # noqa: E402
from wallpaint.ui.train_tab import POLL_SECONDS, build_train_tab  # noqa: E402

MAX_UPLOAD = "50mb"
FONTS = [
    "system-ui",
    "Segoe UI",
    "Roboto",
    "sans-serif",
]  # the reader's own: nothing is fetched from elsewhere
CSS = """
#canvas img, #sample-rooms img, #test-rooms img { cursor: pointer; }
#canvas img { cursor: crosshair; }
#run-log textarea { font-family: ui-monospace, monospace; font-size: 12px; }
.run .badge { padding: 2px 10px; border-radius: 10px; color: white; background: #6b7280; }
.run .badge.running { background: #0d9488; } .run .badge.done { background: #2563eb; }
.run .badge.failed, .run .badge.crashed { background: #b91c1c; }
.run .bar { height: 8px; margin: 8px 0; border-radius: 4px; overflow: hidden; background: #9ca3af55; }
.run .bar div { height: 100%; background: #0d9488; }
.run-error { color: #b91c1c; }
"""


def build_page(workspace: Path, public: bool) -> gr.Blocks:
    """Put the page together; a public one (a Space) registers nothing that trains or keeps."""
    page = Page(workspace.resolve(), public)
    page.workspace.mkdir(parents=True, exist_ok=True)
    canvas.clear_old(page.workspace)
    with gr.Blocks(title="wallpaint", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as demo:
        language, timer = (
            gr.State("en"),
            gr.Timer(POLL_SECONDS, active=not public),
        )  # outside the tabs, so it ticks
        page.add(gr.Markdown, value=T("intro"))
        with gr.Tabs():
            with page.add(gr.Tab, label=T("tab_dataset"), id="dataset"):
                dataset = build_dataset_tab(page, language)
            with page.add(gr.Tab, label=T("tab_train"), id="train") as train_tab:
                train = build_train_tab(page, language, timer)
            with page.add(gr.Tab, label=T("tab_compare"), id="compare") as compare_tab:
                compare = build_compare_tab(page, language, dataset["picture"])

        def choose_language(request: gr.Request) -> list:
            """Give the page's language, by ?lang= or the browser's own, and its words."""
            chosen = pick_language(request.query_params.get("lang"), request.headers.get("accept-language"))
            return [chosen, *page.translate(chosen)]

        demo.load(choose_language, None, [language, *(part for part, _ in page.words)], **PRIVATE)
        # What is on disk may have changed since the page was built.
        quiet = {**PRIVATE, "show_progress": "hidden"}
        for tab, parts in ((None, dataset), (train_tab, train), (compare_tab, compare)):
            if "reload" in parts:
                demo.load(parts["reload"], None, parts["reload_outputs"], **quiet)
            if "reload" in parts and tab is not None:
                tab.select(parts["reload"], parts["reload_outputs"], parts["reload_outputs"], **quiet)
    return demo.queue(max_size=20, api_open=False)


class SameOrigin:
    """ASGI middleware: a request that another site's page makes for its visitor is refused."""

    def __init__(self, app) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on, or answer 403 when its Origin is not the host it is sent to."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
                await PlainTextResponse("cross-origin request refused", status_code=403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def own_names(host: str) -> Iterable[str]:
    """Give the names this machine may be asked for under; any other is a page that rebinds its DNS to us."""
    names = {"localhost", "127.0.0.1", "[::1]", host}
    if host in ("0.0.0.0", "::"):
        addresses = [entry for entries in psutil.net_if_addrs().values() for entry in entries]
        names |= {entry.address for entry in addresses if entry.family == socket.AF_INET}
        names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
    return sorted(name.lower() for name in names)


def launch_options(host: str, share: bool, public: bool) -> dict:
    """Give launch()'s options that keep the studio private, whoever starts it."""
    hosts = ["*"] if public else [*own_names(host), *(["*.gradio.live"] if share else [])]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(SameOrigin)]
    return {
        "app_kwargs": {"middleware": middleware},
        "theme": gr.themes.Default(primary_hue="teal", font=FONTS, font_mono=["ui-monospace", "monospace"]),
        "css": CSS, "max_file_size": MAX_UPLOAD, "run_history": False, "footer_links": [], "ssr_mode": False,
        "show_error": False, "enable_monitoring": False, "quiet": True,
    }  # fmt: skip


def serve(host: str, port: int, auth: str | None, share: bool, workspace: Path) -> None:
    """Serve the studio until it is interrupted; ValueError when the port is taken."""
    public = bool(os.environ.get("SPACE_ID"))
    if public:
        host = "0.0.0.0"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            reason = problem.strerror or problem
            raise ValueError(
                f"cannot listen ({reason}), {host}:{port}, choose another --port or --host"
            ) from None
    canvas.warm_up()
    demo = build_page(workspace, public)
    results = str(workspace.resolve() / "results")
    name = tuple(auth.split(":", 1)) if auth else None
    demo.launch(
        server_name=host, server_port=port, auth=name, share=share, allowed_paths=[results],
        prevent_thread_lock=True, **launch_options(host, share, public),
    )  # fmt: skip
    here = "127.0.0.1" if host == "0.0.0.0" else host
    print(f"wallpaint is on http://{here}:{port}  (Ctrl+C ends it)", flush=True)
    demo.block_thread()
