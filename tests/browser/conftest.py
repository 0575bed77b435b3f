"""The studio as its own process and a headless Chromium to look at it."""

import os
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


@pytest.fixture(scope="session")
def studio_url(tmp_path_factory):
    place, port = tmp_path_factory.mktemp("studio"), free_port()
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


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"no Chromium at {CHROMIUM}: apt install chromium, or set CHROMIUM")
    playwright.expect.set_options(timeout=60_000)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, studio_url):
    """A page that fails the test on any script error or request to another machine."""
    troubles = []
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, locale="en-US")
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: foreign(request.url, studio_url) and troubles.append(request.url))
    yield page
    page.close()
    assert not troubles


def foreign(url: str, own: str) -> bool:
    return not url.startswith((own, "data:", "blob:"))
