"""A process killed in the middle, a full disk, a folder that may not be written, two studios at once: what was
acknowledged is there, nothing is half-written."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image
from toys import toy_room

from wallpaint import disk
from wallpaint.dataset import curate, saving, zips
from wallpaint.dataset.folder import add_sample, read_samples
from wallpaint.errors import UserError
from wallpaint.paths import ROOT

GREEN = (122, 158, 126)
PHOTO, MASK = toy_room(1, GREEN, (48, 32))
START = """
import sys
from pathlib import Path
from toys import toy_room
from wallpaint.dataset import curate, zips
from wallpaint.dataset.folder import add_sample
from wallpaint.errors import UserError
def tell(acts):
    for act in acts:
        try:
            act()
            print("no error")
        except UserError as error:
            print(error)
folder, GREEN = Path(sys.argv[1]), (122, 158, 126)
photo, mask = toy_room(1, GREEN, (48, 32))
"""


def start(code, folder, *arguments, **how):
    """Run code in a process of its own, as another studio would."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    command = [sys.executable, "-c", START + code, str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **how)


def test_two_studios_adding_at_once_lose_no_row(tmp_path):
    code = """
for number in range(20):
    print(add_sample(folder, "train", photo, mask, GREEN, "", sys.argv[2]).file_name)
"""
    processes = [start(code, tmp_path, room) for room in ("attic", "hall", "Attic")]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    acknowledged = [name for out, _ in outputs for name in out.split()]
    names = [sample.file_name for sample in read_samples(tmp_path, "train")]
    assert sorted(names) == sorted(acknowledged) and len({name.lower() for name in names}) == 60


SAVING = """
number = 0
while True:
    print(add_sample(folder, "train", photo, mask, GREEN, "", f"room {number}").file_name, flush=True)
    number += 1
"""
EXPORTING = """
while True:
    zips.export_zip(folder, folder.parent / "out" / "x.zip")
    print("done", flush=True)
"""
IMPORTING = """
for number in range(10_000):
    zips.import_zip(folder.parent / "x.zip", folder.parent / "sets" / str(number))
    print(number, flush=True)
"""


def kill_midway(process, after):
    """Let a process acknowledge so many things, kill it a moment later; give what it acknowledged."""
    lines = [process.stdout.readline() for _ in range(after)]
    time.sleep(0.003 * after)
    process.send_signal(signal.SIGKILL)
    return [line for line in [*lines, *process.stdout.read().splitlines(keepends=True)] if line.endswith("\n")]


@pytest.mark.parametrize("after", [1, 3, 7])
def test_what_was_saved_before_a_kill_is_there_and_the_rest_is_whole(tmp_path, after):
    names = [line.strip() for line in kill_midway(start(SAVING, tmp_path / "d"), after)]
    samples = read_samples(tmp_path / "d", "train")  # every row with whole pictures
    assert [sample.file_name for sample in samples][: len(names)] == names and len(samples) <= len(names) + 1
    for sample in samples:
        assert Image.open(sample.image).tobytes() == PHOTO.tobytes()
    add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", "next")  # no lock is left behind


def test_a_kill_leaves_whole_zips_and_whole_datasets(tmp_path):
    for number in range(8):
        add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", f"room {number}")
    kill_midway(start(EXPORTING, tmp_path / "d"), 2)
    assert zips.import_zip(tmp_path / "out" / "x.zip", tmp_path / "again") == {"train": 8}
    zips.export_zip(tmp_path / "d", tmp_path / "x.zip")
    done = kill_midway(start(IMPORTING, tmp_path / "d"), 2)
    sets = [path for path in (tmp_path / "sets").iterdir() if not path.name.startswith(".")]
    assert len(sets) >= len(done) and all(len(read_samples(path, "train")) == 8 for path in sets)


def test_what_a_killed_process_left_is_swept_but_not_what_is_at_work(tmp_path, monkeypatch):
    where = tmp_path / "d" / "train"
    where.mkdir(parents=True)
    for name in (
        ".hall-001-abcd1234.png",
        ".metadata-_x1y2z3w.jsonl",
        ".hall-002-now12345.png",
        "._hall-abcd1234.png",
    ):
        (where / name).write_bytes(b"half")
        if "now" not in name:
            os.utime(where / name, (0, 0))
    (tmp_path / "sets" / ".import-old").mkdir(parents=True)
    os.utime(tmp_path / "sets" / ".import-old", (0, 0))
    monkeypatch.setattr(saving, "_swept", set())
    add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", "hall")
    assert {path.name for path in where.glob(".*")} == {".hall-002-now12345.png", "._hall-abcd1234.png"}
    zips.import_zip(zips.export_zip(tmp_path / "d", tmp_path / "x.zip"), tmp_path / "sets" / "new")
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["new"]


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_full_disk_is_said_in_one_line_and_leaves_the_dataset_as_it_was(tmp_path):
    """A limit on the size of files stands for the disk's end: the kernel refuses the write itself."""
    add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", "hall")
    path = zips.export_zip(tmp_path / "d", tmp_path / "x.zip")
    before = files_in(tmp_path)
    code = """
from PIL import Image
import os
noise = Image.frombytes("RGB", (200, 200), os.urandom(120_000))
acts = (
    lambda: add_sample(folder, "train", noise, Image.new("L", noise.size, 255), GREEN, "", "hall"),
    lambda: zips.export_zip(folder, folder.parent / "y.zip"),
    lambda: zips.import_zip(folder.parent / "x.zip", folder.parent / "new"),
)
tell(acts)
"""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    out, err = start(code, tmp_path / "d", preexec_fn=limit).communicate(timeout=60)
    assert out.count("the disk is full, ") == 3 and len(out.splitlines()) == 3, (out, err)
    assert files_in(tmp_path) == before and path.stat().st_size > 500


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_while_a_room_moves_or_a_sample_goes_loses_nothing(tmp_path, monkeypatch, number):
    for room in ("attic", "hall"):
        add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", room)
    before = read_samples(tmp_path / "d", "train")

    def fail(path, *_):
        raise OSError(number, os.strerror(number))

    for module, name in ((curate.shutil, "copyfile"), (curate, "write_table")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            for act in (
                lambda: curate.move_room(tmp_path / "d", "hall", "validation"),
                lambda: curate.delete_sample(tmp_path / "d", "train", "hall-001.png"),
                lambda: curate.edit_sample(tmp_path / "d", "train", "hall-001.png", mask=MASK, text="x"),
            ):
                if (name, act.__code__.co_names[1]) != ("copyfile", "edit_sample"):
                    with pytest.raises(UserError, match="the disk is full"):
                        act()
                assert read_samples(tmp_path / "d", "train") == before
    assert curate.move_room(tmp_path / "d", "hall", "validation") == 1


def test_a_move_that_fails_is_undone_and_one_that_is_killed_is_finished_by_the_next(tmp_path, monkeypatch):
    folder = tmp_path / "d"
    for room in ("attic", "hall", "hall"):
        add_sample(folder, "train", PHOTO, MASK, GREEN, "", room)
    whole, before, write = read_samples(folder, "train"), files_in(folder), curate.write_table
    for failing in range(2):
        for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt()):
            calls = iter(range(9))

            def fail(where, rows, failing=failing, error=error, calls=calls):
                if next(calls) == failing:
                    raise error
                write(where, rows)

            with monkeypatch.context() as patch:
                patch.setattr(curate, "write_table", fail)
                with pytest.raises((UserError, KeyboardInterrupt)):
                    curate.move_room(folder, "hall", "validation")
            assert files_in(folder) == before
    code = """
from wallpaint.dataset import folder as dataset
write = curate.write_table
def die(where, rows):
    if where.name == "train":
        os._exit(9)
    write(where, rows)
import os
curate.write_table = die
curate.move_room(folder, "hall", "validation")
"""
    assert start(code, folder).wait(timeout=60) == 9
    assert read_samples(folder, "train") == whole  # nothing is lost, though the room is in both splits
    assert curate.move_room(folder, "hall", "validation") == 2
    assert [len(read_samples(folder, split)) for split in ("train", "validation")] == [1, 2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write here")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", "hall")
    zips.export_zip(tmp_path / "d", tmp_path / "x.zip")
    for path in [tmp_path, *tmp_path.rglob("*"), *list(tmp_path.parents)[:3]]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = files_in(tmp_path)
    code = """
import encodings.cp437, encodings.utf_8_sig, os
from PIL import Image
Image.init()
os.setuid(65534)  # who may not even read Python's own files that are not loaded by now
acts = (
    lambda: add_sample(folder, "train", photo, mask, GREEN, "", "hall"),
    lambda: add_sample(folder, "validation", photo, mask, GREEN, "", "loft"),
    lambda: curate.delete_sample(folder, "train", "hall-001.png"),
    lambda: zips.export_zip(folder, folder.parent / "y.zip"),
    lambda: zips.import_zip(folder.parent / "x.zip", folder.parent / "new"),
)
tell(acts)
"""
    out, err = start(code, tmp_path / "d").communicate(timeout=60)
    assert out.count("nothing may be written (Permission denied), ") == 5, (out, err)
    assert files_in(tmp_path) == before


def test_without_locks_one_goes_on_and_is_told_what_is_weaker(tmp_path, monkeypatch, capsys):
    import fcntl

    def no_locks(handle, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(disk, "_warned", set())
    add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", "hall")
    assert len(read_samples(tmp_path / "d", "train")) == 1
    assert "let one studio at a time" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "fcntl", None)  # Windows
    add_sample(tmp_path / "d", "train", PHOTO, MASK, GREEN, "", "hall")
    assert len(json.loads(f"[{','.join((tmp_path / 'd/train/metadata.jsonl').read_text().splitlines())}]")) == 2
