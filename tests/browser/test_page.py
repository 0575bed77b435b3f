import pytest

pytestmark = pytest.mark.browser


def test_the_three_tabs_open(page, studio_url):
    from playwright.sync_api import expect

    page.goto(studio_url)
    for tab, seen in (("Train", "#start-training"), ("Compare", "#paint"), ("Dataset", "#upload-photo")):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(seen).first).to_be_visible()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#run-status .card")).to_be_visible()  # the timer ticks


def test_the_page_speaks_vietnamese_on_every_tab(page, studio_url):
    from playwright.sync_api import expect

    page.goto(f"{studio_url}/?lang=vi")
    expect(page.get_by_role("tab", name="Dữ liệu")).to_be_visible()
    page.get_by_role("tab", name="Huấn luyện").click()
    expect(page.locator("#start-training")).to_have_text("Bắt đầu huấn luyện")
    page.get_by_role("tab", name="So sánh").click()
    expect(page.locator("#paint")).to_have_text("Sơn")
