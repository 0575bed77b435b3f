"""Work in a thread, one item ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` in the order of the items; the next is computed in a thread meanwhile.

    An exception of `function` is raised where its item's result would have come.
    """
    with ThreadPoolExecutor(1) as thread:
        previous = None
        for item in items:
            future = thread.submit(function, item)
            if previous:
                yield previous.result()
            previous = future
        if previous:
            yield previous.result()
