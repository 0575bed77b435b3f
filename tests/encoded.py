"""A dataset's samples encoded as a training does it, in one call."""

from wallpaint.cache.buckets import working_sizes
from wallpaint.cache.build import encode_views
from wallpaint.cache.views import EncodingOptions, list_views
from wallpaint.dataset.files import FileIndex


def encode_samples(models, samples, cache_dir, options=None, flip=False, workers=2, report=print):
    """Encode every sample, its text and its references, or find them in the cache."""
    files = FileIndex(cache_dir)
    sizes = working_sizes((files.size(s.image) for s in samples), models.family.resolution, models.family.multiple)
    views = list_views(samples, files, sizes, flip, workers)
    return encode_views(models, views, cache_dir, options or EncodingOptions(), workers, report)
