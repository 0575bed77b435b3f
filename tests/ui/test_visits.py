"""What comes back to a page that is opened again, and to whom."""

import json
import os
import secrets
import time
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.utils import deep_hash
from pydantic import TypeAdapter

from wallpaint.errors import UserError
from wallpaint.learned.lora_files import LoraFile
from wallpaint.ui import app, visits
from wallpaint.ui.board import pictures
from wallpaint.ui.board.walls import GIVEN, Wall, read_walls, write_walls
from wallpaint.ui.compare import painting, room_panel, scene
from wallpaint.ui.compare.arms import OwnLora
from wallpaint.ui.compare.room_panel import choose_room
from wallpaint.ui.dataset import photos, tab
from wallpaint.ui.dataset.photos import Photo


@pytest.fixture
def visit(shipped_rooms, tmp_path, monkeypatch):
    """Give (keep, restore), the page's own handlers, told and telling by the names of the parts."""
    monkeypatch.setattr(pictures, "embed_soon", lambda folder: None)
    page = app.build_page(tmp_path, public=True)
    handlers = {handler.api_name: handler for handler in page.fns.values()}
    asked, told = handlers["keep_visit"], handlers["restore_visit"]

    def keep(token, picture=None, photos=(), name="", room=None, **choices):
        values = [token, picture, list(photos), name, room]
        values += [choices.get("before"), choices.get("own", [])]
        values += [choices.get(part.elem_id or "", part.value) for part in asked.inputs[7:]]
        asked.fn(*values)

    def restore(*tokens, session=""):
        request = SimpleNamespace(session_hash=session or secrets.token_hex(4))  # of each page that is opened
        return dict(zip(told.outputs, told.fn("en", [*tokens, None], request), strict=True))

    return keep, restore


def value_of(updates, kind, which=0):
    return [update for part, update in updates.items() if isinstance(part, kind)][which]


def test_photo_marks_paint_and_room_come_back_to_whoever_has_the_token(visit, tmp_path):
    keep, restore = visit
    picture, shown, name = tab.open_sample(0, tmp_path)
    write_walls(picture["folder"], [Wall(GIVEN, "#102030", "#AABBCC")])
    room = scene.open_shipped_room(tmp_path, 0)[0]
    assert deep_hash(room) != deep_hash(scene.open_shipped_room(tmp_path, 0)[0])  # by which Gradio sees changes
    keep("a" * 24, picture, [Photo("/gone.jpg", "gone")], "my hall", room, blind=True)
    updates = restore("a" * 24, None)
    token, photos, again, room_again = (value_of(updates, gr.State, number) for number in range(4))
    assert (token, photos, again) == ("a" * 24, [], picture) and room_again == room
    board = next(update for part, update in updates.items() if part.elem_id == "board")
    assert board["walls"][0]["paint"] == "#AABBCC" and board["walls"][0]["runs"]
    named = {part.elem_id: update for part, update in updates.items()}
    assert named["room"] == "my hall" and named["blind"]["value"] is True
    assert named["compare-board"]["name"] == room.picture["name"]


def test_a_new_tab_begins_with_what_the_last_one_had_and_has_its_own_from_then_on(visit, tmp_path):
    keep, restore = visit
    picture = tab.open_sample(0, tmp_path)[0]
    keep("a" * 24, picture)
    updates = restore(None, "a" * 24)
    token, own = value_of(updates, gr.State), value_of(updates, gr.State, 2)
    assert token != "a" * 24 and pictures.TOKEN.fullmatch(token)
    assert {**own, "folder": ""} == {**picture, "folder": ""} and own["folder"] != picture["folder"]
    walls = read_walls(picture["folder"])
    assert read_walls(own["folder"]) == walls
    write_walls(own["folder"], [Wall(paint="#102030")])  # what one marks the other does not have
    assert read_walls(picture["folder"]) == walls
    keep(token)
    assert value_of(restore(token, None), gr.State, 2) == gr.skip()
    assert value_of(restore("a" * 24, None), gr.State, 2) == picture


@pytest.mark.parametrize(
    "token", [None, "", 3, [], {"a": 1}, "../working/x", "b" * 24, "a" * 23, "A" * 24, "a" * 24 + "\n"]
)
def test_without_a_token_of_ones_own_nothing_comes_back(visit, tmp_path, token):
    keep, restore = visit
    keep("a" * 24, tab.open_sample(0, tmp_path)[0])
    fresh = value_of(restore(token, token), gr.State)
    assert pictures.TOKEN.fullmatch(fresh) and fresh not in ("a" * 24, "b" * 24)
    assert value_of(restore(token, token), gr.State, 2) == gr.skip()
    assert value_of(restore(token, token), gr.State) != fresh  # not to be guessed


def test_a_lora_of_ones_own_and_the_room_before_come_back_and_nobody_elses_file_does(visit, tmp_path):
    keep, restore = visit
    lora = pictures.working_folder(tmp_path) / "lora.safetensors"
    lora.write_bytes(b"weights")
    elsewhere = tmp_path / "secret.safetensors"
    elsewhere.write_bytes(b"weights")
    file = LoraFile("LoRA", "room-tiny", (16,), ())
    own = [OwnLora(name, f"{name}={path}", file) for name, path in (("mine", lora), ("theirs", elsewhere))]
    before = scene.open_shipped_room(tmp_path, 0)[0]
    keep("a" * 24, before=before, own=own, arms=["recolor", own[0].arm, own[1].arm])
    updates = restore("a" * 24, None)
    named = {part.elem_id: update for part, update in updates.items()}
    assert value_of(updates, gr.State, 4) == before and named["room-before"]["visible"]
    assert value_of(updates, gr.State, 5) == own[:1]
    assert named["arms"]["value"] == ["recolor", own[0].arm] and ("mine", own[0].arm) in named["arms"]["choices"]
    assert "mine" in named["own-loras"] and "theirs" not in named["own-loras"]
    lora.unlink()
    assert value_of(restore("a" * 24, None), gr.State, 5) == []


def test_a_first_room_that_comes_late_leaves_the_room_that_came_back(visit, tmp_path):
    keep, restore = visit
    keep("a" * 24, room=scene.open_shipped_room(tmp_path, 0)[0])
    early, late = (SimpleNamespace(session_hash=name) for name in ("early", "late"))
    assert room_panel.open_first_room(tmp_path, None, early) != gr.skip()  # nothing has come back yet
    restore("a" * 24, session="late")
    assert room_panel.open_first_room(tmp_path, None, late) == gr.skip()  # it was asked for before


def test_what_was_opened_while_the_page_came_back_stays_there(visit, tmp_path):
    keep, restore = visit
    picture, room = tab.open_sample(0, tmp_path)[0], scene.open_shipped_room(tmp_path, 0)[0]
    keep("a" * 24, picture, (), "hall", room)
    compare, dataset = (SimpleNamespace(session_hash=name) for name in ("painter", "marker"))
    choose_room(scene.open_shipped_room, compare, tmp_path, 0)
    visits.note_opened(dataset, photos.KEPT)
    for session, left in (("painter", 3), ("marker", 2)):
        updates = restore("a" * 24, session=session)
        brought = [value_of(updates, gr.State, number) != gr.skip() for number in (2, 3)]
        assert brought == [left == 3, left == 2]


def test_what_is_gone_stays_away_and_keeps_nothing_else_from_coming(visit, tmp_path):
    keep, restore = visit
    picture, room = tab.open_sample(0, tmp_path)[0], scene.open_shipped_room(tmp_path, 0)[0]
    keep("a" * 24, picture, (), "hall", room)
    os.utime(picture["folder"], (0, 0))
    pictures.clear_old(tmp_path)
    updates = restore("a" * 24, None)
    assert value_of(updates, gr.State, 2) == gr.skip() and value_of(updates, gr.State, 3) == room
    kept = tmp_path / "visits" / f"{'a' * 24}.json"
    kept.write_text(json.dumps({"dataset": [1], "room": {"picture": "x"}, "before": 3, "choices": {}}))
    assert value_of(restore("a" * 24, None), gr.State, 3) == gr.skip()  # another version's
    kept.write_text("{")
    assert value_of(restore("a" * 24, None), gr.State, 3) == gr.skip()
    os.utime(kept, (time.time() - 25 * 3600,) * 2)
    pictures.clear_old(tmp_path)
    assert not kept.exists()


def test_a_part_that_cannot_come_back_does_not_hold_up_the_rest():
    def fail(packed, language):
        raise UserError("gone")

    parts = [visits.Kept(name, [], [0], None, bring) for name, bring in (("a", fail), ("b", lambda *said: [said]))]
    assert visits.bring_back(parts, {"a": 1, "b": 2}, "vi") == [gr.skip(), (2, "vi")]


def test_a_part_is_taken_as_opened_while_it_is_read_and_no_longer_where_that_fails():
    request, seen = SimpleNamespace(session_hash=secrets.token_hex(8)), []

    def bring(packed, language):
        seen.append(visits.was_opened(request, packed))
        if packed == "b":
            raise UserError("gone")
        return [packed]

    parts = [visits.Kept(name, [], [0], None, bring) for name in ("a", "b")]
    assert visits.bring_back(parts, {"a": "a", "b": "b"}, "vi", request) == ["a", gr.skip()]
    assert seen == [True, True] and visits.was_opened(request, "a") and not visits.was_opened(request, "b")


def test_results_with_all_that_is_said_of_them_go_through_json(tmp_path):
    adapter = TypeAdapter(painting.Results)
    told = (scene.Outlook("#7A9E7E", "#102030", 3.5, True),)
    results = painting.Results(tmp_path, ("#7A9E7E",), ("recolor",), truth=True, size=(9, 4), outlooks=told)
    again = adapter.validate_python(json.loads(json.dumps(adapter.dump_python(results, mode="json"))))
    assert again == results and deep_hash(again) == deep_hash(results)
