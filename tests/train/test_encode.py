"""The cache filled ahead of training: every engine leaves the same bytes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from processes import STUDIO, write_config
from toys import PAINTS, toy_room

import studio
from wallpaint.cache.views import list_views
from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.folder import add_sample, read_samples
from wallpaint.train.encode import cut_pieces, encode_dataset
from wallpaint.train.loop import train


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    """Six rooms, in two paints each."""
    folder = tmp_path_factory.mktemp("rooms")
    for seed in range(6):
        for color in PAINTS:
            add_sample(folder, "train", *toy_room(seed % 4, color), color, "a room", f"room{seed}")
    return folder


@pytest.fixture
def settings(config, rooms, tmp_path):
    return lambda name, **changes: config(dataset=str(rooms), cache_dir=str(tmp_path / name), **changes)


def hashes(folder):
    """Name -> hash of every shard, wherever it lies."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.safetensors")}


def test_a_dataset_encoded_ahead_leaves_training_nothing_to_encode(settings, tmp_path):
    for method in ("lora_ip", "joint"):
        encode_dataset(settings("cache", method=method), piece=4)
        folder = train(settings("cache", method=method, max_train_steps=1, output_dir=str(tmp_path / method)))
        assert "(0 rows newly encoded)" in (folder / "train.log").read_text()


def test_encoding_builds_no_denoiser(settings, monkeypatch):
    monkeypatch.setattr("wallpaint.train.prepare.build_denoiser", None)
    assert encode_dataset(settings("cache")).is_file()


def test_done_again_it_does_nothing_and_the_manifest_names_every_shard(settings, tmp_path, capsys):
    manifest = encode_dataset(settings("cache"), piece=4)
    told = json.loads(manifest.read_text())
    assert {shard["file"]: shard["sha256"] for shard in told["shards"]} == hashes(tmp_path / "cache")
    assert told["samples"] == 12 and len(told["shards"]) == 2 + 2  # texts, swatches, two pieces of pictures
    assert "piece 2/2: 4 rows newly encoded" in capsys.readouterr().out
    assert encode_dataset(settings("cache"), piece=4).read_text() == json.dumps(told, indent=2) + "\n"
    assert "piece 2/2: 0 rows newly encoded" in capsys.readouterr().out


def test_rooms_stay_whole_and_a_photo_is_in_one_piece_alone(rooms):
    views = list_views(read_samples(rooms, "train"), FileIndex(), {(64, 64): (64, 64)}, flip=True)
    pieces = cut_pieces(views, 6)
    assert [len(piece) for piece in pieces] == [8, 8]  # rooms 4 and 5 show what rooms 0 and 1 do
    homes = {view.sample.room_id: number for number, piece in enumerate(pieces) for view in piece}
    assert all(homes[view.sample.room_id] == number for number, piece in enumerate(pieces) for view in piece)


def test_encode_is_a_command_and_its_bad_input_one_line(settings, rooms, family, tmp_path, capsys):
    given = ["--base_model", str(family), "--resolution", "64", "--cache_dir", str(tmp_path / "cache")]
    assert studio.main(["--encode", str(rooms), "--method", "lora", *given]) == 0
    assert "manifest: " in capsys.readouterr().out and hashes(tmp_path / "cache")
    assert studio.main(["--encode", str(tmp_path / "gone")]) == 2
    assert "gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "paint_by_example", "reference_variants": 2, "color_jitter": 0.3, "random_mask_prob": 0.5},
        {"method": "anydoor", "reference": "self_crop", "resolution": 72},
        {"method": "lora_ip", "random_flip": True, "reference": "self_crop", "reference_variants": 1},
    ],
)
def test_what_is_encoded_by_the_runs_own_yaml_is_all_that_the_run_reads(changes, settings, rooms, tmp_path, capsys):
    run = settings("cache", **changes, max_train_steps=1, output_dir=str(tmp_path / "run"))
    path = write_config(run, tmp_path / "my.yaml")
    assert studio.main(["--encode", str(path)]) == 0
    before = hashes(tmp_path / "cache")
    folder = train(run)
    assert "(0 rows newly encoded)" in (folder / "train.log").read_text() and hashes(tmp_path / "cache") == before
    assert studio.main(["--encode", str(rooms), "--config", str(path)]) == 0
    assert "piece 1/1: 0 rows newly encoded" in capsys.readouterr().out


def test_ray_with_two_workers_leaves_the_same_bytes_also_after_one_was_killed(settings, rooms, family, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-ray.txt")
    plain = settings("plain", method="lora_ip")
    encode_dataset(plain, piece=2)
    command = [sys.executable, "-c", RAY, str(STUDIO.parent), str(rooms), str(family), str(tmp_path / "ray")]
    with open(tmp_path / "ray.log", "wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    killed = _kill_a_worker(process, tmp_path / "ray")
    assert process.wait(600) == 0, (tmp_path / "ray.log").read_text()
    assert killed and hashes(tmp_path / "ray") == hashes(tmp_path / "plain")


RAY = """
import sys
sys.path.insert(0, sys.argv[1])
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.encode import encode_dataset
encode_dataset(TrainConfig(method="lora_ip", dataset=sys.argv[2], base_model=sys.argv[3], resolution=64,
                           device="cpu", cache_dir=sys.argv[4]), "ray", piece=2)
"""


def _kill_a_worker(process, cache):
    """Kill one of the two as soon as the first piece is there; whether one was found."""
    end = time.monotonic() + 500
    while process.poll() is None and time.monotonic() < end:
        if any(cache.rglob("latents-*.safetensors")):
            for child in psutil.Process(process.pid).children(recursive=True):
                if "RayWorker" in " ".join(child.cmdline()):
                    child.send_signal(signal.SIGKILL)
                    return True
        time.sleep(0.01)
    return False
