"""What the frozen text encoders say of prompts."""

from typing import Any

import torch

from wallpaint.models.bundle import Models


def encode_text(models: Models, texts: list[str | None]) -> dict[str, torch.Tensor]:
    """Texts as the stock pipelines encode them; None gives zeros, see `Models.no_text`.

    Returns:
        `prompt_embeds` (N, L, D). Of two encoders they are the last but one layers side by side, and then
        there is `pooled_embeds` (N, P), what the second says of the whole text.
    """
    with torch.no_grad():
        if models.text_encoder_2 is None:
            said = {"prompt_embeds": models.text_encoder(_tokens(models, models.tokenizer, texts))[0]}
        else:
            first = models.text_encoder(_tokens(models, models.tokenizer, texts), output_hidden_states=True)
            second = models.text_encoder_2(_tokens(models, models.tokenizer_2, texts), output_hidden_states=True)
            layers = [heard.hidden_states[-2] for heard in (first, second)]
            said = {"prompt_embeds": torch.cat(layers, dim=-1), "pooled_embeds": second.text_embeds}
    for row, text in enumerate(texts):
        if text is None:
            for value in said.values():
                value[row] = 0
    return said


def _tokens(models: Models, tokenizer: Any, texts: list[str | None]) -> torch.Tensor:
    """Texts as numbers (N, L), filled up to the encoder's length."""
    ids = tokenizer(
        [text or "" for text in texts],
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids.to(models.runtime.device)
