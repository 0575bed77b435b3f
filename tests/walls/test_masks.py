"""Masker on segment-anything's own classes, and the clean-up of masks."""

import functools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from wallpaint.errors import UserError
from wallpaint.models import runtime
from wallpaint.pixels.mask_ops import clean_mask, obey_clicks, surface_at
from wallpaint.recipes.tiny.sizes import SAM
from wallpaint.walls import masks
from wallpaint.walls.classifier import cut
from wallpaint.walls.masks import Masker
from wallpaint.walls.sams import build_sam

torch.set_num_threads(1)
SIZES = SAM | {"stretch": False, "image_size": 64, "embed_dim": 16, "depth": 2, "num_heads": 2, "window_size": 4}
SIZES |= {"global_attn_indexes": [1], "prompt_embed_dim": 16, "mask_in_chans": 4, "decoder_num_heads": 2}
SIZES |= {"decoder_mlp_dim": 16, "iou_head_hidden_dim": 16}
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("family")
    (folder / "sam.json").write_text(json.dumps(SIZES))
    save_file(build_sam(SIZES).state_dict(), folder / "sam.safetensors")
    return folder


@pytest.fixture(scope="module")
def masker(sam_folder):
    masker = Masker.load(sam_folder)
    masker.set_image(PHOTO)
    return masker


def test_a_click_gives_three_masks_of_the_photos_size_best_first(masker):
    answers = masker.predict([(30, 20)], [1])
    scores = [score for _, score in answers]
    assert len(answers) == 3 and scores == sorted(scores, reverse=True)
    for mask, _ in answers:
        assert mask.mode == "L" and mask.size == PHOTO.size
        assert set(np.unique(np.asarray(mask))) <= {0, 255}


def test_a_model_of_squares_is_asked_about_a_stretched_photo(sam_folder):
    square = Masker(build_sam(SIZES), stretch=True)
    square.predictor.model.load_state_dict(Masker.load(sam_folder).predictor.model.state_dict())
    square.set_image(PHOTO)
    side, plain = SIZES["image_size"], Masker.load(sam_folder)
    plain.set_image(PHOTO.resize((side, side), Image.Resampling.LANCZOS))
    x, y = 0.25 * PHOTO.width, 0.5 * PHOTO.height
    wide = {round(score, 5): mask for mask, score in square.predict([(x, y)], [1])}
    even = {round(score, 5): mask for mask, score in plain.predict([(0.25 * side, 0.5 * side)], [1])}
    assert wide.keys() == even.keys() and PHOTO.width != PHOTO.height
    assert all(mask.size == PHOTO.size for mask in wide.values())


def test_masks_that_say_what_the_clicks_say_lead(masker, monkeypatch):
    width, height = PHOTO.size
    walls = np.full((3, height, width), -1.0)  # logits
    walls[1, :, : width // 2] = 1
    answer = lambda *_, **__: (walls, np.array([0.9, 0.2, 0.5]), None)  # noqa: E731
    monkeypatch.setattr(masker.predictor, "predict", answer)
    assert masker.predict([(2, 2)], [1])[0][1] == 0.2  # the only one that holds the click
    assert masker.predict([(2, 2)], [0])[0][1] == 0.9  # both others leave it out, the likelier leads


def test_the_photo_is_looked_at_once(masker, monkeypatch):
    monkeypatch.setattr(masker.predictor.model.image_encoder, "forward", lambda x: pytest.fail("looked again"))
    first, second = masker.predict([(30, 20)], [1]), masker.predict([(30, 20)], [1])
    assert [m.tobytes() for m, _ in first] == [m.tobytes() for m, _ in second]


def test_a_click_is_obeyed_by_the_surface_it_meets():
    from toys import toy_room

    photo, mask = toy_room(1, (122, 158, 126), (160, 96))
    wall = np.asarray(mask) > 0
    row, column = np.argwhere(wall)[len(np.argwhere(wall)) // 2]
    surface = functools.partial(surface_at, photo)
    joined = obey_clicks(np.zeros_like(wall), surface, [(column, row)], [1])
    assert (joined & wall).sum() / (joined | wall).sum() > 0.9  # though its light halves from left to right
    left = obey_clicks(np.ones_like(wall), surface, [(column, row)], [0])
    assert not left[row, column] and (left == ~joined).all()
    same = obey_clicks(wall, surface, [(column, row), (2, 90)], [1, 0])
    assert (same == wall).all()  # it says what the clicks say already


def test_a_photo_is_embedded_once_for_clicks_and_for_the_search(masker, monkeypatch):
    embedded = []
    hook = masker.predictor.model.image_encoder.register_forward_hook(lambda *_: embedded.append(1))
    other = Image.new("RGB", (50, 60), "gray")
    before = masker.predict([(30, 20)], [1])
    masker.set_image(other)
    _, _, embedding = cut(masker, PHOTO.copy())
    again = masker.predict([(30, 20)], [1])
    hook.remove()
    assert len(embedded) == 1 and embedding.ndim == 3  # `other` alone
    assert [m.tobytes() for m, _ in before] == [m.tobytes() for m, _ in again] and again[0][0].size == PHOTO.size


def test_embeddings_do_not_pile_up(sam_folder):
    masker = Masker.load(sam_folder)
    for grey in range(masks.KEPT_EMBEDDINGS + 3):
        masker.set_image(Image.new("RGB", (8, 8), (grey, grey, grey)))
    assert len(masker._embeddings) == masks.KEPT_EMBEDDINGS


def test_a_masker_is_loaded_where_the_models_run(sam_folder, monkeypatch):
    elsewhere = runtime.Runtime(torch.device("meta"), torch.float32, "as a GPU would be")
    monkeypatch.setattr(runtime, "pick_runtime", lambda: elsewhere)
    assert {p.device.type for p in Masker.load(sam_folder).predictor.model.parameters()} == {"meta"}
    assert {p.device.type for p in Masker.load(sam_folder, "cpu").predictor.model.parameters()} == {"cpu"}


def test_it_asks_segment_anything_what_was_clicked(masker, monkeypatch):
    asked = []

    def predict(points, labels, box, multimask_output, return_logits):
        assert return_logits
        asked.append((points, labels, box, multimask_output))
        wall = np.full((3 if multimask_output else 1, 40, 90), -1.0)
        wall[:, :, :50] = 1
        return wall, np.array([0.2, 0.9, 0.5])[: len(wall)], None

    monkeypatch.setattr(masker.predictor, "predict", predict)
    assert [score for _, score in masker.predict([(3, 4)], [1])] == [0.9, 0.5, 0.2]
    answers = masker.predict([(3, 4), (80, 30)], [1, 0], box=(60, 30, 1, 2))
    assert [score for _, score in answers] == [0.2, 0.9, 0.5]  # the unambiguous answer leads
    assert np.asarray(answers[0][0])[:, :50].all() and not np.asarray(answers[0][0])[:, 50:].any()
    assert [multimask for *_, multimask in asked] == [True, True, False]
    points, labels, box, _ = asked[-1]
    assert points.tolist() == [[3, 4], [80, 30]] and labels.tolist() == [1, 0]
    assert box.tolist() == [1, 2, 60, 30]  # corners in order, however the box was drawn
    assert len(masker.predict([], [], box=(0, 0, 9, 9))) == 3
    assert asked[-1][0] is None


@pytest.mark.parametrize(
    ("points", "labels", "box", "said"),
    [
        ([], [], None, "click the wall or draw a box"),
        ([(1, 1)], [], None, "1 clicks have 0 labels"),
        ([(1, 1)], [2], None, "give each click 1"),
        ([(91, 1)], [1], None, r"outside the photo \(90x40\)"),
        ([(-1, 1)], [1], None, "outside the photo"),
        ([(float("nan"), 1)], [1], None, "outside the photo"),
    ],
)
def test_what_cannot_be_asked_is_refused(masker, points, labels, box, said):
    with pytest.raises(UserError, match=said):
        masker.predict(points, labels, box)


def test_predict_needs_a_photo(sam_folder):
    with pytest.raises(UserError, match="call set_image first"):
        Masker.load(sam_folder / "sam.json").predict([(1, 1)], [1])


def test_weights_are_frozen_and_the_same_however_they_are_named(sam_folder):
    first, second = Masker.load(sam_folder), Masker.load(sam_folder / "sam.json")
    assert not any(p.requires_grad for p in first.predictor.model.parameters())
    for a, b in zip(first.predictor.model.parameters(), second.predictor.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_missing_or_broken_weights_are_named(sam_folder, tmp_path):
    with pytest.raises(UserError, match=r"sam\.json do not exist"):
        Masker.load(tmp_path)
    (tmp_path / "sam.json").write_text(json.dumps(SIZES))
    with pytest.raises(UserError, match=r"sam\.json cannot be loaded"):
        Masker.load(tmp_path)
    (tmp_path / "sam.safetensors").write_bytes(b"oops")
    with pytest.raises(UserError, match=r"sam\.json cannot be loaded") as error:
        Masker.load(tmp_path)
    assert "\n" not in str(error.value)


def mask_of(array):
    return Image.fromarray((np.asarray(array) * 255).astype(np.uint8))


def test_clean_up_drops_specks_fills_pinholes_and_keeps_windows():
    wall = np.zeros((100, 100), bool)
    wall[10:80, 10:80] = True
    wall[30:50, 30:50] = False  # a picture on the wall
    dirty = wall.copy()
    dirty[60, 60] = False  # a pinhole
    dirty[90, 90:95] = True  # a speck
    assert (np.asarray(clean_mask(mask_of(dirty))) == 255 * wall).all()


def test_clean_up_keeps_the_largest_part_however_small():
    tiny = np.zeros((100, 100), bool)
    tiny[5, 5:8], tiny[50, 50] = True, True
    cleaned = np.asarray(clean_mask(mask_of(tiny))) > 0
    assert cleaned.sum() == 3 and cleaned[5, 5:8].all()
    assert not np.asarray(clean_mask(mask_of(np.zeros((9, 9))))).any()
    assert np.asarray(clean_mask(mask_of(np.ones((9, 9))))).all()
