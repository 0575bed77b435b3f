"""Pictures of many shapes: few working sizes, and batches of one shape in which all photos come equally often."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import torch

from wallpaint.cache.draws import step_generator
from wallpaint.pixels.images import model_size

Size = tuple[int, int]  # width, height


def working_sizes(photos: Iterable[Size], resolution: int, multiple: int) -> dict[Size, Size]:
    """Photo size -> working size, for a whole dataset: about `resolution` squared, in multiples of `multiple`.

    Photos that agree in multiples of an eighth of the resolution (64 at 512 px) share a bucket. Its size is
    the one that most of its photos would have alone, so a dataset of one shape is not distorted.
    """
    coarse = max(multiple, resolution // 8 // multiple * multiple)
    buckets: dict[Size, Counter[Size]] = {}
    bucket_of = {}
    for photo, count in Counter(photos).items():
        bucket_of[photo] = bucket = model_size(photo, resolution, coarse)
        buckets.setdefault(bucket, Counter())[model_size(photo, resolution, multiple)] += count
    chosen = {bucket: min(exact, key=lambda size: (-exact[size], size)) for bucket, exact in buckets.items()}
    return {photo: chosen[bucket] for photo, bucket in bucket_of.items()}


def choose_rows(sizes: list[int], number: int, seed: int, batch: int) -> tuple[int, torch.Tensor]:
    """The rows of batch `number`, from 0, all of one bucket of these `sizes`; a function of its arguments alone.

    One bucket: every epoch goes through all rows, its last batch is filled up from the epoch's start. Several:
    each goes through its own rows again and again, and gets batches in proportion to its rows. A bucket of
    few rows so waits some epochs until they fill a batch.

    Returns:
        the bucket, and (batch,) indices into its rows.
    """
    if len(sizes) == 1:
        batches = -(-sizes[0] // batch)
        epoch, place = divmod(number, batches)
        start = batch * int(permutation(batches, seed, epoch)[place])
        return 0, permutation(sizes[0], seed, epoch, 0)[torch.arange(start, start + batch) % sizes[0]]
    # Each bucket begins somewhere within a batch: else all small ones would wait for the same epoch.
    offsets = torch.randint(batch, (len(sizes),), generator=step_generator(seed, "buckets")).tolist()

    def before(epoch: int) -> list[int]:
        """How many batches each bucket has had in the epochs before."""
        return [(epoch * rows + offset) // batch for rows, offset in zip(sizes, offsets, strict=True)]

    epochs = range((number + len(sizes) + 1) * batch // sum(sizes) + 2)
    epoch = bisect_right(epochs, number, key=lambda e: sum(before(e))) - 1
    first, last = before(epoch), before(epoch + 1)
    place, bucket = int(permutation(sum(last) - sum(first), seed, epoch)[number - sum(first)]), 0
    while place >= last[bucket] - first[bucket]:
        place, bucket = place - (last[bucket] - first[bucket]), bucket + 1
    rows, start = sizes[bucket], (first[bucket] + place) * batch
    rounds = range(start // rows, (start + batch - 1) // rows + 1)  # of the bucket's own
    order = torch.cat([permutation(rows, seed, round, bucket) for round in rounds])
    return bucket, order[start % rows :][:batch]


@lru_cache(maxsize=64)
def permutation(count: int, *numbers: int) -> torch.Tensor:
    """A permutation, a function of `numbers`; kept, since one of a million takes as long as a small step."""
    return torch.randperm(count, generator=step_generator(*numbers))
