"""Files written whole; disks and systems that cannot lock or sync."""

import builtins
import errno
import os

import pytest

from wallpaint import disk
from wallpaint.train.checkpoints import atomic_folder


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(disk, "_warned", set())


def failing(number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES])
def test_a_folder_that_cannot_be_synced_is_written_all_the_same_and_that_is_said_once(
    tmp_path, monkeypatch, capsys, number
):
    monkeypatch.setattr(os, "fsync", failing(number))
    for name in ("one", "two"):
        with atomic_folder(tmp_path / name) as temporary:
            (temporary / "a").write_text(name)
    assert [(tmp_path / name / "a").read_text() for name in ("one", "two")] == ["one", "two"]
    assert capsys.readouterr().err.count("may be lost if the power fails") == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_sync_that_tells_of_lost_bytes_fails_and_leaves_what_was_there(tmp_path, monkeypatch, number):
    with atomic_folder(tmp_path / "one") as temporary:
        (temporary / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(OSError, match=os.strerror(number)), atomic_folder(tmp_path / "one") as temporary:
        (temporary / "a").write_text("new")
    assert (tmp_path / "one" / "a").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["one"]


def test_a_system_without_locks_goes_on_and_says_so_once(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def importing(name, *rest):
        if name == "fcntl":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    for _ in range(2):
        with disk.locked(tmp_path) as held:
            assert not held
    assert capsys.readouterr().err.count("this system has no locks") == 1


def test_a_lock_is_waited_for_or_refused_at_once(tmp_path):
    with disk.locked(tmp_path) as held:
        assert held
        with pytest.raises(BlockingIOError), disk.locked(tmp_path, wait=False):
            pass
    with disk.locked(tmp_path, wait=False) as held:
        assert held


def test_atomic_path_replaces_on_success_and_leaves_nothing_on_failure(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with disk.atomic_path(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(RuntimeError), disk.atomic_path(path) as temporary:
        temporary.write_text("two")
        raise RuntimeError
    assert path.read_text() == "one"
    assert os.listdir(path.parent) == ["a.txt"]
    (path.parent / "plain").touch()
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode  # not mkstemp's 0600
