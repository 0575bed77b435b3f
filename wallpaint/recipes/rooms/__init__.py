"""Procedural interiors whose every repaint is known: ``python -m wallpaint.recipes.rooms``."""
