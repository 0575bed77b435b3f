"""Tab Dataset as people use it: marking with mouse, keyboard and finger, saving, and what the doctor says."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
ROOMS = Path(__file__).parents[2] / "assets" / "rooms"
CLICK = (0.5, 0.25)  # on the wall of the first sample room


def board(page):
    return page.locator("#board .board")


def open_sample(page, url, number=0):
    from playwright.sync_api import expect

    page.goto(url)
    page.locator("#sample-rooms img").nth(number).click()
    expect(board(page)).to_have_attribute("data-ready", expect_number())


def expect_number():
    import re

    return re.compile(r"^\d+$")


def marked(page):
    """Pixels of the wall at hand."""
    return int(board(page).get_attribute("data-marked") or 0)


def wait_marked(page, changed_from):
    page.wait_for_function(
        "was => Number(document.querySelector('#board .board').dataset.marked || 0) !== was", arg=changed_from
    )
    return marked(page)


def place(page, x, y):
    """Screen coordinates of a point of the photo, given as shares of it; the photo is square."""
    canvas = page.locator("#board canvas.photo")
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    side = min(area["width"], area["height"])
    left, top = area["x"] + (area["width"] - side) / 2, area["y"] + (area["height"] - side) / 2
    return left + x * side, top + y * side


def test_the_whole_story_with_a_mouse(page, studio_url, tmp_path):
    from playwright.sync_api import expect

    open_sample(page, studio_url)
    page.mouse.click(*place(page, *CLICK))
    first = wait_marked(page, 0)
    assert 500 < first < 256 * 256
    page.mouse.click(*place(page, 0.5, 0.85), button="right")  # the floor is no wall
    expect(page.locator("#board .status")).to_contain_text("Marked in")
    if page.locator("[data-candidate='1']").is_visible():
        page.locator("[data-candidate='1']").click()
        expect(page.locator("[data-candidate='1']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    now = marked(page)
    page.locator("[data-tool=brush]").click()
    page.mouse.move(*place(page, 0.1, 0.9))
    page.mouse.down()
    page.mouse.move(*place(page, 0.3, 0.9), steps=4)
    page.mouse.up()
    brushed = wait_marked(page, now)
    assert brushed > now
    page.locator("[data-do=undo]").click()
    assert wait_marked(page, brushed) == now
    page.locator("[data-do=redo]").click()
    assert wait_marked(page, now) == brushed
    page.locator("[data-do=clear]").click()
    assert wait_marked(page, brushed) == 0
    page.locator("[data-do=given]").click()
    own = wait_marked(page, 0)
    page.locator("[data-do=shrink]").click()
    assert 0 < wait_marked(page, own) < own
    page.locator("[data-do=undo]").click()
    page.locator("#board input[type=search]").fill("3020")
    page.locator("#board .grid button").first.click()  # a paint to try: the board shows the repaint
    expect(page.locator("[data-view=repaint]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-paint=paint] .named")).to_contain_text("RAL 3020")
    page.locator("#dataset-name input").fill("story")
    page.locator("#dataset-name input").press("Enter")
    page.locator("#save-sample").click()
    expect(page.locator("#save-message")).to_contain_text("Saved 1 to story")
    expect(page.locator("#saved-samples img")).to_have_count(1)
    expect(page.locator("#checkup")).to_contain_text("there is no validation split")
    page.locator("#saved-samples img").first.click()
    page.locator("#edit-delete").click()
    expect(page.locator("#checkup")).to_contain_text("Nothing saved in story")
    page.locator("#undo-delete").click()
    expect(page.locator("#saved-samples img")).to_have_count(1)


def test_a_box_and_the_keyboard_mark_walls_too(page, studio_url):
    from playwright.sync_api import expect

    open_sample(page, studio_url)
    page.mouse.move(*place(page, 0.05, 0.05))
    page.mouse.down()
    page.mouse.move(*place(page, 0.95, 0.6), steps=3)
    page.mouse.up()
    boxed = wait_marked(page, 0)
    page.keyboard.press("Delete")
    assert wait_marked(page, boxed) == 0
    page.keyboard.press("ArrowUp")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert wait_marked(page, 0) > 0
    page.keyboard.press("b")
    expect(page.locator("[data-tool=brush]")).to_have_attribute("aria-pressed", "true")
    size = page.locator("#board .brush").input_value()
    page.keyboard.press("]")
    assert int(page.locator("#board .brush").input_value()) > int(size)


def test_several_photos_are_marked_and_kept_in_one_go(page, studio_url):
    from playwright.sync_api import expect

    page.goto(studio_url)
    board(page).wait_for()
    files = [str(ROOMS / "test" / f"{name}.jpg") for name in ("000002-0", "000017-0")]
    page.locator("#upload-photo-button, #upload-photo").first.wait_for()
    page.locator("input[type=file][multiple]").first.set_input_files(files)
    expect(page.locator("#roll img")).to_have_count(2)
    page.locator("#find-all").click()
    expect(page.locator("#roll-said")).to_contain_text("of 2. Untick")
    expect(page.locator("#ticked input")).not_to_have_count(0)
    page.locator("#dataset-name input").fill("many")
    page.locator("#dataset-name input").press("Enter")
    page.locator("#keep-ticked").click()
    expect(page.locator("#save-message")).to_contain_text("to many")


def test_on_a_phone_a_tap_marks_and_nothing_sticks_out(browser, studio_url):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, locale="vi-VN")
    page = context.new_page()
    page.set_default_timeout(60_000)
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    open_sample(page, studio_url)
    assert page.locator("[data-do=auto]").text_content() == "Tự tìm tường"
    page.touchscreen.tap(*place(page, *CLICK))
    assert wait_marked(page, 0) > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert json.dumps(troubles) == "[]"
    context.close()


def test_what_is_no_photo_is_told_on_the_page(page, studio_url):
    from playwright.sync_api import expect

    page.goto(studio_url)
    page.locator("#upload-photo-button, #upload-photo").first.wait_for()
    page.locator("input[type=file][multiple]").first.set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(page.get_by_text("none of these files is a photo")).to_be_visible()
