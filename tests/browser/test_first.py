"""The first minute, and what follows it: a painted wall, a photo of one's own, a sheet to decide from, a project."""

import json
import re
import zipfile

import numpy as np
import pytest
from hands import (
    ROOMS,
    SIZES,
    expect,
    marked,
    only,
    open_tab,
    settle,
    unfold,
    upload,
    wait_fits,
    wait_kept,
    wait_marked,
    wait_ready,
    wait_stage,
)
from PIL import Image

from wallpaint.ui.compare.scene import SHOWCASE

pytestmark = pytest.mark.browser
BOARD, PAINT = "#compare-board", SHOWCASE["showcase"]
LEFT, RIGHT = (0.55, 0.45), (0.8, 0.3)  # on the two walls of the photo, as shares of it


def spot(page, x, y, size):
    """Screen coordinates of a point of the photo on the board, given as shares of it."""
    canvas = page.locator(f"{BOARD} canvas.photo")
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    scale = min(area["width"] / size[0], area["height"] / size[1])
    middle = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    return middle[0] + (x - 0.5) * size[0] * scale, middle[1] + (y - 0.5) * size[1] * scale


def choose_paint(page, hex_code):
    page.locator(f"{BOARD} [data-paint=paint] input[type=text]").fill(hex_code)


@pytest.mark.parametrize("size", SIZES)
def test_the_page_opens_on_a_painted_wall_that_follows_every_paint(visit, studio_url, keep_picture, size):
    page = visit(**SIZES[size])
    page.goto(studio_url)
    board, canvas = page.locator(f"{BOARD} .board"), page.locator(f"{BOARD} canvas.photo")
    expect(board).to_have_attribute("data-painted", PAINT)  # nobody has clicked anything
    expect(page.locator("#header li")).to_have_count(3)
    high, area = page.viewport_size["height"], canvas.bounding_box()
    assert area["y"] + 0.8 * area["height"] < high  # and without scrolling
    assert page.locator("#compare-photo").bounding_box()["y"] < high
    wait_fits(page)
    keep_picture(page, f"first-{size}")
    wall = """(canvas) => { const { width, height } = canvas, side = Math.min(width, height);
        return [...canvas.getContext("2d").getImageData(width / 2 - 0.1 * side, height / 2, 1, 1).data]; }"""
    red, green, blue, _ = canvas.evaluate(wall)
    assert green > red > blue + 20  # moss on a wall that is yellow
    page.locator(f"{BOARD} input[type=search]").fill("RAL 5014")
    page.locator(f"{BOARD} .grid button").first.click()
    expect(board).to_have_attribute("data-painted", re.compile("^#(?!96A65B)"))
    page.wait_for_timeout(100)
    red, green, blue, _ = canvas.evaluate(wall)
    assert blue > red + 10


def test_two_walls_of_a_12_megapixel_photo_in_two_paints_are_saved_and_opened_elsewhere(
    page, visit, studio, tmp_path, keep_picture
):
    (workspace, url), path = studio, tmp_path / "phòng khách.jpg"
    room = Image.open(ROOMS / "test" / "000040-0.jpg")
    room.resize((4000, 4000), Image.Resampling.LANCZOS).crop((0, 500, 4000, 3500)).save(path, quality=90)
    open_tab(page, url, "compare")
    upload(page, "#compare-photo", path)
    board = page.locator(f"{BOARD} .board")
    expect(page.locator(f"{BOARD} .status")).to_contain_text("% sure")  # both, as one wall
    choose_paint(page, "#C8553D")
    page.locator(f"{BOARD} [data-do=add-wall]").click()
    expect(board).to_have_attribute("data-marked", "0")
    page.mouse.click(*spot(page, *RIGHT, (4, 3)))
    wait_marked(page, 0, BOARD)
    settle(page, BOARD)
    choose_paint(page, "#2F4858")
    expect(board).to_have_attribute("data-painted", "#C8553D #2F4858")
    only(page, "recolor")
    page.locator("#paint").click()
    expect(page.locator("#results .figures tr", has_text="outside").locator("td")).to_have_text("0")
    expect(page.locator("#results .outlook .chip")).to_have_count(4)  # what two paints become
    keep_picture(page, "two-walls")
    with page.expect_download() as got:
        page.locator("#results [data-do=save]").click()
    with Image.open(got.value.path()) as taken:  # a strip a wall
        strip = (taken.height - 3000) // 2
        assert strip >= 56 and (taken.height - 3000) % 2 == 0
        found = [taken.convert("RGB").getpixel((5, 3000 + at * strip // 2)) for at in (1, 3)]
        assert sorted(found) == [(0x2F, 0x48, 0x58), (0xC8, 0x55, 0x3D)]
    painted = newest(workspace)
    assert painted.size == (4000, 3000)
    for (x, y), channel in ((LEFT, 0), (RIGHT, 2)):  # brick, and slate
        pixel = painted.getpixel((round(4000 * x), round(3000 * y)))
        assert max(pixel) == pixel[channel], pixel

    page.locator("#project > button").click()
    with page.expect_download() as got:
        page.locator("#save-project").click()
    assert got.value.suggested_filename == "phòng-khách.wallpaint"
    saved = tmp_path / got.value.suggested_filename
    got.value.save_as(saved)
    with zipfile.ZipFile(saved) as archive:
        assert archive.namelist() == ["project.json", "photo.png", "wall-0.png", "wall-1.png"]

    other = visit(**SIZES["phone"])
    open_tab(other, url, "compare")
    wait_ready(other, BOARD)
    other.locator("#project > button").click()
    other.locator("#open-project input[type=file]").set_input_files(saved)
    expect(other.locator(f"{BOARD} .board")).to_have_attribute("data-painted", "#C8553D #2F4858")
    expect(other.locator(f"{BOARD} .walls [aria-pressed]")).to_have_count(2)
    expect(other.locator(f"{BOARD} [data-do=undo]")).to_be_disabled()  # nobody has done anything yet
    expect(other.locator(f"{BOARD} .board")).not_to_have_attribute("data-marked", "0")
    expect(other.locator("#arms").get_by_label("old", exact=True)).not_to_be_checked()
    keep_picture(other, "project-phone")
    other.locator("#paint").click()
    expect(other.locator("#results .figures tr", has_text="ngoài").locator("td")).to_have_text("0")
    assert np.array_equal(np.asarray(newest(workspace)), np.asarray(painted))  # the same picture


def newest(workspace):
    """The picture that was painted last."""
    found = max(workspace.glob("results/*/*/comparison.json"), key=lambda path: path.stat().st_mtime)
    (arm,) = json.loads(found.read_text())["arms"]
    return Image.open(found.parent / arm["image"])


def test_a_palette_of_ones_own_is_brought_walked_by_the_arrows_and_searched(page, studio_url, tmp_path):
    (tmp_path / "mine.gpl").write_text("GIMP Palette\nName: Mine\n200 60 50 Brick\n122 158 126 Sage\n")
    open_tab(page, studio_url, "compare")
    board = page.locator(BOARD)
    expect(board.locator(".board")).to_have_attribute("data-painted", PAINT)
    board.locator(".palette input[type=file]").set_input_files(tmp_path / "mine.gpl")
    chips = board.locator(".grid button")
    expect(chips).to_have_count(2)
    chips.first.focus()
    page.keyboard.press("ArrowRight")
    expect(chips.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(board.locator(".board")).to_have_attribute("data-painted", "#7A9E7E")
    expect(board.locator("[data-paint=paint] .named")).to_contain_text("Sage")
    board.locator("input[type=search]").fill("brick")
    expect(chips).to_have_count(1)
    expect(chips.first).to_have_text("Brick")  # beside its colour: fingers have no tip to read


def test_a_sheet_of_paints_is_painted_looked_at_saved_and_printed(page, studio_url, tmp_path, keep_picture):
    page.add_init_script("window.print = () => { window.top.printed = document.documentElement.outerHTML; };")
    open_tab(page, studio_url, "compare")
    board = page.locator(BOARD)
    expect(board.locator(".board")).to_have_attribute("data-painted", PAINT)
    names = ("RAL 6021 Pale green", "RAL 3012 Beige red", "RAL 5014 Pigeon blue")
    for count, name in enumerate(names, 1):
        board.locator("input[type=search]").fill(name)
        board.locator(".grid button").first.click()
        board.locator("[data-do=sheet]").click()
        expect(board.locator("[data-group=sheet] button")).to_have_count(count)
    unfold(page, "#sheet")
    page.locator("#paint-sheet").click()
    stage = wait_stage(page)
    expect(page.locator("#results .card b")).to_have_text(("photo", *names))
    expect(page.locator("#results .card p").first).to_contain_text("#879A77 · LRV 30 · ΔE ")
    keep_picture(page, "sheet")
    page.locator("#results .lens canvas").focus()
    page.keyboard.press("2")
    expect(stage).to_have_attribute("data-shown", "C2856D-0")
    with page.expect_download() as got:
        page.locator("#results [data-do=save]").click()
    assert got.value.suggested_filename == "RAL-3012-Beige-red.png"
    with Image.open(got.value.path()) as taken:
        assert taken.width == 768 and 768 + 56 <= taken.height < 900
        assert taken.convert("RGB").getpixel((5, taken.height - 5)) == (0xC2, 0x85, 0x6D)
        strip = np.asarray(taken.convert("L"))[770:, 120:]
        assert (strip < 60).any() and strip.max() == 255  # words on white
        if keep_picture:
            taken.save(tmp_path / "taken.png")
    page.locator("#results [data-take]").first.uncheck()
    page.locator("#results [data-do=print]").click()
    page.wait_for_function("window.printed")
    printed = page.evaluate("window.printed")
    assert re.findall("<b>([^<]*)</b>", printed) == [*names[1:]] and "#5D" not in printed.split("<body")[0]
    assert printed.count("<img") == 2 and "LRV" in printed


def test_the_room_that_another_photo_replaced_comes_back(page, studio):
    workspace, url = studio
    open_tab(page, url, "compare")
    board, back = page.locator(f"{BOARD} .board"), page.locator("#room-before")
    expect(board).to_have_attribute("data-painted", PAINT)
    expect(back).to_be_hidden()  # there is none yet
    own = marked(page, BOARD)
    only(page, "recolor")
    page.locator("#paint").click()
    painted = wait_stage(page).get_attribute("data-folder")
    upload(page, "#compare-photo", ROOMS / "test" / "000001-0.jpg")
    expect(page.locator(f"{BOARD} .status")).to_contain_text("% sure")
    expect(back).to_be_visible()
    nothing, stage = page.locator("#results .empty"), page.locator("#results .stage")
    expect(nothing).to_contain_text("comes back with that room")  # what was painted is no picture of this one
    expect(stage).to_have_count(0)
    expect(page.locator("#zip")).to_be_hidden()
    found = marked(page, BOARD)
    assert found not in (0, own)
    settle(page, BOARD)
    wait_kept(page, workspace, lambda kept: kept["before"] and kept["room"]["picture"]["name"] == "000001-0")
    page.reload()
    expect(board).to_have_attribute("data-marked", str(found))
    expect(nothing).to_contain_text("comes back with that room")
    back.click()
    expect(board).to_have_attribute("data-marked", str(own))
    expect(stage).to_have_attribute("data-folder", painted)
    expect(page.locator("#zip")).to_be_visible()
    page.wait_for_function("window.cameBack")
    page.locator("#paint").click()
    back.click()  # and once more: the photo, while the other room is painted
    expect(board).to_have_attribute("data-marked", str(found))
    expect(page.locator("#paint")).to_have_text("Paint")
    expect(nothing).to_be_visible()
    back.click()
    expect(stage).to_have_attribute("data-folder", re.compile(f"^(?!{painted}).+"))


def test_a_removed_wall_comes_back(page, studio_url):
    open_tab(page, studio_url, "compare")
    board = page.locator(f"{BOARD} .board")
    expect(board).to_have_attribute("data-painted", PAINT)
    own, walls, back = marked(page, BOARD), page.locator(f"{BOARD} .walls [aria-pressed]"), "[data-do=restore-wall]"
    page.locator(f"{BOARD} [data-do=add-wall]").click()
    choose_paint(page, "#C8553D")
    expect(walls).to_have_count(2)
    walls.first.click()
    page.locator(f"{BOARD} [data-do=remove-wall]").click()
    expect(walls).to_have_count(1)
    expect(board).to_have_attribute("data-marked", "0")
    page.locator(f"{BOARD} [data-do=undo]").click()  # at once it is what is undone
    expect(walls).to_have_count(2)
    expect(board).to_have_attribute("data-marked", str(own))
    expect(page.locator(back)).to_have_count(0)
    page.locator(f"{BOARD} [data-do=remove-wall]").click()
    page.locator(f"{BOARD} canvas.photo").focus()
    page.keyboard.press("b")
    choose_paint(page, "#2F4858")
    page.locator(back).first.click()  # and it is not lost later either
    expect(board).to_have_attribute("data-marked", str(own))
    expect(board).to_have_attribute("data-painted", f"{PAINT} #2F4858")
    settle(page, BOARD)
    page.reload()
    expect(board).to_have_attribute("data-marked", str(own))  # the server has it too
