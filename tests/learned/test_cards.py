"""The model card says which rooms were measured on, and is what the hub reads."""

import pytest
from huggingface_hub import ModelCard

from wallpaint.learned.cards import write_card
from wallpaint.settings.train_config import TrainConfig


@pytest.mark.parametrize(("held_out", "rooms", "split"), [(2, "validation", "validation"), (0, "training", "train")])
def test_rooms_that_are_learned_from_are_not_called_validation(tmp_path, held_out, rooms, split):
    samples = {"train": 4} | ({"validation": held_out} if held_out else {})
    config = TrainConfig(method="lora_ip", dataset="rooms")
    write_card(tmp_path, config, 5, samples, {"validation_loss": 0.5, "delta_e_truth": 1.25})
    card = ModelCard.load(tmp_path / "README.md")
    assert f"## Measured on the {rooms} rooms" in card.text and f"diffusion loss on the {rooms} rooms" in card.text
    assert {result.dataset_split for result in card.data.eval_results} == {split}
    assert ("validation rooms" in card.text) == bool(held_out)


def test_a_card_says_how_to_use_what_is_there(tmp_path):
    (tmp_path / "weights" / "controlnet").mkdir(parents=True)
    config = TrainConfig(method="anydoor", dataset="rooms", lora_rank=3)
    write_card(tmp_path, config, 5, {"train": 4}, {}, processes=2)
    text = (tmp_path / "README.md").read_text()
    assert "`weights/controlnet` is read by diffusers' `ControlNetModel.from_pretrained`." in text
    assert "| `lora_rank` | `3` |" in text and "Nothing was measured." in text and f"mine={tmp_path}" in text
    assert f"5 steps of batch {2 * config.train_batch_size * config.gradient_accumulation_steps}." in text
