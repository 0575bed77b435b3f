"""Three visitors at once: one trains, one marks, one paints; nobody sees what is another's."""

import re

import pytest
from hands import (
    COMPARE,
    ROOMS,
    WALL,
    expect,
    marked,
    only,
    open_tab,
    place,
    settle,
    upload,
    wait_marked,
    wait_painted,
    wait_ready,
)

pytestmark = pytest.mark.browser

STEPS = 8


def start_training(page, url):
    open_tab(page, url, "train")
    page.locator("#train-dataset input").click()
    page.get_by_role("option", name="few", exact=True).click()
    expect(page.locator("#preflight")).to_contain_text("pictures: 4")
    page.get_by_label("max_train_steps").fill(str(STEPS))
    page.locator("#start-training").click()


def test_one_trains_one_marks_one_paints_and_each_sees_their_own(visit, studio_url):
    marker, painter = visit(), visit()
    trainer = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    start_training(trainer, studio_url)
    badge = trainer.locator("#run-status .badge")
    expect(badge).to_have_text(re.compile("starting|running"))
    open_tab(painter, studio_url, "compare")
    upload(painter, "#compare-photo", ROOMS / "test" / "000001-0.jpg")
    open_tab(marker, studio_url, "dataset")
    marker.locator("#sample-rooms img").first.click()
    wait_ready(marker)
    only(painter, "recolor", "new")
    wait_ready(painter, COMPARE)
    assert marked(painter, COMPARE) > 500  # its wall was found, while the others were at work
    painter.locator("#paint").click()
    marker.mouse.click(*place(marker, *WALL))
    wait_marked(marker, 0)
    settle(marker)  # its edges are looked at too
    own = marked(marker)
    expect(painter.locator("#results .view b")).to_have_text(["photo", "new", "recolor"])
    expect(badge).to_have_text("done")
    expect(
        trainer.locator("#run-status progress")
    ).to_be_in_viewport()  # it told more and more, and stayed where it was
    for page in (trainer, marker):  # the room that everybody begins with, and nobody's results
        page.get_by_role("tab", name="Compare").click()
        wait_painted(page)
        expect(page.locator("#room-before")).to_be_hidden()
        assert page.locator("#results .view").count() == 0
    for page in (trainer, painter):
        page.get_by_role("tab", name="Dataset").click()
        expect(page.locator("#board .board")).to_have_attribute("data-state", "empty")
    marker.reload()  # each comes back to their own
    marker.get_by_role("tab", name="Dataset").click()
    expect(marker.locator("#board .board")).to_have_attribute("data-marked", str(own))
    painter.reload()
    expect(painter.locator("#results .view b")).to_have_text(["photo", "new", "recolor"])
