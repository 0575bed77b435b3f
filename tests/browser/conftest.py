"""The studio as its own process and a headless Chromium to look at it.

WALLPAINT_BROWSER=required (as .ci/run sets it) turns a missing browser from a skip into a failure;
WALLPAINT_SCREENSHOTS=FOLDER keeps pictures of the story.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_dataset(folder: Path) -> None:
    """A dataset so small that a run on it starts at once: four pictures to learn from, one held out."""
    from wallpaint.dataset import add_sample, read_samples
    from wallpaint.images import load_mask, load_photo

    samples = read_samples(ROOT / "assets" / "rooms" / "sample", "train")
    rooms = list({sample.room_id: sample for sample in samples}.values())[:5]
    for number, sample in enumerate(rooms):
        split = "validation" if number == 4 else "train"
        photo, mask = load_photo(sample.image), load_mask(sample.mask)
        add_sample(folder, split, photo, mask, sample.color, sample.text, sample.room_id)


# What Gradio's page says of requests that a reload or its own end cuts off.
CUT_OFF = ("AbortError", "Connection errored out")


@pytest.fixture(scope="session")
def studio_url(tmp_path_factory):
    place, port = tmp_path_factory.mktemp("studio"), free_port()
    write_dataset(place / "w" / "datasets" / "few")
    with open(place / "log", "w") as log:
        command = [
            sys.executable,
            str(ROOT / "studio.py"),
            "--port",
            str(port),
            "--workspace",
            str(place / "w"),
        ]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=place)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
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
        process.terminate()
        process.wait(20)
        end_runs(place / "w")  # they outlive the studio, which is the point of them


def end_runs(workspace: Path) -> None:
    from wallpaint import runs

    for run in runs.list_runs(workspace):
        if run.alive and run.pid:
            os.kill(run.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def browser():
    give_up = pytest.fail if os.environ.get("WALLPAINT_BROWSER") == "required" else pytest.skip
    if not os.access(CHROMIUM, os.X_OK):
        give_up(f"no Chromium at {CHROMIUM}: apt install chromium, or set CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright.expect.set_options(timeout=60_000)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, studio_url):
    """A page that fails the test on an error in its script or console, or a request to another machine."""
    page, troubles = open_page(browser, studio_url)
    yield page
    page.close()
    assert not troubles


@pytest.fixture
def another_page(browser, studio_url):
    """A page of another visitor, with cookies and a session of its own."""
    page, troubles = open_page(browser, studio_url)
    yield page
    page.close()
    assert not troubles


def open_page(browser, url: str) -> tuple:
    """Give a fresh page and the list in which its troubles gather."""
    troubles: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US", accept_downloads=True)
    page.set_default_timeout(90_000)

    def note(text: str) -> None:
        if not any(word in text for word in CUT_OFF):
            troubles.append(text)

    page.on("pageerror", lambda error: note(str(error)))
    page.on("console", lambda said: said.type == "error" and note(said.text))
    page.on("request", lambda request: foreign(request.url, url) and troubles.append(request.url))
    return page, troubles


@pytest.fixture
def keep_picture():
    """Keep a picture of the page under a name, where somebody asked for pictures."""
    folder = os.environ.get("WALLPAINT_SCREENSHOTS")

    def keep(page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / f"{name}.jpg", type="jpeg", quality=75, full_page=True)

    return keep


def foreign(url: str, own: str) -> bool:
    return not url.startswith((own, "data:", "blob:"))
