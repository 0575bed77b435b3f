"""Rendered rooms: the series of repaints, the mask, the files."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

pytest.importorskip("mitsuba", reason="the renderer is a development requirement")
pytest.importorskip("pyoidn", reason="the denoiser is a development requirement")

from wallpaint.models.field import Field
from wallpaint.recipes.rooms import __main__ as command
from wallpaint.recipes.rooms.geometry import Builder, Camera, Material
from wallpaint.recipes.rooms.palette import MAX_ALBEDO, sample_paints, to_linear, to_srgb
from wallpaint.recipes.rooms.scene import build_room
from wallpaint.recipes.rooms.tracer import Sun, Tracer, load_mitsuba, repaint

CAMERA = Camera((2.0, 0.3, 1.4), (2.0, 5.0, 1.2), 75.0)


@pytest.fixture(scope="module", autouse=True)
def renderer():
    """Skip where neither LLVM nor CUDA can run Mitsuba's kernels."""
    try:
        load_mitsuba()
    except RuntimeError as error:
        pytest.skip(str(error))


def box_room(wall, gloss: float = 0.04) -> Tracer:
    """A lamp, a ball and glossy walls of the linear albedo ``wall``."""
    b = Builder()
    paint = Material(tuple(wall), f0=gloss, rough=0.5, wall=True)
    plain = Material((0.7, 0.6, 0.5))
    w, d, h = 4.0, 5.0, 2.6
    b.quad((0, 0, 0), (w, 0, 0), (0, d, 0), Material((0.4, 0.3, 0.2)))
    b.quad((0, 0, h), (w, 0, 0), (0, d, 0), plain)
    for corner, along in (
        ((0, 0, 0), (w, 0, 0)),
        ((0, d, 0), (w, 0, 0)),
        ((0, 0, 0), (0, d, 0)),
        ((w, 0, 0), (0, d, 0)),
    ):
        b.quad(corner, along, (0, 0, h), paint)
    b.quad((1, 2, h - 0.1), (1, 0, 0), (0, 1, 0), Material(emission=(8.0, 7.0, 6.0)))
    b.ball((3, 3.5, 0.5), (0.5, 0.5, 0.5), plain)
    return Tracer(b, {}, {}, Sun())


def test_a_repaint_from_the_series_is_a_direct_render():
    paint = np.array([0.7, 0.25, 0.04])
    series = repaint(box_room((1, 1, 1)).render(CAMERA, 32, 32, seed=3).bins, paint)
    direct = repaint(box_room(paint).render(CAMERA, 32, 32, seed=3).bins, np.ones(3))
    error = np.abs(to_srgb(series).astype(int) - to_srgb(direct)).max()
    print(f"series against direct, same paths: at most {error} of 255")
    assert error <= 1
    np.testing.assert_allclose(series, direct, rtol=2e-3, atol=1e-5)
    # The paint matters: the comparison could not pass with any other colour.
    assert np.abs(repaint(box_room((1, 1, 1)).render(CAMERA, 32, 32, seed=3).bins, paint * 0.9) - direct).max() > 0.01


def test_the_light_agrees_with_mitsubas_own_path_tracer():
    mi, _ = load_mitsuba()
    paint = (0.7, 0.25, 0.04)
    room = box_room(paint, gloss=0.0)
    ours = repaint(room.render(CAMERA, 24, 256, seed=1, glow=1.0).bins, np.ones(3)).mean((0, 1))

    def quad(origin, u, v, **more):
        """A parallelogram from Mitsuba's rectangle (-1..1)."""
        o, u, v = (np.asarray(a, float) for a in (origin, u, v))
        n = np.cross(u, v)
        matrix = np.eye(4)
        matrix[:3, :4] = np.stack([u / 2, v / 2, n / np.linalg.norm(n), o + (u + v) / 2], 1)
        return {"type": "rectangle", "to_world": mi.ScalarTransform4f(matrix), **more}

    def cloth(rgb):
        return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(rgb)}}}

    w, d, h = 4.0, 5.0, 2.6
    grey = cloth((0.7, 0.6, 0.5))
    light = {"type": "area", "radiance": {"type": "rgb", "value": [8.0, 7.0, 6.0]}}
    scene = mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": 7, "rr_depth": 100},
            "floor": quad((0, 0, 0), (w, 0, 0), (0, d, 0), bsdf=cloth((0.4, 0.3, 0.2))),
            "ceiling": quad((0, 0, h), (w, 0, 0), (0, d, 0), bsdf=grey),
            "a": quad((0, 0, 0), (w, 0, 0), (0, 0, h), bsdf=cloth(paint)),
            "b": quad((0, d, 0), (w, 0, 0), (0, 0, h), bsdf=cloth(paint)),
            "c": quad((0, 0, 0), (0, d, 0), (0, 0, h), bsdf=cloth(paint)),
            "d": quad((w, 0, 0), (0, d, 0), (0, 0, h), bsdf=cloth(paint)),
            # Ours shine both ways; Mitsuba's one way each.
            "lamp": quad((1, 2, h - 0.1), (1, 0, 0), (0, 1, 0), emitter=light),
            "back of the lamp": quad((1, 2, h - 0.101), (0, 1, 0), (1, 0, 0), emitter=light),
            "ball": {"type": "sphere", "center": [3, 3.5, 0.5], "radius": 0.5, "bsdf": grey},
            "sensor": {
                "type": "perspective",
                "fov": CAMERA.fov,
                "to_world": mi.ScalarTransform4f().look_at(CAMERA.position, CAMERA.target, [0, 0, 1]),
                "film": {"type": "hdrfilm", "width": 24, "height": 24, "rfilter": {"type": "box"}},
            },
        }
    )
    theirs = np.array(mi.render(scene, spp=256))[..., :3].mean((0, 1))
    print("ours", ours, "theirs", theirs, "ours over theirs:", ours / theirs)
    np.testing.assert_allclose(ours / theirs, 1, atol=0.02)


def test_a_room_is_the_same_for_its_seed_only():
    first, again, other = build_room(5, "plain"), build_room(5, "plain"), build_room(6, "plain")
    assert first.paint == again.paint and first.type == again.type
    for a, b in zip(first.builder.parts, again.builder.parts, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    assert len(other.builder.parts) != len(first.builder.parts) or other.size != first.size


def test_paints_are_possible_albedos_and_no_caption_names_one():
    paints = sample_paints(np.random.default_rng(0), 200, distance=0)
    assert to_linear(paints).max() <= MAX_ALBEDO + 0.01
    assert np.ptp(np.array(paints).mean(1)) > 150  # from charcoal to off-white
    np.testing.assert_array_equal(to_srgb(to_linear(paints)), paints)
    assert all("painted walls" in build_room(seed, "plain").text() for seed in range(3))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Two small rooms on disk, and the arguments that made them."""
    out = tmp_path_factory.mktemp("rooms")
    options = "--rooms 2 --truths 2 --size 48 --samples 4 --seed 21 --kinds plain patterned"
    arguments = ["--out", str(out), *options.split()]
    command.main(arguments)
    return out, arguments


def read(path):
    return np.asarray(Image.open(path)).astype(int)


def test_rows_and_pictures(rendered):
    out, _ = rendered
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in rows} == {"plain", "patterned"}
    for row in rows:
        mask = read(out / row["mask_file_name"])
        assert mask.shape == (48, 48) and set(np.unique(mask)) == {0, 255}
        assert 0.12 < (mask > 0).mean() < 0.75
        assert read(out / row["file_name"]).shape == (48, 48, 3)
        one, two = (read(out / t["file_name"]) for t in row["truths"])
        change = np.abs(one - two).sum(-1)
        # The paint moves the wall; the rest only receives other bounced light.
        assert change[mask > 0].mean() > 3 * change[mask == 0].mean()
        assert row["truths"][0]["color"] != row["truths"][1]["color"]
        assert len(row["reference_color_rgb"]) == 3 and "walls" in row["text"]


def test_a_second_run_keeps_what_is_there_and_the_same_seed_gives_the_same_bytes(rendered):
    out, arguments = rendered
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.glob("*.png")}
    command.main(arguments)
    assert {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")} == {n: t for n, (t, _) in before.items()}
    (out / ".rows" / "21.json").unlink()
    command.main(arguments)
    for path in out.glob("*.png"):
        difference = np.abs(read(path) - np.asarray(Image.open(io.BytesIO(before[path.name][1]))))
        assert difference.max() <= 1, path.name


def test_a_dataset_has_no_room_in_both_splits(tmp_path):
    options = "--rooms 2 --truths 2 --size 32 --samples 2 --seed 30 --kinds plain --format jpg"
    command.main(["--out", str(tmp_path), *options.split(), *"--layout dataset --validation 1".split()])
    rooms = {}
    for split in ("train", "validation"):
        lines = (tmp_path / split / "metadata.jsonl").read_text().splitlines()
        rooms[split] = {json.loads(line)["room_id"] for line in lines}
        assert all((tmp_path / split / json.loads(line)["file_name"]).exists() for line in lines)
    assert rooms["train"] and rooms["validation"] and not rooms["train"] & rooms["validation"]


def test_layers_give_any_paint_and_any_camera_photographs_them(tmp_path, monkeypatch):
    from wallpaint.dataset.folder import read_samples
    from wallpaint.recipes import field, light
    from wallpaint.recipes.rooms import shoot
    from wallpaint.recipes.rooms.develop import read_view
    from wallpaint.recipes.rooms.photo import denoise

    rendered, write = [], shoot.write_layers
    monkeypatch.setattr(shoot, "write_layers", lambda *given: rendered.append(given[3]) or write(*given))
    layers, out = tmp_path / "layers", tmp_path / "photographs"
    arguments = ["--layout", "layers", "--rooms", "2", "--size", "48", "--samples", "4", "--seed", "3"]
    command.main([*arguments, "--out", str(layers), "--kinds", "plain", "patterned"])
    plain, patterned = (json.loads(line) for line in (layers / "metadata.jsonl").read_text().splitlines())
    view, paint = read_view(layers, plain), np.array([0.45, 0.15, 0.7])  # between the greys of the cubic
    np.testing.assert_allclose(view.photo, repaint(view.series, to_linear(plain["reference_color_rgb"])), atol=0.02)
    room = rendered[0]
    direct = denoise(repaint(room.bins, paint), room.albedo + room.wall[..., None] * paint, room.normal)
    shown = repaint(view.series, paint)
    scale = (shown * direct).sum() / (direct * direct).sum()  # a view is scaled by one number
    # 3 % at four paths a pixel, where the denoiser has most to guess and sees another guide.
    assert np.abs(shown - scale * direct).mean() < 0.05 * shown.mean()
    other = read_view(layers, patterned)
    assert view.plain and not other.plain

    command.main(["--develop", str(layers), "--out", str(out), "--cameras", "2", "--truths", "3"])
    samples = read_samples(out, None)
    assert len(samples) == 4 and all(len(sample.truths) == 3 for sample in samples)
    assert [t.color for t in samples[0].truths] == [
        t.color for t in samples[1].truths
    ]  # more cameras, the same paints
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    command.main(["--develop", str(layers), "--out", str(out), "--cameras", "2", "--truths", "3"])
    assert before == {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}  # nothing is made again
    split = tmp_path / "dataset"
    options = ["--layout", "dataset", "--validation", "1", "--truths", "3", "--maker", "unseen", "--format", "jpg"]
    command.main(["--develop", str(layers), "--out", str(split), *options])
    found = {name: {sample.room_id for sample in read_samples(split, name)} for name in ("train", "validation")}
    assert found == {"train": {plain["room_id"]}, "validation": {patterned["room_id"]}}

    weights = tmp_path / "light" / "light.safetensors"
    given = ["--layers", str(layers), "--out", str(weights), "--steps", "5", "--cameras", "8", "--mixed", "2"]
    monkeypatch.setattr("sys.argv", ["light", *given])
    light.main()
    assert json.loads(weights.with_suffix(".json").read_text())["photographs"] == 20 + 3  # and drawings

    weights = tmp_path / "field" / "field.safetensors"
    given = ["--layers", str(layers), "--out", str(weights), "--cameras", "4", "--minutes", "0.02"]
    monkeypatch.setattr("sys.argv", ["field", *given])
    monkeypatch.setattr(field, "is_held_out", lambda room: room == patterned["room_id"])
    field.main()
    figures = json.loads(weights.with_suffix(".json").read_text())
    assert 0 < figures["held out"] < figures["repaints"] <= 2 * 4 * 3 and figures["wall"] > 0
    again = weights.with_name("again.safetensors")
    given = ["--layers", str(layers), "--out", str(again), "--cameras", "1", "--minutes", "0.01"]
    given += ["--strange", "1", "--mixed", "1", "--begin", str(weights), "--rate", "0"]
    monkeypatch.setattr("sys.argv", ["field", *given])
    field.main()
    assert json.loads(again.with_suffix(".json").read_text())["repaints"] > 2 * 2 * 3  # of two cameras
    began, went_on = load_file(weights), load_file(again)
    assert all(torch.equal(went_on[name], value) for name, value in began.items())  # it learned nothing
    narrow, kept = weights.with_name("narrow.safetensors"), tmp_path / "photographs.pt"
    given = ["--layers", str(layers), "--out", str(narrow), "--cameras", "1", "--minutes", "0.01", "--photographs"]
    monkeypatch.setattr("sys.argv", ["field", *given, str(kept), "--widths", "16", "16", "16"])
    field.main()
    monkeypatch.setattr(field, "photograph_all", None)  # they are found, and not taken again
    field.main()
    assert Field.load(narrow).stem.out_channels == 16 != Field.load(weights).stem.out_channels


def test_photo_and_truth_are_bent_alike_as_by_one_camera():
    from wallpaint.recipes.field import bend_tones

    drawn = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0)) ** 2
    drawn[:, :, 0, 0], drawn[:, :, 7, 7] = 0, 1
    rows = {"photo": drawn, "truth": drawn.clone(), "slope": torch.ones(64), "paint": torch.ones(64, 3)}
    bent = bend_tones(rows, torch.Generator().manual_seed(1))
    assert torch.equal(bent["photo"], bent["truth"]) and bent["paint"] is rows["paint"]
    changed = (bent["photo"] - drawn).abs().amax((1, 2, 3)) > 0.02
    assert 0.4 < changed.float().mean() < 0.8
    assert (bent["slope"][~changed] == 1).all() and bent["slope"].std() > 0.05
    assert bent["photo"][:, :, 0, 0].max() < 1e-3 and bent["photo"].max() <= 1
