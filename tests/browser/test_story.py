"""The story once through, as people use the page: train, look in again, compare, vote, read it on a phone."""

import re
import shutil
import zipfile

import pytest
from hands import ROOMS, download, marked, open_tab, wait_fits, wait_marked
from PIL import Image

pytestmark = pytest.mark.browser
STEPS = 30
WAIT = 300_000  # ms, for a run on a busy machine
ARMS = ("lora-1", "lora_ip-1", "lora_ip_color-1")


def run_named(page):
    """The run that is watched; its label also says its state."""
    return page.locator("#run input").input_value().split(" ")[0]


def choose_run(page, name):
    page.locator("#run input").click()
    page.get_by_role("option", name=re.compile(f"^{name} ")).click()
    page.get_by_label(f"Progress of {name}", exact=True).wait_for()


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
    from playwright.sync_api import expect

    expect(page.locator("#run-status .badge")).to_have_text(re.compile(word), timeout=WAIT)


def test_three_arms_are_trained_watched_stopped_resumed_and_compared(page, visit, studio_url, keep_picture):
    from playwright.sync_api import expect

    start_three(page, studio_url)
    first = wait_progress(page, 0)
    another_page = visit()  # another visitor, with a session of its own
    open_tab(another_page, studio_url, "Train")
    choose_run(another_page, "lora_ip_color-1")
    state(another_page, "queued")
    page.reload()  # in the middle: all of it is read from the run folders
    page.get_by_role("tab", name="Train").click()
    choose_run(page, "lora-1")
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
    choose_run(page, "lora_ip_color-1")  # what the other visitor resumed
    assert wait_progress(page, reached) > reached
    expect(page.locator("#losses-plot svg").first).to_be_visible()
    expect(page.locator("#run-status")).to_contain_text("Colour loss")
    wait_progress(page, 2 * STEPS // 3)
    grown = "document.querySelector(`#losses-plot path[stroke='#e11d48']`)?.getAttribute('d').length > 50"
    page.wait_for_function(grown)  # the colour loss, smoothed
    keep_picture(page, "train")  # still at work, with curves to see
    state(page, "done")
    state(another_page, "done")
    expect(page.locator("#sample-grids img").first).to_be_visible()
    expect(page.locator("#run-log")).to_contain_text(f"step {STEPS}/{STEPS}")
    page.locator("#use-training").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#arms").get_by_label(ARMS[2])).to_be_checked()
    compare_and_download(page)


def start_three(page, url):
    """Queue the three arms, each for STEPS steps, from the form as one fills it in."""
    from playwright.sync_api import expect

    open_tab(page, url, "Train")
    expect(page.locator("#preflight")).to_contain_text("4 pictures of 4 rooms")
    expect(page.locator("#preflight .pill")).to_have_text("absent")
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
    from playwright.sync_api import expect

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
    from playwright.sync_api import expect

    for name in page.locator("#arms label").all_inner_texts():
        page.locator("#arms").get_by_label(name.strip(), exact=True).set_checked(name.strip() in ARMS)
    page.locator("#paint").click()
    expect(page.locator("#results figure.arm")).to_have_count(4)  # and the truth
    assert set(page.locator("#results figcaption b").all_text_contents()) == {*ARMS, "truth"}
    expect(page.locator("#results .verdict")).to_contain_text("comes closest")
    png = download(page, page.locator("#results a[download]").nth(1))
    with Image.open(png) as painted:
        assert painted.size == (256, 256) and painted.format == "PNG"
    with zipfile.ZipFile(download(page, page.locator("#zip"))) as archive:
        names = set(archive.namelist())
        assert "report.html" in names and {f"7AB7C3/{arm}.png" for arm in ARMS} <= names
        assert archive.testzip() is None
    report = download(page, page.locator("#report")).read_text()
    assert all(arm in report for arm in ARMS) and "data:image/jpeg" in report
    assert "http" not in re.sub(r"data:[^\"]+", "", report)  # self-contained


def test_the_first_minute_three_repaints_side_by_side(page, studio_url, keep_picture):
    from playwright.sync_api import expect

    open_tab(page, studio_url, "Compare")
    page.locator("#paint").click()  # nothing prepared: a room, the shipped LoRAs, one button
    arms = page.locator("#results figure.arm")
    expect(arms).to_have_count(5)  # old, new, color, recolor, and the truth
    tops = {round(arms.nth(number).bounding_box()["y"]) for number in range(5)}
    assert len(tops) == 1  # in one row
    expect(page.locator("#results .verdict")).to_contain_text("comes closest")
    slider = page.get_by_label("Before and after: new")
    slider.focus()
    page.keyboard.press("End")  # by keyboard: the photo as it was
    assert "100%" in slider.evaluate("element => element.parentNode.style.getPropertyValue('--at')")
    page.keyboard.press("Home")
    page.locator("#heat input").check()
    expect(page.locator("#results img.heat")).to_have_count(4)
    page.wait_for_function("[...document.querySelectorAll('#results img')].every(image => image.naturalWidth)")
    assert page.locator("#results img:not([alt]), #results img[alt='']").count() == 0
    keep_picture(page, "compare")


def test_a_lora_of_ones_own_is_judged_when_it_is_added_and_paints(page, studio_url, tmp_path):
    from playwright.sync_api import expect

    open_tab(page, studio_url, "Compare")
    shipped = ROOMS.parent / "loras" / "new" / "pytorch_lora_weights.safetensors"
    for name in ("Sơn mới 🎨", "Sơn mới 🎨"):  # twice the same name: two arms
        shutil.copyfile(shipped, tmp_path / f"{name}.safetensors")
        page.locator("#add-lora input[type=file]").set_input_files(tmp_path / f"{name}.safetensors")
        expect(page.locator("#own-loras li").last).to_contain_text("LoRA of rank 16, for room-tiny")
    expect(page.locator("#own-loras li")).to_have_count(2)
    for name in ("old", "new", "color"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()
    names = ["recolor", "Sơn mới 🎨", "Sơn mới 🎨 2", "truth"]
    expect(page.locator("#results figcaption b")).to_have_text(names)


def test_a_blind_vote_tells_names_and_figures_after_it(page, studio_url):
    from playwright.sync_api import expect

    open_tab(page, studio_url, "Compare")
    page.locator("#sampling > button").click()
    page.locator("#blind input").check()
    page.locator("#paint").click()
    expect(page.locator("#vote label")).to_have_count(4)
    assert "recolor" not in page.locator("#results").inner_html()
    page.locator("#vote label").first.click()
    expect(page.locator("#results")).to_contain_text("Your vote went to")
    expect(page.locator("#results")).to_contain_text("recolor")


def test_vietnamese_by_browser_and_by_switch_on_a_phone_in_the_dark(phone, studio_url, keep_picture):
    from playwright.sync_api import expect

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
    from playwright.sync_api import expect

    open_tab(page, studio_url, "Compare")
    board = page.locator("#compare-board .board")
    expect(board).to_have_attribute("data-marked", re.compile(r"^[1-9]\d*$"))
    before = marked(page, "#compare-board")
    board.get_by_role("button", name="Invert").click()
    after = wait_marked(page, before, "#compare-board")
    assert before + after == 256 * 256
    for name in ("old", "new", "color"):
        page.locator("#arms").get_by_label(name, exact=True).uncheck()
    page.locator("#paint").click()
    expect(page.locator("#results figcaption b").first).to_have_text("recolor")
    board.get_by_role("button", name="Undo").click()
    assert wait_marked(page, after, "#compare-board") == before
