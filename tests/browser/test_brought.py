"""A photo that is brought to tab Compare: its wall is found unasked, a mark like any other, and painted at once."""

import re

import pytest
from hands import (
    COMPARE,
    ROOMS,
    SIZES,
    drag,
    drop_files,
    expect,
    marked,
    only,
    open_tab,
    paste_file,
    settle,
    upload,
    wait_held,
    wait_marked,
    wait_painted,
    wait_stage,
)

pytestmark = pytest.mark.browser
PHOTO = ROOMS / "test" / "000001-0.jpg"
OTHER = ROOMS / "test" / "000002-0.jpg"
READY = re.compile("^Ready: ")
FOUND = re.compile(r"\d+ %")
WAYS = {
    "uploaded": lambda page: upload(page, "#compare-photo", PHOTO),
    "dropped": lambda page: drop_files(page, [PHOTO], COMPARE),
    "pasted": lambda page: paste_file(page, PHOTO),
}


def hold(page, call):
    """Keep what the board's script asks the server of that name until it is let go: give what was kept."""
    kept = []

    def keep(route):
        if f'"{call}"' in (route.request.post_data or ""):
            kept.append(route)
        else:
            route.continue_()

    page.route("**/component_server/", keep)
    return kept


@pytest.mark.parametrize(
    ("size", "way"), [("desktop", "dropped"), ("laptop", "pasted"), ("phone", "uploaded")], ids=lambda word: word
)
def test_a_photo_that_is_brought_finds_its_wall_and_paint_is_one_press_away(visit, studio_url, size, way):
    page = visit(**SIZES[size])
    open_tab(page, studio_url, "compare")
    wait_painted(page)
    only(page, "recolor")
    board, kept = page.locator(f"{COMPARE} .board"), hold(page, "propose")
    WAYS[way](page)
    wait_held(page, kept)
    if early := way == "pasted":
        page.locator("#paint").click()  # which waits for the wall
    kept[0].continue_()
    wall = wait_marked(page, 0, COMPARE)
    expect(page.locator(f"{COMPARE} .status")).to_have_text(FOUND)
    if not early:
        page.locator(f"{COMPARE} [data-do=undo]").click()
        expect(board).to_have_attribute("data-marked", "0")
        page.locator(f"{COMPARE} [data-do=redo]").click()
        expect(board).to_have_attribute("data-marked", str(wall))
        page.locator("#paint").click()
    wait_stage(page)
    expect(page.locator("#results .view b")).to_have_count(2)  # the photo and its repaint: no truth is known


def test_a_wall_is_looked_for_once_and_not_laid_over_what_is_marked_meanwhile(page, studio_url):
    open_tab(page, studio_url, "compare")
    wait_painted(page)
    kept, board, status = hold(page, "propose"), page.locator(f"{COMPARE} .board"), page.locator(f"{COMPARE} .status")
    upload(page, "#compare-photo", PHOTO)
    wait_held(page, kept)
    expect(status).to_have_text("Looking for the wall…")
    page.locator(f"{COMPARE} [data-tool=brush]").click()
    drag(page, (0.4, 0.3), (0.5, 0.3), COMPARE)
    stroke = wait_marked(page, 0, COMPARE)
    kept.pop().continue_()
    expect(status).to_have_text(READY)
    assert marked(page, COMPARE) == stroke
    page.locator(f"{COMPARE} [data-do=undo]").click()
    expect(board).to_have_attribute("data-marked", "0")
    expect(page.locator(f"{COMPARE} [data-do=undo]")).to_be_disabled()
    settle(page, COMPARE)

    upload(page, "#compare-photo", OTHER)
    wait_held(page, kept)
    kept.pop().fulfill(json={})  # none is found
    expect(status).to_have_text("No wall found: click on it.")
    assert marked(page, COMPARE) == 0
    page.locator("#room-before").click()  # what comes back is as it was left
    expect(status).to_have_text(READY)
    page.reload()
    page.wait_for_function("window.cameBack")
    expect(status).to_have_text(READY)
    assert marked(page, COMPARE) == 0 and not kept
