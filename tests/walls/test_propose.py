"""Walls found without a click: the classifier, SegFormer, and a whole folder at once."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image
from small import small_segformer
from toys import toy_room

from wallpaint.dataset.folder import read_samples
from wallpaint.errors import UserError
from wallpaint.paths import ASSETS
from wallpaint.pixels.images import load_photo
from wallpaint.walls.classifier import RANKED, ClassifierFinder, WallClassifier, cut, even_out, hash_sam
from wallpaint.walls.features import SIDE, mask_features
from wallpaint.walls.finders import Finder, load_finder
from wallpaint.walls.masks import Masker
from wallpaint.walls.propose import SURE, list_photos, mask_folder, name_room, propose_wall, shape_wall, trust

GREEN = (122, 158, 126)
SAMPLE = ASSETS / "rooms" / "sample"


class Brightest:
    """A WallFinder that takes green for wall; it stands for whichever model there is."""

    def find(self, photo):
        pixels = np.asarray(photo.resize((64, 64)), dtype=float)
        wall = (np.abs(pixels[..., 0] * 158 - pixels[..., 1] * 122) < 1500) & (pixels[..., 1] > 70)
        return wall.astype(np.float32), 0.4 + 0.5 * wall.mean()


class Halves:
    """A WallFinder that is sure of the upper half."""

    chance = np.repeat([0.9, 0.1], SIDE // 2)[:, None] * np.ones(SIDE)

    def find(self, photo):
        return self.chance, 0.5


@pytest.fixture(scope="module")
def masker(family):
    return Masker.load(family)


@pytest.fixture
def features():
    """Twelve masks of a room, and what the classifier is told of them."""
    photo, mask = toy_room(1, GREEN, (96, 64))
    wall = np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST)) > 0
    masks = np.stack([np.roll(wall, 9 * shift, axis=0) for shift in range(12)])
    guesses = np.full((12, 2), 0.5, np.float32)
    return mask_features(photo, masks, guesses, np.random.default_rng(0).normal(size=(4, 8, 8))), masks, wall


def test_features_say_where_a_mask_is_and_what_is_in_it(features):
    rows, masks, wall = features
    assert rows.shape == (12, 4 + 25) and np.isfinite(rows).all()
    assert rows[:, 4] == pytest.approx(masks.mean(axis=(1, 2)), abs=1e-6)  # area
    assert rows[0, 6] < -0.1 and rows[0, 6] == rows[:, 6].min()  # a*: nothing is as green as the wall
    y = (np.arange(SIDE)[:, None] / (SIDE - 1) * wall).sum() / wall.sum()
    assert rows[0, 15] == pytest.approx(y, abs=1e-5)
    embedding = np.zeros((2, 4, 4), np.float32)
    embedding[1, :2] = 1  # a channel that says: upper half
    half = np.zeros((1, SIDE, SIDE), bool)
    half[:, : SIDE // 2] = True
    (row,) = mask_features(Image.new("RGB", (8, 8)), half, np.ones((1, 2), np.float32), embedding)
    assert row[:2] == pytest.approx([0, 1], abs=1e-5)


def test_a_fitted_classifier_ranks_walls_first_and_survives_its_file(features, tmp_path):
    from wallpaint.recipes.ranking import fit

    rows, masks, wall = features
    share = (masks & wall).sum(axis=(1, 2)) / masks.sum(axis=(1, 2))
    iou = (masks & wall).sum(axis=(1, 2)) / (masks | wall).sum(axis=(1, 2))
    classifier = fit(rows, np.stack([share, iou], axis=1).astype(np.float32), "abc", steps=300)
    said = classifier(rows)
    assert np.abs(said - np.stack([share, iou], axis=1)).mean() < 0.1 and said[:, 1].argmax() == iou.argmax()
    classifier.save(tmp_path / "walls.safetensors")
    assert (tmp_path / "walls.safetensors").stat().st_size < 16_000
    again = WallClassifier.load(tmp_path / "walls.safetensors")
    np.testing.assert_allclose(again(rows), said, atol=1e-6)
    assert again.sam == "abc"


def test_masks_of_a_photo_are_ranked_and_joined(masker):
    photo, _ = toy_room(0, GREEN, (96, 64))
    masks, guesses, embedding = cut(masker, photo)
    assert masks.shape[1:] == (SIDE, SIDE) and guesses.shape == (len(masks), 2) and embedding.ndim == 3
    width = embedding.shape[0] + 25
    zeros = {"mean": (width,), "scale": (width,), "weight1": (width, 1), "bias1": (1,), "weight2": (1, 2)}
    weights = {key: np.zeros(shape, np.float32) for key, shape in zeros.items()} | {"bias2": np.array([2.0, 1.0])}
    weights["scale"] += 1
    says = Halves()
    chance, confidence = ClassifierFinder(masker, WallClassifier(weights), says).find(photo)
    covered = masks.any(axis=0)  # every mask is said to be wall with the same probability, sigmoid(2)
    assert 0.5 < covered.mean() < 1
    said = (1 - RANKED) * says.chance + RANKED * 0.8808 * covered
    np.testing.assert_allclose(chance, even_out(said, photo), atol=1e-3)
    wall = chance > 0.5
    assert confidence == pytest.approx(chance[wall].sum() / (wall.sum() + chance[~wall].sum()), abs=1e-3)


def test_a_classifier_for_another_sam_is_refused_or_warned_of(masker, tmp_path, capsys):
    width = masker.predictor.model.prompt_encoder.embed_dim + 25
    for size in (width, width + 1):
        shapes = {"mean": (size,), "scale": (size,), "weight1": (size, 1), "bias1": (1,), "weight2": (1, 2)}
        weights = {key: np.ones(shape, np.float32) for key, shape in (shapes | {"bias2": (2,)}).items()}
        WallClassifier(weights, "another").save(tmp_path / f"{size}.safetensors")
    ClassifierFinder.load(tmp_path / f"{width}.safetensors", masker)
    assert "learned from another SAM" in capsys.readouterr().err
    WallClassifier(weights | {"mean": np.ones(width, np.float32)}, hash_sam(masker)).save(tmp_path / "own.safetensors")
    ClassifierFinder.load(tmp_path / "own.safetensors", masker)
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="does not fit this SAM"):
        ClassifierFinder.load(tmp_path / f"{width + 1}.safetensors", masker)
    with pytest.raises(UserError, match="no wall classifier"):
        WallClassifier.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 50)
    with pytest.raises(UserError, match="cannot be read"):
        WallClassifier.load(tmp_path / "bad.safetensors")


def test_segformers_class_wall_is_the_proposal(tmp_path):
    small_segformer(tmp_path)
    photo, _ = toy_room(0, GREEN, (48, 32))
    proposal = propose_wall(load_finder(Finder("x", "", str(tmp_path))), photo)
    assert proposal.confidence == pytest.approx(np.exp(3) / (np.exp(3) + 2), abs=1e-3)
    assert proposal.mask.size == (48, 32) and proposal.share == 1
    small_segformer(tmp_path, classes="abc")
    with pytest.raises(UserError, match="no class 'wall'"):
        load_finder(Finder("x", "", str(tmp_path)))
    with pytest.raises(UserError, match="hf download"):
        load_finder(Finder("x", "", "nobody/no-such-segformer"))


def test_a_folder_of_photos_becomes_a_dataset(tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "dataset"
    (folder / "attic").mkdir(parents=True)
    for number, path in enumerate((folder / "hall.jpg", folder / "attic" / "a.png", folder / "attic" / "b.png")):
        toy_room(number, GREEN, (96, 64))[0].save(path, quality=95)
    Image.new("RGB", (64, 64), "black").save(folder / "night.png")
    (folder / "broken.jpg").write_bytes(b"no photo\0")
    (folder / "notes.txt").write_text("no photo either")
    told = {path.name: (proposal, why) for path, proposal, why in mask_folder(folder, out, Brightest())}
    assert told["night.png"] == (None, "no wall found") and "cannot be read" in told["broken.jpg"][1]
    samples = read_samples(out, "train")
    assert sorted(sample.room_id for sample in samples) == ["attic", "attic", "hall"]
    truth = np.asarray(toy_room(0, GREEN, (96, 64))[1]) > 0
    found = np.asarray(told["hall.jpg"][0].mask) > 0
    assert (truth & found).sum() / (truth | found).sum() > 0.8
    listed = json.loads((out / "proposals.json").read_text())
    assert [row["confidence"] for row in listed] == sorted(row["confidence"] for row in listed)
    assert {row["photo"] for row in listed} == {"hall.jpg", "attic/a.png", "attic/b.png"}
    with pytest.raises(UserError, match="has samples already"):
        next(mask_folder(folder, out, Brightest()))


def flat(color):
    return np.full((96, 128, 3), color)


NO_ROOMS = {
    "black": flat(0),
    "one colour": flat(GREEN),
    "noise": np.random.default_rng(0).integers(0, 256, (96, 128, 3)),
    "a plain wall that fills the frame": flat(180) - np.indices((96, 128)).sum(0)[..., None] // 4,
}


@pytest.mark.parametrize("name", NO_ROOMS)
def test_what_shows_no_room_may_be_all_wall_but_never_surely(name):
    photo, chance = Image.fromarray(NO_ROOMS[name].astype(np.uint8)), np.full((SIDE, SIDE), 0.97)
    proposal = shape_wall(photo, chance, 0.97)
    assert 0 < proposal.confidence < SURE / 2 and proposal.share == 1


def test_of_rooms_a_finder_is_believed_as_it_says():
    for sample in read_samples(SAMPLE, "train")[::16]:
        assert trust(load_photo(sample.image)) == 1


def test_photos_are_found_however_deep_and_the_rest_is_counted(tmp_path):
    names = ("hall.jpg", "attic/a.PNG", "house 1/first floor/bed/x (1).jpeg", "house 2/first floor/bed/x (1).jpeg")
    rest = ("clip.mp4", "attic/a.txt", "attic/b.TXT", "Thumbs.db", ".DS_Store", "attic/._a.png", "notes")
    rest += ("__MACOSX/attic/a.png", ".thumbnails/a.png", "house 1/@eaDir/x.jpg/SYNO.jpg")
    for name in (*names, *rest):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "house 2" / "up").symlink_to(tmp_path, target_is_directory=True)
    photos, words = list_photos(tmp_path)
    assert [str(photo.relative_to(tmp_path)) for photo in photos] == sorted(names)
    assert words == "1 .DS_Store, 1 .db, 1 .jpg, 1 .mp4, 3 .png, 2 .txt, 1 without a suffix"
    rooms = {name_room(photo, tmp_path) for photo in photos}
    assert rooms == {"hall", "attic", "house 1/first floor/bed", "house 2/first floor/bed"}
    for name in names:
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"no photo in .* \(1 .DS_Store, .* are there\)"):
        list_photos(tmp_path)
    with pytest.raises(UserError, match="no photo"):
        list_photos(tmp_path / "nowhere")


def test_one_odd_photo_never_ends_the_run(tmp_path, caplog):
    """A photo that is no picture, one of a single pixel, one that a finder fails on, names in no UTF-8."""

    class Failing(Brightest):
        def find(self, photo):
            return super().find(photo) if photo.height != 5 else 1 / 0

    folder, out = tmp_path / "photos", tmp_path / "out"
    (folder / os.fsdecode(b"caf\xe9")).mkdir(parents=True)
    for number, name in enumerate((os.fsdecode(b"caf\xe9/\xff.png"), "salo\u0301n.png", "sal\u00f3n.jpg")):
        toy_room(number, GREEN, (96, 64))[0].save(folder / name)
    (folder / "broken.jpg").write_bytes(b"\0")
    Image.new("RGB", (1, 1), GREEN).save(folder / "dot.png")
    Image.new("RGB", (9, 5), GREEN).save(folder / "odd.png")
    told = {path.name: why for path, _, why in mask_folder(folder, out, Failing())}
    assert "cannot be read" in told["broken.jpg"] and told["odd.png"] == "it failed (ZeroDivisionError)"
    assert "ZeroDivisionError" in caplog.text
    rooms = [sample.room_id for sample in read_samples(out, "train")]
    assert sorted(set(rooms)) == ["caf\\udce9", "dot", "sal\u00f3n"] and rooms.count("sal\u00f3n") == 2
    assert len(json.loads((out / "proposals.json").read_text("utf-8"))) == len(rooms)


def test_the_command_tells_what_it_found_and_how_sure_it_is(tmp_path, monkeypatch, capsys):
    sys.path.insert(0, ".")
    import studio
    from wallpaint.walls import finders

    asked = []
    monkeypatch.setattr(finders, "load_finder", lambda finder: asked.append(finder.name) or Brightest())
    (tmp_path / "photos").mkdir()
    toy_room(0, GREEN, (96, 64))[0].save(tmp_path / "photos" / "hall.png")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "photos" / "clip.mp4").write_bytes(b"no photo")
    command = ["--masks", str(tmp_path / "photos"), "--out", str(tmp_path / "d")]
    assert studio.main([*command, "--finder", "sam"]) == 0
    told = capsys.readouterr()
    assert asked == ["sam"] and "walls found by sam" in told.err
    assert studio.main([*command, "--finder", "eyes"]) == 2 and "invalid choice: 'eyes'" in capsys.readouterr().err
    assert "hall.png: wall" in told.out and "confidence 0." in told.out and "skipped broken.jpg" in told.err
    assert "left out, no photos: 1 .mp4" in told.err
    assert studio.main(["--check", str(tmp_path / "d")]) == 1  # one room alone lacks paints and a validation
    assert "missing_hues: no wall is painted in" in capsys.readouterr().out
    assert studio.main(command) == 2 and "has samples already" in capsys.readouterr().err
    assert studio.main(["--check", str(tmp_path / "photos")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_smooth_wall_of_which_most_was_found_is_found_as_a_whole():
    pixels = np.full((SIDE, SIDE, 3), 180, np.uint8)
    pixels[:, SIDE // 2 :] = (60, 40, 120)  # something else, beyond a sharp edge
    pixels[4:8, 4:8] = 20  # a switch on the wall
    chance = np.full((2 * SIDE, 2 * SIDE), 0.1)
    chance[: SIDE * 3 // 2, :SIDE] = 0.9  # three quarters of the wall
    chance[: SIDE // 2, SIDE:] = 0.9  # a quarter of the other
    before, wall = chance > 0.5, even_out(chance, Image.fromarray(pixels)) > 0.5
    assert wall[:, : SIDE - 4].mean() > 0.98 and (wall[:, SIDE + 4 :] == before[:, SIDE + 4 :]).all()
    chance[SIDE * 6 // 5 : SIDE * 3 // 2, :SIDE] = 0.1  # three fifths of the wall are not enough
    assert (even_out(chance, Image.fromarray(pixels)) > 0.5).sum() == (chance > 0.5).sum()
    stripes = Image.fromarray((np.indices((SIDE, SIDE)).sum(0) // 2 % 2 * 255).astype(np.uint8))
    assert np.array_equal(even_out(chance, stripes), chance)  # nothing smooth, nothing evened out
