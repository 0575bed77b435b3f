import os
import re
import shutil

import pytest
from hands import WALL, expect, marked, open_tab, place, settle, wait_kept, wait_marked, wait_ready

pytestmark = pytest.mark.browser


def test_the_three_tabs_open(page, studio_url):
    page.goto(studio_url)
    for tab, seen in (("Train", "#start-training"), ("Compare", "#paint"), ("Dataset", "#upload-photo")):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(seen).first).to_be_visible()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#run-status .card")).to_be_visible()  # the timer ticks


def test_a_run_is_followed_though_an_old_answer_comes_last(page, studio):
    from wallpaint.runs import state

    workspace, url = studio
    folder, badge, held = state.new_run_folder(workspace, "watched"), page.locator("#run-status .badge"), []
    state.write_state(folder, state="running", pid=os.getpid(), step=3, max_train_steps=9)
    open_tab(page, url, "Train")
    expect(badge).to_have_text("running")

    def hold(route):  # a look of the page is answered, and the answer long on its way
        state.write_state(folder, step=4)
        held.append((route, route.fetch()))

    page.route("**/run/predict*", hold, times=1)
    while not held:
        page.wait_for_timeout(100)
    state.write_state(folder, state="done", step=9)
    page.get_by_role("tab", name="Dataset").click()
    page.get_by_role("tab", name="Train").click()  # looks as well
    expect(badge).to_have_text("done")
    route, answer = held[0]
    route.fulfill(response=answer)
    page.wait_for_timeout(1000)
    expect(badge).to_have_text("done")
    shutil.rmtree(folder)


# Which of the page's intervals are as long as the look at the runs: there is one while its timer is at work.
COUNT_TICKING = """window.ticking = new Set();
  const begin = window.setInterval, end = window.clearInterval;
  window.setInterval = (what, time, ...more) => {
    const id = begin(what, time, ...more); if (time === 2000) window.ticking.add(id); return id; };
  window.clearInterval = (id) => { window.ticking.delete(id); end(id); };"""


def test_runs_are_looked_at_while_tab_train_is_open_and_anew_when_it_is_opened(page, studio):
    from wallpaint.runs import state

    workspace, url = studio
    folder, badge = state.new_run_folder(workspace, "looked-at"), page.locator("#run-status .badge")
    state.write_state(folder, state="running", pid=os.getpid(), step=3, max_train_steps=9)
    page.add_init_script(COUNT_TICKING)
    open_tab(page, url, "Compare")
    page.wait_for_function("ticking.size === 0")
    page.get_by_role("tab", name="Train").click()
    expect(badge).to_have_text("running")
    page.wait_for_function("ticking.size === 1")
    page.get_by_role("tab", name="Dataset").click()
    page.wait_for_function("ticking.size === 0")
    state.write_state(folder, state="done", step=9)
    page.get_by_role("tab", name="Train").click()
    expect(badge).to_have_text("done")
    page.reload()  # the tab comes back without a click
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    page.wait_for_function("ticking.size === 1")
    page.goto("about:blank")
    shutil.rmtree(folder)


def test_a_list_of_recipes_that_is_opened_and_left_leaves_the_form_as_it_was_filled_in(page, studio):
    workspace, url = studio
    recipe, steps, learns = (
        page.locator("#preset input"),
        page.get_by_label("max_train_steps"),
        page.locator("#preflight"),
    )
    open_tab(page, url, "Train")
    recipe.click()
    page.get_by_role("option", name="new_lora").click()
    expect(learns).to_contain_text("active, frozen")
    for again in (False, True):
        steps.fill("31")
        expect(learns).to_contain_text("31, each of 8 pictures")
        recipe.click()
        steps.click()  # which leaves the list
        page.get_by_label("seed").fill("7" if again else "5")
        wait_kept(page, workspace, lambda kept: kept["recipe"][2]["seed"] == (7 if again else 5))  # noqa: B023
        expect(steps).to_have_value("31")
        page.reload()
        page.wait_for_function("window.cameBack")
        expect(steps).to_have_value("31")
    recipe.click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(recipe).to_have_value(re.compile("color_lora"))
    expect(steps).to_have_value("1500")  # of the recipe that was chosen


def test_the_page_speaks_vietnamese_on_every_tab(page, studio_url):
    page.goto(f"{studio_url}/?lang=vi")
    page.get_by_role("tab", name="Dữ liệu").click()
    expect(page.locator("#checkup")).to_contain_text("chưa có mẫu nào")  # also what is read from the disk
    page.get_by_role("tab", name="Huấn luyện").click()
    expect(page.locator("#start-training")).to_have_text("Bắt đầu huấn luyện")
    page.get_by_role("tab", name="So sánh").click()
    expect(page.locator("#paint")).to_have_text("Sơn")


def test_a_space_marks_and_paints_and_neither_trains_nor_keeps(space_url, visit):
    page = visit(own=space_url)
    open_tab(page, space_url, "Train")
    expect(page.get_by_text("Training is switched off on this public demo")).to_be_visible()
    assert page.locator("#start-training, #run").count() == 0
    page.get_by_role("tab", name="Dataset").click()
    page.locator("#sample-rooms img").first.click()
    wait_ready(page)
    page.mouse.click(*place(page, *WALL))
    assert wait_marked(page, 0) > 500
    settle(page)
    expect(page.locator("#save-sample")).to_be_hidden()
    page.get_by_role("tab", name="Compare").click()
    page.locator("#use-tab1").click()
    expect(page.locator("#compare-board .board")).to_have_attribute("data-marked", str(marked(page)))
    for name in ("old", "new", "color", "refine"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()
    expect(page.locator("#results .view b")).to_have_text(["photo", "recolor"])
