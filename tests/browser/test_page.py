import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser
SAM = os.environ.get("WALLPAINT_SAM") or Path(__file__).parents[2] / "assets" / "models" / "room-tiny"


def room_photo() -> bytes:
    """A rendered room of 256 x 256 px whose wall is violet."""
    return (Path(__file__).parents[2] / "assets" / "rooms" / "test" / "000017-0.jpg").read_bytes()


def shown(page, name) -> np.ndarray:
    """Pixels of an image component, as the server sent them."""
    source = page.locator(f"#{name} img").get_attribute("src")
    return np.asarray(Image.open(BytesIO(page.request.get(source).body())).convert("RGB"), dtype=int)


def open_photo(page, url):
    page.goto(url)
    page.locator("#upload-photo-button, #upload-photo").first.wait_for()
    page.locator("input[type=file]").first.set_input_files(
        {"name": "attic.jpg", "mimeType": "image/jpeg", "buffer": room_photo()}
    )
    page.locator("#canvas img").wait_for()


def test_the_three_tabs_open(page, studio_url):
    from playwright.sync_api import expect

    page.goto(studio_url)
    for tab, seen in (("Train", "#start-training"), ("Compare", "#paint"), ("Dataset", "#upload-photo")):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(seen).first).to_be_visible()
    page.get_by_role("tab", name="Train").click()
    expect(page.get_by_text("No run yet.")).to_be_visible()  # the timer ticks


def test_the_page_speaks_vietnamese_on_every_tab(page, studio_url):
    from playwright.sync_api import expect

    page.goto(f"{studio_url}/?lang=vi")
    expect(page.get_by_role("tab", name="Dữ liệu")).to_be_visible()
    page.get_by_role("tab", name="Huấn luyện").click()
    expect(page.locator("#start-training")).to_have_text("Bắt đầu huấn luyện")
    page.get_by_role("tab", name="So sánh").click()
    expect(page.locator("#paint")).to_have_text("Sơn")


@pytest.mark.skipif(not Path(SAM).exists(), reason="assets/models/room-tiny has no segment-anything weights")
def test_a_click_marks_the_wall_and_a_paint_repaints_it(page, studio_url):
    from playwright.sync_api import expect

    open_photo(page, studio_url)
    before, source = shown(page, "canvas"), page.locator("#canvas img").get_attribute("src")
    box = page.locator("#canvas img").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"])
    expect(page.locator("#canvas img")).not_to_have_attribute("src", source)
    page.locator("#preview img").wait_for()
    after, repaint = shown(page, "canvas"), shown(page, "preview")
    changed = np.abs(after - before).sum(-1) > 40
    assert changed[102, 128] and 0.02 < changed.mean() < 0.98  # the overlay lies where the click was
    green = repaint[..., 1] - repaint[..., 0]
    assert green[92, 128] > 15  # the wall has taken the default green


def test_what_is_no_photo_is_told_on_the_page(page, studio_url):
    from playwright.sync_api import expect

    page.goto(studio_url)
    page.locator("#upload-photo-button, #upload-photo").first.wait_for()
    page.locator("input[type=file]").first.set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(page.get_by_text("cannot be read")).to_be_visible()
