"""A page that is left and opened again has what was on it."""

import re

import pytest
from hands import (
    COMPARE,
    ROOMS,
    WALL,
    expect,
    marked,
    only,
    open_sample,
    open_tab,
    place,
    settle,
    unfold,
    upload,
    wait_kept,
    wait_marked,
    wait_painted,
    wait_ready,
    wait_stage,
)

pytestmark = pytest.mark.browser
FOUND = re.compile(r"\d+ %")


def test_f5_a_closed_tab_and_somebody_else(page, visit, studio, studio_url):
    open_sample(page, studio_url, 1)
    page.mouse.click(*place(page, *WALL))
    wait_marked(page, 0)
    settle(page)
    wall = marked(page)
    page.get_by_role("tab", name="Compare").click()
    wait_ready(page, "#compare-board")
    for name in ("old", "new", "color", "refine"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()
    expect(page.locator("#results .verdict")).to_contain_text("recolor")
    wait_kept(page, studio[0], lambda kept: kept["room"] and "new" not in kept["choices"][0])
    page.reload()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#results .verdict")).to_contain_text("recolor")
    expect(page.locator("#arms").get_by_label("new", exact=True)).not_to_be_checked()
    page.get_by_role("tab", name="Dataset").click()
    expect(page.locator("#board .board")).to_have_attribute("data-marked", str(wall))
    expect(page.locator("#board [data-do=undo]")).to_be_disabled()
    unfold(page, "#board .more")
    page.locator("#board [data-do=clear]").click()
    assert wait_marked(page, wall) == 0  # its marks are marks, not a picture
    page.locator("#board [data-do=undo]").click()
    assert wait_marked(page, 0) == wall
    settle(page)

    again = page.context.new_page()  # a tab that was closed, or a phone that slept
    open_tab(again, studio_url, "dataset")
    expect(again.locator("#board .board")).to_have_attribute("data-marked", str(wall))
    expect(again.locator("#board .status")).to_have_text("A click on the photo mends what is marked.")
    stranger = visit()
    open_tab(stranger, studio_url, "dataset")
    stranger.wait_for_function("window.cameBack")  # all that comes back has come
    expect(stranger.locator("#board .board")).to_have_attribute("data-state", "empty")


def test_f5_in_the_middle_of_painting_two_walls_of_ones_own_photo_on_a_phone(phone, studio):
    workspace, url = studio
    open_tab(phone, url, "compare")
    wait_painted(phone)
    only(phone, "recolor")
    upload(phone, "#compare-photo", ROOMS / "test" / "000001-0.jpg")
    board, hexes = phone.locator(f"{COMPARE} .board"), phone.locator(f"{COMPARE} [data-paint=paint] input[type=text]")
    expect(phone.locator(f"{COMPARE} .status")).to_have_text(FOUND)
    hexes.fill("#C8553D")
    phone.locator(f"{COMPARE} [data-do=add-wall]").click()
    expect(board).to_have_attribute("data-marked", "0")
    phone.touchscreen.tap(*place(phone, 0.5, 0.9, COMPARE))
    wait_marked(phone, 0, COMPARE)
    hexes.fill("#2F4858")
    settle(phone, COMPARE)
    own = marked(phone, COMPARE)
    wait_kept(
        phone, workspace, lambda kept: kept["room"]["picture"]["name"] == "000001-0" and len(kept["choices"][0]) == 1
    )
    phone.locator("#paint").click()
    phone.reload()  # while it paints
    expect(board).to_have_attribute("data-painted", "#C8553D #2F4858")
    expect(board).to_have_attribute("data-marked", str(own))
    phone.wait_for_function("window.cameBack")
    expect(phone.locator("#paint")).to_be_enabled()
    phone.locator("#arms").get_by_label("field", exact=True).check()  # what was painted meanwhile may come as well
    phone.locator("#paint").click()
    expect(phone.locator("#results .view")).to_have_count(3)
    stage = wait_stage(phone)
    expect(phone.locator("#results .outlook .chip")).to_have_count(4)  # of two paints
    folder = stage.get_attribute("data-folder")
    phone.reload()
    expect(phone.locator("#results .stage")).to_have_attribute("data-folder", folder)
    expect(board).to_have_attribute("data-marked", str(own))
