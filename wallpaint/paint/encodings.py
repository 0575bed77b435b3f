"""Encodings of the last photos, texts and paints: a new colour on the same photo encodes no photo again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Encodings kept by kind, of others KEPT: a photo's take 10 MB at 512 px, 40 MB at 1024.
CACHED = {"photo": 4, "recolor": 4, "field": 4, "guess": 4}
KEPT = 64  # texts and paints: as many as a palette has


class EncodingCache:
    """What encoders gave, by key, for one state of the models.

    What depends on the VAE alone is kept in `pictures`, which caches of several states may share.
    """

    def __init__(self, pictures: EncodingCache | None = None) -> None:
        self._values: dict[tuple, Any] = {}  # the newest last
        self.pictures = pictures

    def __call__(self, key: tuple, make: Callable[[], Any]) -> Any:
        """Return what `make` gave for this key, whose first word names its kind."""
        if self.pictures and key[0] in CACHED:
            return self.pictures(key, make)
        if key not in self._values:
            alike = [other for other in self._values if other[0] == key[0]]
            if len(alike) >= CACHED.get(key[0], KEPT):
                del self._values[alike[0]]
            self._values[key] = make()
        return self._values[key]
