"""The model card: README.md of a run folder, as the Hugging Face hub reads it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from wallpaint.learned.weights import ADAPTER_NAME, LORA_NAME
from wallpaint.models.families import FAMILIES
from wallpaint.models.files import is_hub_id
from wallpaint.pixels.images import atomic_path
from wallpaint.runs.state import number_in
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig, is_said

# What a family's base model asks of what is trained on it; the hub's names of licences.
LICENSES = {"room-tiny": "apache-2.0", "sd15": "creativeml-openrail-m", "sdxl": "openrail++"}
FIGURES = {  # name -> what it is, for people
    "delta_e_truth": "mean CIEDE2000 to the true repaint, over the wall",
    "delta_e_paint": "median CIEDE2000 to the paint in the wall's own light",
    "validation_loss": "diffusion loss on the validation rooms, noise and timesteps fixed",
}
PLACES = {"output_dir", "cache_dir", "dataset", "init_from", "device", "report_to"}  # of one machine alone


def write_card(
    folder: Path,
    config: TrainConfig,
    step: int,
    samples: dict[str, int],
    figures: dict[str, float],
    processes: int = 1,
) -> None:
    """Write the run's README.md: what was learned, from what, how well, and how to use it.

    Args:
        folder: the run folder.
        config: its settings.
        step: steps done.
        samples: how many rows each split of the dataset has.
        figures: of the last validation.
        processes: that trained together.
    """
    rows = config.train_batch_size * config.gradient_accumulation_steps * processes
    told = f"{', '.join(f'{count} samples in {split}' for split, count in samples.items())}.\n"
    text = _card(folder, config, f"{told}{step} steps of batch {rows}.", figures)
    with atomic_path(folder / "README.md") as path:
        path.write_text(text, encoding="utf-8")


def _card(folder: Path, config: TrainConfig, seen: str, figures: dict[str, float]) -> str:
    data, method = card_data(folder.name, config, figures), METHODS[config.method]
    pictures = sorted((folder / "samples").glob("step-*.png"), key=number_in)
    measured = [f"| `{name}` | {value:.4g} | {FIGURES.get(name, '')} |" for name, value in figures.items()]
    return f"""---
{data.to_yaml()}
---
# {folder.name}: {method.study_name}

Repaints the walls of a room photo in a paint colour, with wallpaint.

{_picture(pictures)}

## Base and method
{_base(config)}
Method `{config.method}` ({method.study_name}): learns {", ".join(f"`{name}`" for name in method.learns)};
the image adapter was {"active" if "image_prompt" in method.conditions else "absent"} while training;
colour loss: {_color(config)}.

## Data
`{config.dataset}`: {seen}

## Settings
{_settings(config)}

## Measured on the validation rooms (lower is better)
{_table(("figure", "value", "what it is"), measured) if measured else "Nothing was measured."}

## Use
{_use(folder, FAMILIES[config.family].pipeline)}

## Licence
`{data.license}`, that of the base model.
"""


def card_data(name: str, config: TrainConfig, figures: dict[str, float]) -> ModelCardData:
    """The card's front matter. A base model or dataset that is a local folder has no place in it."""
    base, data = config.base_model or FAMILIES[config.family].base_model, config.dataset
    results = [
        EvalResult(
            task_type="image-to-image",
            dataset_type="imagefolder",
            dataset_name=Path(data).name,
            dataset_split="validation",
            metric_type=figure,
            metric_name=FIGURES.get(figure),
            metric_value=value,
        )
        for figure, value in figures.items()
    ]
    return ModelCardData(
        license=LICENSES[config.family],
        library_name="diffusers",
        pipeline_tag="image-to-image",
        base_model=base if _on_hub(base) else None,
        tags=["wallpaint", "inpainting", "stable-diffusion", *METHODS[config.method].learns],
        model_name=name,
        eval_results=results or None,
    )


def _on_hub(base: str) -> bool:
    return is_hub_id(base) and not Path(base).exists()


def _base(config: TrainConfig) -> str:
    base = config.base_model or FAMILIES[config.family].base_model
    return f"Family `{config.family}`, on `{base if _on_hub(base) else Path(base).name}`."


def _color(config: TrainConfig) -> str:
    if not config.use_color_loss:
        return "none"
    start = config.color_loss_start_step
    return f"{config.color_loss_mode}, weight {config.color_loss_weight:g}, from step {start}"


def _picture(pictures: list[Path]) -> str:
    if not pictures:
        return "*No validation rooms were painted while training.*"
    columns = "photo, mask, reference, output, and the truth where it is known"
    return f"![{columns}](samples/{pictures[-1].name})\n\nFrom left to right: {columns}."


def _settings(config: TrainConfig) -> str:
    """The settings that are not their defaults; all are in config.yaml."""
    told = [f for f in fields(config) if f.name not in PLACES and is_said(config, f)]
    return _table(("setting", "value"), [f"| `{f.name}` | `{getattr(config, f.name)}` |" for f in told])


def _use(folder: Path, pipeline: str) -> str:
    lora, adapter = ((folder / "weights" / name).is_file() for name in (LORA_NAME, ADAPTER_NAME))
    compare = f"python studio.py --compare --photo PHOTO --mask MASK --swatch '#7A9E7E' --arms mine={folder}"
    calls = [f'pipe.load_lora_weights("weights", weight_name="{LORA_NAME}")'] if lora else []
    if adapter:
        calls += [f'pipe.load_ip_adapter(".", subfolder="weights", weight_name="{ADAPTER_NAME}")']
    lines = ["In wallpaint:", "```", f"{compare} --out OUT", "```"]
    classes = {"image_encoder": "PaintByExampleImageEncoder", "controlnet": "ControlNetModel"}
    parts = [name for name in classes if (folder / "weights" / name).is_dir()]
    if parts:  # they need this package's conditions round them
        readers = [f"`weights/{name}` is read by diffusers' `{classes[name]}.from_pretrained`" for name in parts]
        lines += ["; ".join(readers) + "."]
    elif calls:
        lines += [f"In diffusers, with `pipe` a `{pipeline}` of the base model:", "```python"]
        lines += [*calls, "```"]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: list[str]) -> str:
    lines: list[Any] = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *rows]
    return "\n".join(lines)
