"""What people see of a page that no story asks for: its fields, the photo as it was printed, a line that is late."""

import re

import pytest
from hands import (
    COMPARE,
    expect,
    marked,
    name_dataset,
    only,
    open_sample,
    open_tab,
    show,
    wait_held,
    wait_painted,
    wait_stage,
)

pytestmark = pytest.mark.browser
FIELDS = "input:not([type=radio], [type=checkbox], [type=range], [type=color], [type=file]), select, textarea"


def contrast(page, of):
    """The contrast of an input's placeholder with what is behind it, as WCAG counts it."""
    return page.locator(of).evaluate(
        """(input) => {
        const pen = new OffscreenCanvas(1, 1).getContext("2d");
        const light = (color) => {
            pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
                .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; };
        const one = light(getComputedStyle(input, "::placeholder").color);
        const two = light(getComputedStyle(input).backgroundColor);
        return Math.max(one, two) / Math.min(one, two); }"""
    )


def test_fields_on_a_phone_are_large_enough_that_it_does_not_zoom_in(phone, studio_url):
    open_sample(phone, studio_url)
    name_dataset(phone, "nothing-yet")
    sizes = phone.locator(FIELDS).evaluate_all(
        "fields => fields.filter(f => f.offsetParent).map(f => parseFloat(getComputedStyle(f).fontSize))"
    )
    assert len(sizes) >= 7 and min(sizes) >= 16
    head, card = phone.locator("h3", has_text="Trong bộ dữ liệu"), phone.locator("#checkup .empty")
    expect(card).to_be_visible()
    below = card.bounding_box()["y"] - head.bounding_box()["y"] - head.bounding_box()["height"]
    assert below < 50  # nothing unseen stands between them


def test_on_a_phone_no_setting_of_a_run_is_cut_off(phone, studio_url):
    open_tab(phone, studio_url, "train")
    folds = phone.locator("#train .label-wrap:not(.open)")
    while folds.count():
        folds.first.click()
    phone.wait_for_function("""() => [...document.querySelectorAll("#train .form > .block")].every((block) =>
        block.scrollWidth <= block.clientWidth)""")


def test_on_a_phone_no_label_shows_through_the_row_that_paints(phone, studio_url):
    open_tab(phone, studio_url, "compare")
    covered = phone.evaluate(
        """() => {
        const title = document.querySelector("#arms [data-testid=block-info]");
        window.scrollBy(0, title.getBoundingClientRect().top - innerHeight + 40);
        const { left, top, width, height } = title.getBoundingClientRect();
        const seen = document.elementFromPoint(left + width / 2, top + height / 2);
        return document.querySelector("#paint-row").contains(seen); }"""
    )
    assert covered


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hints_can_be_read_and_what_is_chosen_from_a_list_has_an_arrow(visit, studio_url, scheme):
    page = visit(color_scheme=scheme)
    open_sample(page, studio_url)
    assert contrast(page, "textarea[placeholder='a room with painted walls']") > 4.5
    expect(page.locator("#board select")).to_have_css("appearance", "auto")


def test_the_photo_itself_is_printed_without_a_swatch(page, studio_url):
    page.add_init_script("window.print = () => { window.top.printed = document.documentElement.outerHTML; };")
    open_tab(page, studio_url, "compare")
    wait_painted(page)
    only(page, "recolor")
    page.locator("#paint").click()
    wait_stage(page)
    for key, swatches in (("1", 1), ("O", 0)):
        show(page, key)
        page.locator("#results [data-do=print]").click()
        page.wait_for_function("window.printed")
        printed = page.evaluate("() => { const page = window.printed; window.printed = null; return page; }")
        assert (printed.count("<img"), printed.count("<i ")) == (1, swatches)


def test_the_line_below_a_paint_never_speaks_of_the_one_before(page, studio_url):
    open_tab(page, studio_url, "compare")
    wait_painted(page)
    line, box = (
        page.locator(f"{COMPARE} [data-paint=paint] .named"),
        page.locator(f"{COMPARE} [data-label=hex]:visible"),
    )
    expect(line).not_to_be_empty()
    held, busy = [], True
    page.route(re.compile("component_server"), lambda route: held.append(route) if busy else route.continue_())
    box.fill("#B5651D")
    expect(line).to_be_empty()
    busy = False
    for route in held:
        route.continue_()
    expect(line).to_contain_text("RAL 8001")


def test_what_the_board_says_follows_the_language(page, studio_url):
    open_tab(page, studio_url, "compare")
    status = page.locator("#compare-board .status")
    expect(status).to_have_text("A quick preview. A click on the photo mends what is marked.")
    page.locator("#language").get_by_label("Tiếng Việt").check()
    expect(status).to_have_text("Xem trước nhanh. Bấm vào ảnh để sửa vùng chọn.")


def test_a_mark_that_is_undone_is_spoken_of_no_more(page, studio_url):
    open_tab(page, studio_url, "compare")
    wait_painted(page)
    expect(page.locator(f"{COMPARE} .status")).to_contain_text("mends what is marked")
    board, own = page.locator(f"{COMPARE} .board"), marked(page, COMPARE)
    page.locator(f"{COMPARE} canvas.photo").focus()
    page.keyboard.press("Control+z")  # what was opened is no step
    page.keyboard.press("Delete")
    expect(page.locator(f"{COMPARE} .status")).to_have_text("Ready: click on the wall.")
    page.keyboard.press("Control+z")
    expect(page.locator(f"{COMPARE} .status")).to_have_text("A click on the photo mends what is marked.")
    page.keyboard.press("Control+z")
    expect(board).to_have_attribute("data-marked", str(own))
    page.locator(f"{COMPARE} [data-do=redo]").click()
    expect(page.locator(f"{COMPARE} .status")).to_have_text("Ready: click on the wall.")


def test_a_paint_that_is_still_looked_for_shows_no_colour(page, studio_url):
    open_sample(page, studio_url)
    line, picker = page.locator("#board [data-paint=now] .named"), page.locator("#board [data-paint=now] [type=color]")
    expect(line).to_have_text("Looked for once the wall is marked.")
    expect(picker).to_have_class("unknown")
    held, busy = [], True

    def hold(route):
        held.append(route) if busy and "save_walls" in route.request.post_data else route.continue_()

    page.route("**/component_server/", hold)
    page.locator("#board [data-do=given]").click()
    wait_held(page, held)
    expect(line).to_have_text("Being looked for…")
    busy = False
    for route in held:
        route.continue_()
    expect(line).to_contain_text("LRV")
    expect(picker).not_to_have_class("unknown")
