"""Who may import whom, read from the files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEAVES = {"config", "methods", "families", "runs", "arrays", "ahead"}
# Beside the leaves and, for pictures, these two: numpy and PIL alone.
BASE = {"color", "images"}
MAY_IMPORT = {
    "studio": {
        *("ui", "train", "compare", "evaluate", "runs", "config", "color", "walls", "doctor", "machine"),
        *("checkpoints", "disk", "cli", "encode", "export", "arms"),
    },
    "cli": set(),
    "launch": set(),
    "forecast": {"dataset", "images"},
    "machine": {"fetching", "forecast"},
    "config": {"config_checks", "config_choices", "config_text"},
    "config_checks": {"config_choices", "config_text"},
    "config_choices": set(),
    "config_text": set(),
    "families": {"single_file", "fetching"},  # inside a function, where a family is one file
    "single_file": set(),
    "fetching": set(),
    "loading": set(),
    "ui": {
        *("runs", "launch", "forecast", "dataset", "masks", "color", "compare", "config", "images"),
        *("recolor", "doctor", "palettes", "walls", "curate", "zips", "report", "heat", "hues", "arms"),
    },
    "encode": {"session", "cache", "tables", "views", "models", "dataset", *BASE},
    "export": {"cards", "weights", *BASE},
    "summary": {"report"},
    "evaluate": {
        *(
            "arms",
            "summary",
            "compare",
            "pages",
            "report",
            "dataset",
            "sampler",
            "recolor",
            "metrics",
            "models",
        ),
        *BASE,
    },
    "arms": {"paint", "recolor", "models", *BASE},
    "pages": {"report", "summary", "dataset", *BASE},
    "compare": {"arms", "paint", "pages", "recolor", "metrics", "report", "models", "dataset", *BASE},
    "report": {"metrics", *BASE},
    "heat": {"metrics", "color"},
    "train": {"session", "saving", "preflight", "batches", "denoiser", "losses", "draws"},
    "saving": {"session", "cards", "checkpoints", "validation", "weights"},
    "session": {
        *("cache", "views", "batches", "denoiser", "weights", "models", "dataset", *BASE),
        *("checkpoints", "records", "validation", "preflight"),
    },
    "preflight": {
        *("batches", "dataset", "denoiser", "disk", "doctor", "draws", "forecast", "metrics", "models"),
        *("sampler", "paint", *BASE),
    },
    "validation": {
        *("sampler", "denoiser", "models", "dataset", "metrics", *BASE),
        *("batches", "draws", "losses", "composite"),
    },
    "cards": {"weights", *BASE},
    "records": BASE,
    "checkpoints": set(),
    "disk": set(),
    "paint": {"sampler", "denoiser", "weights", "models", "composite", *BASE},
    "sampler": {
        "batches",
        "latents",
        "encoders",
        "references",
        "denoiser",
        "models",
        "texts",
        *BASE,
        "composite",
    },
    "losses": {"batches", "latents", "denoiser", "models", "draws", *BASE},
    "weights": {"adapter", "loading", "lora", "part_files", "models", *BASE},
    "part_files": {"parts", "models", *BASE},
    "adapter": {"models"},
    "lora": set(),
    "denoiser": {"conditions", "models", "draws"},
    "cache": {"batches", "latents", "shards", "tables", "views", "references", "models", "dataset", *BASE},
    "tables": {
        *("batches", "mapped", "shards", "views", "encoders", "references", "texts", "models", *BASE),
    },
    "views": {"latents", "models", "dataset", *BASE},
    "shards": {"batches", "mapped", *BASE},
    "encoders": {"parts", "loading", "models"},
    "texts": {"models"},
    "references": {"draws", *BASE},
    "parts": {"loading", "models"},
    "latents": {"models", *BASE},
    "batches": {"draws", "mapped", "models"},
    "mapped": set(),
    "conditions": {"parts", "models"},
    "draws": set(),
    "models": {"loading", "runtime"},
    "runtime": set(),
    "dataset": {"rows", *BASE},
    "rows": BASE,
    "doctor": {"dataset", "hues", *BASE},
    "hues": {"color"},
    "palettes": {"color"},
    "walls": {"dataset", "masks", "recolor", *BASE},
    "curate": {"dataset", *BASE},
    "zips": {"curate", "dataset", *BASE},
    "metrics": {"color"},
    "recolor": {"composite", *BASE},
    "masks": {"mask_ops", "sams"},
    "mask_ops": {"color"},
    "sams": set(),
    "composite": {"color"},
    "images": set(),
    "color": set(),
}
LIGHT = (
    "composite",
    "config_checks",
    "config_choices",
    "config_text",
    "dataset",
    "mask_ops",
    "masks",
    "recolor",
    "rows",
    "metrics",
    "doctor",
    "hues",
    "palettes",
    "curate",
    "zips",
)
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "kornia", "gradio"}


def sources() -> list[Path]:
    return [ROOT / "studio.py", *sorted((ROOT / "wallpaint").rglob("*.py"))]


def layer(path: Path) -> str:
    """studio, ui, rooms, tiny, or the module's own name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if len(parts) == 1 else parts[1]


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


def own(path: Path) -> set[str]:
    """Layers of wallpaint that a file imports, its own left out."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("wallpaint.")}
    return {name for name in names if name != layer(path)}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path):
    who = layer(path)
    if who in ("rooms", "tiny", "__init__"):
        return
    assert who in MAY_IMPORT or who in LEAVES, f"say in MAY_IMPORT what {who} may import"
    allowed = MAY_IMPORT.get(who, set()) | (LEAVES if who not in LEAVES else set())
    assert own(path) <= allowed, f"{who} may not import {sorted(own(path) - allowed)}"


def test_the_rules_themselves_have_no_circle():
    settled: set[str] = set(LEAVES)
    waiting = dict(MAY_IMPORT)
    while ready := [who for who, whom in waiting.items() if whom <= settled]:
        settled |= set(ready)
        for who in ready:
            del waiting[who]
    assert not waiting


def test_only_the_ui_knows_gradio_and_it_never_trains():
    for path in sources():
        outside = {name.split(".")[0] for name in imports(path)}
        assert layer(path) == "ui" or "gradio" not in outside, path
        assert layer(path) != "ui" or not own(path) & {"train", "evaluate", "paint", "models"}, path


def test_rooms_and_tiny_stand_apart():
    for path in sources():
        if layer(path) not in ("rooms", "tiny"):
            assert not own(path) & {"rooms", "tiny"}, path


@pytest.mark.parametrize("name", [*sorted(LEAVES | BASE), *LIGHT])
def test_light_modules_import_nothing_heavy_by_themselves(name):
    path = ROOT / "wallpaint" / f"{name}.py"
    assert not {module.split(".")[0] for module in imports(path, top_level_only=True)} & HEAVY


def test_studio_imports_only_the_standard_library_until_a_command_is_known():
    outside = {module.split(".")[0] for module in imports(ROOT / "studio.py", top_level_only=True)}
    assert not outside & (HEAVY | {"wallpaint", "numpy", "PIL", "yaml"})


def test_page_modules_import_torch_nowhere():
    for path in (ROOT / "wallpaint" / "ui").glob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & (HEAVY - {"gradio"}), path
