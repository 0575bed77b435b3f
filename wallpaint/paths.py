"""Where the project's own files are: beside the package in a checkout, inside it where it is installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # what has to be on Python's path
STUDIO = ROOT / "studio.py"
SHIPPED = PACKAGE if (PACKAGE / "assets").is_dir() else ROOT
ASSETS = SHIPPED / "assets"
CONFIGS = SHIPPED / "configs"
MODELS = ASSETS / "models"
COMMAND = "python studio.py" if SHIPPED == ROOT else "wallpaint"  # how people call it


def find_shipped(path: str | Path) -> Path:
    """Give `path`, or what is shipped under that name (assets/..., configs/...) where nothing is there."""
    given = Path(path)
    shipped = SHIPPED / given
    return shipped if given.parts[:1] in (("assets",), ("configs",)) and not given.exists() else given
