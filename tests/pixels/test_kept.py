"""What is reckoned once a photo."""

import numpy as np
from PIL import Image

from wallpaint.pixels import kept
from wallpaint.pixels.images import load_photo
from wallpaint.pixels.kept import KEPT, LEAST, keep


def counted():
    calls = []

    @keep
    def mean(picture, factor=1):
        calls.append(factor)
        return factor * np.asarray(picture).mean()

    return mean, calls


def grey(level):
    return Image.new("L", (4, 4), level)


def test_the_same_pixels_are_reckoned_once_and_other_pixels_or_numbers_anew():
    mean, calls = counted()
    assert [mean(grey(10)), mean(grey(10)), mean(grey(20)), mean(grey(10)), mean(grey(10), 2)] == [10, 10, 20, 10, 20]
    assert calls == [1, 1, 2]
    assert mean(Image.new("RGB", (4, 4), (10, 10, 10))) == 10 and len(calls) == 4  # no grey picture


def test_what_was_asked_for_last_is_kept():
    mean, calls = counted()
    most = KEPT // LEAST
    for level in range(most):
        mean(grey(level))
    mean(grey(0))
    mean(grey(most))  # the oldest is 1 now
    assert len(calls) == most + 1
    mean(grey(0))
    assert len(calls) == most + 1
    mean(grey(1))
    assert len(calls) == most + 2


def test_of_larger_pictures_fewer_are_kept_and_small_ones_beside_them(monkeypatch):
    monkeypatch.setattr(kept, "LEAST", 1)
    monkeypatch.setattr(kept, "KEPT", 2 * 400 + 16)
    mean, calls = counted()
    large = [Image.new("L", (20, 20), level) for level in range(3)]
    for picture in (large[0], large[1], grey(9), large[0], large[1], grey(9)):
        mean(picture)
    assert len(calls) == 3
    mean(large[2])  # large[0] makes room
    assert [mean(picture) for picture in (grey(9), large[1], large[2])] == [9, 1, 2] and len(calls) == 4
    assert mean(large[0]) == 0 and len(calls) == 5


def test_of_large_pictures_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(kept, "MOST", 15)
    mean, calls = counted()
    assert mean(grey(10)) == mean(grey(10)) == 10 and len(calls) == 2


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    load, path = keep(load_photo), tmp_path / "photo.png"
    Image.new("RGB", (2, 2), "red").save(path)
    assert load(path) is load(path)
    Image.new("RGB", (30, 2), "blue").save(path)
    assert load(path).size == (30, 2)
