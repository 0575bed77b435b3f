"""What one does on the page again and again, and what one looks at there."""

import base64
import json
import re
from pathlib import Path

try:
    from playwright.sync_api import expect
except ImportError:  # then the fixture `browser` skips whatever would call it
    expect = None

ROOMS = Path(__file__).parents[2] / "assets" / "rooms"
WALL = (0.5, 0.25)  # on the wall of the first sample room, as shares of the photo


COMPARE = "#compare-board"
SIZES = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "laptop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "locale": "vi-VN", "color_scheme": "dark", "has_touch": True},
}
TABS = ("compare", "dataset", "train")  # in the page's order, whatever they are called
# The tab that is chosen is shown, all of it, and the script of its board has taken hold.
OPENED = """() => {
  const shown = [...document.querySelectorAll("[role=tabpanel]")].filter((panel) => panel.offsetParent);
  const tab = document.querySelector("#tabs [role=tab][aria-selected=true]").dataset.tabId;
  const boards = shown.flatMap((panel) => [...panel.querySelectorAll(".board")]);
  return shown.length === 1 && shown[0].innerText.trim() && boards.length === (tab === "train" ? 0 : 1)
    && boards.every((board) => board.settled); }"""


def open_tab(page, url, name):
    """Open the page and one of its tabs, once what was open has come back: what is clicked before may be lost."""
    page.goto(url)
    page.wait_for_function("window.cameBack")
    tabs = page.get_by_role("tab")
    tab = tabs.nth(TABS.index(name)) if name in TABS else tabs.filter(has_text=name)
    tab.click()
    expect(tab).to_have_attribute("aria-selected", "true")
    page.wait_for_function(OPENED)


def open_sample(page, url, number=0):
    open_tab(page, url, "dataset")
    page.locator("#sample-rooms img").nth(number).click()
    wait_ready(page)


def wait_ready(page, board="#board"):
    """Wait until the photo on the board has been looked at."""
    expect(page.locator(f"{board} .board")).to_have_attribute("data-ready", re.compile(r"^\d+$"))


def marked(page, board="#board"):
    """Pixels of the wall at hand."""
    return int(page.locator(f"{board} .board").get_attribute("data-marked") or 0)


def wait_marked(page, changed_from, board="#board"):
    page.wait_for_function(
        "([board, was]) => Number(document.querySelector(`${board} .board`).dataset.marked || 0) !== was",
        arg=[board, changed_from],
        polling=50,
    )
    return marked(page, board)


def place(page, x, y, board="#board"):
    """Screen coordinates of a point of the photo, given as shares of it; the photo is square."""
    canvas = page.locator(f"{board} canvas.photo")
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    side = min(area["width"], area["height"])
    left, top = area["x"] + (area["width"] - side) / 2, area["y"] + (area["height"] - side) / 2
    return left + x * side, top + y * side


def drag(page, start, end, board="#board"):
    page.mouse.move(*place(page, *start, board))
    page.mouse.down()
    page.mouse.move(*place(page, *end, board), steps=4)
    page.mouse.up()


def touch(page, kind, *points):
    """Let fingers touch, move or leave the screen; playwright itself only taps."""
    if not hasattr(page, "fingers"):
        page.fingers = page.context.new_cdp_session(page)
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    page.fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def drop_files(page, paths, board="#board"):
    """Let files and folders fall on the board, as from the desktop."""
    hand = page.context.new_cdp_session(page)
    x, y = place(page, 0.5, 0.5, board)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        hand.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})


def upload(page, button, files):
    """Give files to an upload button, whose input stands before it."""
    page.locator(f"input[type=file]:has(+ {button})").set_input_files(files)


def paste_file(page, path):
    """Paste a picture from the clipboard, as after a screenshot."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (source) => {
        const image = Object.assign(new Image(), { src: source }); await image.decode();
        const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
        canvas.getContext("2d").drawImage(image, 0, 0);
        const blob = await canvas.convertToBlob({ type: "image/png" });
        await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]); }""",
        f"data:image/jpeg;base64,{base64.b64encode(Path(path).read_bytes()).decode()}",
    )
    page.keyboard.press("Control+v")


def only(page, *arms):
    """Tick these arms alone."""
    for name in ("old", "new", "color", "refine", "recolor"):
        page.locator("#arms").get_by_label(name, exact=True).set_checked(name in arms)


def wait_painted(page):
    """Wait until the board of tab Compare shows its walls painted."""
    expect(page.locator(f"{COMPARE} .board")).to_have_attribute("data-painted", re.compile("^#"))


def download(page, link):
    with page.expect_download() as got:
        link.click()
    return Path(got.value.path())


def name_dataset(page, name):
    page.locator("#dataset-name input").fill(name)
    page.locator("#dataset-name input").press("Enter")


def unfold(page, name):
    """Open what is folded: the rarer choices of tab Compare, or a board's "More tools"."""
    page.locator(f"{name} > button, {name} > summary").first.click()


def settle(page, board="#board"):
    """Wait until the board has all answers and the server all marks."""
    page.locator(f"{board} .board").evaluate("board => board.settled()")


def wait_kept(page, workspace, there):
    """Wait until the visit holds what was done last: nobody presses F5 within the same second."""
    token, kept = page.evaluate("sessionStorage.getItem('wallpaint-visit')"), None
    file = workspace / "visits" / f"{token}.json"
    for _ in range(300):
        if file.is_file() and there(kept := json.loads(file.read_text())):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the visit holds {kept}")


def wait_held(page, kept):
    """Wait until the page has asked for what a route keeps."""
    for _ in range(600):
        if kept:
            return
        page.wait_for_timeout(50)
    raise AssertionError("the page has not asked")


def wait_drawn(page, canvas, differs_from):
    """Wait until a canvas shows another picture than that one; give it."""
    for _ in range(200):
        if (now := canvas.screenshot()) != differs_from:
            return now
        page.wait_for_timeout(50)
    raise AssertionError("the canvas stayed as it was")


def wait_fits(page):
    """Wait until the page is no wider than its window."""
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")


def wait_stage(page):
    """Wait until tab Compare's stage has every picture that a switch would show; give it."""
    stage = page.locator("#results .stage")
    expect(stage).to_have_attribute("data-ready", re.compile(r"^[1-9]"))
    return stage


def show(page, key):
    """Put what stands under a key of the strip on the stage; give which view that is."""
    button = page.locator(f"#results .view[data-key='{key}']")
    view = button.get_attribute("data-view")
    button.click()
    expect(page.locator("#results .stage")).to_have_attribute("data-shown", view)
    return view


def pixel(page, x, y):
    """The colour that the stage shows at a point, given as shares of it: [red, green, blue]."""
    return page.locator("#results .lens canvas").evaluate(
        """async (canvas, [x, y]) => {
        for (const frame of [1, 2]) await new Promise((drawn) => requestAnimationFrame(drawn));
        const at = [x * canvas.width, y * canvas.height].map(Math.floor);
        return [...canvas.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3); }""",
        [x, y],
    )
