"""What a resumed run says of rows that are gone, new or other than they were."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from steps import stop_after
from toys import PAINTS, toy_room

from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.folder import add_sample, read_splits
from wallpaint.runs.state import read_run
from wallpaint.train.dataset_rows import changed_rows, describe_rows, save_rows
from wallpaint.train.loop import train


@pytest.fixture
def data(dataset, tmp_path):
    return shutil.copytree(dataset, tmp_path / "data")


def rows_of(data):
    return describe_rows(read_splits(data), FileIndex())


def edit(data, change, split="train"):
    metadata = data / split / "metadata.jsonl"
    rows = [json.loads(line) for line in metadata.read_text().splitlines()]
    change(rows)
    metadata.write_text("".join(json.dumps(row) + "\n" for row in rows))


def repaint(data, name):
    path = data / "train" / name
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


CHANGES = {
    "1 row gone (train/room0-001.png)": lambda data: edit(data, lambda rows: rows.pop(0)),
    "4 rows added (train/room9-001.png, train/room9-002.png, train/room9-003.png, …)": lambda data: [
        add_sample(data, "train", *toy_room(9, PAINTS[0]), PAINTS[0], "", "room9") for _ in range(4)
    ],
    "1 row with another photo (train/room0-001.png)": lambda data: repaint(data, "room0-001.png"),
    "1 row with another mask (train/room0-002.png)": lambda data: repaint(data, "room0-002_mask.png"),
    "2 rows with another paint (validation/room2-001.png, validation/room2-002.png)": lambda data: edit(
        data, lambda rows: [row.update(reference_color_rgb=[1, 2, 3]) for row in rows], "validation"
    ),
    "1 row with another text (train/room1-001.png)": lambda data: edit(data, lambda rows: rows[2].update(text="new")),
    "1 row with another room (train/room1-001.png)": lambda data: edit(data, lambda rows: rows[2].update(room_id="x")),
    "its rows stand in another order": lambda data: edit(data, lambda rows: rows.reverse()),
}


@pytest.mark.parametrize("said", CHANGES)
def test_each_kind_of_change_is_named_with_its_count_and_first_rows(data, tmp_path, said):
    save_rows(tmp_path, rows_of(data))
    assert changed_rows(tmp_path, rows_of(data)) == ""
    CHANGES[said](data)
    assert changed_rows(tmp_path, rows_of(data)) == f"the dataset has changed since this run began: {said}"


def test_rows_of_one_photo_in_several_paints_are_told_apart(data, tmp_path):
    edit(data, lambda rows: rows.append({**rows[0], "reference_color_rgb": [9, 9, 9]}))
    save_rows(tmp_path, rows_of(data))
    edit(data, lambda rows: rows.pop(0))
    assert changed_rows(tmp_path, rows_of(data)).endswith(": 1 row gone (train/room0-001.png)")


def test_a_resumed_run_says_what_changed_in_its_log_and_its_state(config, data, family, tmp_path):
    base = shutil.copytree(family, tmp_path / "base")
    settings = config(dataset=str(data), max_train_steps=4, base_model=str(base))
    stop_after(2)
    folder = train(settings)
    edit(data, lambda rows: rows.pop(0))
    weights = base / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    save_file({key: 1.1 * value for key, value in state.items()}, weights, {"format": "pt"})
    train(settings, resume=True)
    for said in (
        "the dataset has changed since this run began: 1 row gone (train/room0-001.png)",
        "the models have changed since this run began: another unet",
    ):
        assert f"warning: {said}\n" in (folder / "train.log").read_text(encoding="utf-8")
        assert said in read_run(folder).fields["warnings"]
    assert len((folder / "dataset.jsonl").read_text().splitlines()) == 6  # still what it began with
