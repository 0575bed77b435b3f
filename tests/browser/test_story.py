"""The story once through, as people use the page: train, look in again, compare, vote, read it on a phone."""

import re
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
STEPS = 20


def open_tab(page, url, name):
    page.goto(url)
    page.get_by_role("tab", name=name).click()


def run_named(page):
    """The run that is watched; its label also says its state."""
    return page.locator("#run input").input_value().split(" ")[0]


def choose_run(page, name):
    page.locator("#run input").click()
    page.get_by_role("option", name=re.compile(f"^{name} ")).click()


def test_three_arms_are_trained_in_a_queue_and_used_in_compare(page, another_page, studio_url, keep_picture):
    from playwright.sync_api import expect

    open_tab(page, studio_url, "Train")
    expect(page.locator("#preflight")).to_contain_text("4 pictures of 4 rooms")
    expect(page.locator("#preflight .pill")).to_have_text("absent")
    page.locator("#preset input").click()
    page.get_by_role("option", name=re.compile("^new_lora")).click()
    expect(page.locator("#preflight .pill")).to_have_text("active, frozen")
    page.get_by_label("max_train_steps").fill(str(STEPS))
    page.locator("#train-all").click()
    expect(page.locator("#run-status .badge")).to_have_text(re.compile("starting|running"))
    assert run_named(page) == "lora-1"
    expect(page.locator("#run-status progress")).to_have_attribute("aria-label", "Progress of lora-1")

    page.reload()  # in the middle: all of it is read from the run folders
    page.get_by_role("tab", name="Train").click()
    open_tab(another_page, studio_url, "Train")  # another visitor sees the same
    choose_run(another_page, "lora_ip_color-1")
    expect(another_page.locator(".badge.queued")).to_be_visible()
    another_page.locator("#stop-training").click()
    expect(another_page.locator(".badge.stopped")).to_be_visible()
    expect(another_page.locator("#resume-training")).to_be_enabled()
    another_page.locator("#resume-training").click()
    expect(another_page.locator("#run-status .badge")).to_have_text(re.compile("queued|starting|running"))

    choose_run(page, "lora_ip-1")
    expect(page.locator(".badge.done")).to_be_visible(timeout=240_000)
    expect(page.locator("#run-status")).to_contain_text("active, frozen")
    expect(page.locator("#run-status")).to_contain_text("192,000")
    expect(page.locator("#losses-plot svg").first).to_be_visible()
    expect(page.locator("#sample-grids img").first).to_be_visible()
    expect(page.locator("#run-log")).to_contain_text(f"step {STEPS}/{STEPS}")
    keep_picture(page, "train")
    page.locator("#use-training").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#arms").get_by_label("lora_ip-1")).to_be_checked()


def test_the_first_minute_three_repaints_side_by_side(page, studio_url, keep_picture, tmp_path):
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
    missing = "images => images.filter(image => !image.alt || !image.naturalWidth).map(image => image.src)"
    assert page.locator("#results img").evaluate_all(missing) == []
    keep_picture(page, "compare")
    with page.expect_download() as got:
        page.locator("#zip").click()
    with zipfile.ZipFile(got.value.path()) as archive:
        assert "report.html" in archive.namelist()
    with page.expect_download() as got:
        page.locator("#report").click()
    report = Path(got.value.path()).read_text()
    assert "data:image/jpeg" in report and "http" not in re.sub(r"data:[^\"]+", "", report)


def test_a_blind_vote_and_a_hostile_file(page, studio_url, tmp_path):
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
    (tmp_path / "evil.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    page.locator("input[type=file][accept*=safetensors]").set_input_files(tmp_path / "evil.safetensors")
    expect(page.get_by_text("evil.safetensors is no LoRA")).to_be_visible()


def test_vietnamese_by_browser_and_by_switch_on_a_phone_in_the_dark(browser, studio_url, keep_picture):
    from playwright.sync_api import expect

    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="vi-VN", color_scheme="dark", has_touch=True
    )
    page = context.new_page()
    page.set_default_timeout(90_000)
    open_tab(page, studio_url, "So sánh")
    page.locator("#paint").click()
    expect(page.locator("#results .verdict")).to_contain_text("gần nhất")
    assert page.evaluate("document.documentElement.lang") == "vi"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep_picture(page, "phone")
    page.get_by_role("tab", name="Huấn luyện").click()
    expect(page.locator("#start-training")).to_have_text("Bắt đầu huấn luyện")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_text("English").click()
    expect(page.locator("#start-training")).to_have_text("Start training")
    page.reload()  # the address keeps the language
    expect(page.get_by_role("tab", name="Compare")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
    context.close()
