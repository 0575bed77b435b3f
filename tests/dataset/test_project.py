"""Projects: what was saved is there again, and what comes from anybody does no harm."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from wallpaint.dataset import project as projects
from wallpaint.dataset.project import Project, ProjectWall, Settings, read_project, write_project
from wallpaint.errors import UserError

WALLS = (ProjectWall("#7A9E7E", "#EDE6D6", True), ProjectWall("#C8553D"))


@pytest.fixture
def saved(tmp_path):
    """A project of two walls, and the files it was made of."""
    rng = np.random.default_rng(0)
    photo, masks = tmp_path / "p.png", [tmp_path / "a.png", tmp_path / "b.png"]
    Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(photo)
    for number, mask in enumerate(masks):
        Image.fromarray(255 * (rng.random((30, 40)) > 0.5 + number / 9).astype(np.uint8)).save(mask)
    told = Project("phòng khách", WALLS, 1, ((0.25, 0.5),), ("#010203",), {"#C8553D": "Gạch ‹7›"}, ("old", "my run"))
    return write_project(tmp_path / "x" / "room.wallpaint", told, photo, masks), told, photo, masks


@pytest.fixture
def place(tmp_path):
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def test_what_was_saved_is_there_again(saved, place):
    path, told, photo, masks = saved
    again, photo_again, masks_again = read_project(path, place)
    assert again == told
    assert [p.read_bytes() for p in (photo_again, *masks_again)] == [p.read_bytes() for p in (photo, *masks)]


def edit(path, name, data):
    """Write the project anew with another entry under that name; None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()} | {name: data}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries.items():
            if content is not None:
                archive.writestr(entry, content)


HOSTILE = {
    "no zip": (None, b"not a zip", "cannot be read"),
    "no JSON": ("project.json", b"{", "says what cannot be"),
    "deep JSON": ("project.json", b"[" * 90_000, "says what cannot be"),
    "another shape": ("project.json", b"[]", "says what cannot be"),
    "a large JSON": ("project.json", b" " * 200_000, "unpacks to more than it may"),
    "without its photo": ("photo.png", None, "photo.png"),
    "without a mask": ("wall-1.png", None, "wall-1.png"),
}
SAID = {
    "no wall": ({"walls": []}, "walls"),
    "nine walls": ({"walls": 9 * [{"paint": "#000000"}]}, "walls"),
    "another wall at hand": ({"active": 2}, "no wall 2"),
    "a paint that is none": ({"walls": [{"paint": "red"}]}, "walls.0.paint"),
    "a white outside the photo": ({"whites": [[0.5, 2]]}, "whites.0.1"),
    "steps without end": ({"settings": {"num_inference_steps": 10**9}}, "settings.num_inference_steps"),
    "a name without end": ({"name": 300 * "x"}, "name"),
    "a sheet without end": ({"sheet": 99 * ["#000000"]}, "sheet"),
}


@pytest.mark.parametrize("what", [*HOSTILE, *SAID])
def test_what_is_no_project_of_ours_is_told_in_a_line(saved, place, what):
    path = saved[0]
    if what in HOSTILE:
        name, data, why = HOSTILE[what]
        path.write_bytes(data) if name is None else edit(path, name, data)
    else:
        changes, why = SAID[what]
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read("project.json"))
        edit(path, "project.json", json.dumps(told | changes))
    with pytest.raises(UserError, match="project room.wallpaint") as problem:
        read_project(path, place)
    assert why in str(problem.value) and "\n" not in str(problem.value) and len(str(problem.value)) < 300


def test_what_a_project_says_or_holds_twice_is_told(saved, place):
    with zipfile.ZipFile(saved[0], "a") as archive:
        told = archive.read("project.json").decode()
        archive.writestr("project.json", told.replace("{", '{"name": "other", ', 1))
    with pytest.raises(UserError, match=r"project\.json is in it twice"):
        read_project(saved[0], place)
    edit(saved[0], "project.json", told.replace("{", '{"name": "other", ', 1))
    with pytest.raises(UserError, match="has 'name' twice"):
        read_project(saved[0], place)


def test_a_bomb_is_cut_off_and_names_lead_nowhere(saved, place, monkeypatch):
    monkeypatch.setattr(projects, "MAX_BYTES", 3_000_000)
    edit(saved[0], "../evil.png", b"x")
    edit(saved[0], "photo.png", bytes(50_000_000))  # 50 KB in the zip
    with pytest.raises(UserError, match=r"photo\.png unpacks to more than it may"):
        read_project(saved[0], place)
    assert sum(path.stat().st_size for path in place.iterdir()) < 4_000_000
    assert not (place.parent / "evil.png").exists()


def test_settings_that_were_not_said_are_the_usual(saved, place):
    with zipfile.ZipFile(saved[0]) as archive:
        told = json.loads(archive.read("project.json"))
    edit(saved[0], "project.json", json.dumps({key: told[key] for key in ("name", "walls")}))
    assert read_project(saved[0], place)[0].settings == Settings(0, None, None, None, False)
