import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from wallpaint import runs

TRAINER = """
import signal, sys, time
sys.path.insert(0, {root!r})
from wallpaint import runs
import os
folder = sys.argv[sys.argv.index("--output_dir") + 1]
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
runs.write_state(folder, state="running", pid=os.getpid(), step=0, max_train_steps=100)
print("arguments:", *sys.argv[1:])
while not stopped and {forever}:
    time.sleep(0.02)
if {report}:
    runs.write_state(folder, state="stopped" if stopped else "done", step=7, exit_code=130 if stopped else 0)
sys.exit({code} if not stopped else 130)
"""


def wait_for(look, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := look():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """Put a small script in studio.py's place and return a function that writes it and starts a run of it."""

    def start(forever=True, report=True, code=0):
        script = tmp_path / "studio.py"
        root = str(runs.STUDIO.parent)
        script.write_text(TRAINER.format(root=root, forever=forever, report=report, code=code))
        monkeypatch.setattr(runs, "STUDIO", script)
        (tmp_path / "my.yaml").write_text("method: lora\n")
        folder = runs.start_run(tmp_path / "my.yaml", tmp_path / "space", "lora")
        started.append(folder)
        return folder

    started = []
    yield start
    for folder in started:
        state = runs.read_run(folder)
        if state.alive and state.pid:
            os.kill(state.pid, 9)


def test_state_is_merged_and_written_whole(tmp_path):
    runs.write_state(tmp_path, state="running", pid=os.getpid(), max_train_steps=10)
    runs.write_state(tmp_path, step=4)
    said = json.loads((tmp_path / "run.json").read_text())
    assert (said["state"], said["step"], said["max_train_steps"]) == ("running", 4, 10)
    assert said["pid_started"] == pytest.approx(psutil.Process().create_time(), abs=0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_failed_write_leaves_the_old_state(tmp_path):
    runs.write_state(tmp_path, step=1)

    class Unwritable:
        def __str__(self):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        runs.write_state(tmp_path, step=2, versions=Unwritable())
    assert json.loads((tmp_path / "run.json").read_text())["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_two_processes_lose_no_field(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(runs.STUDIO.parent)!r})\nfrom wallpaint import runs\n"
        f"for n in range(40): runs.write_state({str(tmp_path)!r}, **{{sys.argv[1] + str(n): n}})"
    )
    pair = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [process.wait() for process in pair] == [0, 0]
    said = json.loads((tmp_path / "run.json").read_text())
    assert all(said[f"{name}{n}"] == n for name in "ab" for n in range(40))


def test_a_run_is_a_process_that_stop_ends_with_a_word(trainer):
    folder = trainer()
    running = wait_for(lambda: (run := runs.read_run(folder)).state == "running" and run)
    assert folder.name == "lora-1" and folder.parent.name == "runs"
    assert os.getsid(running.pid) == running.pid != os.getsid(0)  # it outlives the studio's session
    assert runs.stop_run(folder)
    stopped = wait_for(lambda: not (run := runs.read_run(folder)).alive and run)
    assert (stopped.state, stopped.step) == ("stopped", 7)
    wait_for(lambda: runs.read_run(folder).exit_code == 130)
    assert not runs.stop_run(folder)
    assert f"--train {folder / 'config.yaml'} --output_dir {folder}" in runs.tail_log(folder)
    assert (folder / "config.yaml").read_text() == "method: lora\n"


@pytest.mark.parametrize(("code", "state"), [(1, "failed"), (2, "failed"), (130, "stopped"), (9, "crashed")])
def test_the_exit_code_of_a_silent_trainer_is_taken_in(trainer, code, state):
    folder = trainer(forever=False, report=False, code=code)
    run = wait_for(lambda: (run := runs.read_run(folder)).exit_code is not None and run)
    assert (run.state, run.exit_code) == (state, code)


def test_a_killed_trainer_is_crashed(trainer):
    folder = trainer()
    pid = wait_for(lambda: (run := runs.read_run(folder)).state == "running" and run.pid)
    os.kill(pid, 9)
    run = wait_for(lambda: not (run := runs.read_run(folder)).alive and run)
    assert run.state == "crashed"


def test_a_reused_pid_is_not_taken_for_the_run(tmp_path):
    runs.write_state(tmp_path, state="running", pid=os.getpid())
    assert runs.read_run(tmp_path).state == "running"
    runs.write_state(tmp_path, pid_started=psutil.Process().create_time() - 100)
    assert runs.read_run(tmp_path).state == "crashed"
    assert not runs.stop_run(tmp_path)  # we would have ended ourselves


def test_a_run_without_a_pid_is_given_a_minute(tmp_path):
    said = runs.write_state(tmp_path, state="starting")
    assert runs.read_run(tmp_path).state == "starting"
    (tmp_path / "run.json").write_text(json.dumps({**said, "updated": said["updated"] - 61}))
    assert runs.read_run(tmp_path).state == "crashed"


def test_time_left_comes_from_this_process_alone(tmp_path):
    now = time.time()
    said = {"state": "running", "pid": os.getpid(), "pid_started": psutil.Process().create_time()}
    said |= {"step": 60, "max_train_steps": 100, "running_from": 50, "updated": now}
    said["running_since"] = now - 20
    (tmp_path / "run.json").write_text(json.dumps(said))
    assert runs.read_run(tmp_path).eta_seconds == pytest.approx(80)  # 10 steps took 20 s, 40 are left
    (tmp_path / "run.json").write_text(json.dumps({**said, "state": "done"}))
    assert runs.read_run(tmp_path).eta_seconds is None


def test_runs_are_numbered_and_listed_newest_first(tmp_path):
    made = [runs.new_run_folder(tmp_path, name) for name in ("lora", "lora", "../my run")]
    assert [folder.name for folder in made] == ["lora-1", "lora-2", "my-run-1"]
    assert all(folder.parent == tmp_path / "runs" for folder in made)
    assert [run.name for run in runs.list_runs(tmp_path)] == ["my-run-1", "lora-2", "lora-1"]
    assert runs.list_runs(tmp_path / "nothing") == []


def test_resume_refuses_a_run_at_work_and_one_without_config(tmp_path):
    runs.write_state(tmp_path, state="running", pid=os.getpid())
    with pytest.raises(ValueError, match="stop it first"):
        runs.resume_run(tmp_path)
    runs.write_state(tmp_path, state="stopped")
    with pytest.raises(ValueError, match="no config.yaml"):
        runs.resume_run(tmp_path)


def test_a_broken_run_folder_is_read_as_unknown(tmp_path):
    (tmp_path / "run.json").write_text('{"state": "runn')
    assert runs.read_run(tmp_path).state == "unknown"


def test_half_a_metrics_line_is_left_for_later(tmp_path):
    assert runs.read_metrics(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.2}\n{"step": 3')
    assert runs.read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.2}]


def test_the_log_shows_a_progress_bar_as_it_stands(tmp_path):
    assert runs.tail_log(tmp_path) == ""
    (tmp_path / "train.log").write_bytes(b"one\ntwo\n  0%\r 50%\r100%\r\n" + b"caf\xc3\xa9\nlast\n")
    assert runs.tail_log(tmp_path, 3) == "100%\ncafé\nlast"
