"""Puts what the stages left in the work folder together as a family folder, and measures it."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.base import load_adapted
from wallpaint.recipes.tiny.build import Family, load_family, save_family
from wallpaint.recipes.tiny.card import write_card
from wallpaint.recipes.tiny.clip import load_clip
from wallpaint.recipes.tiny.data import Pool
from wallpaint.recipes.tiny.dino import load_dino
from wallpaint.recipes.tiny.latents import load_vae
from wallpaint.recipes.tiny.sam import load_sam, sam_figures
from wallpaint.recipes.tiny.vae import round_trip_figures


def export(work: Path, out: Path) -> None:
    """Writes the family; a stage that has not run yet leaves its model at its random start."""
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    text, vision = load_clip(tokenizer, work)
    unet, vae = load_adapted(work), load_vae(work)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_family(Family(vae, unet, text, tokenizer, vision, load_sam(work), load_dino(work)), out)
    if (work / "training.jsonl").exists():
        shutil.copy(work / "training.jsonl", out / "training.jsonl")


def write_figures(pool: Pool, work: Path, out: Path) -> None:
    """`figures.json` and `README.md`: what the shipped files do on rooms that no stage has seen."""
    family = load_family(out)
    rooms = pool.only_held_out(40)
    figures: dict[str, Any] = {
        "vae": round_trip_figures(family.vae, rooms),
        "sam": sam_figures(family.sam, rooms),
        "parameters": {
            name: count(getattr(family, name)) for name in ("vae", "unet", "text_encoder", "image_encoder")
        },
        "held_out_views": len(rooms.views),
        "resolution": sizes.RESOLUTION,
    }
    figures["parameters"] |= {"sam": count(family.sam), "dinov2": count(family.dino)}
    write_card(out, figures)
    print(json.dumps(figures))


def count(model) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in model.parameters())
