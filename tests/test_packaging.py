"""What `pip install .` installs: a wheel with everything that the program reads."""

import shutil
import subprocess
import sys
import zipfile

import pytest

from wallpaint.paths import ROOT

NO_PART = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in the wheel that pip builds of a copy of the project, and the text of its entry points."""
    pytest.importorskip("setuptools")
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for name in ("wallpaint", "assets", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=NO_PART)
    for name in ("studio.py", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(place)]
    done = subprocess.run([*build, str(source)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(place.glob("*.whl"))) as archive:
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        return set(archive.namelist()), archive.read(entry).decode()


def test_all_that_the_program_reads_is_in_the_wheel(wheel):
    names, _ = wheel
    for folder, inside in (
        ("wallpaint", "wallpaint"),
        ("assets", "wallpaint/assets"),
        ("configs", "wallpaint/configs"),
    ):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        missing = {f"{inside}/{path.relative_to(ROOT / folder).as_posix()}" for path in files} - names
        assert files and not missing
    assert "studio.py" in names and not any(name.startswith("tests") for name in names)


def test_the_wheel_brings_the_command_wallpaint(wheel):
    assert "[console_scripts]\nwallpaint = studio:main" in wheel[1]


def test_an_installed_package_finds_what_is_shipped_inside_it_and_from_any_folder(tmp_path):
    """Asked of a package laid out as the wheel lays it out, in a process that works elsewhere."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "wallpaint", site / "wallpaint", ignore=NO_PART)
    shutil.copy(ROOT / "studio.py", site)
    shutil.copytree(ROOT / "configs", site / "wallpaint" / "configs")
    (site / "wallpaint" / "assets" / "rooms" / "sample").mkdir(parents=True)
    (tmp_path / "work" / "configs").mkdir(parents=True)
    (tmp_path / "work" / "configs" / "own.yaml").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import studio, wallpaint.paths as p\n"
        "from wallpaint.cli import existing, read_config\n"
        "print(p.CONFIGS, existing('configs/new_lora.yaml', '--train'), existing('configs/own.yaml', '--train'))\n"
        "print(read_config(None, {}).dataset)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path / "work", timeout=60
    )
    inside = site / "wallpaint"
    assert done.stdout.splitlines() == [
        f"{inside / 'configs'} {inside / 'configs' / 'new_lora.yaml'} {'configs/own.yaml'}",
        str(inside / "assets" / "rooms" / "sample"),
    ], done.stderr
