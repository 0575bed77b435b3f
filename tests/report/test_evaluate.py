"""Rooms with truths: which repaints are taken, how figures are averaged, what is written."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import Sample, Truth
from wallpaint.errors import UserError
from wallpaint.paint.classical import flat
from wallpaint.paint.sampler import vae_round_trip
from wallpaint.pixels.color import Swatch, parse_color
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.pixels.metrics import delta_e_truth
from wallpaint.pixels.recolor import Coat, recolor
from wallpaint.report.evaluate import choose_repaints, evaluate
from wallpaint.report.summary import clustered_error, describe, interval, pairs, summarise, two_paints

OLD = Swatch((220, 210, 190))
PAINTS = ((122, 158, 126), (31, 42, 68))


@pytest.fixture
def rooms(tmp_path):
    """Two kinds of rooms, one each, whose truths are the classical repaint with the old paint known."""
    folder, rows = tmp_path / "rooms", []
    folder.mkdir()
    mask = Image.new("L", (64, 48))
    mask.paste(255, (6, 4, 60, 36))
    mask.save(folder / "mask.png")
    for number, kind in enumerate(("plain", "dark")):
        light = np.random.default_rng(number).uniform(0.6, 0.9, (48, 64, 1))
        photo = Image.fromarray((light * OLD.rgb * (1 - 0.6 * number)).astype(np.uint8))
        photo.save(folder / f"{kind}.png")
        truths = []
        for color in PAINTS:
            name = f"{kind}-{color[0]}.png"
            recolor(Coat(photo, mask, Swatch(color), OLD)).save(folder / name)
            truths.append({"color": color, "file_name": name})
        rows.append(
            {
                "file_name": f"{kind}.png",
                "mask_file_name": "mask.png",
                "reference_color_rgb": OLD.rgb,
                "text": "a room",
                "room_id": f"r{number}",
                "kind": kind,
                "truths": truths,
            }
        )
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_every_repaint_is_measured_and_summed_up(rooms, tmp_path):
    said = []
    summary = evaluate(rooms, ["recolor"], None, tmp_path / "out", say=said.append)
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "results.csv", "summary.json", "table.md"]
    assert json.loads((out / "summary.json").read_text()) == summary
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [(r["room_id"], r["kind"], r["color"], r["arm"]) for r in rows] == [
        ("r1", "dark", "#7A9E7E", "recolor"),
        ("r0", "plain", "#1F2A44", "recolor"),
        ("r1", "dark", "#1F2A44", "recolor"),
        ("r0", "plain", "#7A9E7E", "recolor"),
    ]
    arm = summary["arms"]["recolor"]
    means = [float(row["delta_e_truth_mean"]) for row in rows]
    assert arm["delta_e_truth"]["mean"] == pytest.approx(np.mean(means))
    assert arm["by_kind"]["dark"]["delta_e_truth"]["mean"] == pytest.approx(np.mean(means[::2]))
    assert arm["by_kind"].keys() == {"plain", "dark"}
    assert arm.keys() >= {
        "delta_e_truth",
        "delta_e_paint",
        "shading_correlation",
        "outside_changed_pixels",
        "seconds_per_image",
    }
    assert (summary["rooms"], arm["outside_changed_pixels"]) == (2, 0)
    assert summary["floor"]["vae_round_trip_delta_e"] is None  # no model was asked
    assert summary["arms"]["recolor"]["ratio_error"] >= 0 and summary["floor"]["ratio_error"] >= 0
    assert len(said) == 5 and said[0].startswith("1/4  r1 #7A9E7E  ΔE recolor ")
    assert said[-1] == (out / "table.md").read_text()
    assert said[-1].startswith("| arm | ΔE to truth | 95 % from | to | median |") and "| dark | plain |" in said[-1]


def test_an_arm_paints_its_own_wall_back_and_is_held_against_the_photo(rooms, tmp_path, load):
    arms = ["base", "flat", "untouched"]
    summary = evaluate(rooms, arms, 3, tmp_path / "out", models=load(), say=lambda _: None)["arms"]
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert summary["untouched"]["there_and_back"] == 0
    told = {row["room_id"]: row["there_and_back"] for row in rows if row["arm"] == "flat" and row["there_and_back"]}
    assert told.keys() == {"r0", "r1"} and sum(row["there_and_back"] != "" for row in rows) == 2 * len(arms)
    for room in read_samples(rooms, None):
        photo = load_photo(room.image)
        mask = load_mask(room.mask, photo.size)
        expected = delta_e_truth(flat(Coat(photo, mask, Swatch(room.color))), photo, mask)["mean"]
        assert float(told[room.room_id]) == pytest.approx(expected, abs=1e-3)
    assert summary["base"]["there_and_back"] > 0


def test_arms_may_be_told_the_paint_that_is_on_the_wall(rooms, tmp_path):
    read = evaluate(rooms, ["recolor"], None, tmp_path / "out", say=lambda _: None)["arms"]["recolor"]
    told = evaluate(rooms, ["recolor"], None, tmp_path / "out", say=lambda _: None, old_paint=True)["arms"]["recolor"]
    assert told["delta_e_truth"]["mean"] < 1e-6 < 1 < read["delta_e_truth"]["mean"]
    assert told["there_and_back"] < read["there_and_back"]


def test_a_diffusing_arm_brings_the_vaes_floor(rooms, tmp_path, load):
    summary = evaluate(rooms, ["base", "recolor"], 1, tmp_path / "out", models=load(), say=lambda _: None)
    assert list(summary["arms"]) == ["base", "recolor"]
    assert 0 < summary["floor"]["vae_round_trip_delta_e"] < 100
    assert summary["arms"]["base"]["outside_changed_pixels"] == 0
    assert summary["arms"]["base"]["seconds_per_image"] > 0


def test_the_floor_is_what_the_vae_makes_of_the_truth(rooms, load):
    truth, photo, mask = (Image.open(rooms / name) for name in ("dark-31.png", "dark.png", "mask.png"))
    again = vae_round_trip(load(), truth, Coat(photo, mask, Swatch((31, 31, 31))))
    outside = np.asarray(mask) == 0
    assert again.size == truth.size
    assert (np.asarray(again)[outside] == np.asarray(photo)[outside]).all()
    assert (np.asarray(again)[~outside] != np.asarray(truth)[~outside]).any()


def sample(kind, room, colors):
    return Sample(
        Path(f"{room}.png"),
        Path("m.png"),
        (0, 0, 0),
        "",
        room,
        kind,
        tuple(Truth((c, 0, 0), Path(f"{c}.png")) for c in range(colors)),
    )


def test_a_limit_takes_kinds_in_turn_and_rooms_in_turn():
    samples = [sample("plain", "p1", 3), sample("plain", "p2", 3), sample("dark", "d1", 3), sample("accent", "a1", 0)]
    chosen = choose_repaints(samples, None)
    assert len(chosen) == len(set(chosen)) == 9
    names = [f"{s.room_id}{t.color[0]}" for s, t in chosen]
    assert [name[:2] for name in names[:4]] == ["d1", "p1", "d1", "p2"]
    assert len({name[2] for name in names[:4]}) > 1  # not the first colour of every list
    for limit in range(10):
        assert choose_repaints(samples, limit) == chosen[:limit]
    assert choose_repaints(samples, 99) == chosen


def row(arm, kind, mean, changed=0, room="r"):
    return {
        "room_id": room,
        "photo": "p",
        "color": "#000000",
        "arm": arm,
        "kind": kind,
        "seconds": 2.0,
        "outside_changed_pixels": changed,
        "delta_e_rim": mean,
        "wall": dict.fromkeys(("red", "green", "blue"), 0.5),
        "true_wall": dict.fromkeys(("red", "green", "blue"), 0.5),
        "shading_correlation": 0.5,
        "delta_e_truth": {"mean": mean, "median": mean, "p90": mean},
        "delta_e_paint": {"median": mean, "p90": mean, "under_5": 1.0, "left_out": 0.0},
    }


def test_means_leave_out_what_could_not_be_measured_and_changes_are_summed():
    rows = [row("a", "plain", 2.0, 3), row("a", "dark", 4.0, 4), row("a", "dark", float("nan")), row("b", "", 1.0)]
    summary = summarise(rows, [1.0, 2.0], 2)
    arm = summary["arms"]["a"]
    assert arm["delta_e_truth"] == {"mean": 3, "median": 3, "p90": 3}
    assert arm["outside_changed_pixels"] == 7
    assert arm["by_kind"]["dark"]["delta_e_truth"]["mean"] == 4
    assert summary["arms"]["b"]["by_kind"] == {}
    assert summary["floor"]["vae_round_trip_delta_e"] == 1.5


def test_two_paints_of_a_photo_are_told_by_the_ratio_of_their_walls():
    def painted(color, light, photo="p"):
        wall = dict(zip(("red", "green", "blue"), light * parse_color(color).linear, strict=True))
        return row("a", "", 1.0) | {"color": color, "photo": photo, "wall": wall, "true_wall": wall}

    same, brighter, other = painted("#E9E3DA", 1.0), painted("#7A9E7E", 1.0), painted("#7A9E7E", 2.0)
    assert two_paints([same, brighter], "wall") == pytest.approx(0, abs=1e-6)
    assert two_paints([same, other], "wall") == pytest.approx(np.log(2), abs=0.05)
    assert two_paints([same, painted("#7A9E7E", 1.0, "q")], "wall") is None


def test_pairs_compare_repaint_by_repaint():
    errors = {"good": [1.0, 2.0, 3.0, float("nan")], "bad": [2.0, 5.0, 2.5, 1.0], "worst": [9.0, 9.0, 9.0, 9.0]}
    rows = [row(arm, "", mean, room=f"r{i}") for arm, means in errors.items() for i, mean in enumerate(means)]
    first, second = pairs(rows)
    assert (first["better"], first["worse"], first["ahead"], first["repaints"]) == ("good", "bad", 2, 3)
    gains = np.array([1.0, 3.0, -0.5])
    assert first["gain"] == pytest.approx(gains.mean())
    assert first["standard_error"] == pytest.approx(gains.std(ddof=1) / np.sqrt(3))
    assert (second["better"], second["worse"], second["repaints"]) == ("bad", "worst", 4)
    assert describe(first) == "good before bad: ΔE 1.17 ± 1.01 less, ahead in 2 of 3 repaints of 3 rooms"
    (alone,) = summarise(rows[:1] + rows[4:5], [], 1)["pairs"]
    assert alone["standard_error"] is None  # one repaint has no spread, and JSON no NaN


def test_repaints_of_one_room_do_not_count_as_independent():
    rng = np.random.default_rng(0)
    rooms = np.repeat(rng.normal(size=40), 5)  # 5 paints of each of 40 rooms, all alike
    names = [str(i) for i in np.repeat(np.arange(40), 5)]
    true = np.std(rooms[::5], ddof=1) / np.sqrt(40)
    assert clustered_error(list(rooms), names) == pytest.approx(true)
    assert np.std(rooms, ddof=1) / np.sqrt(200) < 0.5 * true  # as if each repaint were a room of its own
    independent = list(rng.normal(size=200))
    alone = clustered_error(independent, [str(i) for i in range(200)])
    assert alone == pytest.approx(np.std(independent, ddof=1) / np.sqrt(200))


def test_rooms_without_truths_are_refused_and_nothing_is_written(rooms, tmp_path):
    path = rooms / "metadata.jsonl"
    rows = [json.loads(line) | {"truths": []} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(UserError, match="has 'truths'"):
        evaluate(rooms, ["recolor"], None, tmp_path / "out")
    with pytest.raises(UserError, match=r"metadata\.jsonl does not exist"):
        evaluate(tmp_path, ["recolor"], None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pictures_that_anything_else_painted_stand_in_the_same_table(rooms, tmp_path):
    (tmp_path / "theirs").mkdir()
    for truth in rooms.glob("*-*.png"):
        Image.open(truth).save(tmp_path / "theirs" / f"{truth.stem}.tif")
    summary = evaluate(rooms, ["recolor", f"mine={tmp_path / 'theirs'}"], None, tmp_path / "out", say=lambda _: None)
    assert summary["arms"]["mine"]["delta_e_truth"]["mean"] == 0  # they are the truth, byte for byte
    assert summary["arms"]["mine"]["repaints"] == summary["arms"]["recolor"]["repaints"] == 4
    next((tmp_path / "theirs").glob("dark-31*")).unlink()
    with pytest.raises(UserError, match="arm mine has no picture named dark-31 in"):
        evaluate(rooms, [f"mine={tmp_path / 'theirs'}"], None, tmp_path / "out", say=lambda _: None)


def test_the_interval_is_over_rooms_and_not_over_their_repaints():
    values, rooms = [1.0, 1.2, 0.8] * 2 + [9.0, 9.2, 8.8] * 2, ["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["d"] * 3
    found = interval([*values, float("nan")], [*rooms, "e"])
    assert found == interval(values, rooms)
    assert found["low"] < 2 and found["high"] > 8  # four rooms: any of them may be missing
    many = interval(values, [str(i) for i in range(12)])
    assert many["high"] - many["low"] < found["high"] - found["low"]
    assert all(math.isnan(bound) for bound in interval([1.0, 2.0], ["a", "a"]).values())
