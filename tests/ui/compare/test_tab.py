"""Tab 3 without a browser: the room, what is painted, how it is shown and voted on."""

import json
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from wallpaint.errors import UserError
from wallpaint.pixels.images import load_photo
from wallpaint.runs import state
from wallpaint.ui.board import calls
from wallpaint.ui.board import pictures as canvas
from wallpaint.ui.compare import job as compare_job
from wallpaint.ui.compare import room as compare_room
from wallpaint.ui.compare import tab, view
from wallpaint.ui.compare.job import Job, list_arms, paint_comparison
from wallpaint.ui.words.words import t

GREEN, RED = "#7A9E7E", "#C80000"


def job(**changes):
    plain = {
        "paint": GREEN,
        "more": [],
        "arms": ["recolor"],
        "seed": 0,
        "steps": 0,
        "guidance": 0,
        "scale": 1.0,
        "blind": False,
    }
    return Job(**plain | changes)


@pytest.fixture
def room(shipped_rooms, tmp_path):
    return compare_room.open_first_room(None, tmp_path)[0]


@pytest.fixture(autouse=True)
def blind(monkeypatch):
    """Let no photo be looked at in the background: nobody clicks here."""
    monkeypatch.setattr(canvas, "embed_soon", lambda folder: None)


def mark(room, *masks, active=0):
    """Mark walls as the board does, and give the mask that is painted."""
    asked = {"token": Path(room["folder"]).name, "active": active}
    walls = [{"runs": calls.encode_runs(mask)} for mask in masks]
    assert "error" not in calls.save_walls(Path(room["folder"]).parents[1], asked | {"walls": walls})
    return Image.open(compare_room.find_files(room, GREEN, "en").mask)


def half(width, height, left=True):
    """A mask (height, width) of one half."""
    mask = np.zeros((height, width), bool)
    mask[:, : width // 2] = True
    return mask if left else ~mask


# ---- the room


def test_a_test_room_brings_its_mask_and_its_known_paints(shipped_rooms, tmp_path):
    room, shown, known = compare_room.open_test_room(0, tmp_path)
    assert shown["size"] == [160, 90] and known["choices"] == [GREEN] and known["visible"]
    assert list(room["truths"]) == list(compare_room.known_paints()) == [GREEN]
    assert calls.decode_runs(shown["walls"][0]["runs"], (160, 90)).sum() == 160 * 40
    assert compare_room.find_files(room, GREEN, "en").truth == room["truths"][GREEN]
    assert compare_room.find_files(room, RED, "en").truth is None
    assert compare_room.open_first_room(room, tmp_path)[0] == gr.skip()  # a chosen room stays


def test_a_mask_must_fit_its_photo(shipped_rooms, room_photo, tmp_path):
    with pytest.raises(UserError, match="upload the photo"):
        compare_room.open_mask(str(room_photo), None, tmp_path, "en")
    room = compare_room.open_photo(str(room_photo), tmp_path)[0]
    with pytest.raises(UserError, match="choose a test room"):
        paint_comparison(tmp_path, room, job(), [], "en")
    Image.new("L", (10, 10), 255).save(tmp_path / "small.png")
    with pytest.raises(UserError, match="10x10"):
        compare_room.open_mask(str(tmp_path / "small.png"), room, tmp_path, "en")


def test_a_mask_of_ones_own_is_painted_pixel_for_pixel_until_it_is_mended(room_photo, tmp_path):
    Image.new("RGB", (2048, 1024), "gray").save(tmp_path / "large.png")
    mask = np.zeros((1024, 2048), np.uint8)
    mask[100:300, 101:777:2] = 255  # finer than what the page shows
    Image.fromarray(mask).save(tmp_path / "mask.png")
    room = compare_room.open_photo(str(tmp_path / "large.png"), tmp_path)[0]
    room, shown, _ = compare_room.open_mask(str(tmp_path / "mask.png"), room, tmp_path, "en")
    files = compare_room.find_files(room, GREEN, "en")
    assert shown["size"] == [1024, 512] and files.name == "large"
    assert np.array_equal(np.asarray(Image.open(files.mask)), mask)
    mended = mark(room, half(1024, 512))
    assert mended.size == (2048, 1024) and np.count_nonzero(mended) == 1024 * 1024
    own = {"token": Path(room["folder"]).name}  # and it can be had back
    assert sum(calls.load_given(tmp_path, own)["runs"]) == 1024 * 512


def test_the_room_of_tab_1_comes_with_its_walls_and_its_paint_and_stays_as_it_is(room_photo, tmp_path):
    with pytest.raises(UserError, match="choose a sample room"):
        compare_room.open_tab1_room(None, tmp_path, "en")
    picture = canvas.open_picture(room_photo, tmp_path, "attic")
    with pytest.raises(UserError, match="click on the wall"):
        compare_room.open_tab1_room(picture, tmp_path, "en")
    mask = canvas.save_wall_mask(picture["folder"], half(160, 90))
    walls = [canvas.Wall(), canvas.Wall(mask, "", RED)]
    canvas.write_walls(picture["folder"], walls, 1)
    room, shown, _, paint = compare_room.open_tab1_room(picture, tmp_path, "en")
    assert paint == RED and len(shown["walls"]) == 2 and shown["active"] == 1
    files = compare_room.find_files(room, RED, "en")
    assert (np.asarray(Image.open(files.mask)) > 0).tolist() == half(160, 90).tolist()
    assert np.count_nonzero(mark(room, half(160, 90), half(160, 90, left=False), active=0)) == 80 * 90
    assert canvas.read_walls(picture["folder"]) == (walls, 1)


# ---- the arms


def test_arms_are_the_shipped_ones_that_are_there_and_runs_with_weights(shipped_rooms, run_folder, tmp_path):
    assert list_arms(tmp_path) == [("base", "base"), ("recolor", "recolor")]
    (shipped_rooms / "loras" / "new").mkdir(parents=True)
    (run_folder / "weights").mkdir()
    (run_folder / "weights" / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert [name for name, _ in list_arms(tmp_path)] == ["new", "base", "recolor", "lora-1"]
    assert list_arms(tmp_path)[-1][1] == f"lora-1={run_folder}"
    update = tab.add_run("lora-1", ["new"], tmp_path)
    assert update["value"] == ["new", f"lora-1={run_folder}"]
    with pytest.raises(UserError, match="no run is chosen"):
        tab.add_run("../elsewhere", [], tmp_path)


def test_a_lora_of_ones_own_is_checked_before_it_is_taken(tmp_path):
    save_file({"unet.x.lora.down.weight": np.zeros((2, 2), np.float32)}, tmp_path / "new.safetensors")
    label, arm = compare_job.take_lora(str(tmp_path / "new.safetensors"), tmp_path, "en")
    assert label == "my-new" and Path(arm.partition("=")[2]).parent.parent == tmp_path / "working"
    save_file({"weight": np.zeros((2, 2), np.float32)}, tmp_path / "other.safetensors")
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    (tmp_path / "lora.bin").write_bytes(b"x")
    for name in ("other.safetensors", "pickle.safetensors", "lora.bin"):
        with pytest.raises(UserError, match="is no LoRA"):
            compare_job.take_lora(str(tmp_path / name), tmp_path, "en")


# ---- what is painted


def test_a_comparison_is_painted_measured_shown_and_packed(room, tmp_path):
    heard = []
    shown = paint_comparison(tmp_path, room, job(), [], "en", heard.append)
    folder = Path(shown["folder"])
    assert folder.parent == tmp_path / "results" and shown["truth"] and shown["arms"] == ["recolor"]
    said = view.draw_results(shown, "en")
    assert "recolor comes closest" in said and said.count("<figure") == 2  # and the truth
    assert 'type="range"' in said and f"background:{GREEN}" in said and "ΔE truth" in said
    with zipfile.ZipFile(folder / "wallpaint.zip") as archive:
        names = set(archive.namelist())
    assert {"report.html", "7A9E7E/recolor.png", "7A9E7E/comparison.json"} <= names
    assert not any(name.startswith("views") for name in names)
    assert Image.open(folder / "7A9E7E" / "recolor.png").size == (160, 90)


def test_settings_reach_the_painter(room, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(compare_job, "paint_all", lambda *said: asked.append(said) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        paint_comparison(tmp_path, room, job(seed=3, steps=7, guidance=2.5, scale=0.5, more=["c80000"]), [], "en")
    ((_, paints, arms, _, settings, _),) = asked
    assert (paints, arms) == ([GREEN, RED], ["recolor"])
    assert (settings.seed, settings.num_inference_steps) == (3, 7)
    assert (settings.guidance_scale, settings.ip_adapter_scale) == (2.5, 0.5)


@pytest.mark.parametrize("arms", [[], ["x=/etc/passwd"], ["nothing"]])
def test_arms_the_page_did_not_offer_are_refused(room, tmp_path, arms):
    with pytest.raises(UserError, match="tick at least one"):
        paint_comparison(tmp_path, room, job(arms=arms), [], "en")
    assert not (tmp_path / "results").exists()


def test_cancelled_painting_leaves_nothing(room, tmp_path):
    def on_step(share):
        raise UserError("enough")

    with pytest.raises(UserError, match="enough"):
        paint_comparison(tmp_path, room, job(arms=["recolor", "base"]), [], "en", on_step)
    assert list((tmp_path / "results").glob("*/*")) == []


def test_many_paints_make_a_grid(room, tmp_path):
    shown = paint_comparison(tmp_path, room, job(more=[RED, GREEN, "rgb(1, 2, 3)"]), [], "en")
    assert shown["paints"] == [GREEN, RED, "#010203"]  # each once
    said = view.draw_results(shown, "en")
    assert said.count("<td><img") == 3 and 'scope="row">recolor' in said and 'scope="col"' in said


def test_maps_of_errors_come_on_demand(room, tmp_path):
    shown = paint_comparison(tmp_path, room, job(), [], "en")
    assert "-heat" not in view.draw_results(shown, "en")
    compare_job.write_heat(shown)
    heat = load_photo(Path(shown["folder"]) / "views" / "7A9E7E-0-heat.jpg")
    assert heat.size == (160, 90) and np.ptp(np.asarray(heat)[10, 50].astype(int)) > 40
    said = view.draw_results({**shown, "heat": True}, "vi")
    assert "-heat.jpg" in said and t("heat_legend", "vi", top="20") in said


# ---- the blind vote and the verdict


@pytest.fixture
def painted(tmp_path):
    """A comparison of three arms as its folder says it, without having painted."""

    def make(figures, truth=False, blind=False):
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
            }
            for name, (score, shading) in figures.items()
        ]
        (folder / "7A9E7E" / "comparison.json").write_text(json.dumps({"arms": arms}))
        return {
            "folder": str(folder),
            "paints": [GREEN],
            "arms": list(figures),
            "blind": blind,
            "truth": truth,
            "heat": False,
        }

    return make


def test_blind_results_tell_no_names_until_the_vote(painted, tmp_path):
    shown = painted({"new": (5.0, 0.5), "old": (15.0, 0.5)}, blind=True)
    said = view.draw_results(shown, "en")
    assert "new" not in said and "old" not in said and "ΔE" not in said
    assert "<b>A</b>" in said and "<b>B</b>" in said
    shown, votes = compare_job.cast_vote(shown, 1, tmp_path, keep=True)
    assert votes == {"old": 1} and not shown["blind"]
    again = {**shown, "blind": True}
    _, votes = compare_job.cast_vote(again, 0, tmp_path, keep=True)
    assert votes == {"old": 1, "new": 1}
    said = view.draw_results(shown, "en", votes)
    assert "Your vote went to old" in said and "<b>new</b>" in said


def test_a_vote_on_a_public_page_is_not_kept(painted, tmp_path):
    shown = painted({"new": (5.0, 0.5), "old": (15.0, 0.5)}, blind=True)
    _, votes = compare_job.cast_vote(shown, 1, tmp_path, keep=False)
    assert votes == {"old": 1} and not (tmp_path / "results" / "votes.jsonl").exists()


@pytest.mark.parametrize(
    ("old", "new", "key"), [(15, 5, "claim_holds"), (5, 15, "claim_fails"), (5.1, 5, "claim_open")]
)
def test_the_verdict_is_honest_about_the_claim(painted, old, new, key):
    said = view.draw_verdict(painted({"old": (old, 0.5), "new": (new, 0.5)}), "en")
    assert t(key, gap=f"{abs(old - new):.1f}") in said
    assert said.startswith("new" if new < old else "old")


def test_the_verdict_sees_a_wall_painted_flat_and_a_tie(painted):
    said = view.draw_verdict(painted({"a": (5.0, 0.05), "b": (5.2, 0.6)}, truth=True), "en")
    assert t("verdict_flat", names="a") in said and "no eye" in said and t("to_truth") in said


def test_names_are_escaped(painted):
    shown = painted({"<script>": (5.0, 0.5)})
    assert "<script>" not in view.draw_results(shown, "en")


def test_old_results_are_swept(tmp_path):
    import os

    old, fresh = tmp_path / "results" / "a", tmp_path / "results" / "b"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    compare_job.sweep_results(tmp_path)
    assert not old.exists() and fresh.exists() and state.list_runs(tmp_path) == []
