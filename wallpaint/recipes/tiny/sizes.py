"""How big every model of the family is: plain tables, read by `build.py` and nobody else.

All classes are the stock ones of diffusers, transformers and segment-anything; only the numbers are small.
A step of the UNet (batch 16) takes about half a second on one slow CPU core.
"""

from typing import Any

RESOLUTION = 128  # pictures are RESOLUTION x RESOLUTION, latents an eighth of that
TEXT_WIDTH = 96  # cross_attention_dim of the UNet, width of the text encoder
VISION_WIDTH = 96
LATENT_CHANNELS = 4

VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [16, 32, 48, 64],
    "layers_per_block": 1,
    "norm_num_groups": 2,  # colour and the constants that carry it must share a group: see vae.py
    "latent_channels": LATENT_CHANNELS,
    "sample_size": RESOLUTION,
    "scaling_factor": 1.0,  # the latents are whitened inside quant_conv
}
UNET: dict[str, Any] = {
    "sample_size": RESOLUTION // 8,
    "in_channels": 2 * LATENT_CHANNELS + 1,
    "out_channels": LATENT_CHANNELS,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ["CrossAttnUpBlock2D"] * 3,
    "block_out_channels": [48, 64, 96],
    "layers_per_block": 1,
    "cross_attention_dim": TEXT_WIDTH,
    "attention_head_dim": 4,  # diffusers reads this as the number of heads
    "norm_num_groups": 16,
}
TEXT: dict[str, Any] = {
    "hidden_size": TEXT_WIDTH,
    "intermediate_size": 4 * TEXT_WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
    "projection_dim": 64,
    "hidden_act": "quick_gelu",
}
VISION: dict[str, Any] = {
    "hidden_size": VISION_WIDTH,
    "intermediate_size": 4 * VISION_WIDTH,
    "num_hidden_layers": 5,  # Paint-by-Example's mapper needs four or more
    "num_attention_heads": 4,
    "image_size": 96,
    "patch_size": 16,
    "projection_dim": 64,
    "hidden_act": "quick_gelu",
}
RESAMPLER: dict[str, Any] = {
    "embed_dims": VISION_WIDTH,
    "output_dims": TEXT_WIDTH,
    "hidden_dims": 128,
    "heads": 2,
    "num_queries": 8,
}
DINO: dict[str, Any] = {
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "mlp_ratio": 4,
    "image_size": 112,
    "patch_size": 14,
}
SAM: dict[str, Any] = {
    "stretch": True,  # it sees square pictures alone: others are stretched, not padded
    "image_size": RESOLUTION,
    "patch_size": 8,
    "embed_dim": 96,
    "depth": 4,
    "num_heads": 4,
    "mlp_ratio": 4,
    "window_size": 8,
    "global_attn_indexes": [1, 3],
    "prompt_embed_dim": 64,
    "mask_in_chans": 8,
    "num_multimask_outputs": 3,
    "decoder_depth": 2,
    "decoder_num_heads": 4,
    "decoder_mlp_dim": 256,
    "iou_head_depth": 3,
    "iou_head_hidden_dim": 64,
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
}
TIMESTEPS = 1000
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": TIMESTEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": True,  # with trailing steps the last one then lands on the prediction itself
    # Epsilon prediction cannot say what the mean colour is when nearly all is noise; this trio can.
    # https://arxiv.org/abs/2305.08891
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
ADAPTER_NAME = "ip-adapter-plus_room-tiny.safetensors"
