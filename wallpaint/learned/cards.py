"""The model card: README.md of a run folder, as the Hugging Face hub reads it."""

from dataclasses import fields
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from wallpaint.disk import atomic_path
from wallpaint.learned.arm_files import ADAPTER_NAME, LORA_NAME
from wallpaint.models.families import FAMILIES
from wallpaint.models.files import is_hub_id
from wallpaint.runs.state import list_pictures
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig, is_said
from wallpaint.templates import open_templates

# What a family's base model asks of what is trained on it; the hub's names of licences.
LICENSES = {"room-tiny": "apache-2.0", "sd15": "creativeml-openrail-m", "sdxl": "openrail++"}
FIGURES = {  # name -> what it is, for people
    "delta_e_truth": "mean CIEDE2000 to the true repaint, over the wall",
    "delta_e_paint": "median CIEDE2000 to the paint in the wall's own light",
    "validation_loss": "diffusion loss on the {rooms} rooms, noise and timesteps fixed",
}
# Learned parts that diffusers' own classes read; they need this package's conditions round them.
PARTS = {"image_encoder": "PaintByExampleImageEncoder", "controlnet": "ControlNetModel"}
PLACES = {"output_dir", "cache_dir", "dataset", "init_from", "device", "report_to"}  # of one machine alone

_templates = open_templates(Path(__file__).with_name("templates"), keep_trailing_newline=True)


def write_card(
    folder: Path,
    config: TrainConfig,
    step: int,
    samples: dict[str, int],
    figures: dict[str, float],
    processes: int = 1,
) -> None:
    """Write the run's README.md: what was learned, from what, how well, and how to use it.

    `samples` counts the rows of each split, `figures` are the last validation's, `processes` have trained together.
    """
    rooms = "validation" if samples.get("validation") else "training"  # where none are held out
    weights = folder / "weights"
    learned = {
        LORA_NAME: f'pipe.load_lora_weights("weights", weight_name="{LORA_NAME}")',
        ADAPTER_NAME: f'pipe.load_ip_adapter(".", subfolder="weights", weight_name="{ADAPTER_NAME}")',
    }
    pictures = list_pictures(folder)
    data = card_data(folder.name, config, figures, rooms)
    text = _templates.get_template("card.md.j2").render(
        front_matter=data.to_yaml(),
        name=folder.name,
        folder=folder,
        config=config,
        method=METHODS[config.method],
        base=_base(config) if _on_hub(_base(config)) else Path(_base(config)).name,
        license=data.license,
        picture=pictures[-1].name if pictures else None,
        rooms=rooms,
        samples=samples,
        step=step,
        batch=config.train_batch_size * config.gradient_accumulation_steps * processes,
        settings={
            f.name: getattr(config, f.name) for f in fields(config) if f.name not in PLACES and is_said(config, f)
        },
        figures=figures,
        explained=FIGURES,
        pipeline=FAMILIES[config.family].pipeline,
        parts={name: kind for name, kind in PARTS.items() if (weights / name).is_dir()},
        calls=[call for name, call in learned.items() if (weights / name).is_file()],
    )
    with atomic_path(folder / "README.md") as path:
        path.write_text(text, "utf-8", "backslashreplace")  # a folder's name may be no UTF-8


def card_data(name: str, config: TrainConfig, figures: dict[str, float], rooms: str) -> ModelCardData:
    """The card's front matter. A base model or dataset that is a local folder has no place in it.

    `rooms`: which the figures were measured on, 'validation' or 'training'.
    """
    results = [
        EvalResult(
            task_type="image-to-image",
            dataset_type="imagefolder",
            dataset_name=Path(config.dataset).name,
            dataset_split="validation" if rooms == "validation" else "train",
            metric_type=figure,
            metric_name=FIGURES.get(figure, "").format(rooms=rooms) or None,
            metric_value=value,
        )
        for figure, value in figures.items()
    ]
    return ModelCardData(
        license=LICENSES[config.family],
        library_name="diffusers",
        pipeline_tag="image-to-image",
        base_model=_base(config) if _on_hub(_base(config)) else None,
        tags=["wallpaint", "inpainting", "stable-diffusion", *METHODS[config.method].learns],
        model_name=name,
        eval_results=results or None,
    )


def _base(config: TrainConfig) -> str:
    return config.base_model or FAMILIES[config.family].base_model


def _on_hub(base: str) -> bool:
    return is_hub_id(base) and not Path(base).exists()
