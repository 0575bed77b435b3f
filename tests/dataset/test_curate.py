"""A dataset stays whole whatever is edited, moved, deleted or brought back."""

import json

import pytest
from toys import toy_dataset

from wallpaint.dataset import curate, zips
from wallpaint.dataset.folder import read_samples, read_splits
from wallpaint.errors import UserError

GREEN, RED = (122, 158, 126), (200, 60, 50)


@pytest.fixture
def folder(tmp_path):
    """Two photos of `attic` whose rows share one mask file, one of `hall`; `loft` is held out."""
    folder = toy_dataset(tmp_path / "mine")
    rows = folder / "train" / "metadata.jsonl"
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    (folder / "train" / lines[1]["mask_file_name"]).unlink()
    lines[1]["mask_file_name"] = lines[0]["mask_file_name"]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def rooms(folder):
    return {split: [s.room_id for s in samples] for split, samples in read_splits(folder).items()}


def files(folder):
    return sorted(path.name for path in folder.glob("*") if path.is_file())


def test_a_sample_is_edited_in_place(folder):
    sample = curate.edit_sample(
        folder, "train", "hall-001.png", reference_color_rgb=[1, 2, 3], text="new", room_id=" corridor "
    )
    assert (sample.color, sample.text, sample.room_id) == ((1, 2, 3), "new", "corridor")
    assert read_samples(folder, "train")[2] == sample
    assert curate.edit_sample(folder, "train", "hall-001.png", text="again").color == (1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reference_color_rgb": [1, 2, 300]}, "0 to 255"),
        ({"room_id": "loft"}, "is in validation"),
        ({"room_id": "  "}, "room_id"),
    ],
)
def test_an_edit_that_would_break_the_dataset_changes_nothing(folder, changes, told):
    before = (folder / "train" / "metadata.jsonl").read_bytes()
    with pytest.raises(UserError, match=told):
        curate.edit_sample(folder, "train", "hall-001.png", **changes)
    with pytest.raises(UserError, match="no sample"):
        curate.edit_sample(folder, "train", "../validation/loft-001.png", text="x")
    assert (folder / "train" / "metadata.jsonl").read_bytes() == before


def test_a_room_moves_as_a_whole_and_back(folder):
    before = read_samples(folder, "train")
    pixels = [sample.image.read_bytes() for sample in before[:2]]
    assert curate.move_room(folder, "attic", "validation") == 2
    assert rooms(folder) == {"train": ["hall"], "validation": ["loft", "attic", "attic"]}
    assert [s.image.read_bytes() for s in read_samples(folder, "validation")[1:]] == pixels
    assert files(folder / "train") == ["hall-001.png", "hall-001_mask.png", "metadata.jsonl"]
    assert curate.move_room(folder, "attic", "validation") == 0
    assert curate.move_room(folder, "attic", "train") == 2
    assert rooms(folder) == {"train": ["hall", "attic", "attic"], "validation": ["loft"]}
    with pytest.raises(UserError, match="no room"):
        curate.move_room(folder, "cellar", "train")


def test_a_split_may_be_emptied_and_filled_again(folder):
    curate.move_room(folder, "loft", "train")
    assert not (folder / "validation" / "metadata.jsonl").exists() and len(read_samples(folder, "train")) == 4
    curate.move_room(folder, "loft", "validation")
    assert rooms(folder)["validation"] == ["loft"]


def test_delete_is_taken_back_and_a_shared_mask_outlives_one_of_its_rows(folder):
    first = read_samples(folder, "train")[0]
    pixels, mask = first.image.read_bytes(), first.mask.read_bytes()
    curate.delete_sample(folder, "train", first.image.name)
    assert rooms(folder)["train"] == ["attic", "hall"] and not first.image.exists() and first.mask.exists()
    curate.delete_sample(folder, "train", "hall-001.png")
    assert rooms(folder)["train"] == ["attic"] and not (folder / "train" / "hall-001_mask.png").exists()
    assert curate.undo_delete(folder).room_id == "hall"
    back = curate.undo_delete(folder)
    assert (back.image.read_bytes(), back.mask.read_bytes(), back.color) == (pixels, mask, GREEN)
    assert sorted(rooms(folder)["train"]) == ["attic", "attic", "hall"]
    with pytest.raises(UserError, match="nothing to bring back"):
        curate.undo_delete(folder)


def test_what_was_deleted_cannot_come_back_into_the_wrong_split(folder):
    curate.delete_sample(folder, "train", "attic-001.png")
    curate.move_room(folder, "attic", "validation")
    with pytest.raises(UserError, match="is in validation already"):
        curate.undo_delete(folder)


def test_a_row_that_leads_out_is_neither_moved_nor_deleted(folder, tmp_path):
    rows = folder / "train" / "metadata.jsonl"
    (tmp_path / "secret.png").write_bytes(b"x")
    rows.write_text(rows.read_text().replace("hall-001_mask.png", "../../secret.png"))
    for act in (
        lambda: curate.delete_sample(folder, "train", "hall-001.png"),
        lambda: curate.move_room(folder, "hall", "validation"),
        lambda: zips.export_zip(folder, tmp_path / "x.zip"),
    ):
        with pytest.raises(UserError, match="leads out"):
            act()
    assert (tmp_path / "secret.png").exists() and not (tmp_path / "x.zip").exists()
