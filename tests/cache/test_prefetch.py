import threading

import pytest

from wallpaint.cache.prefetch import prefetch


def test_the_next_is_made_while_one_is_worked_with_and_no_more_than_that():
    made, second = [], threading.Event()

    def do(item):
        made.append(item)
        if item == 1:
            second.set()
        return 10 * item

    work = prefetch(do, range(5))
    assert next(work) == 0 and second.wait(60)  # nobody has asked for it yet
    assert made == [0, 1]
    assert list(work) == [10, 20, 30, 40] and made == [0, 1, 2, 3, 4]
    assert list(prefetch(do, [])) == []


def test_what_goes_wrong_is_told_where_its_item_would_have_come():
    work = prefetch(lambda item: 1 // item, [2, 1, 0, 1])
    assert [next(work), next(work)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(work)
