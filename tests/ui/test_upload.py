"""Large files: in pieces into the workspace, or from there; bounded, resumed, cleaned up, nothing outside."""

import io
import json
import os
import time
import types

import gradio as gr
import pytest

from wallpaint.errors import UserError
from wallpaint.ui import upload
from wallpaint.ui.board import pictures
from wallpaint.ui.handlers import serve_function
from wallpaint.ui.page import Page
from wallpaint.ui.words.words import T

ZIP = (".zip",)


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call what the component's script calls, as Gradio hands it on."""
    monkeypatch.setattr(upload, "PIECE", 4)
    with gr.Blocks():
        made = upload.build_upload(Page(tmp_path), T("import"), ZIP, 100, "import")
    functions = {function.__name__: function for function in made.server_fns}

    def call(name, piece=None, /, **asked):
        if piece is not None:  # a form: all its fields are text
            fields = {key: str(value) for key, value in asked.items()}
            return functions[name](types.SimpleNamespace(data=fields, files=[("blob", piece)]))
        return functions[name](asked)

    return call


def send(call, name, data):
    token = call("begin", name=name, size=len(data))["token"]
    for at in range(0, len(data), 4):
        assert call("add_piece", data[at : at + 4], token=token, offset=at) == {"arrived": min(at + 4, len(data))}
    return call("end_upload", token=token)


def test_a_file_arrives_in_pieces_and_is_thrown_away_after_use(call, tmp_path):
    value = send(call, "C:\\rooms\\my phòng (1) 🛋.ZIP", b"0123456789")
    assert value["name"] == "my phòng (1) 🛋.ZIP"
    with upload.open_upload(tmp_path, value, ZIP) as path:
        assert path.read_bytes() == b"0123456789" and path.name == value["name"]
    assert not list((tmp_path / "uploads").iterdir())
    with pytest.raises(UserError, match="gone"), upload.open_upload(tmp_path, value, ZIP):
        pass


def test_a_piece_that_comes_twice_or_too_early_changes_nothing(call):
    token = call("begin", name="a.zip", size=8)["token"]
    assert call("add_piece", b"0123", token=token, offset=0) == {"arrived": 4}
    assert call("add_piece", b"0123", token=token, offset=0) == {"arrived": 4}  # its answer was lost
    assert call("add_piece", b"89", token=token, offset=6) == {"arrived": 4}
    assert "not arrived whole" in call("end_upload", token=token)["error"]
    call("add_piece", b"4567", token=token, offset=4)
    assert "name" in call("end_upload", token=token)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"name": "a.zip", "size": 101}, "larger than"),
        ({"name": "a.zip", "size": 0}, "empty"),
        ({"name": "a.zip", "size": "9"}, "empty"),
        ({"name": "a.exe", "size": 9}, "another kind"),
        ({"name": "", "size": 9}, "another kind"),
        ({"name": "zip", "size": 9}, "another kind"),
    ],
)
def test_what_must_not_come_is_refused_before_it_is_sent(call, tmp_path, asked, told):
    assert told in call("begin", **asked)["error"]
    assert not list((tmp_path / "uploads").glob("*"))


@pytest.mark.parametrize(
    "name", ["../../x.zip", "/etc/x.zip", "a/../x.zip", "x\0.zip", "..\\x.zip", "a" * 300 + "x.zip"]
)
def test_a_name_leads_nowhere_else(call, tmp_path, name):
    value = send(call, name, b"12345678")
    (found,) = (tmp_path / "uploads" / value["token"]).glob("*.zip")
    assert found.read_bytes() == b"12345678" and len(found.name) < 100


def test_an_upload_takes_no_more_than_it_announced(call, tmp_path):
    token = call("begin", name="a.zip", size=6)["token"]
    assert "more arrives" in call("add_piece", b"01234", token=token, offset=0)["error"]  # larger than a piece
    call("add_piece", b"0123", token=token, offset=0)
    assert "more arrives" in call("add_piece", b"4567", token=token, offset=4)["error"]
    assert (tmp_path / "uploads" / token / "part").stat().st_size == 4


def test_a_full_disk_and_a_crowded_public_page_say_so(tmp_path, monkeypatch):
    ask = {"name": "a.zip", "size": 50}
    usage = types.SimpleNamespace(free=upload.SPARE_BYTES + 80)
    monkeypatch.setattr(upload.shutil, "disk_usage", lambda path: usage)
    upload.begin_upload(tmp_path, ask, ZIP, 100)
    with pytest.raises(UserError, match="does not fit"):  # with what is under way
        upload.begin_upload(tmp_path, ask, ZIP, 100)
    monkeypatch.setattr(upload, "PUBLIC_FILES", 1)
    with pytest.raises(UserError, match="too many"):
        upload.begin_upload(tmp_path, ask, ZIP, 100, public=True)


def test_a_disk_that_fills_up_on_the_way_leaves_what_arrived_whole(call, tmp_path, monkeypatch):
    token = call("begin", name="a.zip", size=8)["token"]
    call("add_piece", b"0123", token=token, offset=0)

    class Full(io.BufferedWriter):  # half a piece fits
        def write(self, data):
            super().write(data[:2])
            self.flush()
            raise OSError(28, "No space left on device")

    real = open
    monkeypatch.setattr(upload, "open", lambda path, mode: Full(real(path, mode, 0)), raising=False)
    assert "No space left" in call("add_piece", b"4567", token=token, offset=4)["error"]
    monkeypatch.undo()
    assert call("add_piece", b"4567", token=token, offset=4) == {"arrived": 8}


@pytest.mark.parametrize("token", [None, "", "../..", "0" * 24, ["a"]])
def test_an_upload_is_reached_by_its_token_alone(call, token):
    for name in ("end_upload", "drop_upload"):
        assert "gone" in call(name, token=token)["error"]
    assert "gone" in call("add_piece", b"x", token=token, offset=0)["error"]


def test_what_is_cancelled_or_left_lying_goes(call, tmp_path):
    token = call("begin", name="a.zip", size=6)["token"]
    assert call("drop_upload", token=token) == {} and not list((tmp_path / "uploads").iterdir())
    folder = tmp_path / "uploads" / call("begin", name="a.zip", size=6)["token"]
    old = time.time() - pictures.KEPT_SECONDS - 10
    os.utime(folder, (old, old))
    pictures.clear_old(tmp_path)
    assert not folder.exists()


def test_a_path_in_the_workspace_is_taken_and_stays(call, tmp_path):
    (tmp_path / "in" / "đây").mkdir(parents=True)
    (tmp_path / "in" / "đây" / "rooms.zip").write_bytes(b"zip")
    value = call("take_path", path=" 'in/đây/rooms.zip' ")
    with upload.open_upload(tmp_path, json.loads(json.dumps(value)), ZIP) as path:
        assert path.read_bytes() == b"zip"
    assert path.is_file()


@pytest.mark.parametrize(
    "path", ["../secret.zip", "/etc/passwd", "out/secret.zip", "link.zip", "~/x.zip", "a\0.zip", "."]
)
def test_a_path_outside_the_workspace_or_of_another_kind_is_refused(tmp_path, path):
    workspace = tmp_path / "w"
    workspace.mkdir()
    (tmp_path / "secret.zip").write_bytes(b"x")
    (workspace / "out").symlink_to(tmp_path)
    (workspace / "link.zip").symlink_to(tmp_path / "secret.zip")
    with pytest.raises(UserError, match="workspace"):
        upload.find_inside(workspace, path, ZIP)
    with pytest.raises(UserError, match="workspace"), upload.open_upload(workspace, {"path": path}, ZIP):
        pass


def test_a_public_page_takes_no_path_and_small_files_alone(tmp_path):
    with gr.Blocks():
        made = upload.build_upload(Page(tmp_path, public=True), T("import"), ZIP, 4_000_000_000, "import")
    assert "take_path" not in {function.__name__ for function in made.server_fns}
    begin = next(function for function in made.server_fns if function.__name__ == "begin")
    assert "larger than 50 MB" in begin({"name": "a.zip", "size": 50_000_001})["error"]


def test_trouble_is_named_and_logged_not_leaked(tmp_path, caplog):
    def broken(workspace, asked):
        raise KeyError("/home/secret")

    answer = serve_function(broken, tmp_path)({})
    assert "secret" not in answer["error"] and "KeyError" in answer["error"] and "secret" in caplog.text
