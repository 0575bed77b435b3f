import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from wallpaint.errors import UserError
from wallpaint.models import fetching
from wallpaint.models.families import FAMILIES, find_adapter, find_image_encoder
from wallpaint.paint.painter import resolve_arms
from wallpaint.runs.machine import list_parts

COMMIT = "1" * 40
REPOSITORIES = {
    "h94/IP-Adapter": (
        "models/ip-adapter-plus_sd15.safetensors",
        "models/ip-adapter_sd15.bin",
        "README.md",
        "models/image_encoder/config.json",
        "models/image_encoder/model.safetensors",
    ),
    "me/walls": ("pytorch_lora_weights.safetensors", "README.md", "all.ckpt", "unet/m.fp16.safetensors"),
}


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as listing and downloading small files needs."""

    def do_HEAD(self):  # noqa: N802  (the base class's name)
        self.answer()

    def do_GET(self):  # noqa: N802
        self.server.asked.append(self.path)
        self.answer()

    def answer(self):
        path = self.path.split("?")[0]
        for repository, files in REPOSITORIES.items():
            if path.startswith(f"/api/models/{repository}/tree/"):
                tree = [{"type": "file", "path": f, "size": len(f), "oid": self.tag(f)} for f in files]
                return self.send(tree)
            if path.startswith(f"/api/models/{repository}"):
                about = {"id": repository, "sha": COMMIT, "private": False}
                return self.send(about | {"siblings": [{"rfilename": name} for name in files]})
            found = [name for name in files if path == f"/{repository}/resolve/{COMMIT}/{name}"]
            if found:
                return self.send(found[0].encode(), found[0])
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def tag(self, name):
        return hashlib.sha1(name.encode()).hexdigest()

    def send(self, what, name=""):
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{self.tag(name)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine, an empty cache, and no repository asked for before."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, address = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(f"{constants}.ENDPOINT", address)
    url = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", url)
    monkeypatch.setattr(fetching, "_asked", set())
    yield server
    server.shutdown()


def test_what_a_family_misses_is_fetched_and_nothing_else_of_its_repository(hub, capsys):
    family = FAMILIES["sd15"]
    assert find_adapter(family).read_text() == "models/ip-adapter-plus_sd15.safetensors"
    assert "fetching h94/IP-Adapter (about 2.6 GB)" in capsys.readouterr().err
    asked = len(hub.asked)
    encoder = find_image_encoder(family)
    assert encoder.read_text() == "models/image_encoder/model.safetensors"
    assert (encoder.parent / "config.json").is_file()
    assert len(hub.asked) == asked  # all of it came at once
    assert not any("ip-adapter_sd15.bin" in path or "README" in path for path in hub.asked)


def test_an_arm_by_its_hub_id_is_fetched_without_what_nobody_reads(hub):
    folder = resolve_arms(["mine=me/walls"])["mine"]
    assert [path.name for path in folder.iterdir()] == ["pytorch_lora_weights.safetensors"]


def test_a_repository_that_is_not_there_is_missed_in_one_line_and_asked_for_once(hub, capsys):
    for _ in range(2):
        with pytest.raises(UserError, match="hf download me/nothing"):
            resolve_arms(["mine=me/nothing"])
    assert len(hub.asked) == 1 and capsys.readouterr().err == ""


def test_nothing_is_fetched_by_who_only_looks_or_is_offline(hub, monkeypatch):
    assert not any(part.path for part in list_parts(FAMILIES["sd15"]))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="hf download h94/IP-Adapter"):
        find_adapter(FAMILIES["sd15"])
    assert hub.asked == []
