"""What people bring: photos, folders, palettes, zips, and what must not come in."""

import re
import shutil
import struct
import zipfile
import zlib

import pytest
from hands import (
    ROOMS,
    download,
    drop_files,
    expect,
    name_dataset,
    open_sample,
    open_tab,
    unfold,
    upload,
    wait_marked,
    wait_ready,
)
from PIL import Image

pytestmark = pytest.mark.browser
PHOTOS = [ROOMS / "test" / f"{name}.jpg" for name in ("000002-0", "000017-0")]


@pytest.fixture
def folder(tmp_path):
    """Photos of two rooms, a folder each, and a note beside them."""
    for photo, room in zip(PHOTOS, ("attic", "hall"), strict=True):
        (tmp_path / "photos" / room).mkdir(parents=True)
        (tmp_path / "photos" / room / photo.name).write_bytes(photo.read_bytes())
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    return tmp_path / "photos"


def write_bomb(path):
    """A PNG of a few kilobytes that would unpack to 900 megapixels."""
    side = 30_000

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes((side // 8 + 1) * 64))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


def write_ase(name, red, green, blue):
    """An Adobe swatch file of one colour."""
    text = (name + "\0").encode("utf-16-be")
    block = struct.pack(">H", len(name) + 1) + text + b"RGB " + struct.pack(">fffH", red, green, blue, 0)
    return b"ASEF" + struct.pack(">HHI", 1, 0, 1) + struct.pack(">HI", 1, len(block)) + block


def large_file(page, button, path):
    """Give a file to a button that takes it in pieces."""
    page.locator(f"{button} input[type=file]").set_input_files(path)


def test_several_photos_are_marked_and_kept_in_one_go(page, studio_url):
    open_tab(page, studio_url, "dataset")
    upload(page, "#upload-photo", PHOTOS)
    expect(page.locator("#photos img")).to_have_count(2)
    page.locator("#find-all").click()
    expect(page.locator("#photos-message")).to_contain_text("of 2. Untick")
    expect(page.locator("#ticked input")).not_to_have_count(0)
    wait_marked(page, 0)  # the one at hand shows it too
    name_dataset(page, "many")
    page.locator("#save-ticked").click()
    expect(page.locator("#save-message")).to_contain_text("to many")


def hold_looks(page):
    """Hold back what asks for "embed", by whose answer a photo becomes ready; the list it goes to."""
    held = []

    def sift(route):
        looks = "embed" in (route.request.post_data or "")
        held.append(route) if looks else route.continue_()

    page.route("**/component_server/", sift)
    return held


def test_a_folder_comes_by_its_button_or_dropped_on_the_board(page, studio_url, folder):
    open_tab(page, studio_url, "dataset")
    upload(page, "#upload-folder", folder)
    expect(page.locator("#photos img")).to_have_count(2)
    wait_ready(page)
    with open(folder / "hall" / "walk.mp4", "wb") as video:
        video.truncate(60_000_000)  # Gradio alone would refuse all that come with it
    (folder / "hall" / "cut.jpg").write_bytes(PHOTOS[0].read_bytes()[:3000])
    looks = hold_looks(page)
    upload(page, "#upload-folder", folder / "hall")
    expect(page.get_by_text("Left out: image cut.jpg cannot be read")).to_be_visible()
    expect(page.locator("#photos img")).to_have_count(3)
    (folder / "hall" / "cut.jpg").unlink()
    expect(page.locator("#board .status")).to_have_text("Looking at the photo…")
    looked = looks[0].fetch()
    upload(page, "#upload-folder", folder)
    looks[0].fulfill(response=looked)  # that photo is ready only now, while others are on their way
    expect(page.locator("#photos img")).to_have_count(5)
    expect(page.locator("#board .status")).to_have_text("Looking at the photo…")
    looks[1].continue_()
    page.unroute("**/component_server/")
    wait_ready(page)
    expect(page.locator("#board .status")).to_have_text(re.compile(r"walk\.mp4.*Raw files.*Ready"))
    drop_files(page, [folder])
    expect(page.locator("#photos img")).to_have_count(7)
    open_tab(page, studio_url, "Compare")
    wait_ready(page, "#compare-board")
    drop_files(page, [PHOTOS[1]], "#compare-board")
    expect(page.locator("#compare-board .status")).to_contain_text("% sure")


def test_the_good_ones_of_many_photos_come_a_phones_heic_too_and_the_broken_one_is_named(page, studio_url, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    (tmp_path / "cut.jpg").write_bytes(PHOTOS[0].read_bytes()[:3000])
    with Image.open(PHOTOS[1]) as photo:
        photo.save(tmp_path / "phone.heic")
    open_tab(page, studio_url, "dataset")
    upload(page, "#upload-photo", [PHOTOS[0], tmp_path / "cut.jpg", tmp_path / "phone.heic"])
    expect(page.get_by_text("Left out: image cut.jpg cannot be read")).to_be_visible()
    expect(page.get_by_text("Warning", exact=True)).to_be_hidden()  # what Gradio calls it, in English alone
    expect(page.locator("#photos img")).to_have_count(2)
    wait_ready(page)
    page.locator("#photos img").last.click()
    expect(page.locator("#room input, #room textarea")).to_have_value("phone")
    wait_ready(page)


def test_on_a_phone_the_room_that_is_opened_comes_into_sight(phone, studio_url):
    open_tab(phone, studio_url, "dataset")
    phone.locator("#sample-rooms img").first.tap()
    wait_ready(phone)
    expect(phone.locator("#board canvas.photo")).to_be_in_viewport(ratio=0.9)


def test_palettes_of_ones_own_are_read_and_name_paints(page, studio_url):
    open_sample(page, studio_url)
    gimp = b"GIMP Palette\nName: Ours\n#\n200 30 40 House red\n10 20 30 Night\n"
    table = "name,hex\nMàu trời,#7AB7C3\n".encode()
    for name, data, first in (
        ("ours.gpl", gimp, "House red · #C81E28"),
        ("studio.ase", write_ase("Leaf", 0.2, 0.6, 0.3), "Leaf · #33994D"),
        ("list.csv", table, "Màu trời · #7AB7C3"),
    ):
        palette = page.locator("#board input[accept^='.gpl']")
        palette.set_input_files({"name": name, "mimeType": "text/plain", "buffer": data})
        expect(page.locator("#board .grid button").first).to_have_attribute("title", re.compile(f"^{first} · LRV"))
    page.locator("#board .grid button").first.click()
    expect(page.locator("#board [data-paint=paint] .named")).to_have_text(re.compile("^Màu trời · #[0-9A-F]{6} · LRV"))
    palette.set_input_files({"name": "x.gpl", "mimeType": "text/plain", "buffer": b"no palette"})
    expect(page.locator("#board .status.wrong")).to_contain_text("GIMP Palette")
    assert page.locator("#board select option").count() == 5


def test_a_dataset_leaves_as_a_zip_and_comes_back(page, studio_url, tmp_path):
    open_tab(page, studio_url, "dataset")
    name_dataset(page, "few")
    expect(page.locator("#saved-samples img")).to_have_count(5)
    page.locator("#export").click()
    packed = tmp_path / "copy.zip"
    packed.write_bytes(download(page, page.locator("#download")).read_bytes())
    with zipfile.ZipFile(packed, "a") as archive:  # beyond what one request may bring
        noise = Image.effect_noise((4200, 4200), 90).convert("RGB")
        noise.save(tmp_path / "large.png", compress_level=0)
        archive.write(tmp_path / "large.png", "train/large.png")
    assert packed.stat().st_size > 51_000_000
    large_file(page, "#import", packed)
    expect(page.locator("#list-message")).to_have_text("Imported copy: 4 for training, 1 for validation.")
    expect(page.locator("#dataset-name input")).to_have_value("copy")
    expect(page.locator("#saved-samples img")).to_have_count(5)
    drop_files(page, [packed])  # once more, and onto the board
    expect(page.locator("#list-message")).to_have_text("Imported copy-2: 4 for training, 1 for validation.")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("train/../../evil.png", b"x")
    large_file(page, "#import", tmp_path / "evil.zip")
    expect(page.get_by_text("leads out of the zip")).to_be_visible()
    page.locator("#import input[type=text]").fill("../evil.zip")
    page.locator("#import input[type=text]").press("Enter")
    expect(page.locator("#import .said")).to_contain_text("outside the workspace")
    assert page.locator("#import progress").is_hidden()


def test_samples_are_deleted_moved_and_brought_back_and_none_stays_chosen_in_another_dataset(page, studio_url, studio):
    shutil.copytree(studio[0] / "datasets" / "few", studio[0] / "datasets" / "edited")
    open_tab(page, studio_url, "dataset")
    name_dataset(page, "edited")
    shown, said = page.locator("#saved-samples img"), page.locator("#list-message")
    expect(shown).to_have_count(5)
    expect(page.locator("#check")).to_be_hidden()  # a small one is looked at unasked
    for left in (4, 3):
        shown.first.click()
        page.locator("#edit-delete").click()
        expect(shown).to_have_count(left)
        expect(page.locator("#edit-delete")).to_be_hidden()
        rims = "items => new Set(items.map(item => getComputedStyle(item).borderColor)).size"
        assert page.locator("#saved-samples .thumbnail-item").evaluate_all(rims) == 1  # none looks chosen
    for there in (4, 5):
        page.locator("#undo-delete").click()
        expect(shown).to_have_count(there)
    expect(said).to_contain_text("is back")
    expect(page.locator("#undo-delete")).to_be_hidden()
    shown.last.click()
    expect(page.locator("#edit-move")).to_have_text("Move its room to Validation")
    page.locator("#edit-move").click()
    expect(said).to_contain_text("to Validation")
    shown.first.click()
    page.locator("#edit-open").click()
    expect(page.locator("#board .board")).to_have_attribute("data-marked", re.compile(r"^[1-9]"))
    expect(page.locator("#board canvas.photo")).to_be_in_viewport(ratio=0.5)
    expect(page.locator("#edit-delete")).to_be_visible()
    name_dataset(page, "few")
    expect(page.locator("#edit-delete")).to_be_hidden()


def test_what_is_hostile_is_told_in_words(page, studio_url, tmp_path):
    open_tab(page, studio_url, "Compare")
    bomb, text, large = write_bomb(tmp_path / "bomb.png"), tmp_path / "text.png", tmp_path / "large.png"
    text.write_text("<script>alert(1)</script>")
    with open(large, "wb") as file:
        file.truncate(410_000_000)
    for file, told in ((bomb, "megapixels"), (text, "text.png"), (large, "No photo of up to 400 MB")):
        upload(page, "#compare-photo", file)
        expect(page.get_by_text(told)).to_be_visible()
    (tmp_path / "evil.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    unfold(page, "#loras")
    large_file(page, "#add-lora", tmp_path / "evil.safetensors")
    expect(page.get_by_text("evil.safetensors cannot be read")).to_be_visible()
    page.get_by_role("tab", name="Dataset").click()
    upload(page, "#upload-photo", [bomb, text])
    expect(page.get_by_text("none of these files is a photo")).to_be_visible()
    assert "Traceback" not in page.content() and page.locator("script", has_text="alert(1)").count() == 0
