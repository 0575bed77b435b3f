import errno
import hashlib

import pytest
from hubs import Answers, local_hub
from huggingface_hub import close_session

from wallpaint.errors import UserError
from wallpaint.models import fetching
from wallpaint.models.families import FAMILIES, find_adapter, list_files
from wallpaint.models.files import find_file, find_sam
from wallpaint.paint.painter import resolve_arms
from wallpaint.runs.machine import list_parts

COMMIT = "1" * 40
SAM_WEIGHTS = b"as large as they are" * 5000
SAM_NAME = f"sam_vit_s_{hashlib.md5(SAM_WEIGHTS).hexdigest()[:6]}.pth"
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


class Hub(Answers):
    """As much of the hub as listing and downloading small files needs."""

    def do_HEAD(self):  # noqa: N802  (the base class's name)
        self.answer()

    def do_GET(self):  # noqa: N802
        if "/api/models/" in self.path or "/resolve/" in self.path:  # the library asks for more, once a process
            self.server.asked.append(self.path)
        self.answer()

    def answer(self):
        path = self.path.split("?")[0]
        if path == "/api/models/me/gated":
            return self.send(b"", 403, {"X-Error-Code": "GatedRepo"})
        for repository, files in REPOSITORIES.items():
            if path.startswith(f"/api/models/{repository}/tree/"):
                return self.send([{"type": "file", "path": f, "size": len(f), "oid": tag(f)} for f in files])
            if path.startswith(f"/api/models/{repository}"):
                about = {"id": repository, "sha": COMMIT, "private": False}
                return self.send(about | {"siblings": [{"rfilename": name} for name in files]})
            found = [name for name in files if path == f"/{repository}/resolve/{COMMIT}/{name}"]
            if found:
                return self.send(found[0].encode(), headers={"X-Repo-Commit": COMMIT, "ETag": f'"{tag(found[0])}"'})
        if path.startswith("/sam/"):
            self.server.asked.append(path)
            return self.send(SAM_WEIGHTS)
        self.send(b"", 404, {"X-Error-Code": "RepoNotFound"})


def tag(name):
    return hashlib.sha1(name.encode()).hexdigest()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine, an empty cache, and no repository asked for before."""
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "_failed", {})
    with local_hub(Hub, monkeypatch) as server:
        monkeypatch.setattr(f"{constants}.ENDPOINT", server.address)
        url = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", url)
        yield server


def test_what_a_family_misses_is_fetched_and_nothing_else_of_its_repository(hub, capsys):
    family = FAMILIES["sd15"]
    assert find_adapter(family).read_text() == "models/ip-adapter-plus_sd15.safetensors"
    assert "fetching h94/IP-Adapter (about 2.6 GB)" in capsys.readouterr().err
    asked = len(hub.asked)
    encoder = list_files(family)["image encoder"]()
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


@pytest.fixture
def metas(hub, monkeypatch):
    """Let Meta's checkpoints come from that hub's machine: a sound one and one that is not what its name says."""
    monkeypatch.delenv("WALLPAINT_SAM", raising=False)
    monkeypatch.setattr(fetching, "SAM_URL", f"{hub.address}/sam/")
    for name in (SAM_NAME, "sam_vit_s_012345.pth"):
        monkeypatch.setitem(fetching.SAM_FILES, name, 0.1)
    return hub


def test_metas_checkpoint_is_fetched_once_with_a_bar(metas, capsys, monkeypatch):
    monkeypatch.setenv("TQDM_POSITION", "-1")  # a bar, though nobody sees it
    assert find_sam(SAM_NAME).read_bytes() == SAM_WEIGHTS
    told = capsys.readouterr().err
    assert f"fetching {SAM_NAME} (about 0.1 GB)" in told and "100%" in told and SAM_NAME in told.splitlines()[-1]
    assert find_sam(SAM_NAME).parent.name == "segment-anything" and len(metas.asked) == 1


def test_a_checkpoint_that_is_not_what_its_name_says_is_thrown_away(metas, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="what came is not sam_vit_s_012345.pth.*curl -LO"):
        find_sam("sam_vit_s_012345.pth")
    assert not list((tmp_path / "cache" / "segment-anything").iterdir())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set.*curl -LO"):
        find_sam(SAM_NAME)
    assert len(metas.asked) == 1


@pytest.fixture
def proxies(monkeypatch):
    """Set the environment's proxies for clients made from now on."""

    def use(address):
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY") if address else ():
            monkeypatch.setenv(name, address)
        close_session()

    yield use
    monkeypatch.undo()
    close_session()


@pytest.mark.parametrize(
    "address",
    ["socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "http://127.0.0.1:9", "nonsense", "http://[bad", "ftp://a:1"],
)
def test_a_proxy_that_does_not_serve_is_one_line_with_its_variables_and_without_its_password(hub, proxies, address):
    proxies(address.replace("//127", "//me:secret@127"))
    with pytest.raises(UserError) as caught:
        find_adapter(FAMILIES["sd15"])
    line = str(caught.value)
    assert "through the proxy of HTTPS_PROXY and HTTP_PROXY" in line
    assert "hf download h94/IP-Adapter" in line and "\n" not in line and "secret" not in line


def test_a_repository_behind_terms_says_where_to_accept_them(hub):
    with pytest.raises(UserError, match=r"accept its terms at https://huggingface.co/me/gated and to `hf auth login`"):
        find_file("me/gated", "model_index.json")


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("xet: No space left on device (os error 28)")],
)
def test_a_disk_that_fills_while_fetching_is_one_line(hub, monkeypatch, error):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **options: (_ for _ in ()).throw(error))
    with pytest.raises(UserError, match="fetching it.* failed, .*No space left on device.*hf download h94/IP-Adapter"):
        find_adapter(FAMILIES["sd15"])


def test_who_is_offline_hears_that_and_what_failed_is_tried_again_later(hub, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
            find_adapter(FAMILIES["sd15"])
    monkeypatch.setitem(REPOSITORIES, "me/late", ())
    files = REPOSITORIES.pop("me/late")
    for _ in range(2):
        with pytest.raises(UserError, match="no such repository"):
            find_file("me/late", "config.json")
    REPOSITORIES["me/late"] = ("config.json", *files)
    monkeypatch.setattr(fetching, "RETRY", 0)
    assert find_file("me/late", "config.json").is_file()
