"""A page that is left and opened again has what was on it."""

import json

import pytest
from hands import WALL, expect, marked, open_sample, open_tab, place, settle, wait_marked, wait_ready

pytestmark = pytest.mark.browser


def wait_kept(page, workspace):
    """Wait until what was chosen and painted last is kept: nobody presses F5 within the same second."""
    token = page.evaluate("sessionStorage.getItem('wallpaint-visit')")
    for _ in range(300):
        kept = json.loads((workspace / "visits" / f"{token}.json").read_text())
        if kept["results"] and "new" not in kept["choices"][0]:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the visit holds {kept}")


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
    wait_kept(page, studio[0])
    page.reload()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#results .verdict")).to_contain_text("recolor")
    expect(page.locator("#arms").get_by_label("new", exact=True)).not_to_be_checked()
    page.get_by_role("tab", name="Dataset").click()
    expect(page.locator("#board .board")).to_have_attribute("data-marked", str(wall))
    page.locator("#board [data-do=undo]").click()
    assert wait_marked(page, wall) == 0  # its marks are marks, not a picture
    page.locator("#board [data-do=redo]").click()
    wait_marked(page, 0)
    settle(page)

    again = page.context.new_page()  # a tab that was closed, or a phone that slept
    open_tab(again, studio_url, "dataset")
    expect(again.locator("#board .board")).to_have_attribute("data-marked", str(wall))
    stranger = visit()
    open_tab(stranger, studio_url, "dataset")
    stranger.wait_for_function("window.cameBack")  # all that comes back has come
    expect(stranger.locator("#board .board")).to_have_attribute("data-state", "empty")
