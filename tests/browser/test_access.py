"""For everybody: axe-core, every key, every finger, the reader's own language, and calm."""

import re

import pytest
from hands import open_tab, wait_ready, wait_stage

from wallpaint.ui.words.words import t

pytestmark = pytest.mark.browser
LANGUAGES, THEMES, TABS = ("en", "vi"), ("light", "dark"), ("dataset", "train", "compare")
GRAVE = ("serious", "critical")
# What a page says, seen or read aloud: texts, and names, titles, hints of what is there.
SAID = """() => {
  const seen = (part) => part?.checkVisibility({ visibilityProperty: true }), found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (seen(walker.currentNode.parentElement)) found.add(walker.currentNode.textContent);
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const part of document.querySelectorAll(`[${name}]`)) if (seen(part)) found.add(part.getAttribute(name));
  return [...found].map((text) => text.replace(/\\s+/g, " ").trim()).filter((text) => /[a-z]{3}/.test(text)); }"""
# Names, which are the same in every language: of paints, files, settings, keys, arms, runs; and what Gradio says.
SAME = re.compile(
    r".* · LRV \d+|RAL .*|room[-_]\w*|wallpaint|English|Tiếng Việt|[\w-]+: .*|\w+|.* · \w+_\w+|[\w-]+=.*|PNG, \w+"
    r"|(Ctrl|Alt|Shift|Enter|Space)[ /\w]*|a room with painted walls"
    r"|Copy|Download|Empty value|Code input container|Thumbnail \d+ of \d+"
)
FOCUS = """() => { window.lost = new Set(); window.reached = new Set();
  document.addEventListener("focusin", ({ target }) => { reached.add(target);
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) lost.add(target.outerHTML.slice(0, 200)); }); }"""
UNREACHED = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")].filter(
  (part) => part.checkVisibility({ visibilityProperty: true }) && !part.disabled && part.tabIndex >= 0 && !reached.has(part)
  && !(part.type === "radio" && !part.checked)).map((part) => part.outerHTML.slice(0, 200))"""
SMALL = """() => [...document.querySelectorAll("button, a[href], select, textarea, summary, input")]
  .filter((part) => part.type !== "range" && part.tabIndex !== -1)
  .map((part) => /radio|checkbox/.test(part.type) ? part.closest("label") ?? part : part.closest(".wrap-inner") ?? part)
  .filter((part) => part.checkVisibility({ visibilityProperty: true }) && part.offsetWidth > 0 && part.offsetHeight < 44)
  .map((part) => part.outerHTML.slice(0, 200))"""


def open_furnished(page, url, tab, language):
    """Open a tab with something on it: a room, an unfolded form, a repaint."""
    open_tab(page, f"{url}/?lang={language}", t(f"tab_{tab}", language))
    page.wait_for_function("language => document.documentElement.lang === language && window.cameBack", arg=language)
    if tab == "dataset":
        page.locator("#sample-rooms img").first.click()
        wait_ready(page)
    if tab == "train":
        page.locator("#preflight").wait_for()
        for fold in page.locator("button.label-wrap:not(.open)").all():
            if fold.is_visible():
                fold.click()
    if tab == "compare":
        wait_ready(page, "#compare-board")
        for arm in ("old", "new", "color", "refine"):
            page.locator("#arms").get_by_label(arm, exact=True).uncheck()
        page.locator("#paint").click()
        wait_stage(page)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_grave(visit, studio_url, tab, theme, language):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(color_scheme=theme, reduced_motion="reduce")
    open_furnished(page, studio_url, tab, language)
    found = [problem for problem in Axe().run(page).response["violations"] if problem["impact"] in GRAVE]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("tab", TABS)
def test_every_control_is_reached_by_keyboard_and_shows_it(page, studio_url, tab):
    open_furnished(page, studio_url, tab, "en")
    page.evaluate(FOCUS)
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); }")
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    assert page.evaluate(UNREACHED) == [] and page.evaluate("[...lost]") == []


@pytest.mark.parametrize("tab", TABS)
def test_what_a_finger_presses_is_large_enough(phone, studio_url, tab):
    open_furnished(phone, studio_url, tab, "vi")
    assert phone.evaluate(SMALL) == []


@pytest.mark.parametrize("tab", TABS)
def test_nothing_is_said_in_english_to_a_vietnamese(visit, studio_url, tab):
    said = {}
    for language in LANGUAGES:
        page = visit(locale={"en": "en-US", "vi": "vi-VN"}[language])
        open_furnished(page, studio_url, tab, language)
        page.wait_for_timeout(1000)
        said[language] = set(page.evaluate(SAID))
    assert len(said["vi"]) > 30
    assert {text for text in said["en"] & said["vi"] if not SAME.fullmatch(text)} == set()
