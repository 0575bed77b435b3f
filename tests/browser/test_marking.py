"""The board as people use it, in both tabs: marking with mouse, keyboard and fingers, saving, the doctor."""

import re

import pytest
from hands import (
    WALL,
    drag,
    expect,
    marked,
    name_dataset,
    open_sample,
    open_tab,
    place,
    settle,
    touch,
    unfold,
    wait_drawn,
    wait_fits,
    wait_marked,
    wait_ready,
)

from wallpaint.ui.compare.scene import SHOWCASE

pytestmark = pytest.mark.browser


def brush(page, board):
    """Tell more wall with the brush, take it back and put it there again."""
    now = marked(page, board)
    page.locator(f"{board} [data-tool=brush]").click()
    drag(page, (0.1, 0.9), (0.3, 0.9), board)
    brushed = wait_marked(page, now, board)
    assert brushed > now
    page.locator(f"{board} [data-do=undo]").click()
    assert wait_marked(page, brushed, board) == now
    page.locator(f"{board} [data-do=redo]").click()
    assert wait_marked(page, now, board) == brushed


def test_a_right_click_takes_away_what_is_too_much_and_leaves_the_wall(page, studio_url):
    open_sample(page, studio_url)
    unfold(page, "#board .more")
    page.locator("#board [data-do=given]").click()
    own = wait_marked(page, 0)
    page.locator("#board [data-tool=brush]").click()
    drag(page, (0.1, 0.93), (0.3, 0.93))  # on the floor
    brushed = wait_marked(page, own)
    page.locator("#board [data-tool=click]").click()
    page.mouse.click(*place(page, 0.2, 0.93), button="right")
    expect(page.locator("#board .status")).to_contain_text("Mended")
    settle(page)
    mended = wait_marked(page, brushed)
    assert own - 0.1 * own < mended < brushed
    expect(page.locator("#board [data-candidate='2']")).to_contain_text("more")
    page.locator("#board [data-do=undo]").click()
    assert wait_marked(page, mended) == brushed


def test_the_whole_story_with_a_mouse(page, studio_url, keep_picture):
    open_sample(page, studio_url)
    page.mouse.click(*place(page, *WALL))
    first = wait_marked(page, 0)
    assert 500 < first < 256 * 256
    page.mouse.click(*place(page, 0.5, 0.85), button="right")  # the floor is no wall
    settle(page)
    expect(page.locator("#board .status")).to_contain_text(re.compile("^Marked, .*right click takes away"))
    expect(page.locator("#board [data-candidate='0']")).to_contain_text("%")
    if page.locator("#board [data-candidate='1']").is_visible():
        expect(page.locator("#board [data-candidate='1']")).to_have_text(re.compile("^2 · (less|more|otherwise)$"))
        page.locator("#board [data-candidate='1']").click()
        expect(page.locator("#board [data-candidate='1']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Control+z")
    expect(page.locator("#board .status")).not_to_contain_text("sure")  # of what has been undone
    page.keyboard.press("Control+z")
    brush(page, "#board")
    brushed = marked(page)
    unfold(page, "#board .more")
    page.locator("#board [data-do=clear]").click()
    assert wait_marked(page, brushed) == 0
    page.locator("#board [data-do=given]").click()
    own = wait_marked(page, 0)
    page.locator("#board [data-do=shrink]").click()
    assert 0 < wait_marked(page, own) < own
    page.locator("#board [data-do=undo]").click()
    page.locator("#board input[type=search]").fill("3020")
    page.locator("#board .grid button").first.click()  # a paint to try: the board shows the repaint
    expect(page.locator("#board [data-view=repaint]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#board [data-paint=paint] .named")).to_contain_text("RAL 3020")
    page.locator("#board input[type=search]").fill("")
    name_dataset(page, "story")
    page.locator("#save-sample").click()
    expect(page.locator("#save-message")).to_contain_text("Saved 1 to story")
    expect(page.locator("#saved-samples img")).to_have_count(1)
    expect(page.locator("#checkup")).to_contain_text("there is no validation split")
    keep_picture(page, "dataset")
    page.locator("#saved-samples img").first.click()
    page.locator("#edit-delete").click()
    expect(page.locator("#checkup")).to_contain_text("Nothing saved in story")
    page.locator("#undo-delete").click()
    expect(page.locator("#saved-samples img")).to_have_count(1)


def test_a_box_and_the_keyboard_mark_walls_too(page, studio_url):
    open_sample(page, studio_url)
    drag(page, (0.05, 0.05), (0.95, 0.6))
    boxed = wait_marked(page, 0)
    page.keyboard.press("Delete")
    assert wait_marked(page, boxed) == 0
    page.keyboard.press("ArrowUp")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert wait_marked(page, 0) > 0
    page.keyboard.press("b")
    expect(page.locator("#board [data-tool=brush]")).to_have_attribute("aria-pressed", "true")
    size = page.locator("#board .brush").input_value()
    page.keyboard.press("]")
    assert int(page.locator("#board .brush").input_value()) > int(size)


def test_compare_has_the_same_board_and_what_is_marked_there_is_painted(page, studio_url):
    board = "#compare-board"
    open_sample(page, studio_url)
    page.mouse.click(*place(page, *WALL))
    wait_marked(page, 0)
    page.get_by_role("tab", name="Compare").click()
    wait_ready(page, board)
    own = wait_marked(page, 0, board)  # the test room's
    unfold(page, f"{board} .more")
    page.locator(f"{board} [data-do=clear]").click()
    assert wait_marked(page, own, board) == 0
    page.locator("#paint").click()
    expect(page.get_by_text("no room with a marked wall")).to_be_visible()
    drag(page, (0.02, 0.3), (0.98, 0.8), board)
    wait_marked(page, 0, board)
    settle(page, board)  # it is moved to the photo's edges
    boxed = marked(page, board)
    page.keyboard.down("Alt")  # with it a click leaves out
    page.mouse.click(*place(page, 0.75, 0.95, board))
    page.keyboard.up("Alt")
    settle(page, board)
    expect(page.locator(f"{board} .status")).to_contain_text("Marked, ")
    page.keyboard.press("Control+z")
    expect(page.locator(f"{board} .board")).to_have_attribute("data-marked", str(boxed))
    brush(page, board)
    for name in ("old", "new", "color", "refine"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()  # at once: the stroke is on its way still
    expect(page.locator("#results .view b")).to_have_text(["photo", "recolor", "truth"])
    outside = page.locator("#results .figures tr", has_text="outside").locator("td")
    expect(outside).to_have_text("0")
    before, floor = page.locator("#results .strip img").evaluate_all(
        """async (images) => await Promise.all(images.slice(0, 2).map(async (image) => { await image.decode();
        const pen = new OffscreenCanvas(256, 256).getContext("2d"); pen.drawImage(image, 0, 0, 256, 256);
        return [...pen.getImageData(51, 230, 1, 1).data]; }))"""
    )
    assert before != floor  # brushed over, so it is painted, dark as it is
    page.locator("#use-tab1").click()
    expect(page.locator(f"{board} [data-group=known]")).to_be_hidden()
    expect(page.locator(f"{board} .board")).to_have_attribute("data-marked", str(marked(page)))


def test_a_mask_the_wrong_way_round_is_told_and_turned(page, studio_url):
    open_sample(page, studio_url)
    page.locator("#board [data-do=given]").click()
    own = wait_marked(page, 0)
    page.locator("#board canvas.photo").focus()
    page.keyboard.press("v")
    assert wait_marked(page, own) == 256 * 256 - own
    expect(page.locator("#board .status.wrong")).to_contain_text("everything but the wall")
    unfold(page, "#board .more")
    page.locator("#board [data-do=invert]").click()
    assert wait_marked(page, 256 * 256 - own) == own
    expect(page.locator("#board .status:not(.wrong)")).to_have_text("A click on the photo mends what is marked.")


def test_what_the_server_could_not_take_is_sent_again_and_never_saved_half(page, studio_url):
    def refuse(route):
        refused = "save_walls" in (route.request.post_data or "")
        if refused:
            route.fulfill(json={"error": "the disk is full"})
        else:
            route.continue_()

    open_sample(page, studio_url)
    name_dataset(page, "again")
    page.route("**/component_server/", refuse)
    page.locator("#board [data-do=given]").click()
    wait_marked(page, 0)
    expect(page.locator("#board .status.wrong")).to_have_text("the disk is full")
    page.locator("#save-sample").click()
    page.wait_for_timeout(500)
    expect(page.locator("#save-message")).not_to_contain_text("Saved")
    expect(page.locator("#saved-samples img")).to_have_count(0)
    page.unroute("**/component_server/")
    page.locator("#save-sample").click()
    expect(page.locator("#save-message")).to_contain_text("Saved 1 to again")


def test_on_a_phone_a_tap_marks_two_fingers_zoom_and_nothing_sticks_out(phone, studio_url):
    open_sample(phone, studio_url)
    expect(phone.locator("#board [data-do=auto]")).to_have_text("Tự tìm tường")
    x, y = place(phone, *WALL)
    phone.touchscreen.tap(x, y)
    wait_marked(phone, 0)
    settle(phone)  # it is seen at once, and then moved to the photo's edges
    fitted = marked(phone)
    middle_x, middle_y = place(phone, 0.5, 0.5)
    before = phone.locator("#board canvas.photo").screenshot()
    touch(phone, "touchStart", (middle_x - 20, middle_y))
    touch(phone, "touchStart", (middle_x - 20, middle_y), (middle_x + 20, middle_y))
    for far in (30, 50, 80, 100):
        touch(phone, "touchMove", (middle_x - far, middle_y), (middle_x + far, middle_y))
    touch(phone, "touchEnd")
    assert marked(phone) == fitted  # a pinch is no click
    wait_drawn(phone, phone.locator("#board canvas.photo"), before)
    assert phone.evaluate("visualViewport.scale") == 1  # the photo grew, not the page
    phone.locator("#board [data-do=negative]").tap()
    phone.touchscreen.tap(x, y)  # zoomed in five times, the same spot of the screen is another of the wall
    wait_marked(phone, fitted)
    wait_fits(phone)


def test_the_keys_of_the_board_are_listed_and_a_key_shows_the_original(page, studio_url):
    open_tab(page, studio_url, "Compare")
    wait_ready(page, "#compare-board")
    page.locator("#compare-board .keys summary").click()
    expect(page.locator("#compare-board .keys dt").first).to_have_text("I")
    canvas = page.locator("#compare-board canvas.photo")
    expect(page.locator("#compare-board .board")).to_have_attribute("data-painted", SHOWCASE["showcase"])
    canvas.focus()
    painted = canvas.screenshot()
    page.keyboard.down("o")
    plain = wait_drawn(page, canvas, painted)
    page.keyboard.up("o")
    assert wait_drawn(page, canvas, plain) == painted
