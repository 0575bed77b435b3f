"""Where the project's own files are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDIO = ROOT / "studio.py"
ASSETS = ROOT / "assets"
CONFIGS = ROOT / "configs"
MODELS = ASSETS / "models"
