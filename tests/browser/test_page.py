import os
import shutil

import pytest
from hands import WALL, expect, marked, open_tab, place, settle, wait_marked, wait_ready

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
