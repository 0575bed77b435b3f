"""Who may import whom, read from the files: twelve wings, each imports only from those before it."""

import ast
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from studio import module_of
from wallpaint.cli import COMMANDS
from wallpaint.paths import ROOT

# `paths` is the ground that all stand on, `studio.py`, its commands and `cli.py` stand above; `recipes` is apart.
WINGS = (
    "paths errors disk templates process pixels settings dataset models walls cache runs learned paint train report "
    "ui cli commands studio __main__"
).split()
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "kornia", "gradio"}
# Wings that import nothing heavy by themselves.
LIGHT = ("pixels", "settings", "dataset", "runs", "cli", "paths", "errors", "process", "disk")
# Where a process begins in earnest, and what it may need later: a page opens, and a run starts, without.
LATE = {"wallpaint.ui.app": HEAVY - {"gradio"}, "wallpaint.train.loop": {"kornia", "gradio"}}


@cache
def sources() -> list[Path]:
    return [ROOT / "studio.py", *sorted((ROOT / "wallpaint").rglob("*.py"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def wing(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if len(parts) == 1 else parts[1]


@cache
def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Names of imported modules, dotted; `if TYPE_CHECKING:` does not count."""
    found, stack = set(), list(ast.parse(path.read_text("utf-8")).body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            stack += node.orelse
        elif not (top_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            stack += ast.iter_child_nodes(node)
    return found


@cache
def files() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    return {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in sources() if p.name != "__init__.py"}


def own(path: Path) -> set[str]:
    """The project's modules that a file imports, wherever in it."""
    return imports(path) & set(files())


@pytest.mark.parametrize("path", sources(), ids=name)
def test_imports_run_one_way(path):
    who = wing(path)
    if path.name == "__init__.py" or who == "recipes":
        return
    assert who in WINGS, f"{who} is no wing: say in WINGS where it stands"
    allowed = set(WINGS[: WINGS.index(who) + 1])
    climbing = {module for module in own(path) if wing(files()[module]) not in allowed}
    assert not climbing, f"{who} stands before {sorted(climbing)}"


def test_no_file_imports_itself_in_a_circle():
    waiting = {module: own(path) - {module} for module, path in files().items()}
    while ready := [module for module, needs in waiting.items() if not needs & set(waiting)]:
        for module in ready:
            del waiting[module]
    assert not waiting


def test_only_the_ui_knows_gradio_and_it_never_trains():
    for path in sources():
        outside = {module.split(".")[0] for module in imports(path)}
        assert wing(path) == "ui" or "gradio" not in outside, path
        if wing(path) == "ui":
            theirs = {wing(files()[module]) for module in own(path) - {"wallpaint.models.families"}}
            assert not theirs & {"train", "models", "cache"}, path
            assert not outside & (HEAVY - {"gradio"}), path


def test_the_studio_never_imports_the_recipes():
    for path in sources():
        if wing(path) != "recipes":
            assert not {module for module in own(path) if wing(files()[module]) == "recipes"}, path


@pytest.mark.parametrize("path", [p for p in sources() if wing(p) in LIGHT], ids=name)
def test_light_wings_import_nothing_heavy_by_themselves(path):
    assert not {module.split(".")[0] for module in imports(path, top_level_only=True)} & HEAVY


def test_wings_open_without_loading_anything():
    for path in sources():
        if path.name == "__init__.py" and path.parent != ROOT / "wallpaint":
            assert not imports(path), path


def test_studio_imports_nothing_heavy_until_a_command_is_known():
    names = imports(ROOT / "studio.py", top_level_only=True)
    assert not {module.split(".")[0] for module in names} & (HEAVY | {"numpy", "PIL", "yaml"})
    assert {module for module in names if module in files()} <= {
        f"wallpaint.{name}" for name in ("cli", "errors", "process", "disk")
    }


@pytest.mark.parametrize(("module", "late"), LATE.items())
def test_what_may_wait_is_not_read_at_the_start(module, late):
    read, waiting = set(), [module]
    while waiting:
        found = imports(files()[waiting.pop()], top_level_only=True) - read
        read |= found
        waiting += found & set(files())
    assert not {name.split(".")[0] for name in read} & late


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_of_its_name(command):
    assert find_spec(module_of(command))


def test_nothing_lies_about_at_the_root():
    known = {".gitignore", "LICENSE", "Makefile", "README.md", "README.vi.md", "SECURITY.md"}
    known |= {"pyproject.toml", "requirements-dev.txt", "requirements-ray.txt", "requirements.txt", "setup.py"}
    known |= {"studio.py"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("no git checkout")
    assert {path for path in tracked.stdout.splitlines() if "/" not in path} <= known
