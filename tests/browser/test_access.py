"""For everybody: axe-core, every key, every finger, the reader's own language, and calm."""

import re

import pytest
from hands import TABS, wait_ready, wait_stage

from wallpaint.ui.words.words import t

pytestmark = pytest.mark.browser
LANGUAGES, THEMES, GRAVE = ("en", "vi"), ("light", "dark"), ("serious", "critical")
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
    r"|--compare --room FILE|common\.\w+|Copy|Download|Empty value|Code input container|Thumbnail \d+ of \d+"
)
UNFOLD = """() => {
  for (const fold of document.querySelectorAll("button.label-wrap:not(.open), details:not([open]) > summary"))
    if (fold.checkVisibility({ visibilityProperty: true })) fold.click(); }"""
CALM = """(dark) => document.body.classList.contains("dark") === dark
  && document.getAnimations().every((moving) => moving.playState !== "running")"""
FOCUS = """() => { window.lost = new Set(); window.reached = new Set();
  document.addEventListener("focusin", ({ target }) => { reached.add(target);
    const { outlineStyle, outlineWidth } = getComputedStyle(target); // the body is where the keys begin
    const shown = target === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2);
    if (!shown) lost.add(target.outerHTML.slice(0, 200)); }); }"""
UNREACHED = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")].filter(
  (part) => part.checkVisibility({ visibilityProperty: true }) && !part.disabled && part.tabIndex >= 0
  && !reached.has(part)
  && !(part.type === "radio" && !part.checked)).map((part) => part.outerHTML.slice(0, 200))"""
SMALL = """() => [...document.querySelectorAll("button, a[href], select, textarea, summary, input")]
  .filter((part) => part.type !== "range" && part.tabIndex !== -1)
  .map((part) => part.closest(/radio|checkbox/.test(part.type) ? "label" : ".wrap-inner") ?? part)
  .filter((part) => part.checkVisibility({ visibilityProperty: true }) && part.offsetWidth > 0)
  .filter((part) => part.offsetHeight < 44)
  .map((part) => part.outerHTML.slice(0, 200))"""


def walk_tabs(page, url, language):
    """Go through the tabs, each unfolded, with something on it: a room, a form, a repaint."""
    page.goto(f"{url}/?lang={language}")
    page.wait_for_function("language => document.documentElement.lang === language && window.cameBack", arg=language)
    for tab in ("dataset", "train", "compare"):
        page.get_by_role("tab", name=t(f"tab_{tab}", language)).click()
        if tab == "dataset":
            page.locator("#sample-rooms img").first.click()
            wait_ready(page)
        elif tab == "train":
            page.locator("#preflight").wait_for()
        else:
            wait_ready(page, "#compare-board")
            for arm in ("old", "new", "color", "refine"):
                page.locator("#arms").get_by_label(arm, exact=True).uncheck()
            page.locator("#paint").click()
            wait_stage(page)
        page.evaluate(UNFOLD)
        page.wait_for_timeout(500)
        yield tab


@pytest.fixture(scope="module")
def noted(visits, studio_url):
    """What a walk through the tabs in each language met: {(language, tab): what, by what was looked for}."""
    from axe_playwright_python.sync_playwright import Axe

    found = {}
    with visits() as visit:
        for language in LANGUAGES:
            page = visit(locale={"en": "en-US", "vi": "vi-VN"}[language], reduced_motion="reduce")
            for tab in walk_tabs(page, studio_url, language):
                noted = found[language, tab] = {"said": {*page.evaluate(SAID)}}
                for theme in THEMES:
                    page.emulate_media(color_scheme=theme)
                    page.wait_for_function(CALM, arg=theme == "dark")
                    noted[theme] = Axe().run(page).response["violations"]
    return found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_grave_on_any_tab(noted, theme, language):
    for tab in TABS:
        found = [problem for problem in noted[language, tab][theme] if problem["impact"] in GRAVE]
        assert [(tab, one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


def test_every_control_is_reached_by_keyboard_and_shows_it(page, studio_url):
    for tab in walk_tabs(page, studio_url, "en"):
        page.evaluate(FOCUS)
        page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); }")
        for _ in range(400):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement === document.body"):
                break
        assert (tab, page.evaluate(UNREACHED), page.evaluate("[...lost]")) == (tab, [], [])


def test_what_a_finger_presses_is_large_enough(phone, studio_url):
    for tab in walk_tabs(phone, studio_url, "vi"):
        assert (tab, phone.evaluate(SMALL)) == (tab, [])


def test_nothing_is_said_in_english_to_a_vietnamese(noted):
    for tab in TABS:
        english, texts = (noted[language, tab]["said"] for language in LANGUAGES)
        assert len(texts) > 20
        assert (tab, {text for text in texts & english if not SAME.fullmatch(text)}) == (tab, set())
