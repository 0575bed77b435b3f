import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from wallpaint import disk
from wallpaint.errors import UserError
from wallpaint.paths import ROOT
from wallpaint.runs import state


def test_state_is_merged_and_written_whole(tmp_path):
    state.write_state(tmp_path, state="running", pid=os.getpid(), max_train_steps=10)
    state.write_state(tmp_path, step=4)
    said = json.loads((tmp_path / "run.json").read_text())
    assert (said["state"], said["step"], said["max_train_steps"]) == ("running", 4, 10)
    assert said["pid_started"] == pytest.approx(psutil.Process().create_time(), abs=0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_failed_write_leaves_the_old_state(tmp_path):
    state.write_state(tmp_path, step=1)

    class Unwritable:
        def __str__(self):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        state.write_state(tmp_path, step=2, versions=Unwritable())
    assert json.loads((tmp_path / "run.json").read_text())["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_two_processes_lose_no_field(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom wallpaint.runs import state as runs\n"
        f"for n in range(40): runs.write_state({str(tmp_path)!r}, **{{sys.argv[1] + str(n): n}})"
    )
    pair = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [process.wait() for process in pair] == [0, 0]
    said = json.loads((tmp_path / "run.json").read_text())
    assert all(said[f"{name}{n}"] == n for name in "ab" for n in range(40))


def test_a_reused_pid_is_not_taken_for_the_run(tmp_path):
    state.write_state(tmp_path, state="running", pid=os.getpid())
    assert state.read_run(tmp_path).state == "running"
    state.write_state(tmp_path, pid_started=psutil.Process().create_time() - 100)
    assert state.read_run(tmp_path).state == "crashed"


def test_a_clock_that_is_set_ends_no_run(tmp_path):
    """When a process started is told by the clock: the lock that it holds tells too."""
    with state.claim(tmp_path):
        state.write_state(tmp_path, state="running", pid=os.getpid())
        state.write_state(tmp_path, pid_started=psutil.Process().create_time() - 3600)
        assert state.read_run(tmp_path).state == "running"
    assert state.read_run(tmp_path).state == "crashed"


def test_a_run_without_a_pid_is_given_a_minute(tmp_path):
    said = state.write_state(tmp_path, state="starting")
    assert state.read_run(tmp_path).state == "starting"
    (tmp_path / "run.json").write_text(json.dumps({**said, "updated": said["updated"] - 61}))
    assert state.read_run(tmp_path).state == "crashed"


def test_time_left_comes_from_this_process_alone(tmp_path):
    now = time.time()
    said = {"state": "running", "pid": os.getpid(), "pid_started": psutil.Process().create_time()}
    said |= {"step": 60, "max_train_steps": 100, "running_from": 50, "updated": now}
    said["running_since"] = now - 20
    (tmp_path / "run.json").write_text(json.dumps(said))
    assert state.read_run(tmp_path).eta_seconds == pytest.approx(80)  # 10 steps took 20 s, 40 are left
    (tmp_path / "run.json").write_text(json.dumps({**said, "state": "done"}))
    assert state.read_run(tmp_path).eta_seconds is None


def test_runs_are_numbered_and_listed_newest_first(tmp_path):
    made = [state.new_run_folder(tmp_path, name) for name in ("lora", "lora", "../my run")]
    assert [folder.name for folder in made] == ["lora-1", "lora-2", "my-run-1"]
    assert all(folder.parent == tmp_path / "runs" for folder in made)
    assert [run.name for run in state.list_runs(tmp_path)] == ["my-run-1", "lora-2", "lora-1"]
    assert state.list_runs(tmp_path / "nothing") == []


def test_a_broken_run_folder_is_read_as_unknown(tmp_path):
    (tmp_path / "run.json").write_text('{"state": "runn')
    assert state.read_run(tmp_path).state == "unknown"


@pytest.mark.parametrize("name", state.NUMBERS)
@pytest.mark.parametrize("value", ["three", [1], {}, -1, 1.5, 1e300, float("nan"), True, None])
def test_a_run_whose_numbers_are_none_is_read_all_the_same(tmp_path, name, value):
    folder = tmp_path / "runs" / "lora-1"
    folder.mkdir(parents=True)
    told = {"state": "running", "pid": os.getpid(), "step": 3, "updated": 5, "max_train_steps": 9}
    (folder / "run.json").write_text(json.dumps(told | {name: value}))
    (run,) = state.list_runs(tmp_path)
    assert run.state in ("running", "crashed") and run.max_train_steps >= -1
    assert state.write_state(folder, step=4)["step"] == 4


def test_a_write_where_modes_cannot_be_set_is_a_write(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError("no modes on this drive")

    monkeypatch.setattr(Path, "chmod", refuse)
    state.write_state(tmp_path, step=1)
    assert json.loads((tmp_path / "run.json").read_text())["step"] == 1


def test_half_a_metrics_line_is_left_for_later(tmp_path):
    assert state.read_metrics(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.2}\n{"step": 3')
    assert state.read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.2}]


def test_the_log_shows_a_progress_bar_as_it_stands(tmp_path):
    assert state.tail_log(tmp_path) == ""
    (tmp_path / "train.log").write_bytes(b"one\ntwo\n  0%\r 50%\r100%\r\n" + b"caf\xc3\xa9\nlast\n")
    assert state.tail_log(tmp_path, 3) == "100%\ncafé\nlast"


def test_runs_and_steps_are_sorted_by_their_numbers(tmp_path):
    for number in (9, 10, 2):
        (tmp_path / "runs" / f"lora-{number}").mkdir(parents=True)
        (tmp_path / "runs" / f"lora-{number}" / "run.json").write_text('{"state": "done", "created": 5}')
    assert [run.name for run in state.list_runs(tmp_path)] == ["lora-10", "lora-9", "lora-2"]
    names = ["step-1000000.png", "step-999500.png", "step-000500.png", "best.png", "v1.5-3"]
    assert [state.number_in(tmp_path / name) for name in names] == [1000000, 999500, 500, -1, 3]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOLCK, errno.ENOTSUP, errno.EBADF, errno.ENOSYS])
def test_without_locks_a_run_is_claimed_by_what_its_state_says_and_that_is_said_once(
    tmp_path, monkeypatch, capsys, number
):
    monkeypatch.setattr(fcntl, "flock", lambda *args: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    monkeypatch.setattr(disk, "_warned", set())
    with state.claim(tmp_path):
        state.write_state(tmp_path, state="running", pid=os.getpid(), step=3)
    assert capsys.readouterr().err.count("let one studio at a time use its workspace") == 1
    with state.claim(tmp_path):  # it is our own
        pass
    state.write_state(tmp_path, pid=os.getppid())
    with pytest.raises(UserError, match="another process is at work"), state.claim(tmp_path):
        pass
    state.write_state(tmp_path, state="stopped")
    with state.claim(tmp_path):
        assert state.read_run(tmp_path).step == 3


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path):
    code = f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\nfrom wallpaint.runs import state\n"
    code += f"with state.claim({str(tmp_path)!r}):\n    print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another process is at work"), state.claim(tmp_path):
        pass
    other.kill()
    other.wait()
    with state.claim(tmp_path):
        pass
