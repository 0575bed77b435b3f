"""The README that ships beside the models: what they are, how they were made, what they measure."""

import json
from pathlib import Path

CARD = """# room-tiny

A small family of models for repainting walls at {resolution} x {resolution} pixels: the classes of
Stable Diffusion 1.5 inpainting, IP-Adapter-Plus, segment-anything and DINOv2 at a hundredth of their
size, trained on rendered rooms only. It is there so that everything works offline on a CPU and in tests;
it is no match for the real models on real photos.

| part | class | parameters |
|---|---|---|
{parts}

| figure, on {held_out_views} views of rooms that no stage trained on | value |
|---|---|
{figures}

Made on one H100 by the stages of `python -m wallpaint.recipes.tiny --pool POOL --out assets/models/room-tiny
--device cuda`, run one by one for the minutes that `training.jsonl` names, from 1,745 views (one room in
twenty held out; vae, clip and dino had the first 650) that `python -m wallpaint.recipes.rooms --out POOL --rooms N
--views 4 --truths 6 --size 128 --samples 64 --seed 100000` (and `--seed 110000`) had rendered by then, each
with six true repaints. UNet and adapter then went on with `--begin`, by cameras like people's: for 60 and
12 minutes of one CPU core on 2,302 photographs of 581 rooms, and for 200 and 66 seconds of one H200 on 8,092 of 2,023
rooms (docs/room-tiny.md). The clock ends a stage, so running the
recipe again gives a sibling of these weights, not their twin.
`figures.json` holds the figures above; `--stage figures` measures them again.

- `vae`: 8 x down, 4 channels; wired by hand to carry colour from the first step on, then trained. Latents
  are white.
- `scheduler`: v-prediction, zero terminal SNR, trailing steps. Epsilon prediction misses the mean
  colour.
- `ip_adapter`: references were pictures and crops of rooms, as for the real adapter; it has never seen a
  swatch.
- `sam.json` holds the sizes that rebuild `segment_anything.modeling.Sam` for `sam.safetensors`.
- Weights are float16 in safetensors; load them in float32.
"""
CLASSES = {
    "vae": "AutoencoderKL",
    "unet": "UNet2DConditionModel, with the adapter",
    "text_encoder": "CLIPTextModel",
    "image_encoder": "CLIPVisionModelWithProjection",
    "sam": "segment_anything Sam",
    "dinov2": "Dinov2Model",
}
FIGURES = {
    ("vae", "psnr"): "VAE round trip, PSNR (dB)",
    ("vae", "wall_delta_e"): "VAE round trip, mean CIEDE2000 on the wall",
    ("sam", "wall_iou_1_clicks"): "wall IoU from one click",
    ("sam", "wall_iou_3_clicks"): "wall IoU from three clicks",
}
PLAIN = ("resolution", "held_out_views")


def write_card(folder: Path, figures: dict) -> None:
    """`README.md` and `figures.json` in the family's folder."""
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    parts = [f"| `{key}` | {CLASSES[key]} | {value:,} |" for key, value in figures["parameters"].items()]
    rows = [f"| {text} | {figures[stage][key]:.2f} |" for (stage, key), text in FIGURES.items()]
    text = CARD.format(parts="\n".join(parts), figures="\n".join(rows), **{k: figures[k] for k in PLAIN})
    (folder / "README.md").write_text(text)
