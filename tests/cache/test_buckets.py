"""Pictures of many shapes: few working sizes, and every photo as often as any other."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wallpaint.cache.buckets import choose_rows, permutation, working_sizes
from wallpaint.pixels.images import model_size


def test_forty_hand_cropped_shapes_make_few_sizes():
    generator = torch.Generator().manual_seed(0)
    sides = torch.randint(600, 1500, (40, 2), generator=generator).tolist()
    photos = [(width, height) for width, height in sides]
    alone = {model_size(photo, 512, 8) for photo in photos}
    assert len(alone) > 25 and len(set(working_sizes(photos, 512, 8).values())) <= 11


@pytest.mark.parametrize("resolution", [64, 128, 512, 1024])
@pytest.mark.parametrize("photo", [(4000, 3000), (3000, 2000), (1080, 1920), (512, 512), (5000, 700)])
def test_photos_of_one_shape_are_worked_at_their_own_size(photo, resolution):
    assert working_sizes([photo] * 3, resolution, 8) == {photo: model_size(photo, resolution, 8)}


def test_a_bucket_has_the_size_that_most_of_its_photos_would_have():
    photos = [(4000, 3000)] * 3 + [(4000, 3050)]
    assert working_sizes(photos, 512, 8) == dict.fromkeys(photos, model_size((4000, 3000), 512, 8))


def test_one_bucket_gives_the_batches_it_always_gave():
    epoch = permutation(10, 5, 0, 0).tolist()
    order = permutation(3, 5, 0).tolist()
    batches = [choose_rows([10], number, 5, 4) for number in range(3)]
    padded = epoch + epoch[:2]  # the last one is filled up from the epoch's start
    assert [rows.tolist() for _, rows in batches] == [padded[4 * b : 4 * b + 4] for b in order]


def test_lone_shapes_come_as_often_as_the_others():
    sizes, batch = [30] + [1] * 10, 16
    counts = Counter()
    for number in range(16 * 40):
        bucket, rows = choose_rows(sizes, number, 0, batch)
        assert len(rows) == batch
        counts.update((bucket, row) for row in rows.tolist())
    assert len(counts) == 40 and max(counts.values()) - min(counts.values()) <= batch
    lone = sum(count for (bucket, _), count in counts.items() if bucket)
    assert lone / counts.total() == pytest.approx(10 / 40, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(1, 20), st.integers(0, 5), st.integers(0, 10**6)
)
def test_rows_are_those_of_their_bucket_and_a_function_of_their_numbers(sizes, batch, seed, start):
    counts = [Counter() for _ in sizes]
    for number in range(start, start + 60):
        bucket, rows = choose_rows(sizes, number, seed, batch)
        assert torch.equal(choose_rows(sizes, number, seed, batch)[1], rows)
        counts[bucket].update(rows.tolist())
    for size, count in zip(sizes, counts, strict=True):
        assert not count or max(count) < size
