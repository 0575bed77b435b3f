"""Tab 3 without a browser: the room, what is painted, how it is shown and voted on."""

import base64
import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from wallpaint.errors import UserError
from wallpaint.paint.classical import CLASSICAL
from wallpaint.pixels.arrays import erode
from wallpaint.pixels.images import load_photo
from wallpaint.runs import state
from wallpaint.ui.board import calls, pictures
from wallpaint.ui.board.repaints import repaint_walls
from wallpaint.ui.board.walls import Wall, read_walls, save_photo_masks, save_wall_mask, write_walls
from wallpaint.ui.compare import arms, painting, results_html, results_panel, room_panel, scene, tab
from wallpaint.ui.compare.arms import list_arms
from wallpaint.ui.compare.painting import PaintRequest, Results, paint_comparison
from wallpaint.ui.gallery import _read_folder
from wallpaint.ui.words.words import t

GREEN, RED = "#7A9E7E", "#C80000"


def request(**changes):
    plain = {
        "arms": ["recolor"],
        "sheet_arm": "recolor",
        "seed": 0,
        "num_inference_steps": 0,
        "guidance_scale": 0,
        "ip_adapter_scale": 1.0,
        "blind": False,
    }
    return PaintRequest(**plain | changes)


@pytest.fixture
def room(shipped_rooms, tmp_path):
    return scene.open_first_room(tmp_path, None)[0]


@pytest.fixture(autouse=True)
def blind(monkeypatch):
    """Let no photo be looked at in the background: nobody clicks here."""
    monkeypatch.setattr(pictures, "embed_soon", lambda folder: None)


def mark(room, *masks, active=0):
    """Mark walls as the board does, and give the mask that is painted."""
    asked = {"token": Path(room.picture["folder"]).name, "active": active}
    walls = [{"runs": calls.encode_runs(mask)} for mask in masks]
    assert "error" not in calls.save_walls(Path(room.picture["folder"]).parents[1], asked | {"walls": walls})
    return Image.open(scene.write_scene(room, GREEN, "en").mask)


def half(width, height, left=True):
    """A mask (height, width) of one half."""
    mask = np.zeros((height, width), bool)
    mask[:, : width // 2] = True
    return mask if left else ~mask


# ---- the room


def test_a_test_room_brings_its_mask_and_its_known_paints(shipped_rooms, tmp_path):
    room, shown = scene.open_shipped_room(tmp_path, 0)
    assert shown["size"] == [160, 90] and shown["known"] == [GREEN] and shown["walls"][0]["paint"] == GREEN
    assert list(room.truths) == [GREEN]
    assert calls.decode_runs(shown["walls"][0]["runs"], (160, 90)).sum() == 160 * 40
    assert scene.write_scene(room, GREEN, "en").truth == room.truths[GREEN]
    assert scene.write_scene(room, RED, "en").truth is None
    assert scene.open_first_room(tmp_path, room) == gr.skip()  # a chosen room stays


def test_a_wall_is_looked_for_in_a_photo_that_is_brought_and_in_nothing_else(shipped_rooms, room_photo, tmp_path):
    room, shown = scene.open_photo(tmp_path, str(room_photo), None)
    assert shown["find"] and shown["walls"][0]["runs"] is None
    Image.new("L", load_photo(room_photo).size, 255).save(tmp_path / "mask.png")
    masked, with_mask = scene.open_mask(tmp_path, str(tmp_path / "mask.png"), room, "en")
    for _, other in (
        (masked, with_mask),
        scene.show_room(room),  # F5, or the way back to it
        scene.open_shipped_room(tmp_path, 0, room),
        scene.open_dataset_room(tmp_path, masked.picture, "en"),
    ):
        assert not other["find"]


def test_a_mask_must_fit_its_photo(shipped_rooms, room_photo, tmp_path):
    with pytest.raises(UserError, match="upload the photo"):
        scene.open_mask(tmp_path, str(room_photo), None, "en")
    room = scene.open_photo(tmp_path, str(room_photo), None)[0]
    with pytest.raises(UserError, match="choose a test room"):
        paint_comparison(tmp_path, room, request(), [], "en")
    Image.new("L", (10, 10), 255).save(tmp_path / "small.png")
    with pytest.raises(UserError, match="10x10") as told:
        scene.open_mask(tmp_path, str(tmp_path / "small.png"), room, "en")
    assert "small.png" in str(told.value) and str(tmp_path) not in str(told.value)
    (tmp_path / "cut.jpg").write_bytes(room_photo.read_bytes()[:300])
    with pytest.raises(UserError, match=r"^image cut\.jpg cannot be read"):
        scene.open_photo(tmp_path, str(tmp_path / "cut.jpg"), room)


def test_a_mask_of_ones_own_is_painted_pixel_for_pixel_until_it_is_mended(room_photo, tmp_path):
    Image.new("RGB", (2048, 1024), "gray").save(tmp_path / "large.png")
    mask = np.zeros((1024, 2048), np.uint8)
    mask[100:300, 101:777:2] = 255  # finer than what the page shows
    Image.fromarray(mask).save(tmp_path / "mask.png")
    room = scene.open_photo(tmp_path, str(tmp_path / "large.png"), None)[0]
    room, shown = scene.open_mask(tmp_path, str(tmp_path / "mask.png"), room, "en")
    files = scene.write_scene(room, GREEN, "en")
    assert shown["size"] == [1024, 512] and files.name == "large"
    assert np.array_equal(np.asarray(Image.open(files.mask)), mask)
    mended = mark(room, half(1024, 512))
    assert mended.size == (2048, 1024) and np.count_nonzero(mended) == 1024 * 1024
    own = {"token": Path(room.picture["folder"]).name}  # and it can be had back
    assert sum(calls.load_given(tmp_path, own)["runs"]) == 1024 * 512


def test_the_room_of_tab_1_comes_with_its_walls_and_its_paint_and_stays_as_it_is(room_photo, tmp_path):
    with pytest.raises(UserError, match="choose a sample room"):
        scene.open_dataset_room(tmp_path, None, "en")
    picture = pictures.open_picture(room_photo, tmp_path, "attic")
    with pytest.raises(UserError, match="click on the wall"):
        scene.open_dataset_room(tmp_path, picture, "en")
    mask = save_wall_mask(picture["folder"], half(160, 90))
    walls = [Wall(), Wall(mask, "", RED)]
    write_walls(picture["folder"], walls, 1)
    room, shown = scene.open_dataset_room(tmp_path, picture, "en")
    assert scene.paint_of(room) == RED and shown["known"] == [] and len(shown["walls"]) == 2 and shown["active"] == 1
    files = scene.write_scene(room, RED, "en")
    assert (np.asarray(Image.open(files.mask)) > 0).tolist() == half(160, 90).tolist()
    assert np.count_nonzero(mark(room, half(160, 90), half(160, 90, left=False), active=0)) == 80 * 90
    assert read_walls(picture["folder"]) == (walls, 1)


def test_the_paint_at_hand_goes_along_to_the_next_photo_and_its_mask(room, room_photo, tmp_path):
    assert scene.paint_of(room) == GREEN
    asked = {"token": Path(room.picture["folder"]).name, "walls": [{"runs": None, "paint": RED}]}
    calls.save_walls(tmp_path, asked)  # as the board's paints do
    assert scene.paint_of(room) == RED
    photo, shown = scene.open_photo(tmp_path, str(room_photo), room)
    assert scene.paint_of(photo) == shown["walls"][0]["paint"] == RED and shown["known"] == []
    Image.new("L", load_photo(room_photo).size, 255).save(tmp_path / "all.png")
    assert scene.paint_of(scene.open_mask(tmp_path, str(tmp_path / "all.png"), photo, "en")[0]) == RED


# ---- the arms


def test_arms_are_the_shipped_ones_that_are_there_and_runs_with_weights(shipped_rooms, run_folder, tmp_path):
    assert list_arms(tmp_path) == [("base", "base"), ("field", "field"), ("recolor", "recolor")]
    (shipped_rooms / "loras" / "new").mkdir(parents=True)
    (run_folder / "weights").mkdir()
    (run_folder / "weights" / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert [name for name, _ in list_arms(tmp_path)] == ["new", "base", "field", "recolor", "lora-1"]
    assert list_arms(tmp_path)[-1][1] == f"lora-1={run_folder}"
    update = tab.add_run("lora-1", ["new"], tmp_path)
    assert update["value"] == ["new", f"lora-1={run_folder}"]
    with pytest.raises(UserError, match="no run is chosen"):
        tab.add_run("../elsewhere", [], tmp_path)


LAYER = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
WIDTHS = {"room-tiny": 96, "sd15": 768, "sdxl": 2048}


def kohya(family, **more):
    """A LoRA of rank 4 in Kohya's layout, of one layer."""
    down, up = np.zeros((4, WIDTHS[family]), np.float32), np.zeros((320, 4), np.float32)
    pair = {f"lora_unet_{LAYER}.lora_down.weight": down, f"lora_unet_{LAYER}.lora_up.weight": up}
    return pair | {name: np.zeros(shape, np.float32) for name, shape in more.items()}


@pytest.fixture
def take(tmp_path):
    """Bring a file of these tensors (or bytes), as an upload from the workspace does."""

    def take(content, name="mine.safetensors", ticked=("old", "base", "recolor"), own=()):
        path = tmp_path / name
        path.write_bytes(content) if isinstance(content, bytes) else save_file(content, path)
        return arms.take_lora(tmp_path, {"path": name}, list(ticked), list(own))

    return take


def test_a_lora_that_is_added_is_ticked_and_said_to_be_what_it_is(take, tmp_path):
    (lora,), ticked = take(kohya("room-tiny", **{"bundle_emb.wall.clip_l": (2, 96)}))
    assert ticked == ["old", "base", "recolor", lora.arm] and lora.label == "mine"
    kept = Path(lora.arm.partition("=")[2])
    assert kept.parent.parent == tmp_path / "working" and kept.is_file()
    said = arms.draw_own([lora], "en")
    assert "<b>mine</b>: LoRA of rank 4, for room-tiny." in said and "Left out: embeddings bundled with it" in said
    assert "LoRA hạng 4, cho room-tiny." in arms.draw_own([lora], "vi")


def test_a_lora_of_another_family_says_what_fetches_its_weights_and_is_not_ticked_without_them(take, monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *asked: None)
    for family, size in (("sd15", "2.1 GB"), ("sdxl", "6.9 GB")):
        (lora,), ticked = take(kohya(family), f"{family}.safetensors")
        assert ticked == ["old", "base", "recolor"] and lora.file.family == family
        said = arms.draw_own([lora], "vi")
        assert f"cho {family}" in said and "hf download" in said and size in said


def test_compare_switches_to_the_family_whose_weights_are_there(take, monkeypatch):
    monkeypatch.setattr(arms, "missing_weights", lambda family: "")
    own, ticked = take(kohya("sd15"))
    assert ticked == ["base", "recolor", own[0].arm]


BROKEN = {
    "LoHa": {"lora_unet_x.hada_w1_a": np.zeros((2, 2), np.float32)},
    "LoKr": {"lora_unet_x.lokr_w1": np.zeros((2, 2), np.float32)},
    "no LoRA": {"weight": np.zeros((2, 2), np.float32)},
    "cannot be read": b"\x80\x04cos\nsystem\n",
}


@pytest.mark.parametrize("why", BROKEN)
def test_what_cannot_be_used_says_why_in_a_line_when_it_is_added(take, tmp_path, why):
    with pytest.raises(UserError, match=why) as told:
        take(BROKEN[why], "odd.safetensors")
    assert str(tmp_path) not in str(told.value) and "\n" not in str(told.value)
    with pytest.raises(UserError, match=r"is no \.safetensors file"):
        take(b"x", "lora.bin")


def test_names_of_arms_are_each_ones_own_and_never_hide_a_path(take, tmp_path):
    for name in ("old", "lr=0.1", "phòng khách 🎨", "mine"):
        weights = tmp_path / "runs" / name / "weights"
        weights.mkdir(parents=True)
        (weights / "pytorch_lora_weights.safetensors").write_bytes(b"")
        state.write_state(weights.parent, state="done")
    own, _ = take(kohya("room-tiny"), "mine.safetensors")
    own, _ = take(kohya("room-tiny"), "me\u0301me=.safetensors", own=own)
    named = dict(list_arms(tmp_path, own))
    assert {"old 2", "lr 0.1", "phòng khách 🎨", "mine", "mine 2", "méme"} < named.keys()
    for label, arm in named.items():
        name, _, path = arm.partition("=")
        assert name == label and (not path or Path(path).exists())
    update = tab.add_run("lr=0.1", [], tmp_path)
    assert update["value"] == [f"lr 0.1={tmp_path / 'runs' / 'lr=0.1'}"]


# ---- what is painted


def test_a_comparison_is_painted_measured_shown_and_packed(room, tmp_path):
    heard = []
    shown = paint_comparison(tmp_path, room, request(), [], "en", heard.append)
    folder = shown.folder
    assert folder.parent == tmp_path / "results" and shown.truth and shown.arms == ("recolor",)
    said = results_html.draw_results(shown, "en")
    assert "Keys: 1–2 an arm, hold O" in said  # the truth has a key as well
    assert "recolor comes closest" in said and said.count("data-view=") == 3  # the photo, the arm, the truth
    assert 'type="range"' in said and f"background:{GREEN}" in said and "ΔE truth" in said
    assert shown.size == (160, 90) and 'data-width="160" data-height="90"' in said
    for view in ("photo", "truth", "7A9E7E-0"):  # small, and the photo's own pixels for who looks closely
        assert load_photo(folder / "views" / f"{view}.jpg").size == load_photo(folder / "views" / f"{view}.png").size
    assert not (folder / "report.html").exists()  # nobody has asked for it
    assert painting.write_results(shown) == folder / "report.html"
    with zipfile.ZipFile(painting.write_results(shown, packed=True)) as archive:
        names = set(archive.namelist())
    assert {"report.html", "7A9E7E/recolor.png", "7A9E7E/comparison.json"} <= names
    assert not any(name.startswith("views") for name in names)
    assert Image.open(folder / "7A9E7E" / "recolor.png").size == (160, 90)


def test_settings_reach_the_painter(room, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(painting, "paint_scene", lambda *said: asked.append(said) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        said = request(seed=3, num_inference_steps=7, guidance_scale=2.5, ip_adapter_scale=0.5)
        paint_comparison(tmp_path, room, said, [], "en")
    ((_, paints, painted, _, settings, _),) = asked
    assert (paints, painted) == ([GREEN], ["recolor"])
    assert (settings.seed, settings.num_inference_steps) == (3, 7)
    assert (settings.guidance_scale, settings.ip_adapter_scale) == (2.5, 0.5)


@pytest.mark.parametrize(("written", "strength"), [("", None), (None, None), ("0", 0.0), (" 0,5 ", 0.5), (2, 2.0)])
def test_a_strength_that_is_left_empty_is_each_arms_own(written, strength):
    assert request(ip_adapter_scale=written).sampling[3] == strength


@pytest.mark.parametrize("written", ["much", "-1", "2.1", "nan"])
def test_what_is_no_strength_is_told(room, tmp_path, written):
    with pytest.raises(UserError, match=f"{written} is no strength"):
        paint_comparison(tmp_path, room, request(ip_adapter_scale=written), [], "en")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("arms", [[], ["x=/etc/passwd"], ["nothing"]])
def test_arms_the_page_did_not_offer_are_refused(room, tmp_path, arms):
    with pytest.raises(UserError, match="tick at least one"):
        paint_comparison(tmp_path, room, request(arms=arms), [], "en")
    assert not (tmp_path / "results").exists()


def test_a_first_room_that_comes_late_leaves_the_photo_that_was_chosen(shipped_rooms, tmp_path):
    mine, other = (SimpleNamespace(session_hash=name) for name in ("mine", "other"))
    photo = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(photo)
    chosen, _ = room_panel.choose_room(scene.open_photo, mine, tmp_path, str(photo), None)
    assert chosen.picture["name"] == "a"
    assert room_panel.open_first_room(tmp_path, None, mine) == gr.skip()  # it was asked for before the photo was there
    with pytest.raises(UserError):
        room_panel.choose_room(scene.open_photo, other, tmp_path, str(tmp_path / "none.png"), None)
    first, _ = room_panel.open_first_room(tmp_path, None, other)  # nothing was opened
    assert first.truths


def test_a_page_whose_tab_is_opened_while_it_comes_has_one_first_room(shipped_rooms, tmp_path):
    mine, other = (SimpleNamespace(session_hash=name) for name in ("one page", "another"))
    assert room_panel.open_first_room(tmp_path, None, mine)[0].truths
    assert room_panel.open_first_room(tmp_path, None, mine) == gr.skip()  # asked for before the first was there
    assert room_panel.open_first_room(tmp_path, None, other)[0].truths


def test_cancelled_painting_leaves_nothing(room, tmp_path):
    def on_step(share):
        raise UserError("enough")

    with pytest.raises(UserError, match="enough"):
        paint_comparison(tmp_path, room, request(arms=["recolor", "base"]), [], "en", on_step)
    assert list((tmp_path / "results").glob("*/*")) == []


def put_on_sheet(room, *paints, **asked):
    """Put paints on the sheet as the board does; the wall stays as it is marked."""
    told = {"token": Path(room.picture["folder"]).name, "walls": [{"runs": None, "paint": GREEN}], "sheet": paints}
    return calls.save_walls(Path(room.picture["folder"]).parents[1], told | asked | {"sheet": [*paints]})


def test_the_sheet_shows_the_wall_in_each_of_its_paints_by_one_arm_with_their_names(room, tmp_path):
    with pytest.raises(UserError, match="no paint is on the sheet"):
        paint_comparison(tmp_path, room, request(), [], "en", sheet=True)
    table = b"name,hex\nHouse red <7>,#c80000\n"
    own = calls.import_palette(tmp_path, {"name": "a.csv", "data": base64.b64encode(table).decode()})["palette"]
    put_on_sheet(room, RED, palette=own["id"])
    put_on_sheet(room, RED, "#879A77", RED, "#010203")  # another palette is at hand by now
    said = request(arms=["base", "field"], blind=True)  # which the sheet has not to do with
    shown = paint_comparison(tmp_path, room, said, [], "en", sheet=True)
    assert shown.paints == (RED, "#879A77", "#010203") and shown.arms == ("recolor",) and not shown.blind
    assert shown.called == {RED: "House red <7>", "#879A77": "RAL 6021 Pale green"}
    said = results_html.draw_results(shown, "en")
    assert "House red &lt;7&gt;" in said and "near RAL 9005 Jet black, ΔE" in said
    assert "#879A77 · <span>LRV 30</span>" in said
    assert re.findall('data-take="([^"]+)"', said) == ["C80000-0", "879A77-0", "010203-0"]
    assert "Keys: 1–3 a paint, hold O" in said and 'data-keys="1–3 a paint, O' in said
    many = replace(shown, paints=tuple(f"#0000{number:02X}" for number in range(12)))
    for paint in many.paints:
        shutil.copytree(shown.folder / RED[1:], shown.folder / paint[1:])
    said = results_html.draw_results(many, "en")
    assert "Keys: 1–9 a paint" in said and re.findall("<kbd>(.+?)</kbd>", said) == ["O", *"123456789"]  # no key is 10
    red, green, _ = np.asarray(Image.open(shown.folder / "C80000" / "recolor.png"))[20, 80].astype(int)
    assert red > green + 40
    with pytest.raises(UserError, match="tick at least one"):
        paint_comparison(tmp_path, room, request(sheet_arm="x=/etc/passwd"), [], "en", sheet=True)


def test_the_sheet_goes_along_to_the_next_photo_and_is_no_longer_than_it_may_be(room, room_photo, tmp_path):
    put_on_sheet(room, RED, GREEN)
    for opened in (scene.open_photo(tmp_path, str(room_photo), room), scene.open_shipped_room(tmp_path, 0, room)):
        assert opened[1]["sheet"] == [RED, GREEN]
    with pytest.raises(UserError, match="12 paints at most"):
        put_on_sheet(room, *(f"#0000{number:02X}" for number in range(13)))


def test_a_showcase_is_no_measurement_and_says_so(shipped_rooms, tmp_path):
    (shipped_rooms / "rooms" / "showcase").symlink_to(shipped_rooms / "rooms" / "test")
    _read_folder.cache_clear()
    room, shown = scene.open_first_room(tmp_path, None)
    assert shown["walls"][0]["paint"] == scene.SHOWCASE["showcase"]
    room = replace(room, truths={scene.SHOWCASE["showcase"]: room.truths[GREEN]})
    results = paint_comparison(tmp_path, room, request(), [], "en")
    assert t("showcase") in results_html.draw_results(results, "en")
    plain = scene.open_shipped_room(tmp_path, 1)[0]
    assert t("showcase") not in results_html.draw_results(paint_comparison(tmp_path, plain, request(), [], "en"), "en")


def test_what_was_painted_goes_and_comes_with_its_room(room, room_photo, tmp_path):
    shown = paint_comparison(tmp_path, room, request(), [], "en")
    other = scene.open_photo(tmp_path, str(room_photo), room)[0]
    copied = replace(room, picture=pictures.copy_picture(room.picture, tmp_path))  # for another tab of the browser
    for asked, before, kept in ((room, other, shown), (other, room, None), (copied, None, shown), (None, None, None)):
        results, said, vote, *files = results_panel.show_room_results(asked, before, "en")
        assert results == kept and [part["visible"] for part in files] == [bool(kept)] * 2 and not vote["visible"]
        assert ("recolor comes closest" in said) == bool(kept)
        assert (t("results_elsewhere") in said) == (before is room)
    shutil.rmtree(shown.folder)
    assert results_panel.show_room_results(room, None, "en")[0] is None
    (Path(room.picture["folder"]) / "results.json").write_text('{"folder": 3}')  # another version's
    assert results_panel.show_room_results(room, None, "en")[0] is None


def test_maps_of_errors_come_on_demand(room, tmp_path):
    shown = paint_comparison(tmp_path, room, request(), [], "en")
    assert "data-heat" not in results_html.draw_results(shown, "en")
    painting.write_heat(shown)
    heat = np.asarray(Image.open(shown.folder / "views" / "7A9E7E-0-heat.png"))
    assert heat.shape == (90, 160, 4) and np.ptp(heat[10, 50, :3].astype(int)) > 40
    assert heat[10, 50, 3] == 255 and heat[80, 50, 3] == 0  # it lies over the wall alone
    said = results_html.draw_results(replace(shown, heat=True), "vi")
    assert said.count(" data-heat>") == 1 and t("heat_legend", "vi", top="20") in said


# ---- the blind vote and the verdict


def verdict(shown, language="en"):
    return results_html.draw_verdict(painting.read_arms(shown, GREEN), shown.truth, language)


@pytest.fixture
def painted(tmp_path):
    """A comparison of three arms as its folder says it, without having painted."""

    def make(figures, truth=False, blind=False, **brightness):
        folder = tmp_path / "results" / "r"
        (folder / "7A9E7E").mkdir(parents=True, exist_ok=True)
        arms = [
            {
                "name": name,
                "image": f"{name}.png",
                "seconds": 1.0,
                "outside_changed_pixels": 0,
                "delta_e_paint": {"median": score},
                "delta_e_truth": {"mean": score},
                "shading_correlation": shading,
                **({"brightness_error": brightness.get(name)} if brightness else {}),
            }
            for name, (score, shading) in figures.items()
        ]
        (folder / "7A9E7E" / "comparison.json").write_text(json.dumps({"arms": arms}))
        return Results(folder, (GREEN,), tuple(figures), blind, truth)

    return make


def test_blind_results_tell_no_names_until_the_vote(painted, tmp_path):
    shown = painted({"new": (5.0, 0.5), "old": (15.0, 0.5)}, blind=True)
    said = results_html.draw_results(shown, "en")
    assert not re.search(r"\b(new|old)\b", said) and "<small>" not in said
    assert "<b>A</b>" in said and "<b>B</b>" in said
    shown, votes = painting.cast_vote(shown, 1, tmp_path, store=True)
    assert votes == {"old": 1} and not shown.blind
    again = replace(shown, blind=True)
    _, votes = painting.cast_vote(again, 0, tmp_path, store=True)
    assert votes == {"old": 1, "new": 1}
    said = results_html.draw_results(shown, "en", votes)
    assert "Your vote went to old" in said and ">new</th>" in said


def test_votes_of_two_studios_count_and_half_a_line_does_not(painted, tmp_path):
    shown = painted({"new": (5.0, 0.5), "old": (15.0, 0.5)}, blind=True)
    painting.cast_vote(shown, 0, tmp_path, store=True)
    with open(tmp_path / "results" / "votes.jsonl", "a") as file:
        file.write('{"arms": ["new", "old"], "vo\n[1]\n')
    assert painting.cast_vote(shown, 0, tmp_path, store=True)[1] == {"new": 2}


def test_results_that_were_deleted_meanwhile_say_what_to_do(painted):
    shown = painted({"new": (5.0, 0.5)})
    shutil.rmtree(shown.folder)
    assert t("results_gone", "vi") in results_html.draw_results(shown, "vi")


def test_a_vote_on_a_public_page_is_not_kept(painted, tmp_path):
    shown = painted({"new": (5.0, 0.5), "old": (15.0, 0.5)}, blind=True)
    _, votes = painting.cast_vote(shown, 1, tmp_path, store=False)
    assert votes == {"old": 1} and not (tmp_path / "results" / "votes.jsonl").exists()


@pytest.mark.parametrize(
    ("old", "new", "key"), [(15, 5, "claim_holds"), (5, 15, "claim_fails"), (5.1, 5, "claim_open")]
)
def test_the_verdict_is_honest_about_the_claim(painted, old, new, key):
    said = verdict(painted({"old": (old, 0.5), "new": (new, 0.5)}))
    assert t(key, gap=f"{abs(old - new):.1f}") in said
    assert said.startswith("new" if new < old else "old")


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_wall_left_too_dark_or_too_bright_is_not_praised_for_its_hue(painted, language):
    """A grey wall left grey has the hue of white and of black, but not the lightness of either."""
    grey = {"grey": (0.5, 0.9), "white": (4.0, 0.9), "none": (6.0, 0.9)}
    for error, key in ((-35.0, "verdict_dark"), (40.0, "verdict_bright")):
        said = verdict(painted(grey, grey=error, white=2.0, none=None), language)
        assert said.startswith(t("verdict_best", language, name="white", score="4.0", measure=t("to_paint", language)))
        assert t(key, language, names=f"grey (L* {error:+.0f})") in said and "none" in said
        only = verdict(painted({"grey": (0.5, 0.9)}, grey=error), language)
        assert only.startswith(
            t("verdict_none_bright", language, name="grey", score="0.5", measure=t("to_paint", language))
        )
    known = verdict(painted(grey, truth=True, grey=-35.0), language)  # a truth knows how bright it should be
    assert known.startswith(t("verdict_best", language, name="grey", score="0.5", measure=t("to_truth", language)))
    both = verdict(painted({"old": (9.0, 0.9), "new": (1.0, 0.9)}, old=1.0, new=-30.0), language)
    assert t("claim_holds", language, gap="8.0") not in both


def test_the_brightness_stands_among_the_figures_where_it_was_measured(painted):
    assert f">{t('column_brightness')}<" not in results_html.draw_results(painted({"a": (1.0, 0.9)}), "en")
    shown = results_html.draw_results(painted({"a": (1.0, 0.9)}, a=-12.4), "en")
    assert '<th scope="row">Brightness off</th><td>-12</td>' in shown
    assert [results_html.number(value, 0, "+") for value in (None, -0.2, 3.6)] == ["–", "+0", "+4"]


def test_the_verdict_sees_a_wall_painted_flat_and_a_tie(painted):
    said = verdict(painted({"a": (5.0, 0.05), "b": (5.2, 0.6)}, truth=True))
    assert t("verdict_flat", names="a") in said and "is as good by that measure" in said and t("to_truth") in said


def test_names_are_escaped(painted):
    shown = painted({"<script>": (5.0, 0.5)})
    assert "<script>" not in results_html.draw_results(shown, "en")


def test_old_results_are_swept(tmp_path):
    import os

    old, fresh = tmp_path / "results" / "a", tmp_path / "results" / "b"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    painting.sweep_results(tmp_path)
    assert not old.exists() and fresh.exists() and state.list_runs(tmp_path) == []


def test_every_marked_wall_is_painted_in_its_own_paint_in_one_go(room_photo, tmp_path):
    room = scene.open_photo(tmp_path, str(room_photo), None)[0]
    folder, left = room.picture["folder"], half(160, 90)
    first, second = (save_wall_mask(folder, mask) for mask in (left, ~left))
    write_walls(folder, [Wall(first, "", GREEN), Wall(), Wall(second, "", RED)])
    results = paint_comparison(tmp_path, room, request(), [], "en")
    said = json.loads((results.folder / GREEN[1:] / "comparison.json").read_text())
    assert said["walls"] == [GREEN, RED] and said["arms"][0]["outside_changed_pixels"] == 0
    pixels = np.asarray(Image.open(results.folder / GREEN[1:] / "recolor.png")).astype(int)
    red, green, _ = np.moveaxis(pixels, -1, 0)
    assert (green > red)[20:40, 10:70].mean() > 0.9 and (red > green)[20:40, 90:150].mean() > 0.9


def test_every_wall_and_its_paint_are_named_wherever_the_paint_is(room_photo, tmp_path):
    room = scene.open_photo(tmp_path, str(room_photo), None)[0]
    folder, left = room.picture["folder"], half(160, 90)
    walls = [Wall(save_wall_mask(folder, mask), "", paint) for mask, paint in ((left, "#879A77"), (~left, RED))]
    write_walls(folder, walls, 1)
    pictures.write_sheet(folder, pictures.Sheet((), {"#879A77": "Pale <b>'green'</b>"}))
    results = paint_comparison(tmp_path, room, request(), [], "en")
    said = results_html.draw_results(results, "en")
    (worn,) = re.findall("data-wears='([^']*)'", said)  # what goes on the strip and the printed page
    assert [hex for hex, _, _ in json.loads(worn)] == [RED, "#879A77"]  # the wall at hand first
    assert json.loads(worn)[0][1] == RED and json.loads(worn)[0][2].startswith("near RAL 3020")  # none has its name
    assert json.loads(worn)[1][1:] == ["Pale <b>'green'</b>", "#879A77 · LRV 30"]
    becomes = re.findall("(#[0-9A-F]{6}) becomes about (#[0-9A-F]{6})", re.sub("<[^>]*>", "", said))
    assert [paint for paint, _ in becomes] == [RED, "#879A77"] and becomes[0][1] != becomes[1][1]
    assert said.count("makes this surer") == 1


def test_of_a_wall_that_the_photo_shows_black_no_brightness_is_told(tmp_path):
    Image.new("RGB", (160, 90), (3, 3, 2)).save(tmp_path / "night.png")
    room = scene.open_photo(tmp_path, str(tmp_path / "night.png"), None)[0]
    write_walls(room.picture["folder"], [Wall(save_wall_mask(room.picture["folder"], half(160, 90)), "", GREEN)])
    results = paint_comparison(tmp_path, room, request(), [], "en")
    assert painting.read_arms(results, GREEN)[0]["brightness_error"] is None
    said = re.sub("<[^>]*>", "", results_html.draw_results(results, "en").partition("<details")[0])
    assert t("outlook_lost", paint=GREEN) in said and t("column_brightness") not in said
    assert "becomes about" not in said and "makes this surer" not in said


def test_a_later_wall_lies_over_the_one_before_it_painted_at_once_and_by_the_arms(room_photo, tmp_path):
    room = scene.open_photo(tmp_path, str(room_photo), None)[0]
    folder, token = Path(room.picture["folder"]), {"token": Path(room.picture["folder"]).name}
    whole, left = np.ones((90, 160), bool), half(160, 90)
    asked = [{"runs": calls.encode_runs(mask), "paint": paint} for mask, paint in ((whole, RED), (left, GREEN))]
    for active in (0, 1):  # whichever is at hand
        calls.save_walls(tmp_path, {**token, "walls": asked, "active": active})
        _, walls = save_photo_masks(room.picture["folder"])
        masks = {wall.paint: np.asarray(Image.open(path)) > 0 for path, wall in walls}
        assert [*masks][0] == (RED, GREEN)[active]
        assert np.array_equal(masks[GREEN], left) and np.array_equal(masks[RED], ~left)
    shown = calls.repaint(tmp_path, token)["image"]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2])))).astype(int)
    assert (pixels[:, :60, 1] > pixels[:, :60, 0]).mean() > 0.95  # green, not green on red
    alone = {**token, "walls": [{**asked[1], "paint": RED}, asked[1]]}
    calls.save_walls(tmp_path, alone)
    with pytest.raises(UserError, match="wall 1 lies wholly under the walls after it"):
        paint_comparison(tmp_path, room, request(), [], "en")
    assert folder.is_dir()


def test_walls_that_meet_on_the_view_meet_in_the_photo(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (512, 2048, 3), np.uint8)).save(tmp_path / "wide.png")
    picture = pictures.open_picture(tmp_path / "wide.png", tmp_path)
    left = half(1024, 256)
    names = [save_wall_mask(picture["folder"], mask) for mask in (left, ~left)]
    write_walls(picture["folder"], [Wall(name) for name in names])
    _, walls = save_photo_masks(picture["folder"])
    masks = [np.asarray(Image.open(path)) > 0 for path, _ in walls]
    assert np.logical_or(*masks).mean() > 0.99  # no line of the old paint between them


def test_the_board_paints_by_the_field_each_wall_in_its_own_light_and_no_line_stays_between(tmp_path, room_photo):
    room = scene.open_photo(tmp_path, str(room_photo), None)[0]
    folder = room.picture["folder"]
    left = half(160, 90)
    names = [save_wall_mask(folder, mask) for mask in (left, ~left)]
    painted = repaint_walls(folder, [Wall(name, paint=paint) for name, paint in zip(names, (RED, GREEN), strict=True)])
    pixels = np.asarray(painted.picture)
    for coat, wall in zip(painted.coats, (left, ~left), strict=True):
        alone = np.asarray(CLASSICAL["field"](coat)).astype(int)
        inner = erode(wall, 4)
        assert np.array_equal(np.asarray(coat.mask) > 0, wall)
        assert (
            np.abs(alone[inner] - pixels[inner]).mean() < 4 < np.abs(alone[~wall] - pixels[~wall].astype(int)).mean()
        )
    seam = pixels[:, 78:83].astype(int)  # red, then green: nothing of the old wall between them
    old = np.asarray(painted.coats[0].photo)[:, 78:83].astype(int)
    assert np.abs(seam - old).sum(-1).min() > 10
