"""The story once through, as people use the page: train, look in again, compare, vote, read it on a phone."""

import re
import shutil
import zipfile

import pytest
from hands import (
    ROOMS,
    download,
    expect,
    marked,
    name_dataset,
    open_tab,
    pixel,
    place,
    show,
    touch,
    unfold,
    upload,
    wait_fits,
    wait_held,
    wait_kept,
    wait_marked,
    wait_ready,
    wait_stage,
)
from PIL import Image

from wallpaint.ui.compare.scene import SHOWCASE

pytestmark = pytest.mark.browser
STEPS = 30
FIRST = SHOWCASE["showcase"].lstrip("#")  # the paint that stands there before one is chosen
WAIT = 300_000  # ms, for a run on a busy machine
SKIRTING = (0.6, 0.723)  # of the room that stands there, white; as shares of the photo
ON_WALL = (0.42, 0.35)  # of that room, as shares of the stage
LEARNED = ("000001-0", "000002-0", "000003-0", "000017-0")  # photos of test rooms whose walls are easily found
ARMS = ("lora-1", "lora_ip-1", "lora_ip_color-1")


def run_named(page):
    """The run that is watched; its label also says its state."""
    return page.locator("#run input").input_value().split(" ")[0]


def choose_run(page, name):
    page.locator("#run input").click()
    page.get_by_role("option", name=re.compile(f"^{name} ")).click()
    expect(page.locator("#run-status b")).to_have_text(name)


def progress(page):
    """Steps done of the run that is watched."""
    return int(page.locator("#run-status progress").get_attribute("value"))


def wait_progress(page, beyond):
    """Wait until the page, left alone, shows a step beyond that one; give the step."""
    page.wait_for_function(
        "was => document.querySelector('#run-status progress')?.value > was", arg=beyond, timeout=WAIT, polling=300
    )
    return progress(page)


def state(page, word):
    expect(page.locator("#run-status .badge")).to_have_text(re.compile(word), timeout=WAIT)


def test_three_arms_are_trained_watched_stopped_resumed_and_compared(page, visit, studio, keep_picture):
    workspace, studio_url = studio
    start_three(page, studio_url, mark_rooms(page, studio_url))
    first = wait_progress(page, 0)
    another_page = visit()  # another visitor, with a session of its own
    open_tab(another_page, studio_url, "Train")
    state(another_page, "running|done")
    choose_run(another_page, "lora_ip_color-1")
    state(another_page, "queued")
    expect(another_page.locator("#run-status")).to_contain_text(re.compile("starts after .*lora_ip-1"))
    expect(another_page.locator("#run-log")).to_be_hidden()  # there is none
    page.goto("about:blank")  # in the middle of it
    page.goto(studio_url)
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    page.get_by_label("Progress of lora-1", exact=True).wait_for()  # as it was left
    state(page, "running|done")
    assert progress(page) >= first
    state(page, "done")
    assert progress(page) == STEPS
    choose_run(page, "lora_ip-1")
    grown = wait_progress(page, 0)
    assert wait_progress(page, grown) > grown

    reached = stop_and_resume(another_page)
    state(page, "done")
    expect(page.locator("#run-status")).to_contain_text("active, frozen")
    expect(page.locator("#run-status")).to_contain_text("192,000")
    choose_run(page, "lora_ip_color-1")  # what the other visitor resumed, and both watch
    assert wait_progress(page, reached) > reached
    assert wait_progress(another_page, reached) > reached
    expect(page.locator("#plots figure")).to_have_count(2)  # from the first validation on, which is before any step
    expect(page.locator("#sample-grids img").first).to_be_visible()
    expect(page.locator("#run-status")).to_contain_text("Colour loss")
    wait_progress(page, 2 * STEPS // 3)
    smoothed = page.locator("#plots figure").first.locator("polyline.first[stroke='#e11d48']")  # the colour loss
    smoothed.wait_for(state="attached", timeout=WAIT)
    expect(page.locator("#run-status time")).to_have_text(re.compile(r"^\d\d:\d\d"))  # when it will be done
    expect(page.locator("#machine-load")).to_contain_text(re.compile(r"processor \d+ % busy"))
    keep_picture(page, "train")  # still at work, with curves to see
    state(page, "done")
    state(another_page, "done")
    expect(page.locator("#run-log")).to_contain_text(f"step {STEPS}/{STEPS}")
    lay_over(page, workspace, keep_picture)
    watch_on_a_phone(visit, studio_url)
    expect(page.locator("#use-training")).to_have_class(re.compile("primary"))  # what one does next
    page.locator("#use-training").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#arms").get_by_label(ARMS[2])).to_be_checked()
    compare_and_download(page)


def watch_on_a_phone(visit, url):
    """On a narrow screen the run that is watched stands above the form."""
    phone = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    open_tab(phone, url, "train")
    state(phone, "done")
    assert phone.locator("#run-status").bounding_box()["y"] < phone.locator("#preset").bounding_box()["y"]


def lay_over(page, workspace, keep_picture):
    """Lay another run's curves over those of the run that is watched; a reload leaves them there."""
    names = page.locator("#plots figure").first.locator(".legend span")
    expect(names).to_have_text(["Diffusion loss, smoothed", "Colour loss, smoothed"])
    page.locator("#over input").click()
    page.get_by_role("option", name=ARMS[1], exact=True).click()
    both = [f"{ARMS[2]}: Diffusion loss", f"{ARMS[2]}: Colour loss", f"{ARMS[1]}: Diffusion loss"]
    expect(names).to_have_text(both)
    page.keyboard.press("Escape")
    keep_picture(page, "train-over")
    page.get_by_label("seed").fill("7")
    wait_kept(page, workspace, lambda kept: kept["runs"][1] == [ARMS[1]] and kept["recipe"][2]["seed"] == 7)
    page.reload()
    page.wait_for_function("window.cameBack")
    page.get_by_role("tab", name="Train").click()
    expect(names).to_have_text(both)
    expect(page.get_by_label("max_train_steps")).to_have_value(str(STEPS))
    expect(page.get_by_label("seed")).to_have_value("7")


def mark_rooms(page, url):
    """Make a dataset of photos in tab Dataset: a room to learn from each, and one held out; give how many learn."""
    open_tab(page, url, "dataset")
    name_dataset(page, "mine")
    upload(page, "#upload-photo", [ROOMS / "test" / f"{name}.jpg" for name in LEARNED])
    expect(page.locator("#photos img")).to_have_count(len(LEARNED))
    page.locator("#find-all").click()
    expect(page.locator("#photos-message")).to_contain_text("Untick")
    count = page.locator("#ticked input:checked").count()
    page.locator("#save-ticked").click()
    expect(page.locator("#save-message")).to_contain_text(f"Saved {count} to mine")
    page.locator("#sample-rooms img").nth(4).click()
    expect(page.locator("#room input, #room textarea")).to_have_value("room-002004")
    wait_ready(page)
    page.locator("#board [data-do=given]").click()
    wait_marked(page, 0)
    page.locator("#split").get_by_label("Validation").check()
    page.locator("#save-sample").click()
    expect(page.locator("#save-message")).to_have_text(f"Saved 1 to mine: {count} for training, 1 for validation.")
    return count


def start_three(page, url, count):
    """Queue the three arms, each for STEPS steps, from the form as one fills it in."""
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-dataset input")).to_have_value("mine")  # what was saved to
    expect(page.locator("#preflight")).to_contain_text(f"pictures: {count}, rooms: {count}, held out: 1")
    expect(page.locator("#preflight .pill")).to_have_text("absent")
    expect(page.locator("#preflight")).to_contain_text(
        re.compile(r"\d+, each of \d+ pictures: every picture is seen about \d+ times")
    )
    page.locator("#preset input").click()
    page.get_by_role("option", name=re.compile("^new_lora")).click()
    expect(page.locator("#preflight .pill")).to_have_text("active, frozen")
    page.get_by_label("max_train_steps").fill(str(STEPS))
    page.get_by_role("button", name="Logging, pictures, checkpoints").click()
    page.get_by_label("logging_steps").fill("1")
    page.get_by_label("validation_steps").fill("15")
    page.locator("#train-all").click()
    state(page, "starting|running")
    assert run_named(page) == ARMS[0]


def stop_and_resume(page):
    """Stop the watched run while it is at work and let it go on; give the step it had come to."""
    wait_progress(page, 0)
    state(page, "running")
    page.locator("#stop-training").click()
    state(page, "stopped")
    reached = progress(page)
    assert 0 < reached < STEPS
    page.locator("#resume-training").click()
    state(page, "queued|starting|running")
    expect(page.locator("#stop-training")).to_be_enabled()
    return reached


def compare_and_download(page):
    """Paint with the three trained arms alone and fetch each kind of file."""
    for name in page.locator("#arms label").all_inner_texts():
        page.locator("#arms").get_by_label(name.strip(), exact=True).set_checked(name.strip() in ARMS)
    page.locator("#paint").click()
    names = page.locator("#results .view b")
    expect(names).to_have_count(5)  # with the photo and the truth
    assert set(names.all_text_contents()) == {"photo", *ARMS, "truth"}
    expect(page.locator("#results .verdict")).to_contain_text("comes closest")
    png = download(page, page.locator("#results a[download]").nth(1))
    with Image.open(png) as painted:
        assert painted.size == (768, 768) and painted.format == "PNG"
    with zipfile.ZipFile(download(page, page.locator("#zip"))) as archive:
        names = set(archive.namelist())
        assert "report.html" in names and {f"{FIRST}/{arm}.png" for arm in ARMS} <= names
        assert archive.testzip() is None
    report = download(page, page.locator("#report")).read_text()
    assert all(arm in report for arm in ARMS) and "data:image/jpeg" in report
    assert "http" not in re.sub(r"data:[^\"]+", "", report)  # self-contained


def test_the_first_minute_three_repaints_on_one_stage(page, studio_url, keep_picture, film):
    open_tab(page, studio_url, "Compare")
    board, known = page.locator("#compare-board .board"), page.locator("#compare-board [data-group=known] button")
    expect(board).to_have_attribute("data-painted", f"#{FIRST}")
    film(page, 1800)
    for number in (4, 0, 3, 2):  # paints that are clicked, the first one again in the end
        known.nth(number).click()
        expect(board).to_have_attribute("data-painted", known.nth(number).get_attribute("title"))
        page.wait_for_timeout(100)
        film(page, 1200)
    page.locator("#paint").hover()
    film(page, 600)
    page.locator("#paint").click()  # nothing prepared: a room, the shipped LoRAs, one button
    stage = wait_stage(page)
    show_arms(page, film)
    expect(page.locator("#results .view b")).to_have_text(
        ["photo", "old", "new", "color", "refine", "recolor", "truth"]
    )
    expect(page.locator("#results .verdict")).to_contain_text("comes closest")
    best = page.locator("#results .verdict").text_content().split(" ")[0]
    expect(page.locator("#results .view.active b")).to_have_text(best)  # it is seen first
    assert page.locator("#results .lens").bounding_box()["width"] > 0.9 * page.locator("#tabs").bounding_box()["width"]
    slide(page, film)
    keep_picture(page, "compare")
    photo, new = show(page, "O") and pixel(page, *ON_WALL), show(page, "2") and pixel(page, *ON_WALL)
    assert max(abs(a - b) for a, b in zip(photo, new, strict=True)) > 10  # a yellow wall, a green one
    slider = page.get_by_label("Before and after: new")
    slider.focus()
    page.keyboard.press("End")  # by keyboard: the photo as it was
    assert pixel(page, *ON_WALL) == photo
    page.keyboard.press("Home")
    assert pixel(page, *ON_WALL) == new
    page.locator("#results .lens canvas").focus()
    for key, view in (("5", f"{FIRST}-4"), ("6", "truth"), ("ArrowLeft", f"{FIRST}-4")):
        page.keyboard.press(key)
        expect(stage).to_have_attribute("data-shown", view)
    page.keyboard.down("o")
    assert pixel(page, *ON_WALL) == photo
    page.keyboard.up("o")
    expect(stage).to_have_attribute("data-shown", f"{FIRST}-4")
    missing = "images => images.filter(image => !image.naturalWidth).map(image => image.src)"
    assert page.locator("#results img").evaluate_all(missing) == []


def show_arms(page, film):
    """Film the arms one after the other, and come back to the one that was seen first."""
    page.locator("#results .stage").scroll_into_view_if_needed()
    page.locator("#results .lens").evaluate("lens => lens.closest('.stage').scrollIntoView()")
    first = page.locator("#results .view.active").get_attribute("data-key")
    for key in ("O", "1", "2", "3", "4", "5", "6", first):
        show(page, key)
        page.mouse.move(0, 0)
        film(page, 1000)


def slide(page, film):
    """Film the slider between before and after, over to the photo and back."""
    slider = page.get_by_role("slider", name="Before and after")
    for share in (*range(0, 101, 10), *range(90, -1, -10)):
        slider.fill(str(share))
        page.wait_for_timeout(50)
        film(page, 600 if share == 100 else 160)
    film(page, 1500)


def test_two_arms_side_by_side_under_one_zoom_and_the_map_of_errors_over_them(page, studio_url):
    open_tab(page, studio_url, "Compare")
    page.locator("#paint").click()
    stage = wait_stage(page)
    show(page, "1")
    page.locator("#results [data-do=pair]").click()
    expect(stage).to_have_attribute("data-shown", f"{FIRST}-0 truth")
    page.keyboard.press("3")  # goes to the pane at hand
    expect(stage).to_have_attribute("data-shown", f"{FIRST}-0 {FIRST}-2")
    left, right = pixel(page, 0.2, 0.45), pixel(page, 0.7, 0.45)
    page.keyboard.press("1")
    expect(stage).to_have_attribute("data-shown", f"{FIRST}-0 {FIRST}-0")
    assert pixel(page, 0.7, 0.45) == left != right  # the same arm twice, the same place in it
    area = page.locator("#results .lens canvas").bounding_box()
    page.locator("#results .lens canvas").focus()
    page.mouse.move(area["x"] + 0.1 * area["width"], area["y"] + 0.4 * area["height"])
    page.mouse.wheel(0, -600)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.15 * area["width"], area["y"] + 0.5 * area["height"], steps=3)
    page.mouse.up()
    for x in (0.1, 0.3, 0.4):
        assert pixel(page, x, 0.3) == pixel(page, x + 0.5, 0.3)
    page.keyboard.press("Escape")
    seen = """document.querySelector("#results .lens canvas")"""
    seen = f"{seen}.getContext('2d').getImageData(0, 0, {seen}.width, {seen}.height).data"
    page.evaluate(f"() => {{ window.plain = {seen}; }}")
    page.keyboard.press("m")
    expect(page.locator("#results [data-heat]")).to_have_count(5)
    page.wait_for_function(
        f"() => {seen}.filter((now, i) => Math.abs(now - plain[i]) > 20).length > 0.02 * plain.length"
    )
    expect(page.locator("#results .legend")).to_be_visible()


def test_on_a_phone_the_stage_is_as_wide_as_the_screen_and_a_swipe_changes_the_arm(phone, studio_url):
    open_tab(phone, studio_url, "So sánh")
    expect(phone.locator("#paint")).to_be_in_viewport()  # always at hand
    phone.locator("#paint").click()
    stage = wait_stage(phone)
    top = "document.querySelector('#results .results').getBoundingClientRect().top"
    phone.wait_for_function(f"{top} < innerHeight / 2")  # it comes into sight
    parts = ("#compare-board", "#arms", "#paint", "#results", "#test-rooms")
    tops = phone.evaluate(  # at once, for the page may be scrolling to the results
        "parts => parts.map(part => document.querySelector(part).getBoundingClientRect().top)", parts
    )
    assert tops == sorted(tops)
    first = show(phone, "2")
    lens = phone.locator("#results .lens")
    lens.scroll_into_view_if_needed()
    area = lens.bounding_box()
    assert area["x"] <= 0 and area["width"] >= 390
    for start, end, view in ((0.8, 0.3, f"{FIRST}-2"), (0.3, 0.8, first)):
        y = area["y"] + 0.6 * area["height"]
        for kind, share in (("touchStart", start), ("touchMove", (start + end) / 2), ("touchMove", end)):
            touch(phone, kind, (390 * share, y))
        touch(phone, "touchEnd")
        expect(stage).to_have_attribute("data-shown", view)
    small = "parts => parts.filter(part => part.offsetParent && part.offsetHeight < 44).map(part => part.textContent)"
    assert phone.locator("#results button, #results a").evaluate_all(small) == []


def test_a_paint_is_found_by_name_in_compare_painted_and_at_hand_in_the_other_tab(page, studio_url):
    open_tab(page, studio_url, "Compare")
    board = page.locator("#compare-board")
    expect(board.locator("[data-group=known] button")).to_have_count(5)  # of the room that stands there
    expect(board.locator("[data-group=known] button").first).to_be_visible()
    board.locator("input[type=search]").fill("pale green")
    board.locator(".grid button").first.click()
    expect(board.locator("[data-paint=paint] .named")).to_have_text("RAL 6021 Pale green · #879A77 · LRV 30")
    board.locator("[data-do=favourite]").click()
    expect(board.locator("[data-do=favourite]")).to_have_attribute("aria-pressed", "true")
    for name in ("old", "new", "color"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()
    expect(page.locator("#results .figures td").first).to_have_text("#879A77")
    wait_stage(page)
    page.get_by_role("tab", name="Dataset").click()
    for group in ("recent", "favourites"):
        chip = page.locator(f"#board [data-group={group}] button")
        expect(chip).to_have_attribute("title", "#879A77")


def test_something_white_tells_the_light_and_how_sure_it_is(page, studio_url):
    open_tab(page, studio_url, "Compare")
    board = page.locator("#compare-board")
    expect(board.locator(".board")).to_have_attribute("data-marked", re.compile(r"^[1-9]\d*$"))
    board.locator("[data-do=white]").click()
    page.mouse.click(*place(page, *SKIRTING, "#compare-board"))
    expect(board.locator(".status")).to_have_text(re.compile(r"paint on the wall is about #[0-9A-F]{6}, ± \d+ ΔE"))
    expect(board.locator("[data-do=white]")).to_have_attribute("aria-pressed", "true")
    for name in ("old", "new", "color"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    expect(page.locator("#cancel")).to_be_disabled()  # there is nothing to cancel
    page.locator("#paint").click()
    page.wait_for_function("!document.querySelector('#cancel').disabled", polling=20)
    expect(page.locator("#results .outlook")).to_contain_text("The light is read off what you said is white")
    expect(page.locator("#cancel")).to_be_disabled()


def test_a_lora_of_ones_own_is_judged_when_it_is_added_and_paints(page, studio, tmp_path):
    (workspace, url), held, name = studio, [], "Sơn mới 🎨"
    page.route("**/upload.js", lambda route: held.append(route))
    open_tab(page, url, "Compare")
    unfold(page, "#loras")
    own, add = page.locator("#own-loras li"), page.locator("#add-lora input[type=file]")
    shutil.copyfile(
        ROOMS.parent / "loras" / "new" / "pytorch_lora_weights.safetensors", tmp_path / f"{name}.safetensors"
    )
    add.set_input_files(tmp_path / f"{name}.safetensors")  # before the script that sends it has come
    wait_held(page, held)
    held[0].continue_()
    expect(own).to_have_count(1)
    add.set_input_files(tmp_path / f"{name}.safetensors")  # once more: two arms
    expect(own).to_have_count(2)
    for number in (0, 1):
        expect(own.nth(number)).to_contain_text("LoRA of rank 16, for room-tiny")
    for arm in ("old", "new", "color", "refine"):
        page.locator("#arms").get_by_label(arm, exact=True).uncheck()
    page.locator("#paint").click()
    names = ["photo", "recolor", name, f"{name} 2", "truth"]
    expect(page.locator("#results .view b")).to_have_text(names)
    wait_kept(page, workspace, lambda kept: kept["room"] and len(kept["choices"][-1]) == 2)
    page.reload()
    for number in (0, 1):
        expect(page.locator("#arms").get_by_label(names[2 + number], exact=True)).to_be_checked()


def test_a_blind_vote_tells_names_and_figures_after_it(page, studio_url):
    open_tab(page, studio_url, "Compare")
    page.locator("#sampling > button").click()
    expect(page.get_by_label("Strength of the image adapter")).to_have_value("")  # each arm's own, also once seen
    page.locator("#blind input").check()
    page.locator("#paint").click()
    expect(page.locator("#vote label")).to_have_count(5)
    assert "recolor" not in page.locator("#results").inner_html()
    page.locator("#vote label").first.click()
    expect(page.locator("#results")).to_contain_text("Your vote went to")
    expect(page.locator("#results")).to_contain_text("recolor")


def test_vietnamese_by_browser_and_by_switch_on_a_phone_in_the_dark(phone, studio_url, keep_picture):
    open_tab(phone, studio_url, "So sánh")
    phone.locator("#paint").click()
    expect(phone.locator("#results .verdict")).to_contain_text("gần nhất")
    expect(phone.locator("html")).to_have_attribute("lang", "vi")
    wait_fits(phone)
    keep_picture(phone, "phone")
    phone.get_by_role("tab", name="Huấn luyện").click()
    expect(phone.locator("#start-training")).to_have_text("Bắt đầu huấn luyện")
    wait_fits(phone)
    phone.get_by_text("English").click()
    expect(phone.locator("#start-training")).to_have_text("Start training")
    phone.reload()  # the address keeps the language
    expect(phone.get_by_role("tab", name="Compare")).to_be_visible()
    expect(phone.locator("html")).to_have_attribute("lang", "en")


def test_a_mask_is_inverted_in_compare_too(page, studio_url):
    open_tab(page, studio_url, "Compare")
    board = page.locator("#compare-board .board")
    expect(board).to_have_attribute("data-marked", re.compile(r"^[1-9]\d*$"))
    before = marked(page, "#compare-board")
    unfold(page, "#compare-board .more")
    board.get_by_role("button", name="Invert").click()
    after = wait_marked(page, before, "#compare-board")
    assert before + after == 768 * 768
    for name in ("old", "new", "color", "refine"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()
    expect(page.locator("#results .view b").nth(1)).to_have_text("recolor")
    board.get_by_role("button", name="Undo").click()
    assert wait_marked(page, after, "#compare-board") == before
