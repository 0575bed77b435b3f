"""What others can read: a LoRA in Kohya's layout, a run on the hub, an arm from the hub."""

import base64
import json

import pytest
import torch
import yaml
from diffusers import StableDiffusionInpaintPipeline
from hubs import Answers, local_hub
from huggingface_hub import HfApi
from safetensors.torch import load, load_file
from toys import FAST

import studio
from wallpaint.errors import UserError
from wallpaint.learned.export import export_kohya, hub_files, push_to_hub
from wallpaint.learned.lora import read_lora
from wallpaint.paint.painter import resolve_arms
from wallpaint.train.loop import train


@pytest.fixture(scope="module")
def learned(family, dataset, tmp_path_factory):
    """A run whose LoRA (on all layers, alpha unlike its rank) has learned a little."""
    from wallpaint.settings.train_config import TrainConfig

    place = tmp_path_factory.mktemp("learned")
    settings = FAST | {"base_model": str(family), "dataset": str(dataset), "cache_dir": str(place / "cache")}
    settings |= {"method": "lora", "max_train_steps": 2, "learning_rate": 1e-2, "validation_steps": 2}
    settings |= {"lora_alpha": 3, "lora_target": "all", "output_dir": str(place / "my-run")}
    return train(TrainConfig(**settings))


def predict(family, lora):
    """What a stock pipeline's UNet says of one noise with a LoRA file loaded; None: without one."""
    pipe = StableDiffusionInpaintPipeline.from_pretrained(family, safety_checker=None)
    if lora is not None:
        pipe.load_lora_weights(lora.parent, weight_name=lora.name, use_safetensors=True)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 9, 8, 8, generator=generator)
    states = torch.randn(1, 4, pipe.unet.config.cross_attention_dim, generator=generator)
    with torch.no_grad():
        return pipe.unet(latents, 500, encoder_hidden_states=states).sample


def test_kohyas_layout_says_the_same_noise_in_a_stock_pipeline(learned, family):
    ours, path = learned / "weights" / "pytorch_lora_weights.safetensors", export_kohya(learned)
    assert path == learned / "my-run-kohya.safetensors"
    said = [predict(family, lora) for lora in (None, ours, path)]
    torch.testing.assert_close(said[1], said[2], atol=1e-5, rtol=1e-5)
    assert (said[0] - said[1]).abs().max() > 1e-3


def test_kohyas_names_and_alphas_and_back_again(learned):
    kohya = load_file(export_kohya(learned))
    _, state, metadata = read_lora(learned / "weights" / "pytorch_lora_weights.safetensors")
    assert metadata["lora_alpha"] == 3 and len(kohya) == len(state) / 2 * 3
    assert {key.partition(".")[2] for key in kohya} == {"lora_down.weight", "lora_up.weight", "alpha"}
    assert all(key.startswith("lora_unet_") and "." not in key.partition(".")[0] for key in kohya)
    for key, value in state.items():
        layer, _, end = key.partition(".lora_")
        name = f"lora_unet_{layer.replace('.', '_')}"
        assert torch.equal(kohya[f"{name}.lora_{'down' if end.startswith('A') else 'up'}.weight"], value)
        assert kohya[f"{name}.alpha"] == 3.0
    with pytest.raises(UserError, match="Kohya's layout already"):
        export_kohya(export_kohya(learned))


def test_export_is_a_command_and_what_cannot_be_exported_is_one_line(learned, tmp_path, capsys):
    given = ["--export", "kohya", "--run", str(learned), "--out", str(tmp_path / "mine.safetensors")]
    assert studio.main(given) == 0 and (tmp_path / "mine.safetensors").is_file()
    assert str(tmp_path / "mine.safetensors") in capsys.readouterr().out
    assert studio.main(["--export", "kohya", "--run", str(tmp_path / "gone")]) == 2
    assert studio.main(["--export", "pickle", "--run", str(learned)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "gone" in errors[0] and "kohya" in errors[1]


class Hub(Answers):
    """As much of the hub as a commit of small files needs."""

    def do_POST(self):  # noqa: N802  (the base class's name)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, server = self.path, self.server
        server.asked.append((path, self.headers.get("Authorization"), body))
        answer = {}
        if path == "/api/repos/create":
            answer = {"url": f"{server.address}/me/walls"}
        elif path == "/api/validate-yaml":
            answer = {"errors": [], "warnings": []}
        elif path.endswith("/preupload/main"):
            files = [file["path"] for file in json.loads(body)["files"]]
            regular = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            answer = {"files": [{"path": name, **regular} for name in files]}
        elif path.endswith("/commit/main"):
            answer = {"commitUrl": f"{server.address}/me/walls/commit/1", "commitOid": "1" * 40, "success": True}
        if server.refuses:
            return self.send({"error": "Invalid username or password."}, 401)
        self.send(answer)


@pytest.fixture
def hub(monkeypatch):
    """A hub on this machine; `asked` holds what it was told."""
    with local_hub(Hub, monkeypatch) as server:
        server.refuses = False
        yield server


def test_a_run_goes_to_the_hub_whole_and_without_paths_of_this_machine(learned, hub):
    api = HfApi(endpoint=hub.address, token="hf_secret")
    assert push_to_hub(learned, "me/walls", api) == f"{hub.address}/me/walls"
    made = json.loads(next(body for path, _, body in hub.asked if path == "/api/repos/create"))
    assert (made["name"], made["organization"]) == ("walls", "me")
    assert made.get("private") or made.get("visibility") == "private"  # as the hub's client says it by version
    ((_, token, body),) = [asked for asked in hub.asked if asked[0].endswith("/commit/main")]
    assert token == "Bearer hf_secret"
    lines = [json.loads(line)["value"] for line in body.splitlines()]
    sent = {line["path"]: base64.b64decode(line["content"]) for line in lines if "path" in line}
    assert set(sent) == {
        "pytorch_lora_weights.safetensors",
        "README.md",
        "config.yaml",
        "metrics.jsonl",
        "samples/step-000002.png",
    }
    weights = load_file(learned / "weights" / "pytorch_lora_weights.safetensors")
    assert all(
        torch.equal(value, weights[key]) for key, value in load(sent["pytorch_lora_weights.safetensors"]).items()
    )
    assert b'pipe.load_lora_weights("me/walls", weight_name=' in sent["README.md"]
    for name in ("README.md", "config.yaml"):
        assert str(learned.parent).encode() not in sent[name], name
    assert yaml.safe_load(sent["config.yaml"])["lora_alpha"] == 3


def test_what_the_hub_refuses_is_one_line(learned, hub, tmp_path, capsys, monkeypatch):
    hub.refuses = True
    api = HfApi(endpoint=hub.address, token="hf_wrong")
    with pytest.raises(UserError, match="the hub does not take my-run as me/walls .*hf auth login"):
        push_to_hub(learned, "me/walls", api)
    with pytest.raises(UserError, match="is no run that has ended"):
        push_to_hub(tmp_path, "me/walls", api)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert studio.main(["--push-to-hub", "me/walls", "--run", str(learned)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the hub does not take my-run") and error.count("\n") == 1


def test_an_arm_may_be_a_repository_of_the_hubs_cache(learned, tmp_path, monkeypatch):
    commit = tmp_path / "models--me--walls" / "snapshots" / ("1" * 40)
    commit.mkdir(parents=True)
    for name, content in hub_files(learned, "me/walls").items():
        (commit / name).parent.mkdir(exist_ok=True)
        (commit / name).write_bytes(content)
    (commit.parents[1] / "refs").mkdir()
    (commit.parents[1] / "refs" / "main").write_text("1" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert resolve_arms(["mine=me/walls"]) == {"mine": commit}
    with pytest.raises(UserError, match="hf download you/walls"):
        resolve_arms(["yours=you/walls"])
