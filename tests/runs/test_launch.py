import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from processes import wait_for

from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.runs import launch
from wallpaint.runs import state as runs

ROOT = launch.STUDIO.parent

TRAINER = """
import signal, sys, time
sys.path.insert(0, {root!r})
from wallpaint.runs import state as runs
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


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """Put a small script in studio.py's place and return a function that writes it and starts a run of it."""

    def start(forever=True, report=True, code=0):
        script = tmp_path / "studio.py"
        with atomic_path(script) as fresh:  # a run started before may be reading it
            fresh.write_text(TRAINER.format(root=str(ROOT), forever=forever, report=report, code=code))
        monkeypatch.setattr(launch, "STUDIO", script)
        (tmp_path / "my.yaml").write_text("method: lora\n")
        folder = launch.start_run(tmp_path / "my.yaml", tmp_path / "space", "lora")
        started.append(folder)
        return folder

    started = []
    yield start
    for folder in started:
        state = runs.read_run(folder)
        if state.alive and state.pid:
            os.kill(state.pid, 9)


def test_a_run_is_a_process_that_stop_ends_with_a_word(trainer):
    folder = trainer()
    running = wait_for(lambda: (run := runs.read_run(folder)).state == "running" and run)
    assert folder.name == "lora-1" and folder.parent.name == "runs"
    assert os.getsid(running.pid) == running.pid != os.getsid(0)  # it outlives the studio's session
    assert launch.stop_run(folder)
    stopped = wait_for(lambda: not (run := runs.read_run(folder)).alive and run)
    assert (stopped.state, stopped.step) == ("stopped", 7)
    wait_for(lambda: runs.read_run(folder).exit_code == 130)
    assert not launch.stop_run(folder)
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


def test_resume_refuses_a_run_at_work_and_one_without_config(tmp_path):
    runs.write_state(tmp_path, state="running", pid=os.getpid())
    with pytest.raises(UserError, match="stop it first"):
        launch.resume_run(tmp_path)
    runs.write_state(tmp_path, state="stopped")
    with pytest.raises(UserError, match="no config.yaml"):
        launch.resume_run(tmp_path)


def test_a_reused_pid_is_not_stopped(tmp_path):
    runs.write_state(tmp_path, state="running", pid=os.getpid())
    runs.write_state(tmp_path, pid_started=psutil.Process().create_time() - 100)
    assert not launch.stop_run(tmp_path)  # we would have ended ourselves


def test_a_run_keeps_its_temporary_files_in_the_workspace(tmp_path, monkeypatch):
    """Whoever owns the system's folder; the workspace is short, as sockets need it."""
    monkeypatch.setattr(launch, "STUDIO", tmp_path / "studio.py")
    launch.STUDIO.write_text("import tempfile; print(tempfile.gettempdir())")
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    (tmp_path / "my.yaml").touch()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as space:
        folder = launch.start_run(tmp_path / "my.yaml", space, "lora")
        said = wait_for((folder / "train.log").read_text)
        assert said.strip() == str(Path(space).resolve() / "tmp")
        wait_for(lambda: not runs.read_run(folder).alive)


def test_runs_of_a_workspace_take_turns(trainer):
    one, two, three = trainer(), trainer(), trainer()
    wait_for(lambda: runs.read_run(one).state == "running")
    assert [runs.read_run(folder).state for folder in (two, three)] == ["queued", "queued"]
    assert launch.start_next(one.parent.parent) is None
    launch.stop_run(one)
    wait_for(lambda: runs.read_run(two).state == "running")  # nobody had to ask
    assert runs.read_run(one).state == "stopped" and runs.read_run(three).state == "queued"
    assert launch.stop_run(three) and runs.read_run(three).state == "stopped"  # it never ran
    assert not runs.tail_log(three)


def test_a_queue_outlives_the_studio(trainer):
    one, two = trainer(), trainer()
    pid = wait_for(lambda: (run := runs.read_run(one)).state == "running" and run.pid)
    said = json.loads((two / "run.json").read_text())
    runs.write_state(two, state="stopped")
    launch.stop_run(one)
    wait_for(lambda: runs.read_run(one).exit_code == 130)
    (two / "run.json").write_text(json.dumps(said))  # queued, as a studio that ended meanwhile has left it
    # Whoever looks first once `one` is gone starts it: this call, or the thread that waited for `one`.
    wait_for(lambda: launch.start_next(one.parent.parent) == two or runs.read_run(two).state == "running")
    assert wait_for(lambda: (run := runs.read_run(two)).state == "running" and run.pid) != pid


def test_resume_waits_its_turn_and_goes_on_from_a_checkpoint(trainer):
    one, two = trainer(), trainer()
    wait_for(lambda: runs.read_run(one).state == "running")
    launch.stop_run(two)
    (two / "checkpoints" / "step-000005").mkdir(parents=True)
    launch.resume_run(two)
    assert runs.read_run(two).state == "queued"
    launch.stop_run(one)
    wait_for(lambda: "--resume" in runs.tail_log(two))
    wait_for(lambda: runs.read_run(one).exit_code == 130)
    launch.stop_run(two)
    wait_for(lambda: runs.read_run(two).exit_code == 130)
    launch.resume_run(one)  # it has no checkpoint: it begins anew
    wait_for(lambda: runs.tail_log(one).count("arguments:") == 2)
    assert "--resume" not in runs.tail_log(one)


def test_a_run_that_cannot_go_on_is_what_it_was_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "STUDIO", tmp_path / "studio.py")
    launch.STUDIO.write_text("import sys; print('error: the checkpoint is torn, r, delete it'); sys.exit(2)")
    folder = tmp_path / "space" / "runs" / "lora-1"
    (folder / "checkpoints" / "step-000005").mkdir(parents=True)
    (folder / "config.yaml").write_text("method: lora\n")
    ended = {"state": "failed", "exit_code": 137, "error": "too little memory"}
    runs.write_state(folder, **ended)
    launch.resume_run(folder)
    assert wait_for(lambda: runs.read_run(folder).fields["refused"]) == "the checkpoint is torn, r, delete it"
    assert ended.items() <= runs.read_run(folder).fields.items()
    runs.write_state(folder.with_name("lora-2"), state="running", pid=os.getpid())  # it has to wait
    launch.resume_run(folder)
    assert runs.read_run(folder).state == "queued"
    launch.stop_run(folder)
    assert ended.items() <= runs.read_run(folder).fields.items()


def test_a_run_at_work_is_not_deleted_and_another_is_gone_at_once(trainer):
    folder = trainer()
    wait_for(lambda: runs.read_run(folder).state == "running")
    with pytest.raises(UserError, match="stop it first"):
        launch.delete_run(folder)
    launch.stop_run(folder)
    wait_for(lambda: runs.read_run(folder).exit_code == 130)
    launch.delete_run(folder)
    assert not folder.exists() and runs.list_runs(folder.parent.parent) == []
    (deleted,) = launch.list_deleted(folder.parent.parent)
    assert launch.restore_run(deleted) == folder and runs.read_run(folder).state == "stopped"
    assert [*(folder.parent.parent / "trash").iterdir()] == []


def test_two_studios_on_one_workspace_get_two_folders_and_one_queue(trainer, tmp_path):
    first = trainer()  # holds the queue, so that both studios find it busy
    wait_for(lambda: runs.read_run(first).state == "running")
    code = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from wallpaint.runs import launch
launch.STUDIO = Path({str(launch.STUDIO)!r})
sys.stdin.readline()
for _ in range(4):
    print(launch.start_run({str(tmp_path / "my.yaml")!r}, {str(tmp_path / "space")!r}, "lora").name)
"""
    studios = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for studio in studios:
        studio.stdin.write("go\n")
        studio.stdin.flush()
    names = [name for studio in studios for name in studio.communicate()[0].split()]
    assert sorted(names) == sorted(f"lora-{n}" for n in range(2, 10))
    queued = [run for run in runs.list_runs(tmp_path / "space") if run.state == "queued"]
    assert {run.name for run in queued} == set(names)
    assert all((run.folder / "config.yaml").read_text() == "method: lora\n" for run in queued)
    for run in queued:
        launch.stop_run(run.folder)
    for run in queued[:2]:
        launch.resume_run(run.folder)
    os.kill(runs.read_run(first).pid, 9)
    wait_for(lambda: any(run.state == "running" for run in map(runs.read_run, [run.folder for run in queued])))
    working = [run for run in runs.list_runs(tmp_path / "space") if run.alive]
    assert len(working) == 1 and runs.read_run(first).state == "crashed"
    os.kill(working[0].pid, 9)
    for run in queued:
        launch.stop_run(run.folder)


def test_a_run_whose_config_cannot_be_copied_leaves_no_folder(tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text("method: lora\n")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(launch.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        launch.start_run(tmp_path / "my.yaml", tmp_path / "space")
    assert list((tmp_path / "space" / "runs").iterdir()) == []
