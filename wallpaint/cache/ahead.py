"""Work in a thread, one piece ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def one_ahead(do: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Give `do` of each item in their order; the next is made in a thread while one is worked with.

    What `do` raises is raised where its item would have come.
    """
    with ThreadPoolExecutor(1) as thread:
        before = None
        for item in items:
            coming = thread.submit(do, item)
            if before:
                yield before.result()
            before = coming
        if before:
            yield before.result()
