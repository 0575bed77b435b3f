"""A project saved in tab Compare, opened there again, and painted from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import studio
from wallpaint.errors import UserError
from wallpaint.ui.board import calls, pictures
from wallpaint.ui.board.walls import read_walls, save_photo_masks
from wallpaint.ui.compare import project, scene
from wallpaint.ui.compare.painting import PaintRequest, paint_comparison

GREEN, RED = "#7A9E7E", "#C80000"
OFFERED = {"recolor": "recolor", "field": "field", "mine=/w/runs/mine": "mine"}
REQUEST = PaintRequest([*OFFERED], "field", 7, 0, 2.5, None, True, True)
PLAIN = PaintRequest(["recolor", "mine=/w/runs/mine"], "field", 0, 0, 0, None, False)


@pytest.fixture(autouse=True)
def blind(monkeypatch):
    """Let no photo be looked at in the background: nobody clicks here."""
    monkeypatch.setattr(pictures, "embed_soon", lambda folder: None)


@pytest.fixture
def room(tmp_path):
    """A large photo: an unmarked wall and two marked ones that meet, the last at hand; something white, a sheet."""
    pixels = np.random.default_rng(0).integers(150, 170, (900, 1600, 3), np.uint8)
    pixels[800:] = 235
    Image.fromarray(pixels).save(tmp_path / "phòng khách.png")
    room = scene.open_photo(tmp_path, str(tmp_path / "phòng khách.png"), None)[0]
    wall = np.zeros((576, 1024), bool)
    wall[:400] = True
    left = np.arange(1024) < 500
    token = {"token": Path(room.picture["folder"]).name}
    calls.read_white(tmp_path, {**token, "x": 300, "y": 550})
    walls = [
        {"runs": calls.encode_runs(wall & left), "paint": GREEN, "now": "#AAAAA0", "chosen": True},
        {"runs": None, "paint": GREEN},
        {"runs": calls.encode_runs(wall & ~left), "paint": RED},
    ]
    calls.save_walls(tmp_path, {**token, "walls": walls, "active": 2, "sheet": [RED, "#879A77"]})
    return room


def masks(room):
    _, walls = save_photo_masks(room.picture["folder"])
    return {wall.paint: np.asarray(Image.open(path)) for path, wall in walls}


def test_what_was_saved_is_opened_as_it_was(room, tmp_path):
    path = project.save_project(tmp_path, room, REQUEST, OFFERED, "en")
    assert path.name == "phòng-khách.wallpaint" and path.is_relative_to(tmp_path / "results")
    opened = project.open_project(tmp_path, path, {"recolor": "recolor", "field": "field"})
    assert opened.left_out == ["mine"] and opened.request.arms == ["recolor", "field"]
    assert opened.request.sampling == (7, None, 2.5, None) and opened.request.bounce and not opened.request.blind
    assert opened.room.picture["folder"] != room.picture["folder"] and opened.room.picture["name"] == "phòng khách"
    before, after = (Path(one.picture["folder"]) for one in (room, opened.room))
    walls, active = read_walls(after)
    assert [(wall.paint, wall.chosen) for wall in walls] == [(GREEN, True), (RED, False)] and active == 1
    assert pictures.read_sheet(after) == pictures.read_sheet(before)
    assert pictures.read_whites(after, (9, 9)) == pictures.read_whites(before, (9, 9))
    photos = [np.asarray(Image.open(folder / "photo.png")) for folder in (before, after)]
    assert np.array_equal(*photos)
    for paint, mask in masks(room).items():
        assert np.array_equal(masks(opened.room)[paint], mask)
    shown = scene.show_room(opened.room)[1]
    assert shown["sheet"] == [RED, "#879A77"] and shown["white"] and len(shown["walls"]) == 2


def test_the_command_line_paints_a_project_as_the_tab_does(room, tmp_path, capsys):
    results = paint_comparison(tmp_path, room, PaintRequest(["recolor"], "field", 0, 0, 0, None, False), [], "en")
    path = project.save_project(tmp_path, room, PLAIN, OFFERED, "en")
    assert studio.main(["--compare", "--room", str(path), "--out", str(tmp_path / "o")]) == 0
    assert "left out, not shipped: mine" in capsys.readouterr().err
    assert json.loads((tmp_path / "o" / "comparison.json").read_text())["walls"] == [GREEN, RED]
    painted = [Image.open(folder / "recolor.png") for folder in (tmp_path / "o", results.folder / RED[1:])]
    far = np.abs(np.diff(np.stack([np.asarray(picture, int) for picture in painted]), axis=0))
    assert far.max() <= 1  # the tab reads the light off its smaller view
    assert studio.main(["--compare", "--room", str(path), "--swatch", "#fff", "--out", str(tmp_path / "o")]) == 2
    assert "--swatch and --room both" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:999])
    assert studio.main(["--compare", "--room", str(path), "--out", str(tmp_path / "p")]) == 2
    assert "phòng-khách.wallpaint cannot be read" in capsys.readouterr().err and not (tmp_path / "p").exists()


def test_without_a_marked_wall_there_is_nothing_to_save(room, tmp_path):
    for nothing in (None, scene.open_photo(tmp_path, str(tmp_path / "phòng khách.png"), None)[0]):
        with pytest.raises(UserError, match="no room with a marked wall"):
            project.save_project(tmp_path, nothing, REQUEST, OFFERED, "en")
