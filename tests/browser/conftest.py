"""The studio as its own process and a headless Chromium to look at it.

WALLPAINT_BROWSER=required (as .ci/run sets it) turns a missing browser from a skip into a failure;
WALLPAINT_SCREENSHOTS=FOLDER keeps pictures and a film of the story (assets/screenshots holds those of the README).
"""

import contextlib
import functools
import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PICTURE = 1100, 1500  # the widest and highest that is kept
FILM, LONG = 720, 1000  # its width; milliseconds from which on a frame is looked at, and its colours count
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """One worker drives the browser, however many there are: a click is waited for, and one studio serves all."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_dataset(folder: Path) -> None:
    """A dataset so small that a run on it starts at once: four pictures to learn from, one held out."""
    from wallpaint.dataset.folder import add_sample, read_samples
    from wallpaint.pixels.images import load_mask, load_photo

    samples = read_samples(ROOT / "assets" / "rooms" / "sample", "train")
    rooms = list({sample.room_id: sample for sample in samples}.values())[:5]
    for number, sample in enumerate(rooms):
        split = "validation" if number == 4 else "train"
        photo, mask = load_photo(sample.image), load_mask(sample.mask)
        add_sample(folder, split, photo, mask, sample.color, sample.text, sample.room_id)


PLACES: list[Path] = []  # of the studios at work


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Tell with a failure what the page said, and how the studios and their runs fared."""
    report = yield
    if report.failed:
        for name in ("page", "phone"):
            if name in getattr(item, "funcargs", {}):
                with contextlib.suppress(Exception):  # a page that is gone says nothing
                    report.sections.append((name, item.funcargs[name].locator("body").inner_text(timeout=5000)[:4000]))
        for path in [found for place in PLACES for found in [place / "log", *sorted(place.glob("w/runs/*/*"))]]:
            if path.name in ("log", "train.log", "run.json", "metrics.jsonl"):
                end = path.read_text("utf-8", "replace")[-1500:]
                report.sections.append(
                    (f"{path.parent.name}/{path.name} {time.time() - path.stat().st_mtime:.0f} s ago", end)
                )
    return report


# What Gradio's page says of requests that a reload or its own end cuts off.
CUT_OFF = ("AbortError", "Connection errored out")


@contextlib.contextmanager
def serve(place, **environment):
    """Run the studio as a process of its own; give its address once it answers."""
    port = free_port()
    command = [sys.executable, str(ROOT / "studio.py"), "--port", str(port), "--workspace", str(place / "w")]
    with open(place / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=place, env={**os.environ, **environment})
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    PLACES.append(place)
    try:
        while True:
            try:
                urlopen(url, timeout=10).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    pytest.fail("the studio did not start:\n" + (place / "log").read_text())
                time.sleep(0.2)
        yield url
    finally:
        PLACES.remove(place)
        process.terminate()
        process.wait(20)
        end_runs(place / "w")  # they outlive the studio, which is the point of them


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """Give (workspace, address) of the studio that the tests share."""
    place = tmp_path_factory.mktemp("studio")
    write_dataset(place / "w" / "datasets" / "few")
    with serve(place) as url:
        yield place / "w", url


@pytest.fixture(scope="session")
def studio_url(studio):
    return studio[1]


@pytest.fixture
def space_url(tmp_path):
    """The studio as it runs on a Hugging Face Space."""
    with serve(tmp_path, SPACE_ID="someone/wallpaint") as url:
        yield url


def end_runs(workspace: Path) -> None:
    from wallpaint.runs import state

    for run in state.list_runs(workspace):
        if run.alive and run.pid:
            os.kill(run.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def browser():
    give_up = pytest.fail if os.environ.get("WALLPAINT_BROWSER") == "required" else pytest.skip
    if not os.access(CHROMIUM, os.X_OK):
        give_up(f"no Chromium at {CHROMIUM}: apt install chromium, or set CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright.expect.set_options(timeout=180_000)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def open_visits(browser, studio_url):
    """Give what opens pages, each of a visitor with cookies and a session of its own.

    An error in a page's script or console fails the test, and so does a request to another machine.
    """
    opened, troubles = [], []

    def note(text: str) -> None:
        if not any(word in text for word in CUT_OFF):
            troubles.append(text)

    def visit(own=studio_url, **how):
        usual = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "accept_downloads": True}
        context = browser.new_context(**usual | how)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda error: note(str(error)))
        page.on("console", lambda said: said.type == "error" and note(said.text))
        page.on("request", lambda request: foreign(request.url, own) and troubles.append(request.url))
        return page

    yield visit
    for context in opened:
        context.close()
    assert not troubles


@pytest.fixture(scope="session")
def visits(browser, studio_url):
    """`with visits() as visit` for pages that several tests look at."""
    return functools.partial(open_visits, browser, studio_url)


@pytest.fixture
def visit(visits):
    with visits() as visit:
        yield visit


@pytest.fixture
def page(visit):
    return visit()


@pytest.fixture
def phone(visit):
    """A narrow screen under fingers, dark, of somebody who reads Vietnamese."""
    return visit(viewport={"width": 390, "height": 844}, locale="vi-VN", color_scheme="dark", has_touch=True)


@pytest.fixture
def keep_picture():
    """Keep a picture of the page's upper part under a name, where somebody asked for pictures."""
    folder = os.environ.get("WALLPAINT_SCREENSHOTS")

    def keep(page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with Image.open(io.BytesIO(page.screenshot(full_page=True))) as taken:
                shown = taken.convert("RGB").crop((0, 0, taken.width, min(taken.height, PICTURE[1])))
            shown.thumbnail((PICTURE[0], PICTURE[1]))
            shown.save(Path(folder) / f"{name}.webp", quality=80)

    return keep


@pytest.fixture
def film():
    """Take frames of what a window shows, each for some milliseconds, where somebody asked for pictures: story.gif."""
    folder, frames = os.environ.get("WALLPAINT_SCREENSHOTS"), []

    def take(page, milliseconds: int) -> None:
        if folder:
            with Image.open(io.BytesIO(page.screenshot())) as taken:
                size = (FILM, round(taken.height * FILM / taken.width))
                frames.append((taken.convert("RGB").resize(size, Image.Resampling.LANCZOS), milliseconds))

    yield take
    if frames:
        write_film(frames, Path(folder) / "story.gif")


def write_film(frames, path: Path) -> None:
    """Write frames, (picture, milliseconds) of each, as a GIF in one palette, so that what stays costs nothing."""
    pictures, times = zip(*frames, strict=True)
    width, height = pictures[0].size
    few = [picture for picture, time in frames if time >= LONG]
    sheet = Image.new("RGB", (width, height * len(few)))
    for number, picture in enumerate(few):
        sheet.paste(picture, (0, height * number))
    palette = sheet.quantize(256, Image.Quantize.FASTOCTREE)  # which keeps rare colours, as of a paint that is tried
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=rest, duration=[*times], loop=0, optimize=True)


def foreign(url: str, own: str) -> bool:
    return not url.startswith((own, "data:", "blob:"))
