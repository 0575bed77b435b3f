"""One photo, several arms: the files, the figures, and nothing half-written."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageOps

from wallpaint.errors import UserError
from wallpaint.paint.arms import open_arms
from wallpaint.paint.settings import SamplingSettings
from wallpaint.paths import ROOT
from wallpaint.pixels import metrics
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.images import load_mask, load_photo, save_png
from wallpaint.pixels.recolor import Coat, recolor
from wallpaint.report import compare as module
from wallpaint.report.compare import compare, compare_paints, load_scene, write_report
from wallpaint.report.files import all_or_nothing, clean, contact_sheet, file_names, flat
from wallpaint.report.measure import Yardstick
from wallpaint.report.pages import Column, comparison_page, make_table, markdown

SAGE = parse_color("#7A9E7E")


@pytest.fixture
def room(tmp_path):
    rng = np.random.default_rng(0)
    photo = (rng.uniform(0.85, 1, (48, 64, 1)) * (220, 210, 190)).astype(np.uint8)
    photo[36:] = (90, 60, 40)
    mask = np.zeros((48, 64), np.uint8)
    mask[4:36, 6:60] = 255
    Image.fromarray(photo).save(tmp_path / "room.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path / "room.png", tmp_path / "mask.png"


class Links(HTMLParser):
    """Everything a page would fetch, and its tags."""

    def __init__(self, page):
        super().__init__()
        self.fetched, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_classical_repaint_alone_needs_no_model_and_writes_every_file(room, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wallpaint.models.bundle", None)
    out = tmp_path / "new" / "out"
    (figures_of_arm,) = compare(*room, SAGE, ["recolor"], out, SamplingSettings(seed=7))
    assert sorted(p.name for p in out.iterdir()) == [
        "comparison.csv",
        "comparison.json",
        "grid.png",
        "recolor.png",
        "report.html",
    ]
    said = json.loads((out / "comparison.json").read_text())
    assert (said["photo"], said["swatch"], said["seed"]) == (str(room[0]), "#7A9E7E", 7)
    (arm,) = said["arms"]
    figures = {"delta_e_paint", "brightness_error", "shading_correlation", "outside_changed_pixels"}
    assert arm.keys() == {"name", "seconds", "image"} | figures
    assert arm["delta_e_paint"].keys() >= {"median", "p90", "under_5"}
    assert (arm["name"], arm["image"], arm["outside_changed_pixels"]) == ("recolor", "recolor.png", 0)
    assert figures_of_arm == arm


def test_a_photo_whose_name_is_no_utf_8_is_compared(room, tmp_path):
    photo = room[0].rename(tmp_path / "ph\udcf2ng.png")
    compare(photo, room[1], SAGE, ["recolor"], tmp_path / "o\udcf2")
    assert json.loads((tmp_path / "o\udcf2" / "comparison.json").read_text("utf-8"))["photo"] == str(photo)


def test_an_inverted_mask_is_turned_when_told_and_paints_the_same(room, tmp_path, capsys):
    turned = tmp_path / "turned.png"
    ImageOps.invert(Image.open(room[1])).save(turned)
    compare(*room, SAGE, ["recolor"], tmp_path / "plain")
    assert "note:" not in capsys.readouterr().err
    compare(room[0], turned, SAGE, ["recolor"], tmp_path / "out", invert_mask=True)
    pictures = [(tmp_path / name / "recolor.png").read_bytes() for name in ("plain", "out")]
    assert pictures[0] == pictures[1]
    compare(room[0], turned, SAGE, ["recolor"], tmp_path / "wrong")
    assert "--invert-mask takes the rest" in capsys.readouterr().err


def test_a_mask_of_the_whole_photo_is_noted(room, tmp_path, capsys):
    size = Image.open(room[0]).size
    Image.new("L", size, 254).save(tmp_path / "whole.png")
    compare(room[0], tmp_path / "whole.png", SAGE, ["recolor"], tmp_path / "out")
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert "whole.png marks 100% of the photo" in said


def test_the_figures_are_those_of_the_written_picture(room, tmp_path):
    truth = tmp_path / "truth.png"
    photo, mask = load_photo(room[0]), load_mask(room[1])
    recolor(Coat(photo, mask, SAGE, parse_color("#ffffff"))).save(truth)
    compare(*room, SAGE, ["recolor"], tmp_path / "out", truth=truth)
    (arm,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["arms"]
    picture = load_photo(tmp_path / "out" / "recolor.png")
    assert picture.size == photo.size
    assert arm["delta_e_paint"] == metrics.delta_e_paint(picture, SAGE, mask)
    assert arm["delta_e_truth"] == metrics.delta_e_truth(picture, load_photo(truth), mask)
    assert arm["shading_correlation"] == metrics.shading_correlation(picture, load_photo(truth), mask)
    (row,) = csv.DictReader((tmp_path / "out" / "comparison.csv").open())
    assert float(row["delta_e_truth_mean"]) == arm["delta_e_truth"]["mean"]
    assert row["name"] == "recolor"


def test_the_report_stands_alone_and_is_escaped(room, tmp_path, monkeypatch):
    names = ["recolor", '<script>alert("x")</script>']
    monkeypatch.setattr(module.Arms, "paint", lambda self, coat, *_: dict.fromkeys(names, (coat.photo, 0.1)))
    compare(*room, SAGE, ["recolor"], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    links = Links(page)
    assert "script" not in links.tags and "&lt;script&gt;" in page
    assert len(links.fetched) == 3  # the photo and two arms
    assert all(re.match(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+$", url) for url in links.fetched)
    assert "#7A9E7E" in page


def test_diffusing_arms_and_the_classical_one_stand_in_the_order_asked_for(room, tmp_path, load):
    compare(*room, SAGE, ["recolor", "base"], tmp_path / "out", models=load())
    said = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [arm["name"] for arm in said["arms"]] == ["recolor", "base"]
    assert all(arm["outside_changed_pixels"] == 0 and arm["seconds"] > 0 for arm in said["arms"])
    first = (tmp_path / "out" / "base.png").read_bytes()
    compare(*room, SAGE, ["base"], tmp_path / "again", models=load())
    assert (tmp_path / "again" / "base.png").read_bytes() == first  # the seed decides
    compare(*room, SAGE, ["base"], tmp_path / "other", SamplingSettings(seed=1), models=load())
    assert (tmp_path / "other" / "base.png").read_bytes() != first


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ([], "name at least one"),
        (["recolor=x.safetensors"], "without a path"),
        (["recolor", "recolor"], "write it once"),
        (["nwe"], "did you mean new"),
        (["mine=/none/x.safetensors"], "arm mine has no weights at"),
    ],
)
def test_bad_arms_are_refused_and_nothing_is_written(room, tmp_path, arms, said):
    with pytest.raises(UserError, match=said):
        compare(*room, SAGE, arms, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_of_different_families_are_not_compared(tmp_path):
    for family in ("room-tiny", "sd15"):
        (tmp_path / family / "weights").mkdir(parents=True)
        (tmp_path / family / "config.yaml").write_text(f"family: {family}\nmethod: lora_ip\n")
    arms = [f"a={tmp_path / 'room-tiny'}", f"b={tmp_path / 'sd15' / 'weights'}"]
    with pytest.raises(UserError, match="a on room-tiny, b on sd15"):
        open_arms(arms)


def test_a_run_tells_its_family(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("family: sd15\nbase_model: /models/mine\nmethod: lora_ip\n")
    asked = {}
    monkeypatch.setattr(
        "wallpaint.models.bundle.load_models", lambda name, **options: asked.update(options, name=name)
    )
    monkeypatch.setattr("wallpaint.paint.painter.Painter", lambda models, paths, scale: None)
    open_arms([f"mine={tmp_path / 'run'}"])
    assert (asked["name"], asked["base_model"]) == ("sd15", "/models/mine")
    open_arms(["base"])
    assert asked["name"] == "room-tiny"


def test_bad_pictures_are_refused_and_nothing_is_written(room, tmp_path):
    Image.new("L", (3, 3), 255).save(tmp_path / "small.png")
    for photo, mask, truth in (
        (tmp_path / "no.png", room[1], None),
        (room[0], tmp_path / "small.png", None),
        (*room, tmp_path / "small.png"),
    ):
        with pytest.raises(UserError, match=r"does not exist|make .* size"):
            compare(photo, mask, SAGE, ["recolor"], tmp_path / "out", truth=truth)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["recolor.png", "grid.png"])
def test_a_picture_that_is_given_is_never_written_over(room, tmp_path, name):
    photo, mask = room
    photo = photo.rename(tmp_path / name)
    before = photo.read_bytes()
    with pytest.raises(UserError, match=f"{name} would be written over, .* give another --out"):
        compare(photo, mask, SAGE, ["recolor"], tmp_path)
    assert photo.read_bytes() == before and {path.name for path in tmp_path.iterdir()} == {name, mask.name}
    compare(photo, mask, SAGE, ["recolor"], tmp_path / "out")


def test_a_failure_leaves_the_last_comparison_as_it_was(room, tmp_path, monkeypatch):
    out = tmp_path / "out"
    compare(*room, SAGE, ["recolor"], out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(module, "contact_sheet", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare(*room, parse_color("#ff0000"), ["recolor"], out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), all_or_nothing(tmp_path / "file" / "out"):
        pass


def test_a_new_folder_appears_whole_and_a_killed_process_leaves_nothing_in_it(tmp_path):
    out = tmp_path / "out"
    code = (
        "import os, signal\nfrom wallpaint.report.files import all_or_nothing\n"
        f"with all_or_nothing({str(out)!r}) as folder:\n"
        "    (folder / 'half.png').write_bytes(b'x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for existing in (False, True):
        if existing:
            out.mkdir()
            (out / "kept.txt").write_text("kept")
        before = sorted(path.name for path in out.glob("[!.]*"))
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == -signal.SIGKILL
        assert sorted(path.name for path in out.glob("[!.]*")) == before and out.exists() == existing
        with all_or_nothing(out) as folder:
            (folder / "new.png").write_bytes(b"x")
            assert not (out / "new.png").exists()
        assert (out / "new.png").exists() and (out / "kept.txt").exists() == existing
        assert not [path for path in tmp_path.rglob("*") if ".unfinished-" in path.name]
        shutil.rmtree(out)


def test_into_a_folder_that_is_there_go_all_files_or_none(tmp_path):
    def write(text):
        with all_or_nothing(tmp_path) as folder:
            for name in ("a.png", "z.png", "comparison.json"):
                (folder / name).write_text(text)

    (tmp_path / "kept.txt").write_text("kept")
    write("first")
    write("second")
    second = {"a.png": "second", "z.png": "second", "comparison.json": "second", "kept.txt": "kept"}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == second
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").mkdir()  # in the way: found after the others have been moved aside
    with pytest.raises(UserError, match=r"cannot be written \(a.png is a folder there\): give another --out"):
        write("third")
    (tmp_path / "a.png").rmdir()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: text for name, text in second.items() if name != "a.png"
    }


def test_every_arm_gets_a_file_of_its_own():
    assert file_names(["Sơn đẹp", "old", "a/b", "a b", "..", "grid", "OLD"]) == [
        "Son-dep.png",
        "old.png",
        "a-b.png",
        "a-b-2.png",
        "arm.png",
        "grid-2.png",
        "OLD-2.png",
    ]


def test_figures_that_are_no_numbers_become_null():
    assert clean({"a": float("nan"), "b": {"c": float("inf"), "d": 1.5}}) == {"a": None, "b": {"c": None, "d": 1.5}}
    assert flat({"a": 1, "b": {"c": 2}}) == {"a": 1, "b_c": 2}


def test_a_wall_too_thin_to_measure_is_null_in_valid_json(room, tmp_path):
    thin = np.zeros((48, 64), np.uint8)
    thin[10:12, 5:60] = 255
    Image.fromarray(thin).save(room[1])
    compare(*room, SAGE, ["recolor"], tmp_path / "out")
    text = (tmp_path / "out" / "comparison.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["arms"][0]["delta_e_paint"]["median"] is None
    assert "–" in (tmp_path / "out" / "report.html").read_text()


def test_a_table_marks_the_best_of_what_is_known_and_is_escaped_in_both_forms():
    columns = [Column("x", ("a", "b"), 2, min), Column("y", ("c",), 0, max), Column("z", ("d",))]
    arms = {"a<b": {"a": {"b": 2.0}, "c": 1}, "p|q": {"a": {"b": 1.0}, "c": None, "d": float("nan")}, "c": {"a": None}}
    table = make_table(columns, arms)
    assert table.rows == [["a<b", "2.00", "1", "–"], ["p|q", "1.00", "–", "–"], ["c", "–", "–", "–"]]
    assert table.best[:3] == [None, 1, 0]
    assert markdown(table).splitlines()[:3] == [
        "| arm | x | y | z |",
        "|---|---:|---:|---:|",
        "| a<b | 2.00 | 1 | – |",
    ]
    assert "| p\\|q |" in markdown(table)
    section = {"swatches": ["#000000"], "seed": 0, "pictures": [], "table": table, "left_out": {"a<b": "<i>"}}
    page = comparison_page([section])
    assert "<td>a&lt;b</td>" in page and '<td class="best">1.00</td>' in page and "a&lt;b: not used" in page
    assert "<i>" not in page


def test_a_grey_wall_left_grey_is_not_praised_as_white(room, tmp_path):
    Image.new("RGB", (64, 48), (120, 120, 120)).save(room[0])
    photo, mask = load_photo(room[0]), load_mask(room[1])
    for color, error in (("#FFFFFF", -40), ("#000000", 40)):
        coat = Coat(photo, mask, parse_color(color))
        figures = Yardstick.of(coat).measure(photo)
        assert figures["delta_e_paint"]["median"] < 2  # all greys are one paint in some light
        assert figures["brightness_error"] * error > 0 and abs(figures["brightness_error"]) > metrics.TOO_BRIGHT
        assert Yardstick.of(coat, truth=photo).measure(photo)["brightness_error"] == 0
    compare(*room, parse_color("#FFFFFF"), ["recolor"], tmp_path / "out")
    (row,) = csv.DictReader((tmp_path / "out" / "comparison.csv").open())
    assert abs(float(row["brightness_error"])) < 1
    assert "<th>brightness</th>" in (tmp_path / "out" / "report.html").read_text()


def test_the_contact_sheet_shows_every_picture():
    sheet = contact_sheet([(str(i), Image.new("RGB", (40, 20), (i * 40, 0, 0))) for i in range(6)], columns=4)
    assert sheet.size == (4 * 52 + 12, 2 * (20 + 26 + 12) + 12)
    assert sheet.getpixel((12 + 52 + 20, 12 + 58 + 26 + 10)) == (200, 0, 0)


def test_one_wall_in_many_paints_is_a_folder_a_paint(room, tmp_path):
    heard = []
    scene = load_scene(room[0], [(room[1], SAGE, None)], truth=room[0])
    red = parse_color("#C80000")
    out, settings = tmp_path / "out", SamplingSettings(seed=3)
    compare_paints(scene, [SAGE, red], ["recolor"], out, settings, heard.append, save_png)
    assert {path.name for path in out.iterdir()} == {SAGE.hex[1:], "C80000"}
    places = [out / SAGE.hex[1:], out / "C80000"]
    first, second = (json.loads((place / "comparison.json").read_text()) for place in places)
    assert (second["swatch"], second["seed"]) == ("#C80000", 3)
    assert "delta_e_truth" in first["arms"][0] and "delta_e_truth" not in second["arms"][0]
    write_report(out, places, scene.photo, scene.truth)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index(SAGE.hex) < page.index("#C80000") and page.count("<table>") == 2
    painted = np.asarray(Image.open(places[1] / second["arms"][0]["image"]), int)
    assert (painted[..., 0] - painted[..., 1])[np.asarray(scene.coats[0].mask) > 0].mean() > 50


def test_painting_tells_how_far_it_is_and_can_be_cancelled(room, tmp_path):
    scene, heard = load_scene(room[0], [(room[1], SAGE, None)]), []

    def on_step(share):
        heard.append(round(share, 3))
        if len(heard) == 3:
            raise KeyError("enough")

    settings = SamplingSettings(num_inference_steps=2)
    with pytest.raises(KeyError, match="enough"):
        paints = [SAGE, parse_color("#C80000")]
        compare_paints(scene, paints, ["base"], tmp_path / "o", settings, on_step, save_png)
    assert heard == [0.0, 0.25, 0.5] and not (tmp_path / "o").exists()


def test_a_known_old_paint_is_not_read_off_the_photo(room, tmp_path):
    """A wall of mid grey that is said to be a white one in the dark, and a black one in bright light."""
    Image.new("RGB", (64, 48), (120, 120, 120)).save(room[0])
    levels = []
    for old in ("#F4F4F4", "#303030"):
        compare(*room, parse_color("#F4F4F4"), ["recolor"], tmp_path / "out", old_paints=[parse_color(old)])
        levels.append(np.asarray(Image.open(tmp_path / "out" / "recolor.png"))[24, 32].mean())
    assert levels[0] == pytest.approx(120, abs=4) and levels[1] > 240


def test_two_walls_in_two_paints_are_painted_and_measured_by_one_command(room, tmp_path, capsys):
    from studio import main

    halves = []
    for name, columns in (("left", np.s_[:, 33:]), ("right", np.s_[:, :33])):
        mask = np.array(Image.open(room[1]))
        mask[columns] = 0
        halves += ["--mask", str(tmp_path / f"{name}.png")]
        Image.fromarray(mask).save(halves[-1])
    out, paints = tmp_path / "out", ["--swatch", "#7A9E7E", "--swatch", "#C8553D"]
    command = ["--compare", "--photo", str(room[0]), *halves, "--arms", "recolor", "--out", str(out)]
    assert main([*command, *paints]) == 0
    said = json.loads((out / "comparison.json").read_text())
    assert (said["swatch"], said["walls"]) == ("#7A9E7E", ["#7A9E7E", "#C8553D"])
    (arm,) = said["arms"]
    assert arm["outside_changed_pixels"] == 0 and [wall["swatch"] for wall in arm["walls"]] == said["walls"]
    mean = np.average([wall["brightness_error"] for wall in arm["walls"]], weights=[27, 27])
    assert arm["brightness_error"] == pytest.approx(mean) and arm["delta_e_paint"]["median"] < 5
    (row,) = csv.DictReader((out / "comparison.csv").open())
    assert float(row["wall2_delta_e_paint_median"]) == arm["walls"][1]["delta_e_paint"]["median"]
    page = (out / "report.html").read_text()
    assert "#7A9E7E" in page and "#C8553D" in page
    capsys.readouterr()
    assert main([*command, *paints[:2]]) == 2
    assert "2 masks and 1 paints are given, to --mask and --swatch" in capsys.readouterr().err
    assert main([*command, *paints, "--old-paint", "white"]) == 2
    assert "to --mask and --old-paint" in capsys.readouterr().err
