"""What pyproject.toml cannot say: assets/ and configs/ lie beside the package and are installed inside it."""

from setuptools import find_packages, setup

OUTSIDE = {"wallpaint.assets": "assets", "wallpaint.configs": "configs"}

setup(packages=[*find_packages(include=["wallpaint*"]), *OUTSIDE], package_dir=OUTSIDE)
