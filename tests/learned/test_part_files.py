"""Parts on disk: what never learns is written once in a run, and their own classes read what is there."""

import pytest
import torch
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from safetensors.torch import load_file

from wallpaint.learned.arm_files import find_arm
from wallpaint.learned.part_files import FROZEN, INDEX, SHARDS, read_part, save_part
from wallpaint.learned.weights import load_arm
from wallpaint.models.parts import part
from wallpaint.train import saving
from wallpaint.train.loop import train


def learn(models, by):
    """Move what learns of the example encoder."""
    with torch.no_grad():
        for name, parameter in part(models, "example").named_parameters():
            if not name.startswith(FROZEN["example"]):
                parameter += by


def read(folder):
    return PaintByExampleImageEncoder.from_pretrained(folder / "image_encoder").state_dict()


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_second_save_writes_only_what_learned(load, tmp_path):
    models, folder = load(), tmp_path / "image_encoder"
    save_part(models, "example", tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*SHARDS, INDEX, "config.json"])
    first, before = (folder / SHARDS[0]).stat(), read(tmp_path)
    assert first.st_size > 2 * (folder / SHARDS[1]).stat().st_size
    learn(models, 0.5)
    save_part(models, "example", tmp_path)
    again = (folder / SHARDS[0]).stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    after = read(tmp_path)
    assert same(after, part(models, "example").state_dict())
    moved = {key for key in after if not torch.equal(after[key], before[key])}
    assert moved and not any(key.startswith(FROZEN["example"]) for key in moved)
    assert moved == load_file(folder / SHARDS[1]).keys()
    assert same(read_part("example", folder), after)


def test_another_folder_of_the_run_is_linked_not_copied(load, tmp_path):
    models, (weights, best) = load(), (tmp_path / "weights", tmp_path / "best")
    for folder in (weights, best):
        folder.mkdir()
    save_part(models, "example", weights, (best,))
    learn(models, 0.5)
    save_part(models, "example", best, (tmp_path / "none", weights))
    frozen = [folder / "image_encoder" / SHARDS[0] for folder in (weights, best)]
    assert frozen[0].samefile(frozen[1])
    assert same(read(best), part(models, "example").state_dict()) and not same(read(best), read(weights))
    save_part(models, "example", weights, (best,))
    assert same(read(weights), read(best))


@pytest.mark.parametrize("spoil", ["cut short", "another's", "gone"])
def test_frozen_weights_that_are_not_these_are_written_again(load, tmp_path, spoil):
    models = load()
    save_part(models, "example", tmp_path)
    frozen = tmp_path / "image_encoder" / SHARDS[0]
    if spoil == "cut short":
        frozen.write_bytes(frozen.read_bytes()[:1000])
    elif spoil == "gone":
        frozen.unlink()
    else:
        with torch.no_grad():
            part(models, "example").model.post_layernorm.weight += 1
    save_part(models, "example", tmp_path)
    assert same(read(tmp_path), part(models, "example").state_dict())


def test_weights_that_were_saved_in_one_file_are_not_read_any_more(load, tmp_path):
    models = load()
    part(models, "example").save_pretrained(tmp_path / "image_encoder")
    learn(models, 0.5)
    save_part(models, "example", tmp_path)
    assert same(read(tmp_path), part(models, "example").state_dict())


def test_a_run_writes_its_frozen_encoder_once(config, load, monkeypatch):
    written, write = [], saving.save_weights

    def save(folder, *rest):
        write(folder, *rest)
        written.append((folder / "image_encoder" / SHARDS[0]).stat().st_ino)

    monkeypatch.setattr(saving, "save_weights", save)
    run = train(config(method="paint_by_example", max_train_steps=3, checkpointing_steps=1, validation_steps=1))
    assert len(written) >= 3 and len(set(written)) == 1 and (run / "weights-best").is_dir()
    parts = load_arm(load(), find_arm(run), "mine").parts
    assert parts["example"].keys() == read(run / "weights").keys()
