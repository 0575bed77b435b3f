"""What is reckoned once a photo."""

import numpy as np
from PIL import Image

from wallpaint.pixels import kept
from wallpaint.pixels.images import load_photo
from wallpaint.pixels.kept import KEPT, keep


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
    for level in range(KEPT):
        mean(grey(level))
    mean(grey(0))
    mean(grey(KEPT))  # the oldest is 1 now
    assert len(calls) == KEPT + 1
    mean(grey(0))
    assert len(calls) == KEPT + 1
    mean(grey(1))
    assert len(calls) == KEPT + 2


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
