"""Each setting in turn: rows are encoded anew exactly where what they hold would differ."""

import shutil
from dataclasses import replace

import pytest
import torch
from encoded import encode_samples
from toys import PAINTS

from wallpaint.cache import shards
from wallpaint.cache.views import EncodingOptions
from wallpaint.dataset.folder import read_samples
from wallpaint.models.loading import hash_files

CROPS = EncodingOptions("example", "self_crop", variants=2, color_jitter=0.1, holes=True, detail=True)
PICTURES = {"latents", "holes", "detail"}


@pytest.fixture
def kinds(loaded, dataset, tmp_path, monkeypatch):
    """Encode once, then with a change; the kinds of rows that were encoded anew."""
    made = []
    encode, write = encode_samples, shards.ShardCache._write

    def noting(self, kind, keys, tensors):
        made.append((kind.split("-")[0], len(keys)))
        return write(self, kind, keys, tensors)

    monkeypatch.setattr(shards.ShardCache, "_write", noting)
    samples = read_samples(dataset, "train")

    def changed(options=CROPS, change=lambda s: s, flip=False, **family):
        encode(loaded, samples, tmp_path, CROPS, report=lambda line: None)
        made.clear()
        models = replace(loaded, family=replace(loaded.family, **family))
        encode(models, [change(s) for s in samples], tmp_path, options, flip, report=lambda line: None)
        return dict(made)

    return changed


def test_nothing_changed_is_nothing_encoded(kinds):
    assert kinds() == {}
    assert kinds(replace(CROPS, reference="other_view")) == {}  # no room here has another wall in the same paint


def test_the_working_size_is_in_all_that_comes_of_pictures(kinds):
    assert set(kinds(resolution=96)) == PICTURES | {"crops"}


def test_the_masks_growth_is_in_what_is_blanked_and_not_in_crops(kinds):
    assert set(kinds(mask_growth=3)) == PICTURES


@pytest.mark.parametrize(
    "options, expected",
    [
        (replace(CROPS, variants=3), {"holes", "crops"}),
        (replace(CROPS, color_jitter=0.2), {"crops"}),
        (replace(CROPS, encoder="tokens"), {"tokens", "crops"}),
        (replace(CROPS, encoder="states"), {"states", "crops"}),
        (replace(CROPS, reference="swatch"), {"example"}),
        (replace(CROPS, holes=False, detail=False), set()),
    ],
)
def test_an_option_is_in_the_rows_that_hang_on_it(kinds, options, expected):
    assert set(kinds(options)) == expected


def test_mirror_images_are_added_and_the_rest_is_found(kinds):
    assert kinds(flip=True) == {"latents": 4, "holes": 4, "detail": 4, "crops": 4}


def test_a_text_and_a_paint_are_no_part_of_a_picture(kinds):
    assert kinds(change=lambda s: replace(s, text="another")) == {"text": 1}
    assert kinds(change=lambda s: replace(s, color=PAINTS[0])) == {}


def test_the_crop_of_a_cache_filled_at_another_size_is_that_of_the_hole(loaded, dataset, tmp_path):
    samples, options = read_samples(dataset, "train"), replace(CROPS, holes=False, detail=False)
    larger = replace(loaded, family=replace(loaded.family, resolution=96))
    encode_samples(loaded, samples, tmp_path / "used", options, report=lambda line: None)
    used = encode_samples(larger, samples, tmp_path / "used", options, report=lambda line: None)
    fresh = encode_samples(larger, samples, tmp_path / "fresh", options, report=lambda line: None)
    assert torch.equal(used.references[:], fresh.references[:])


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "merges.txt"])
def test_every_file_that_an_encoder_reads_is_in_its_hash(family, tmp_path, file):
    folder = shutil.copytree(family / "text_encoder", tmp_path / "e")
    (folder / "merges.txt").write_text("a b\n")
    before = hash_files([folder / "model.safetensors"])
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    assert hash_files([folder / "model.safetensors"]) != before


def test_precision_is_in_the_key_also_where_rows_are_kept_alike(loaded, tmp_path):
    from wallpaint.cache.build import open_cache

    runtimes = [replace(loaded.runtime, weight_dtype=dtype) for dtype in (torch.float16, torch.bfloat16)]
    folders = {open_cache(replace(loaded, runtime=runtime), tmp_path).folder for runtime in runtimes}
    assert len(folders) == 2
