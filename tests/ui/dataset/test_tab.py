"""Tab Dataset without a browser: the board's calls, several photos, the list and what the doctor says."""

import base64
import io
import json
import os
import shutil
import time
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageFilter
from small import save_random, small_sam, small_segformer
from toys import toy_room

from wallpaint.dataset import doctor, folder
from wallpaint.errors import UserError
from wallpaint.models.field import recolor_by_field
from wallpaint.pixels.arrays import erode
from wallpaint.pixels.recolor import Coat, estimate_paint
from wallpaint.ui import app, handlers, page
from wallpaint.ui.board import calls, component, pictures, segmenter
from wallpaint.ui.board.walls import (
    Wall,
    drop_wall_mask,
    mask_at,
    read_walls,
    save_photo_masks,
    save_wall_mask,
    write_walls,
)
from wallpaint.ui.dataset import findings, photos, samples, tab
from wallpaint.ui.finder import show_finder, switch_finder
from wallpaint.ui.gallery import read_rooms
from wallpaint.ui.handlers import guarded
from wallpaint.ui.page import read_paint
from wallpaint.ui.words.words import TEXT, t
from wallpaint.walls.classifier import ClassifierFinder, WallClassifier
from wallpaint.walls.finders import FINDERS, Finder
from wallpaint.walls.network import NETWORK, NetworkFinder

GREEN = (122, 158, 126)
SIZE = (160, 96)
IMPORTED = "Imported {}: 1 for training, 0 for validation."


@pytest.fixture
def looks(family, monkeypatch):
    """Let the page see with the random family's SAM; give how often its encoder ran."""
    chosen = replace(FINDERS["room-tiny"], sam=str(family))
    monkeypatch.setitem(FINDERS, "room-tiny", chosen)
    monkeypatch.setattr(segmenter, "_models", {"chosen": chosen})
    with segmenter._lock:
        encoder = segmenter._masker().predictor.model.image_encoder
    counted = []
    encoder.register_forward_hook(lambda *_: counted.append(1))
    return counted


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "my room.png"
    toy_room(1, GREEN, SIZE)[0].save(path)
    return path


@pytest.fixture
def picture(photo, tmp_path, looks):
    return pictures.open_picture(photo, tmp_path, "attic")


@pytest.fixture
def call(tmp_path, picture):
    """Call a server function as the board's script does, for the picture at hand."""
    served = {f.__name__: handlers.serve_function(f, tmp_path) for f in calls.FUNCTIONS}
    token = picture["folder"].rpartition("/")[2]
    return lambda name, /, **asked: served[name]({"token": token, **asked})


def event(index):
    return types.SimpleNamespace(index=index)


def wall_runs():
    return calls.encode_runs(np.asarray(toy_room(1, GREEN, SIZE)[1]) > 0)


def half_runs(left):
    mask = np.asarray(toy_room(1, GREEN, SIZE)[1]) > 0
    mask[:, 70:] &= not left
    mask[:, :70] &= left
    return calls.encode_runs(mask)


# ---- words


def test_the_page_says_what_the_doctor_says():
    for kind, (what, remedy) in doctor.MESSAGES.items():
        assert t(f"doctor_{kind}") == what and t(f"mend_{kind}") == remedy
    named = {*(f"hue_{name}" for name in doctor.HUES), *(f"light_{name}" for name in doctor.LIGHTNESSES)}
    assert named <= TEXT.keys()


# ---- masks as runs


def test_a_remedy_names_what_it_is_about():
    finding = doctor.Finding("turned_masks", "train", "", {"count": "2", "first": "a.jpg"})
    table = findings.write_findings([finding], 2, "en")
    assert "2 masks are turned" in table and "look at a.jpg: is its wall in place?" in table


def test_a_mask_survives_as_runs():
    rng = np.random.default_rng(0)
    for mask in (rng.random((9, 13)) > 0.5, np.zeros((3, 4), bool), np.ones((3, 4), bool)):
        runs = calls.encode_runs(mask)
        assert sum(runs) == mask.size
        assert (calls.decode_runs(runs, mask.shape[::-1]) == mask).all()


@pytest.mark.parametrize("runs", [None, "x", [], [11], [13], [-1, 13], [6, "6"], [6.0, 6.0], [True] * 12, [0] * 99])
def test_broken_runs_are_refused(runs):
    with pytest.raises(UserError, match="mask"):
        calls.decode_runs(runs, (4, 3))


# ---- opening


def test_an_upload_is_opened_upright_without_exif_and_small_enough_to_show(tmp_path, looks):
    path = tmp_path / "tall.jpg"
    image = Image.new("RGB", (2000, 1000), "gray")
    exif = image.getexif()
    exif[0x0112] = 6  # turn it by 90 degrees
    image.save(path, exif=exif)
    opened, _ = photos.add_photos([str(path)], [], "en")
    opened, picture = photos.open_photo(opened, 0, tmp_path)
    assert picture["name"] == "tall" and component.describe_picture(picture)["size"] == [512, 1024]
    with Image.open(f"{picture['folder']}/photo.png") as kept:
        assert kept.size == (1000, 2000) and not kept.getexif()
    again, same = photos.open_photo(opened, 0, tmp_path)
    assert same["folder"] == picture["folder"] and again == opened


def test_what_is_no_photo_is_left_out_or_refused(photo, tmp_path):
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(UserError, match="none of these files"):
        photos.add_photos([str(tmp_path / "notes.txt")], [], "en")
    opened, left_out = photos.add_photos([str(tmp_path / "notes.txt"), str(photo), str(photo)], [], "en")
    assert [one.name for one in opened] == ["my-room", "my-room-2"] and left_out == "No photo: notes.txt."


def test_the_good_photos_of_an_upload_are_taken_and_the_bad_ones_named_with_their_reasons(photo, tmp_path):
    cut, empty, raw = tmp_path / "cut.png", tmp_path / "empty.jpg", tmp_path / "shot.cr2"
    cut.write_bytes(photo.read_bytes()[:-2000])
    empty.touch()
    raw.write_bytes(b"II*\0" + bytes(60))
    for name in ("Thumbs.db", "clip.mp4", "caption.txt", "a<b>.exe", ".DS_Store", "x.json", "y.bin"):
        (tmp_path / name).write_bytes(b"no photo")
    opened, told = photos.add_photos([str(path) for path in sorted(tmp_path.iterdir()) if path.is_file()], [], "en")
    assert [one.path for one in opened] == [str(photo)]
    assert told.startswith("No photo: .DS_Store, Thumbs.db, a<b>.exe, caption.txt, clip.mp4 … (+2).")
    for bad in ("cut.png", "empty.jpg", "shot.cr2"):
        assert f"image {bad} " in told  # its reason follows, without the folder of the upload
    assert str(tmp_path) not in told


@pytest.mark.parametrize(
    ("file", "room"),
    [
        ("IMG_1 (1).png", "IMG_1-1"),
        ("\N{COUCH AND LAMP}\N{VARIATION SELECTOR-16}.png", "room"),
        ("pho\u0300ng kha\u0301ch.png", "ph\xf2ng-kh\xe1ch"),  # decomposed, as macOS writes it
        ("ph\xf2ng kh\xe1ch.png", "ph\xf2ng-kh\xe1ch"),
        ("a" * 120 + ".png", "a" * 40),
        ("\u5ba2\u5ec5.png", "\u5ba2\u5ec5"),
    ],
)
def test_a_room_is_named_after_its_file_whatever_that_is_called(photo, tmp_path, looks, file, room):
    path = tmp_path / file
    path.write_bytes(photo.read_bytes())
    opened, told = photos.add_photos([str(path)], [], "en")
    assert opened[0].name == room and told == ""
    opened, picture = photos.open_photo(opened, 0, tmp_path)
    wall = save_wall_mask(picture["folder"], np.ones(SIZE[::-1], bool))
    write_walls(picture["folder"], [Wall(wall, "#7A9E7E")])
    assert photos.save_photos(tmp_path, opened, [room], "mine", "train", "", "en") == 1
    (sample,) = folder.read_samples(tmp_path / "datasets" / "mine", "train")
    assert sample.room_id == room and samples.show_dataset(tmp_path, "mine", "en").shown[0][1].startswith(room)


def test_a_sample_room_brings_its_own_mask(tmp_path, looks, monkeypatch):
    image, mask = toy_room(0, GREEN, SIZE)
    folder.add_sample(tmp_path / "assets" / "rooms" / "sample", "train", image, mask, GREEN, "", "attic")
    monkeypatch.setattr("wallpaint.paths.ASSETS", tmp_path / "assets")
    picture, shown, name = tab.open_sample(0, tmp_path)
    assert name == "attic" and shown["given"] and shown["walls"][0]["runs"] is None
    given = calls.load_given(tmp_path, {"token": shown["token"]})
    assert (calls.decode_runs(given["runs"], SIZE) == (np.asarray(mask) > 0)).all()


# ---- the board's calls


def test_a_photo_is_looked_at_once_however_often_it_is_opened_and_clicked(call, photo, tmp_path, looks):
    assert call("embed") == {"ready": True}
    for points in ([[50, 30, 1]], [[50, 30, 1], [20, 90, 0]]):
        answer = call("predict", points=points, box=None)
        assert 1 <= len(answer["masks"]) <= 3 and len(answer["scores"]) == len(answer["masks"])
        assert answer["scores"][0] > 0 and set(answer["scores"][1:]) <= {None}  # another's guess, not to be compared
        assert all(sum(runs) == SIZE[0] * SIZE[1] for runs in answer["masks"])
    assert "error" not in call("predict", points=[], box=[10, 10, 90, 60])
    again = pictures.open_picture(photo, tmp_path)["folder"]
    segmenter.embed(again)
    width = segmenter._masker().predictor.model.prompt_encoder.embed_dim + 25
    shapes = {
        "mean": (width,),
        "scale": (width,),
        "weight1": (width, 1),
        "bias1": (1,),
        "weight2": (1, 2),
        "bias2": (2,),
    }
    weights = {key: np.ones(shape, np.float32) for key, shape in shapes.items()}
    both = ClassifierFinder(segmenter._masker(), WallClassifier(weights), NetworkFinder.load(NETWORK))
    segmenter._models["finder"] = both
    assert segmenter.propose(again) is not None  # the search for walls looks at the same embedding
    assert len(looks) == 1


def test_another_finder_works_beside_the_same_painter_and_looks_once_at_a_photo_too(
    call, photo, tmp_path, monkeypatch
):
    """SAM vit_b and SegFormer in their publishers' layouts, on a CPU."""
    save_random(small_sam(monkeypatch, "vit_b"), tmp_path / "sam_vit_b.pth")
    small_segformer(tmp_path / "segformer")
    monkeypatch.setitem(FINDERS, "sam", Finder("sam", str(tmp_path / "sam_vit_b.pth"), str(tmp_path / "segformer")))
    line, button = show_finder("en")
    assert "room-tiny" in line and button["value"].startswith("Use SAM")
    line, button = switch_finder("en", lambda *values, **words: None)
    assert "SAM" in line and "CPU" in line and button["value"] == "Use the quick one"
    sam, embedded = segmenter._masker().predictor.model, []
    assert sam.image_encoder.img_size == 1024
    sam.image_encoder.register_forward_hook(lambda *_: embedded.append(1))
    assert call("embed") == {"ready": True} and "masks" in call("predict", points=[[50, 30, 1]], box=None)
    assert call("propose")["confidence"] == pytest.approx(0.91, abs=0.01)  # SegFormer's
    segmenter.embed(pictures.open_picture(photo, tmp_path)["folder"])
    assert len(embedded) == 1
    monkeypatch.setitem(FINDERS, "room-tiny", Finder("room-tiny", str(tmp_path / "none"), ""))
    with pytest.raises(UserError, match="none is missing"):
        switch_finder("en", lambda *values, **words: None)
    assert segmenter.at_work().name == "sam"


def test_a_clicks_mask_is_refined_and_still_says_what_was_clicked(call):
    wall = calls.decode_runs(wall_runs(), SIZE)
    x, y = (int(where.mean()) for where in np.nonzero(wall)[::-1])
    coarse = np.kron(wall[::8, ::8], np.ones((8, 8), bool))[: SIZE[1], : SIZE[0]]
    answer = call("refine", runs=calls.encode_runs(coarse), points=[[x, y, 1]])
    fine = calls.decode_runs(answer["runs"], SIZE)
    assert fine[y, x] and (fine != wall).sum() < (coarse != wall).sum()
    nothing = call("refine", runs=[SIZE[0] * SIZE[1]], points=[[x, y, 1]])
    assert calls.decode_runs(nothing["runs"], SIZE)[y, x]


def test_a_wall_marked_on_the_view_follows_the_photos_edges_at_its_own_size(tmp_path, looks):
    image, mask = toy_room(0, GREEN, (1536, 1024))
    image.save(tmp_path / "large.png")
    picture = pictures.open_picture(tmp_path / "large.png", tmp_path)
    view = mask.resize((1024, 683), Image.Resampling.BOX).point(lambda value: 255 * (value >= 128))
    shrunk = np.asarray(view.filter(ImageFilter.MinFilter(3))) > 0  # a pixel short of the wall's edge
    name = save_wall_mask(picture["folder"], shrunk)
    write_walls(picture["folder"], [Wall(name)])
    plain = np.asarray(Image.fromarray(shrunk).convert("L").resize(image.size)) >= 128
    full = np.asarray(mask_at(picture["folder"], image.size)) > 0
    truth = np.asarray(mask) > 0
    assert (full != truth).sum() < 0.3 * (plain != truth).sum()
    drop_wall_mask(Path(picture["folder"]), name)
    assert not list(Path(picture["folder"]).glob("*wall-*"))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("predict", {"points": [], "box": None}),
        ("predict", {"points": [[1e9, 0, 1]]}),
        ("predict", {"points": [["a", "b", 1]]}),
        ("predict", {"points": [[5, 5]]}),
        ("predict", {"points": [[5, 5, 7]]}),
        ("predict", {"points": [[5, 5, 1]] * 65}),
        ("predict", {"points": [[5000, 5, 1]]}),
        ("refine", {"runs": [1, 2], "points": [[5, 5, 1]]}),
        ("refine", {"points": {}}),
        ("save_walls", {"walls": []}),
        ("save_walls", {"walls": [{"runs": [1, 2]}]}),
        ("save_walls", {"walls": [{}] * 9}),
        ("save_walls", {"walls": [{"now": "red", "chosen": True}]}),
        ("pick_color", {"x": -50, "y": 5}),
        ("load_given", {}),
        ("name_color", {"hex": "<script>"}),
        ("import_palette", {"name": "../../x.gpl", "data": "????"}),
        ("import_palette", {"name": "x.exe", "data": ""}),
    ],
)
def test_what_a_script_must_not_send_comes_back_as_words(call, name, asked):
    answer = call(name, **asked)
    assert answer.keys() == {"error"} and "log says more" not in answer["error"]


@pytest.mark.parametrize("token", [None, "", "../..", "0" * 24, "x" * 24, ["a"]])
def test_a_picture_is_reached_by_its_token_alone(call, token):
    for name in ("embed", "predict", "refine", "save_walls", "repaint", "pick_color", "propose", "load_given"):
        assert "picture is gone" in call(name, token=token)["error"]


def test_the_paint_on_a_wall_is_estimated_until_somebody_says_it(call, picture, photo):
    now = call("save_walls", walls=[{"runs": wall_runs(), "paint": "#102030"}])["now"]
    mask = Image.fromarray(255 * calls.decode_runs(wall_runs(), SIZE).astype(np.uint8))
    assert now == [estimate_paint(Image.open(photo), mask).hex]
    assert call("save_walls", walls=[{"runs": None, "now": "#abc", "chosen": True, "paint": "#102030"}])["now"] == [
        "#AABBCC"
    ]
    walls, active = read_walls(picture["folder"])
    assert (walls[0].now, walls[0].paint, walls[0].chosen, active) == ("#AABBCC", "#102030", True, 0)
    assert np.array_equal(np.asarray(mask_at(picture["folder"], SIZE)), np.asarray(mask))
    call("save_walls", walls=[{"runs": [SIZE[0] * SIZE[1]]}])
    assert mask_at(picture["folder"], SIZE) is None and not list(pictures.Path(picture["folder"]).glob("wall-*"))


def test_a_mask_that_is_the_wrong_way_round_is_told(tmp_path, looks):
    room = read_rooms("sample")[0]
    picture = pictures.open_picture(room.image, tmp_path)
    right = np.asarray(Image.open(room.mask)) > 0
    for mask, told in ((right, False), (~right, True)):
        asked = {"token": component.describe_picture(picture)["token"], "walls": [{"runs": calls.encode_runs(mask)}]}
        assert calls.save_walls(tmp_path, asked)["inverted"] is told
        assert component.describe_picture(picture)["inverted"] is told
    assert not calls.save_walls(tmp_path, {**asked, "walls": [{}]})["inverted"]  # told once, while it does not change


def test_the_live_repaint_is_that_of_the_field_on_every_marked_wall(call, photo):
    assert call("repaint") == {}
    call("save_walls", walls=[{"runs": half_runs(True)}, {"runs": half_runs(False)}, {"runs": None}])
    image = call("repaint", paints=["#0000C8", "#C80000", "#00C800"])["image"]
    head, _, packed = image.partition(",")
    assert head == "data:image/jpeg;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))), dtype=int)
    assert shown[20, 40, 2] > 2 * shown[20, 40, 0] and shown[20, 100, 0] > 2 * shown[20, 100, 2]
    mask = Image.fromarray(255 * calls.decode_runs(half_runs(True), SIZE).astype(np.uint8))
    expected = recolor_by_field(Coat(Image.open(photo), mask, read_paint("#0000C8")))
    assert np.abs(shown[15:45, 30:60] - np.asarray(expected, dtype=int)[15:45, 30:60]).mean() < 6


def test_the_eyedropper_gives_the_paint_and_the_bare_colour(call, photo):
    found = call("pick_color", x=30, y=30)
    seen = np.array(read_paint(found["seen"]).rgb)
    assert np.abs(seen - np.asarray(Image.open(photo))[30, 30]).max() <= 4
    red, green, blue = read_paint(found["hex"]).rgb
    assert green > red and green > blue and found["hex"] != found["seen"]


def test_a_proposal_says_how_sure_it_is(call):
    answer = call("propose")
    if answer:  # the random SAM may see no wall at all
        assert sum(answer["runs"]) == SIZE[0] * SIZE[1] and 0 <= answer["confidence"] <= 1


def test_a_proposal_for_a_photo_of_one_colour_is_not_sure(tmp_path, looks, monkeypatch):
    class Finder:
        def find(self, photo):
            return np.ones((32, 32), np.float32), 0.97

    monkeypatch.setattr(segmenter, "_finder", Finder)
    told = {}
    for name, photo in (("flat", Image.new("RGB", SIZE, GREEN)), ("room", toy_room(0, GREEN, SIZE)[0])):
        photo.save(tmp_path / f"{name}.png")
        folder = pictures.open_picture(tmp_path / f"{name}.png", tmp_path)["folder"]
        told[name] = calls.propose(tmp_path, {"token": Path(folder).name})
    assert (told["flat"]["sure"], told["flat"]["confidence"]) == (False, 0.1)
    assert (told["room"]["sure"], told["room"]["confidence"]) == (True, 0.97)
    opened, _ = photos.add_photos([str(tmp_path / f"{name}.png") for name in told], [], "en")
    *_, found = photos.find_walls(opened, tmp_path)
    assert [caption for _, caption in photos.show_photos(found, "en")] == ["flat · unsure, 10 %", "room · 97 %"]
    *_, again = photos.find_walls(found, tmp_path)
    for searched in (found, again):  # what is unsure is so as long as nobody has mended it
        message, marked, ticked = photos.sum_up(searched, "en")
        assert (marked, ticked) == (["flat", "room"], ["room"]) and message.endswith("Unsure, so not ticked: flat.")
    write_walls(again[0].folder, [Wall(save_wall_mask(again[0].folder, np.eye(96, 160) > 0))])
    *_, mended = photos.find_walls(again, tmp_path)
    assert photos.sum_up(mended, "en")[2] == ["flat", "room"]
    assert [caption for _, caption in photos.show_photos(mended, "en")] == ["flat", "room · 97 %"]


def test_palettes_are_listed_imported_and_name_colours(call):
    shipped = call("list_palettes")["palettes"]
    assert [palette["name"] for palette in shipped] == ["RAL Classic", "CSS"] and "disagree" in shipped[0]["source"]
    data = base64.b64encode(b"name,hex\nOur green,#7A9E7E\nNight,#001020\n").decode()
    palette = call("import_palette", name="ours.csv", data=data)["palette"]
    assert palette["name"] == "ours" and palette["colors"] == [["Our green", "#7A9E7E", 30], ["Night", "#001020", 0]]
    found = call("name_color", hex="#7B9E7E", id=palette["id"])
    assert found["name"] == "Our green" and 0 < found["delta_e"] < 1 and found["lrv"] == 30
    assert call("name_color", hex="#F9A800")["name"] == "RAL 1003 Signal yellow"


# ---- saving and the list


def test_every_wall_becomes_a_sample_of_the_same_room_with_its_own_paint(call, picture, tmp_path):
    walls = [{"runs": half_runs(True), "now": "#102030", "chosen": True}, {"runs": half_runs(False)}, {}]
    call("save_walls", walls=walls, active=1)
    message = samples.save_sample(tmp_path, picture, "mine", "validation", "attic", "a room", "en")
    left, right = folder.read_samples(tmp_path / "datasets" / "mine", "validation")
    assert (left.room_id, left.color, left.text) == ("attic", (16, 32, 48), "a room") and right.room_id == "attic"
    assert (
        right.color != left.color
        and not (np.asarray(Image.open(left.mask)) & np.asarray(Image.open(right.mask))).any()
    )
    assert "Saved 2 to mine: 0 for training, 2 for validation" in message
    _, [(mask, _), *_] = save_photo_masks(picture["folder"])  # what tab Compare takes: the wall at hand first
    assert np.array_equal(np.asarray(Image.open(mask)), np.asarray(Image.open(right.mask)))


def test_without_a_picture_or_a_mark_one_is_told_what_to_do(picture, tmp_path):
    for given, told in ((None, "choose a sample room"), (picture, "click on the wall")):
        with pytest.raises(UserError, match=told):
            samples.save_sample(tmp_path, given, "mine", "train", "attic", "", "en")
    with pytest.raises(UserError, match="cannot be a name"):
        samples.save_sample(tmp_path, picture, "../x", "train", "attic", "", "en")
    assert not (tmp_path / "datasets").exists()


def test_a_wrong_name_of_a_dataset_is_told_in_the_lists_place_and_by_no_toast(tmp_path):
    functions = {function.name: function for function in app.build_page(tmp_path, public=False).fns.values()}
    for name, more in (("list_here", ()), ("list_again", (1,))):
        shown, keys, chosen, _, _, told, _ = functions[name].fn("a/<b>", "en", *more)
        assert (shown, keys, chosen) == ([], [], None)
        assert told.startswith('<div class="card empty">') and "a/&lt;b&gt;&#39; cannot be a name" in told
    with pytest.raises(gr.Error, match="cannot be a name"):  # which the press on Save brings
        functions["save_here"].fn(tab.open_sample(0, tmp_path)[0], "a/b", "train", "hall", "", "en")


@pytest.fixture
def saved(call, picture, tmp_path):
    call("save_walls", walls=[{"runs": wall_runs()}])
    samples.save_sample(tmp_path, picture, "mine", "train", "attic", "", "en")
    return ("train", "attic-001.png")


def test_the_list_shows_the_wall_and_the_doctor_stands_beside_it(saved, tmp_path):
    shown, keys, _, told = samples.show_dataset(tmp_path, "mine", "en")
    assert keys == [saved] and shown[0][1] == "attic" and shown[0][0].size == SIZE
    plain = np.asarray(toy_room(1, GREEN, SIZE)[0], dtype=int)
    changed = np.abs(np.asarray(shown[0][0], dtype=int) - plain).sum(-1) > 0
    wall = np.asarray(toy_room(1, GREEN, SIZE)[1]) > 0
    assert (changed == wall & ~erode(wall, 2)).all()  # its outline: the paint itself stays to be seen
    assert "no validation split" in told and "put a room or two into validation" in told and "<svg" in told
    assert "chưa có nhóm kiểm tra" in samples.show_dataset(tmp_path, "mine", "vi").checkup
    assert "Nothing saved in other yet" in samples.show_dataset(tmp_path, "other", "en").checkup


def move_below(where, below):
    """Move the sample's files of a split into a folder below it, named so by the row."""
    rows = where / "metadata.jsonl"
    row = json.loads(rows.read_text())
    (where / below).mkdir(parents=True)
    for key in ("file_name", "mask_file_name"):
        (where / row[key]).rename(where / below / row[key])
        row[key] = f"{below}/{row[key]}"
    rows.write_text(json.dumps(row) + "\n")


@pytest.mark.parametrize("below", ["rooms", "2024/a (1)", "ph\xf2ng kh\xe1ch", "\N{COUCH AND LAMP}"])
def test_rows_that_point_into_folders_are_listed_edited_and_deleted(saved, tmp_path, below):
    move_below(tmp_path / "datasets" / "mine" / "train", below)
    shown = samples.show_dataset(tmp_path, "mine", "en")
    assert shown.keys == [("train", f"{below}/attic-001.png")] and shown.shown[0][0].size == SIZE
    key = shown.keys[0]
    assert samples.read_sample(tmp_path, "mine", key, "en").room_id == "attic"
    picture = samples.open_saved(tmp_path, "mine", list(key), "en")  # a page gives tuples as lists
    assert "Mended" in samples.save_sample(tmp_path, picture, "mine", "train", "attic", "", "en")
    samples.curate.delete_sample(tmp_path / "datasets" / "mine", *key)
    assert samples.show_dataset(tmp_path, "mine", "en").keys == []


def write_many(where, count):
    """Write `count` rows of one photo and its mask, as hard links."""
    where.mkdir(parents=True)
    image, mask = toy_room(1, GREEN, SIZE)
    image.save(where / "photo.png")
    mask.save(where / "mask.png")
    rows = []
    for number in range(count):
        os.link(where / "photo.png", where / f"{number}.png")
        row = {"file_name": f"{number}.png", "mask_file_name": "mask.png", "reference_color_rgb": [number % 256, 9, 9]}
        rows.append(json.dumps({**row, "text": "", "room_id": f"room {number}"}))
    (where / "metadata.jsonl").write_text("\n".join(rows))


def test_ten_thousand_samples_open_in_two_seconds_a_page_at_a_time(tmp_path):
    write_many(tmp_path / "datasets" / "many" / "train", 10_000)
    began = time.process_time()
    first = samples.show_dataset(tmp_path, "many", "en")
    assert time.process_time() - began < 2
    assert len(first.shown) == samples.PER_PAGE and first.pages == 167
    assert first.keys[0] == ("train", "9999.png") and "10000 samples: press Check" in first.checkup
    last = samples.show_dataset(tmp_path, "many", "en", 999)
    assert last.keys[-1] == ("train", "0.png") and len(last.keys) == 10_000 - 166 * samples.PER_PAGE
    assert len(first.checkup) < 300_000


def test_nothing_of_a_dataset_is_html_on_the_page(saved, tmp_path):
    rows = tmp_path / "datasets" / "mine" / "train" / "metadata.jsonl"
    line = rows.read_text()
    rows.write_text(line.replace('"attic"', '"<script>x"') + line.replace("attic-001.png", "<b>gone</b>.png"))
    told = samples.show_dataset(tmp_path, "mine", "en").checkup
    assert "<script>" not in told and "<b>" not in told and "&lt;b&gt;gone" in told and "&lt;script&gt;" in told


def test_a_saved_sample_is_opened_marked_again_and_mended(saved, tmp_path):
    picture = samples.open_saved(tmp_path, "mine", saved, "en")
    shown = component.describe_picture(picture)
    assert shown["walls"][0]["runs"] == wall_runs() and shown["walls"][0]["chosen"]
    ask = {"token": shown["token"], "walls": [{"runs": half_runs(True), "now": "#0A0B0C", "chosen": True}]}
    calls.save_walls(tmp_path, ask)
    assert "Mended attic-001.png" in samples.save_sample(tmp_path, picture, "mine", "validation", "x", "", "en")
    (sample,) = folder.read_samples(tmp_path / "datasets" / "mine", "train")
    assert sample.color == (10, 11, 12) and sample.image.name == "attic-001.png"
    assert calls.encode_runs(np.asarray(Image.open(sample.mask)) > 0) == half_runs(True)
    assert len(list(sample.mask.parent.glob("*_mask.png"))) == 1
    with pytest.raises(UserError, match="no sample is chosen"):
        samples.open_saved(tmp_path, "mine", None, "en")


def test_a_dataset_goes_out_and_comes_in_as_a_zip(saved, tmp_path):
    path = samples.export_dataset(tmp_path, "mine", "en")
    assert path.startswith(str(tmp_path / "results")) and "train/attic-001.png" in zipfile.ZipFile(path).namelist()
    assert samples.list_datasets(tmp_path) == ["mine", "my-rooms"]
    assert samples.import_dataset(tmp_path, path, "en") == ("mine-2", IMPORTED.format("mine-2"))  # both stay
    shutil.rmtree(tmp_path / "datasets" / "mine-2")
    again = tmp_path / "again.zip"
    again.write_bytes(pictures.Path(path).read_bytes())
    assert samples.import_dataset(tmp_path, again, "en") == ("again", IMPORTED.format("again"))
    assert samples.list_datasets(tmp_path) == ["again", "mine", "my-rooms"]
    for name, dataset in (
        ("mine (1).zip", "mine-1"),
        ("pho\u0300ng \N{COUCH AND LAMP}.zip", "ph\xf2ng"),
        ("\u2728.zip", "my-rooms"),
    ):
        again = again.rename(tmp_path / name)  # as browsers call a second download, macOS an accent, people anything
        assert samples.import_dataset(tmp_path, again, "en") == (dataset, IMPORTED.format(dataset))


def test_an_export_that_was_killed_goes_and_one_at_work_stays(saved, tmp_path, monkeypatch):
    whole = Path(samples.export_dataset(tmp_path, "mine", "en"))
    torn = tmp_path / "results" / "export-0" / ".mine-abcdefgh.zip"
    torn.parent.mkdir()
    torn.write_bytes(b"PK")

    def look(folder, path):
        (path.parent / ".mine-12345678.zip").write_bytes(b"PK")
        pictures.clear_old(tmp_path)  # as another studio does
        return path if list(path.parent.iterdir()) else None

    monkeypatch.setattr(samples.zips, "export_zip", look)
    assert samples.export_dataset(tmp_path, "mine", "en") != "None"
    assert whole.is_file() and not torn.parent.exists()


def test_a_zips_other_splits_are_taken_by_their_usual_names_or_named(saved, tmp_path):
    with zipfile.ZipFile(samples.export_dataset(tmp_path, "mine", "en")) as source:
        files = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(tmp_path / "three.zip", "w") as archive:
        for split in ("train", "val", "test"):
            for name, content in files.items():
                archive.writestr(
                    name.replace("train/", f"{split}/"), content.replace(b'"attic"', f'"{split}"'.encode())
                )
    told = samples.import_dataset(tmp_path, tmp_path / "three.zip", "en")[1]
    assert "1 for training, 1 for validation." in told and "Left out" in told and told.endswith(": test.")
    assert [sample.room_id for sample in folder.read_splits(tmp_path / "datasets" / "three")["validation"]] == ["val"]


def test_the_walls_of_many_photos_are_proposed_and_the_ticked_ones_kept(tmp_path, looks, monkeypatch):
    paths = []
    for number, color in enumerate((GREEN, (200, 60, 50), (0, 0, 0))):
        paths.append(str(tmp_path / f"room{number}.png"))
        toy_room(number, color, SIZE)[0].save(paths[-1])

    class Finder:  # green and red are walls, black is not
        def find(self, photo):
            pixels = np.asarray(photo.resize((32, 32)), dtype=float)
            return (pixels.max(-1) > 60).astype(np.float32) * (pixels.std() > 40), 0.75

    monkeypatch.setattr(segmenter, "_finder", Finder)
    opened, _ = photos.add_photos(paths, [], "en")
    steps = list(photos.find_walls(opened, tmp_path))
    assert len(steps) == 3 and [one.confidence for one in steps[-1]][:2] == [0.75, 0.75]
    assert "75 %" in photos.show_photos(steps[-1], "en")[0][1]
    count = photos.save_photos(tmp_path, steps[-1], ["room1"], "mine", "train", "", "en")
    assert count == 1 and folder.read_samples(tmp_path / "datasets" / "mine", "train")[0].room_id == "room1"
    with pytest.raises(UserError, match="nothing is ticked"):
        photos.save_photos(tmp_path, steps[-1], [], "mine", "train", "", "en")


def test_a_photo_that_fails_ends_the_search_in_no_other(tmp_path, looks, monkeypatch):
    paths = [str(tmp_path / f"room{number}.png") for number in range(3)]
    for path in paths:
        toy_room(0, GREEN, SIZE)[0].save(path)
    finds = iter([ValueError("an odd photo"), (np.eye(32, dtype=np.float32), 0.75)])

    class Finder:
        def find(self, photo):
            found = next(finds)
            if isinstance(found, Exception):
                raise found
            return found

    monkeypatch.setattr(segmenter, "_finder", Finder)
    opened, _ = photos.add_photos(paths, [], "en")
    (tmp_path / "room1.png").unlink()
    assert [one.confidence for one in list(photos.find_walls(opened, tmp_path))[-1]] == [0, 0, 0.75]


# ---- the plot and the page


def test_the_plot_hatches_the_hues_that_no_training_wall_has():
    sample = folder.Sample("a", "b", GREEN, "", "attic")
    drawn = findings.draw_plot({"train": [sample], "validation": []}, "en")
    assert drawn.count("url(#hatch)") == len(doctor.HUES) - 1 and 'fill="#7A9E7E"' in drawn
    both = findings.draw_plot({"train": [sample], "validation": [sample]}, "vi")
    assert both.count('class="dot"') == 2 and "xanh cổ vịt" in both


def test_the_board_sends_its_words_and_answers_only_its_own_functions(tmp_path, looks):
    with gr.Blocks():
        made = component.build_board(page.Page(tmp_path))
    assert '"Find the wall"' in made.js_on_load and "Tự tìm tường" in made.js_on_load.encode().decode("unicode_escape")
    assert {f.__name__ for f in made.server_fns} == {f.__name__ for f in calls.FUNCTIONS}


def test_a_wall_added_to_an_opened_sample_is_one_more_and_the_first_stays_itself(saved, tmp_path):
    picture = samples.open_saved(tmp_path, "mine", saved, "en")
    walls = [{}, {"runs": half_runs(False), "now": "#102030", "chosen": True}]
    token = component.describe_picture(picture)["token"]
    calls.save_walls(tmp_path, {"token": token, "active": 1, "walls": [{**walls[0], "now": "#7A9E7E"}, walls[1]]})
    message = samples.save_sample(tmp_path, picture, "mine", "validation", "attic", "", "en")
    assert "Mended attic-001.png" in message and "Saved 1 to mine" in message
    first, added = folder.read_samples(tmp_path / "datasets" / "mine", "train")
    assert calls.encode_runs(np.asarray(Image.open(first.mask)) > 0) == wall_runs()
    assert calls.encode_runs(np.asarray(Image.open(added.mask)) > 0) == half_runs(False)
    assert (added.room_id, added.color) == ("attic", (16, 32, 48))


def test_a_second_wall_without_a_mark_does_not_keep_the_first_from_being_saved(call, picture, tmp_path):
    call("save_walls", walls=[{"runs": wall_runs()}, {}], active=1)
    assert "Saved 1 to mine" in samples.save_sample(tmp_path, picture, "mine", "train", "attic", "", "en")


def test_what_goes_wrong_amid_a_long_work_is_told_like_anything_else():
    def count(last):
        yield 1
        raise last

    counted = guarded(count, UserError("too far"))()
    assert next(counted) == 1
    with pytest.raises(gr.Error, match="too far"):
        next(counted)
    with pytest.raises(gr.Error, match="KeyError"):
        list(guarded(count)(KeyError("x")))
