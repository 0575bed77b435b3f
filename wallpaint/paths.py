"""Where the project's own files are: beside the package in a checkout, inside it where it is installed."""

import os
import re
import unicodedata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # what has to be on Python's path
STUDIO = ROOT / "studio.py"
SHIPPED = PACKAGE if (PACKAGE / "assets").is_dir() else ROOT
ASSETS = SHIPPED / "assets"
CONFIGS = SHIPPED / "configs"
MODELS = ASSETS / "models"
LORAS = ASSETS / "loras"
COMMAND = "python studio.py" if SHIPPED == ROOT else "wallpaint"  # how people call it


def ascii_name(text: str, length: int = 60) -> str:
    """Make a file's name of anything, 'son-cua-toi' of 'Sơn của tôi' but for its case; '' where it has no letters."""
    apart = unicodedata.normalize("NFKD", text.replace("đ", "d").replace("Đ", "D"))
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", apart.encode("ascii", "ignore").decode()).strip("-.")[:length]


def from_home(path: str | Path) -> Path:
    """Give a path with its `~` resolved; where nobody has such a home, as in many containers, it stays as it is."""
    return Path(os.path.expanduser(path))


def find_shipped(path: str | Path) -> Path:
    """Give `path`, or what is shipped under that name (assets/..., configs/...) where nothing is there."""
    given = Path(path)
    shipped = SHIPPED / given
    return shipped if given.parts[:1] in (("assets",), ("configs",)) and not given.exists() else given
