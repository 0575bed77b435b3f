import errno
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from PIL import Image

import studio
from wallpaint.cli import split_arms
from wallpaint.errors import UserError
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.process import STOPS
from wallpaint.runs import state as runs

ROOT = Path(studio.__file__).resolve().parent


def run(*arguments, cwd=None):
    command = [sys.executable, str(ROOT / "studio.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """Work in an empty folder and leave the process's signals as they were."""
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def trained(monkeypatch):
    """Put a function in the trainer's place; give the list of (config, resume) it is called with."""
    calls = []

    def install(name, function):
        place = {"train": "train.loop", "compare": "report.compare", "evaluate": "report.evaluate"}[name]
        wing, _, file = place.partition(".")
        module = types.ModuleType(f"wallpaint.{place}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, f"wallpaint.{place}", module)
        monkeypatch.setattr(importlib.import_module(f"wallpaint.{wing}"), file, module, raising=False)

    def use(outcome=None, name="train"):
        def stub(*args, **kwargs):
            calls.append((args, kwargs))
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome(*args, **kwargs) if callable(outcome) else outcome

        install(name, stub)
        return calls

    return use


def complaint(capsys):
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
    return lines[0]


def test_help_imports_neither_torch_nor_gradio():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import studio\n"
        "try: studio.main(['--help'])\n"
        "except SystemExit as end: print('exit', end.code)\n"
        "print('heavy', sorted({'torch', 'gradio', 'diffusers', 'numpy', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "exit 0" in done.stdout and "heavy []" in done.stdout, done.stderr
    for flag in ("--train", "--compare", "--evaluate", "--workspace", "--lora_rank", "--color_loss_mode"):
        assert flag in done.stdout


HERE = ("--compare", "--photo", "here", "--mask", "here", "--out", "o")
BAD = {
    ("--nonsense",): "unknown argument '--nonsense'",
    ("photo.jpg",): "unknown argument 'photo.jpg'",
    ("--train", "--lora_rnk", "8"): "did you mean --lora_rank?",
    ("--encode", "d", "--lora_rnk=8"): "did you mean --lora_rank?",
    ("--prot", "8"): "did you mean --port?",
    ("--masks", "."): "required: --out",
    ("--compare", "--photo", "here", "--mask", "here", "--swatch", "red", "--out", "o", "--lora_rank", "8"): (
        "--lora_rank does not belong to --compare"
    ),
    ("--compare",): "required: --out",
    ("--compare", "--out", "o"): "required: --photo, --mask, --swatch, or --room",
    ("--evaluate", "--out", "o"): "required: --rooms",
    ("--push-to-hub", "me/rooms"): "required: --run",
    ("--train", "--photo", "p.png"): "--photo does not belong to --train",
    ("--train", "--config", "c.yaml"): "--config does not belong to --train",
    ("--lora_rank", "8"): "--lora_rank does not belong to the studio",
    ("--train", "--compare"): "not allowed with",
    ("--port", "http"): "invalid int value",
    ("--encode", "d", "--engine", "spark"): "invalid choice: 'spark'",
    ("--export", "a1111", "--run", "r"): "invalid choice: 'a1111'",
    ("--compare", "--swatch"): "in quotes, '#7A9E7E'",  # the shell took '#7A9E7E --out o' for a comment
    ("--train", "missing.yaml"): "'missing.yaml', given to --train",
    ("--train", "--lora_rank", "many"): "lora_rank is 'many' in the settings: it has to be a whole number",
    ("--train", "--method", "lorra"): "did you mean lora?",
    ("--train", "--resume"): "--output_dir",
    ("--train", "--resume", "--output_dir", "gone"): "no such folder 'gone'",
    ("--encode", "missing.yaml"): "'missing.yaml', given to --encode",
    ("--encode", ".", "--config", "missing.yaml"): "'missing.yaml', given to --config",
    ("--compare", "--photo", "p", "--mask", "m", "--swatch", "#fff", "--out", "o"): "'p', given to --photo",
    (*HERE, "--swatch", "#12345"): "hex colour",
    (*HERE, "--swatch", ""): "in quotes, '#7A9E7E'",
    (*HERE, "--swatch", "'#'"): "in quotes, '#7A9E7E'",
    ("--evaluate", "--rooms", "none", "--out", "o"): "no such folder 'none', given to --rooms",
    ("--evaluate", "--rooms", ".", "--limit", "0", "--out", "o"): "--limit",
    ("--check", "here"): "'here' is a file, given to --check, give a folder",
    (
        "--compare",
        "--photo",
        "https://x.org/a.jpg",
        "--mask",
        "here",
        "--swatch",
        "#fff",
        "--out",
        "o",
    ): "is an address",
    ("--port", "0"): "--port",
    ("--check", ""): "an empty path is given",
    ("--workspace", " "): "an empty path is given",
    (*HERE[:-1], "", "--swatch", "#fff"): "an empty path is given",
    ("--check", "/dev/null"): "'/dev/null' is a pipe or device, given to --check",
    ("--auth", "nobody"): "USER:PASSWORD",
    ("--allowed-host", "http://no/host"): "http://no/host",
}


@pytest.mark.parametrize(("arguments", "told"), BAD.items(), ids=lambda value: " ".join(value)[:40])
def test_bad_input_is_one_line_and_2_and_leaves_nothing(arguments, told, capsys, tmp_path):
    (tmp_path / "here").write_text("")
    assert studio.main(list(arguments)) == 2
    assert told in complaint(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_an_arms_path_may_hold_a_comma(tmp_path):
    (tmp_path / "Wall, matte, v1 (SD1.5).safetensors").touch()
    (tmp_path / "a").touch()
    comma, plain = f"mine={tmp_path}/Wall, matte, v1 (SD1.5).safetensors", f"b={tmp_path}/a"
    assert split_arms(f"old, {comma} ,{plain},gone={tmp_path}/gone,new,") == [
        "old",
        comma,
        plain,
        f"gone={tmp_path}/gone",
        "new",
    ]


@pytest.mark.parametrize("command", ["--train", "--compare", "--masks", "--encode"])
def test_each_command_has_a_help_of_its_own(command, capsys):
    with pytest.raises(SystemExit) as end:
        studio.main([command, "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0 and shown.startswith(f"usage: python studio.py {command}") and "--doctor" not in shown


def test_bad_input_prints_no_traceback_as_a_process(tmp_path):
    done = run("--train", "missing.yaml", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: no such file 'missing.yaml', given to --train, check the path\n"


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "wallpaint", "--train", "missing.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2 and "'missing.yaml', given to --train" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("--doctor",), ("--check", "rows"), ("--help",)])
def test_a_reader_that_leaves_ends_it_without_a_word(arguments, unbuffered, tmp_path):
    (tmp_path / "rows" / "train").mkdir(parents=True)
    (tmp_path / "rows" / "train" / "metadata.jsonl").write_text("{}\n" * 9000)
    command = [sys.executable, str(ROOT / "studio.py"), *arguments]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, env=env, timeout=300)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141 or arguments == ("--help",)  # argparse says nothing of it


def test_a_reader_that_leaves_stops_a_training_that_can_go_on(tmp_path):
    (tmp_path / "stub.py").write_text(
        f"import sys, types; sys.path.insert(0, {str(ROOT)!r}); import studio, wallpaint.train\n"
        "def train(config, resume, inputs):\n"
        "    while True: print('step', flush=True)\n"
        "sys.modules['wallpaint.train.loop'] = wallpaint.train.loop = types.SimpleNamespace(train=train)\n"
        "sys.exit(studio.main(['--train', '--output_dir', 'run']))"
    )
    command = subprocess.Popen([sys.executable, "stub.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout.readline() == b"run folder: run\n"
    command.stdout.close()
    assert command.wait(60) == 141 and command.stderr.read() == b""
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (said["state"], said["exit_code"], said["error"]) == ("stopped", 141, "")


@pytest.mark.parametrize("deaf", [False, True])
def test_a_terminal_that_closes_stops_a_training_that_can_go_on(deaf, tmp_path):
    """It is told twice, by the shell and by the system; who ignores that, as after `nohup`, cannot print any more."""
    (tmp_path / "stub.py").write_text(
        f"import sys, time, types; sys.path.insert(0, {str(ROOT)!r}); import studio, wallpaint.train\n"
        "import signal; deaf = " + f"{deaf}; deaf and signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from wallpaint.process import stop_signals\n"
        "def train(config, resume, inputs):\n"
        "    with stop_signals() as signals:\n"
        "        print('step', flush=True)\n"
        "        while not signals:\n"
        "            time.sleep(0.05)\n"
        "            if deaf: print('step', flush=True)\n"
        "        time.sleep(0.5)\n"
        "        open('saved', 'w').close()\n"
        "        print('stopped', flush=True)\n"
        "sys.modules['wallpaint.train.loop'] = wallpaint.train.loop = types.SimpleNamespace(train=train)\n"
        "sys.exit(studio.main(['--train', '--output_dir', 'run']))"
    )
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "stub.py"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, start_new_session=True, **streams)
    os.close(theirs)
    said = b""
    while b"step\r\n" not in said:  # the end of the line is written by itself
        said += os.read(ours, 1000)
    os.close(ours)
    if not deaf:
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 141
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (state["state"], state["error"]) == ("stopped", "") and (tmp_path / "saved").is_file() != deaf


def test_a_broken_pipe_of_something_else_is_no_reader_that_left(trained, capfd):
    trained(BrokenPipeError(32, "a socket's"))
    assert studio.main(["--train", "--output_dir", "r"]) == 1
    assert "a socket's" in complaint(capfd)


def test_train_takes_a_yaml_and_any_field_over_it(trained, tmp_path, capsys):
    calls = trained()
    (tmp_path / "my.yaml").write_text("training:\n  method: lora\n  lora_rank: 4\n  seed: 3\n")
    assert studio.main(["--train", "my.yaml", "--lora_rank", "8", "--learning_rate", "2e-5"]) == 0
    ((config,), keywords) = calls[0]
    assert (config.method, config.lora_rank, config.learning_rate, config.seed) == ("lora", 8, 2e-5, 3)
    assert keywords["resume"] is False and len(keywords["inputs"].splits["train"]) == 160  # the shipped rooms
    folder = tmp_path / "workspace" / "runs" / "lora-1"
    assert Path(config.output_dir) == folder
    assert f"run folder: {folder}" in capsys.readouterr().out
    said = json.loads((folder / "run.json").read_text())
    assert (said["state"], said["exit_code"], said["pid"]) == ("done", 0, os.getpid())


def test_train_needs_no_yaml_and_minds_the_workspace(trained, tmp_path):
    calls = trained()
    assert studio.main(["--train", "--method", "lora_ip", "--workspace", "w"]) == 0
    assert Path(calls[0][0][0].output_dir) == tmp_path / "w" / "runs" / "lora_ip-1"


def test_a_run_is_gone_on_with_by_its_own_settings_where_no_others_are_named(trained, tmp_path):
    calls = trained()
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.yaml").write_text("method: lora\nlora_rank: 4\nlora_alpha: 4\n")
    assert studio.main(["--train", "--resume", "--output_dir", "r", "--max_train_steps", "7"]) == 0
    config = calls[0][0][0]
    assert (config.method, config.lora_rank, config.max_train_steps) == ("lora", 4, 7)


def test_a_tilde_is_the_home_also_where_no_shell_resolves_it(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    calls = trained()
    (tmp_path / "me" / "old").mkdir(parents=True)
    (tmp_path / "me" / "old" / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert studio.main(["--train", "--workspace=~/w", "--init_from=~/old", "--method", "lora"]) == 0
    config = calls[0][0][0]
    assert Path(config.output_dir).parent == tmp_path / "me" / "w" / "runs"
    assert config.init_from == str(tmp_path / "me" / "old")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # as in a container whose user has no name
    from wallpaint.models.families import resolve_family

    assert resolve_family("sd15", base_model="~/mine").base_model == "~/mine"


def test_train_keeps_to_the_output_dir_it_is_given(trained, tmp_path):
    calls = trained()
    assert studio.main(["--train", "--method", "lora", "--output_dir", "r"]) == 0
    assert studio.main(["--train", "--method", "lora", "--output_dir", "r", "--resume"]) == 0
    assert [keywords["resume"] for _, keywords in calls] == [False, True]
    assert runs.read_run(tmp_path / "r").state == "done"
    assert not (tmp_path / "workspace").exists()


def test_a_stopped_training_is_130(trained, tmp_path):
    trained(lambda config, resume, inputs: runs.write_state(config.output_dir, state="stopped"))
    assert studio.main(["--train", "--output_dir", "a"]) == 130
    trained(KeyboardInterrupt())
    assert studio.main(["--train", "--output_dir", "b"]) == 130
    states = [runs.read_run(tmp_path / name) for name in "ab"]
    assert [(run.state, run.exit_code) for run in states] == [("stopped", 130)] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_stopped_takes_with_it_what_it_has_begun(number, trained):
    trained(lambda *args, **how: os.kill(os.getpid(), number), "evaluate")
    assert studio.main(["--evaluate", "--rooms", ".", "--out", "o"]) == 130


def test_a_sigterm_before_the_trainer_listens_stops_it_in_good_order(trained, tmp_path):
    trained(lambda config, resume, inputs: os.kill(os.getpid(), signal.SIGTERM))
    assert studio.main(["--train", "--output_dir", "a"]) == 130
    assert runs.read_run(tmp_path / "a").state == "stopped"


def test_a_failed_training_says_so_in_one_line_and_why_in_its_log(trained, tmp_path, capsys):
    trained(RuntimeError("out of\nmemory"))
    assert studio.main(["--train", "--output_dir", "a"]) == 1
    said = complaint(capsys)
    assert said.startswith("error: RuntimeError: out of memory, ") and said.endswith(str(Path("a", "train.log")))
    state = runs.read_run(tmp_path / "a")
    assert (state.state, state.exit_code, state.error) == ("failed", 1, "RuntimeError: out of\nmemory")
    log = (tmp_path / "a" / "train.log").read_text()
    assert "Traceback" in log and "RuntimeError: out of\nmemory" in log
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize(
    "fault", [ValueError("a library's own"), UnicodeEncodeError("charmap", "ế", 0, 1, "no"), KeyError("x")]
)
def test_what_a_library_refuses_is_a_fault_and_no_mistake_of_the_users(fault, trained, tmp_path, capsys):
    trained(fault)
    assert studio.main(["--train", "--output_dir", "new"]) == 1
    assert type(fault).__name__ in complaint(capsys)
    assert "Traceback" in (tmp_path / "new" / "train.log").read_text()  # and the folder is there
    trained(fault, "evaluate")
    assert studio.main(["--evaluate", "--rooms", ".", "--out", "o"]) == 1
    assert complaint(capsys).endswith(str(Path("workspace", "wallpaint.log")))
    assert str(fault) in (tmp_path / "workspace" / "wallpaint.log").read_text("utf-8")


def test_a_fault_of_the_command_line_itself_is_logged_too(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(studio, "read_arguments", lambda arguments: 1 / 0)
    assert studio.main([]) == 1
    assert "ZeroDivisionError" in complaint(capsys) and (tmp_path / "workspace" / "wallpaint.log").is_file()


def test_where_the_workspace_cannot_be_written_a_faults_log_lies_among_temporary_files(
    trained, tmp_path, capsys, monkeypatch
):
    (tmp_path / "workspace").write_text("a file in its place")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    trained(ValueError("odd"), "evaluate")
    assert studio.main(["--evaluate", "--rooms", ".", "--out", "o"]) == 1
    (log,) = (tmp_path / "temporary").iterdir()
    assert str(log) in complaint(capsys) and "ValueError: odd" in log.read_text()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_place_that_may_not_be_written_is_named(code, trained, capsys, tmp_path):
    trained(OSError(code, os.strerror(code), "o/report.html"), "evaluate")
    assert studio.main(["--evaluate", "--rooms", ".", "--out", "o"]) == 2
    assert complaint(capsys).startswith(f"error: {os.strerror(code)}, o/report.html, ")
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_no_fault_of_the_program(trained, capsys, tmp_path):
    trained(OSError(errno.ENOSPC, "No space left on device"), "evaluate")
    assert studio.main(["--evaluate", "--rooms", ".", "--out", "o"]) == 1
    assert complaint(capsys) == "error: the disk is full, o, make room and try again"
    assert not any(tmp_path.iterdir())


def test_bad_input_found_by_the_trainer_leaves_no_new_folder(trained, tmp_path, capsys):
    trained(UserError("no photos, my-rooms, mark a wall first"))
    assert studio.main(["--train", "--output_dir", "new"]) == 2
    assert complaint(capsys) == "error: no photos, my-rooms, mark a wall first"
    assert not (tmp_path / "new").exists()
    runs.write_state(tmp_path / "old", state="starting")  # as the studio makes it: there its error is shown
    assert studio.main(["--train", "--output_dir", "old"]) == 2
    assert runs.read_run(tmp_path / "old").error == "no photos, my-rooms, mark a wall first"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--dataset", "gone"], f"{Path('gone', 'train', 'metadata.jsonl')} does not exist"),
        (["--init_from", "gone"], "no learned weights in gone"),
        (["--base_model", "gone"], "looked in gone"),
    ],
)
@pytest.mark.parametrize("command", [("--train", "train.loop"), ("--encode", "train.encode")], ids=lambda c: c[0])
def test_what_is_not_there_is_told_before_the_libraries_are_read(command, given, told, monkeypatch, tmp_path, capsys):
    flag, reads_torch = command
    monkeypatch.setitem(sys.modules, f"wallpaint.{reads_torch}", None)  # importing it fails
    (tmp_path / "c.yaml").write_text("method: lora\n")
    assert studio.main([flag, "c.yaml", *given]) == 2
    assert told in complaint(capsys)
    assert not list(tmp_path.glob("workspace/runs/*"))


@pytest.mark.parametrize("ended", ["done", "stopped", "crashed", "failed"])
def test_a_refused_resume_leaves_a_run_that_had_ended_as_it_was(ended, trained, tmp_path):
    trained(UserError("its weights do not fit, runs/r, give it the rank that it began with"))
    state = {"state": "running", "pid": 2**22 + 1, "pid_started": 1.0} if ended == "crashed" else {"state": ended}
    runs.write_state(tmp_path / "r", **state, step=5, max_train_steps=9)
    before = (tmp_path / "r" / "run.json").read_bytes()
    assert studio.main(["--train", "--output_dir", "r", "--resume", "--lora_rank", "8"]) == 2
    assert (tmp_path / "r" / "run.json").read_bytes() == before
    assert runs.read_run(tmp_path / "r").state == ended


def test_a_refused_resume_of_the_page_leaves_a_run_what_it_was_and_says_why(trained, tmp_path):
    before = {"state": "failed", "exit_code": 1, "error": "too little memory", "pid": 7, "pid_started": 1.0}
    launched = {"state": "starting", "pid": None, "error": "", "exit_code": None}
    runs.write_state(tmp_path / "r", **launched, before=before, step=5)
    trained(UserError("it does not fit, r, start another"))
    assert studio.main(["--train", "--output_dir", "r", "--resume"]) == 2
    run = runs.read_run(tmp_path / "r")
    assert (run.state, run.exit_code, run.error, run.step) == ("failed", 1, "too little memory", 5)
    assert run.fields["refused"] == "it does not fit, r, start another"


def test_a_resume_that_fails_once_it_is_at_work_has_failed(trained, tmp_path):
    def half(config, resume, inputs):
        runs.write_state(config.output_dir, state="running")
        raise UserError("a photo is gone, r, bring it")

    runs.write_state(tmp_path / "r", state="stopped")
    trained(half)
    assert studio.main(["--train", "--output_dir", "r", "--resume"]) == 2
    assert runs.read_run(tmp_path / "r").state == "failed"


@pytest.mark.parametrize("begun", ["checkpoints", "metrics.jsonl", "samples", "weights"])
def test_bad_input_never_removes_a_run_that_has_begun(begun, trained, tmp_path):
    def half(config, resume, inputs):
        (Path(config.output_dir) / begun).mkdir()
        raise UserError("a photo is gone")

    trained(half)
    assert studio.main(["--train", "--output_dir", "new"]) == 2
    assert (tmp_path / "new" / begun).is_dir()


def test_of_many_processes_only_the_first_makes_a_run_folder(trained, tmp_path, monkeypatch):
    calls = trained()
    monkeypatch.setattr("wallpaint.commands.train.FIRST", False)
    assert studio.main(["--train", "--method", "lora"]) == 0
    assert calls[0][0][0].output_dir and list(tmp_path.iterdir()) == []


def test_compare_and_evaluate_hand_over_what_they_are_given(trained, tmp_path):
    calls = trained(name="compare")
    for name in ("p.png", "m.png"):
        (tmp_path / name).write_text("")
    given = ["--photo", "p.png", "--mask", "m.png", "--swatch", "#7a9e7e", "--out", "o"]
    assert studio.main(["--compare", *given, "--arms", "new, mine=runs/x"]) == 0
    (photo, mask, swatch, arms, out, settings), keywords = calls.pop()
    assert (settings, swatch) == (SamplingSettings(), Swatch((122, 158, 126)))
    several = {"more": [], "old_paints": []}
    assert keywords == {"family": None, "invert_mask": False, **several}
    assert studio.main(["--compare", *given, "--invert-mask", "--family", "sd15"]) == 0
    assert calls.pop()[1] == {"family": "sd15", "invert_mask": True, **several}
    assert (photo, mask, out) == (Path("p.png"), Path("m.png"), Path("o"))
    assert arms == ["new", "mine=runs/x"]
    calls = trained(name="evaluate")
    given = ["--evaluate", "--rooms", ".", "--limit", "3", "--out", "o"]
    how = ["--num_inference_steps", "4", "--guidance_scale", "1.5", "--seed", "7", "--ip_adapter_scale", "0"]
    assert studio.main([*given, *how, "--family", "room-tiny"]) == 0
    settings = SamplingSettings(seed=7, num_inference_steps=4, guidance_scale=1.5, ip_adapter_scale=0.0)
    assert calls.pop() == ((Path("."), None, 3, Path("o"), settings), {"family": "room-tiny", "old_paint": False})
    assert studio.main([*given, "--num_inference_steps", "0"]) == 0
    assert calls.pop()[0][4] == SamplingSettings()  # 0: the family's own
    assert studio.main([*given, "--guidance_scale", "-1"]) == 2


@pytest.mark.parametrize(
    ("swatch", "hex"),
    [
        ("#7A9E7E", "#7A9E7E"),
        ("7a9e7e", "#7A9E7E"),
        ("'#7A9E7E'", "#7A9E7E"),
        ('"#7A9E7E"', "#7A9E7E"),
        ("“#7a9e7e” ", "#7A9E7E"),
        ("#abc", "#AABBCC"),
        ("rgb(122, 158, 126)", "#7A9E7E"),
        ("122,158,126", "#7A9E7E"),
        ("RAL 6021", "#879A77"),
        ("'ral6021'", "#879A77"),
        ("Rebecca Purple", "#663399"),
        ("Sage", "#7A9E7E"),
        ("#sage", None),
        ("Sagge", None),
    ],
)
def test_a_colour_is_a_hex_code_however_it_is_quoted_or_a_paints_name(swatch, hex, trained, tmp_path, capsys):
    calls = trained(name="compare")
    (tmp_path / "mine.csv").write_text("name,hex\nSage,#7A9E7E\n")
    (tmp_path / "here").touch()
    code = studio.main([*HERE, "--swatch", swatch, "--palette", "mine.csv"])
    if hex is None:
        assert code == 2 and not calls and ("Sage" in complaint(capsys) or swatch == "#sage")
    else:
        assert code == 0 and calls[0][0][2].hex == hex


def test_a_taken_port_is_bad_input(capsys, tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert studio.main(["--port", str(port), "--workspace", "w"]) == 2
    assert f"127.0.0.1:{port}" in complaint(capsys)
    assert not (tmp_path / "w").exists()


def test_a_white_pixel_is_written_as_two_numbers_and_stands_in_for_the_old_paint(tmp_path, capsys):
    from wallpaint.cli import split_spot

    assert split_spot("640,120") == (640, 120)
    for text in ("640", "a,b", "-1,2", "1,2,3"):
        with pytest.raises(UserError, match="no pixel"):
            split_spot(text)
    photo = Image.new("RGB", (60, 40), (120, 150, 110))
    photo.paste((200, 180, 150), (0, 0, 60, 10))
    photo.save(tmp_path / "a.png")
    mask = Image.new("L", (60, 40))
    mask.paste(255, (0, 20, 60, 40))
    mask.save(tmp_path / "b.png")
    room = ["--photo", f"{tmp_path}/a.png", "--mask", f"{tmp_path}/b.png", "--swatch", "#7A9E7E"]
    told = [*room, "--out", f"{tmp_path}/o", "--arms", "recolor", "--white", "30,4"]
    assert studio.main(["--compare", *told]) == 0
    old = re.search("about (#[0-9A-F]{6})", capsys.readouterr().out)[1]
    plain = [*room, "--out", f"{tmp_path}/p", "--arms", "recolor"]
    assert studio.main(["--compare", *plain, "--old-paint", old]) == 0  # which says the same
    assert (tmp_path / "o" / "recolor.png").read_bytes() == (tmp_path / "p" / "recolor.png").read_bytes()
    assert studio.main(["--compare", *told, "--old-paint", old]) == 2
    assert "give one of them" in capsys.readouterr().err
