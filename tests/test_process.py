import gc
import os
import subprocess
import sys

import pytest

import studio
from wallpaint import process
from wallpaint.paths import ROOT
from wallpaint.runs.state import read_run

STUDIO = str(ROOT / "studio.py")
LOOPBACK = "localhost,127.0.0.1,::1"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Give os.environ back as it was."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_the_collector_is_paused_for_what_comes_to_stay_and_left_as_it_was():
    with process.collector_paused():
        with process.collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(OSError), process.collector_paused():
        raise OSError
    assert gc.isenabled()
    one, other = process.collector_paused(), process.collector_paused()  # of two threads, the first ends first
    one.__enter__(), other.__enter__(), one.__exit__(None, None, None)
    assert not gc.isenabled()
    other.__exit__(None, None, None)
    assert gc.isenabled()


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "cp437"])
def test_a_console_that_cannot_show_a_letter_neither_ends_nor_deletes_a_run(encoding, tmp_path):
    (tmp_path / "stub.py").write_text(
        f"import sys, types; sys.path.insert(0, {str(ROOT)!r}); import studio, wallpaint.train, subprocess\n"
        "def train(config, resume, inputs):\n"
        "    print('tường → xong 🎨', flush=True)\n"
        "    print('tường', file=sys.stderr, flush=True)\n"
        "    sys.stdout.buffer.write(subprocess.check_output([sys.executable, '-c', 'print(\"tường\")']))\n"
        "sys.modules['wallpaint.train.loop'] = wallpaint.train.loop = types.SimpleNamespace(train=train)\n"
        "sys.exit(studio.main(['--train', '--output_dir', 'phòng']))",
        encoding="utf-8",
    )
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "stub.py"], capture_output=True, cwd=tmp_path, env=env, timeout=60)
    shown = done.stdout.decode(encoding, "replace")
    assert done.returncode == 0, done.stderr
    assert "\\u2192 xong" in shown and b"\nt\xc6\xb0\xe1\xbb\x9dng" in done.stdout  # a child writes UTF-8
    assert read_run(tmp_path / "phòng").state == "done"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault_and_no_other_file_gets_its_number(closed, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import studio; code = studio.main(['--nonsense'])\n"
        "with open('other', 'w') as file: file.write(f'{code} {file.fileno() > 2} {sys.stdout is None}')"
    )
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60, stderr=subprocess.DEVNULL)
    assert (tmp_path / "other").read_text() == "2 True False"


@pytest.mark.parametrize("flags", [["-P"], ["-I"]])
def test_python_may_leave_the_scripts_folder_out_of_its_path(flags, tmp_path):
    done = subprocess.run([sys.executable, *flags, STUDIO, "--nonsense"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: unknown argument")


def test_python_may_not_drop_docstrings(tmp_path):
    command = [sys.executable, "-OO", STUDIO, "--check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "PYTHONOPTIMIZE=2" in done.stderr and done.stderr.count("\n") == 1


def test_output_that_cannot_be_written_is_told(dataset, tmp_path):
    command = [sys.executable, STUDIO, "--check", str(dataset)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "the disk is full" in done.stderr


def test_a_working_folder_that_is_gone_is_told(tmp_path):
    place = tmp_path / "gone"
    place.mkdir()
    command = ["sh", "-c", f'rmdir {place}; exec "$@"', "sh", sys.executable, STUDIO, "--check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    assert done.returncode == 2 and "is gone, cd to one" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (MemoryError(), "memory is not enough (MemoryError), here, free some"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory is not enough (CUDA out of memory."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory is not enough"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "memory is not enough"),
        (OSError(12, "Cannot allocate memory"), "memory is not enough"),
        (OSError(28, "No space left on device"), "the disk is full, here, make room and try again"),
        (RuntimeError("something else"), ""),
    ],
)
def test_what_the_machine_lacks_is_told_from_a_fault(problem, said):
    assert process.explain(problem, "here").startswith(said) and bool(said) == bool(process.explain(problem, "here"))


@pytest.mark.parametrize("arguments", [["--check", "x" * 300], ["--check", f"{'x' * 250}/" * 20]])
def test_a_path_that_leads_nowhere_is_bad_input(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert studio.main(arguments) == 2
    assert "File name too long" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_fault_is_told_where_no_temporary_folder_can_be_had(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(process.tempfile, "gettempdir", lambda: (_ for _ in ()).throw(FileNotFoundError("no temp")))
    assert process.end_badly(ValueError("x"), tmp_path / "log") == 1
    (tmp_path / "file").touch()
    assert process.end_badly(ValueError("x"), tmp_path / "file" / "log") == 1
    assert "could not be kept" in capsys.readouterr().err.splitlines()[-1]


def test_a_workspace_whose_name_no_address_can_hold_is_refused(tmp_path, capsys):
    assert studio.main(["--workspace", os.fsdecode(os.fsencode(tmp_path) + b"/w\xf6rk")]) == 2
    assert "w\\udcf6rk' is no UTF-8 name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("proxy", "kept"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        (" http://127.0.0.1:9 ", "http://127.0.0.1:9"),
        ("", ""),
        ("socks4://127.0.0.1:9", None),
        ("foo://bar:baz", None),
        ("http://me:1:2:3", None),
    ],
)
def test_a_proxy_that_cannot_be_used_is_done_without_and_named(proxy, kept, capsys):
    os.environ["HTTPS_PROXY"] = proxy
    process.drop_broken_proxies()
    assert os.environ.get("HTTPS_PROXY") == kept
    assert ("the proxy of HTTPS_PROXY cannot be used" in capsys.readouterr().err) == (kept is None)


@pytest.mark.parametrize(
    ("known", "names"),
    [
        ({}, LOOPBACK),
        ({"NO_PROXY": "intranet"}, f"intranet,{LOOPBACK}"),
        ({"no_proxy": " a , localhost,"}, "a,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*"),
        ({"NO_PROXY": "[::1],10.0.0.0/8"}, "::1,10.0.0.0/8,localhost,127.0.0.1"),
    ],
)
def test_no_proxy_is_asked_for_this_machine(known, names):
    for name in ("NO_PROXY", "no_proxy"):
        os.environ.pop(name, None)
    os.environ |= known
    process.prepare_process()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == names
    process.bypass_proxy("192.168.0.7")
    assert os.environ["no_proxy"] == names + ("" if names == "*" else ",192.168.0.7")
