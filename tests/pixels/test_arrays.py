"""Picture arithmetic against the slow and obvious way of doing it."""

import numpy as np

from wallpaint.pixels.arrays import blur, blur_inside, box_mean, components, erode, grow, resize


def random_masks(count=60):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.random((rng.integers(1, 11), rng.integers(1, 11))) < rng.uniform(0.2, 1)


def test_erode_takes_what_is_within_a_disc_of_the_outside():
    for number, mask in enumerate(random_masks()):
        radius = 1 + number % 4 * 0.75
        y, x = np.indices(mask.shape)
        gaps = np.argwhere(~mask)
        distance = np.min([np.hypot(y - a, x - b) for a, b in gaps], axis=0) if len(gaps) else np.inf
        assert (erode(mask, radius) == (mask & (distance > radius))).all()


def test_the_border_of_the_picture_is_no_edge():
    assert erode(np.ones((6, 9), bool), 3).all()


def test_grow_adds_a_disc():
    mask = np.zeros((7, 7), bool)
    mask[3, 3] = True
    assert grow(mask, 1).sum() == 5
    assert grow(mask, 2).sum() == 13


def test_components_agree_with_a_flood_fill():
    for mask in random_masks():
        labels, sizes = components(mask)
        seen, count = np.zeros(mask.shape, int), 0
        for start in map(tuple, np.argwhere(mask)):
            if seen[start]:
                continue
            count += 1
            stack = [start]
            while stack:
                y, x = stack.pop()
                if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not seen[y, x]:
                    seen[y, x] = count
                    stack += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        assert len(sizes) == count + 1
        assert len(set(zip(seen.ravel(), labels.ravel(), strict=True))) == len(np.unique(seen))
        assert (sizes == np.bincount(labels.ravel(), minlength=len(sizes))).all()


def test_blur_is_nearly_a_gaussian_and_keeps_the_sum():
    point = np.zeros((81, 81))
    point[40, 40] = 1
    out = blur(point, 6)
    assert abs(out.sum() - 1) < 1e-4
    variance = (out.sum(0) * (np.arange(81) - 40) ** 2).sum()
    assert abs(variance**0.5 - 6) < 0.6


def test_blur_inside_lets_nothing_in_from_outside():
    values, mask = np.full((20, 20), 9.0), np.zeros((20, 20), bool)
    values[5:15, 5:15], mask[5:15, 5:15] = 2, True
    assert np.allclose(blur_inside(values, mask, 3)[mask], 2, atol=1e-4)


def test_a_part_of_a_resized_picture_is_the_same_as_cut_from_the_whole():
    values = np.random.default_rng(0).random((24, 32, 3))
    for size in ((75, 50), (20, 10)):
        whole = resize(values, size)
        assert np.allclose(resize(values, size, box=(3, 2, 17, 9)), whole[2:9, 3:17], atol=1e-5)
    assert resize(values[..., 0], (75, 50), box=(3, 2, 17, 9)).shape == (7, 14)


def test_a_mean_counts_nothing_beyond_the_border():
    for mask in random_masks(20):
        for radius in (0, 1, 2, 5, 12):
            padded, side = np.pad(mask.astype(float), radius), 2 * radius + 1
            slow = [
                [padded[y : y + side, x : x + side].mean() for x in range(mask.shape[1])] for y in range(len(mask))
            ]
            assert np.allclose(box_mean(mask.astype(np.float32), radius), slow, atol=1e-6)
