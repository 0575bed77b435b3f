"""LoRAs and what is taken for one, as trainers and download sites hand them out."""

import torch
from safetensors.torch import save, save_file

from brought import Case
from wallpaint.learned.lora_files import describe_lora

TITLE, read = "LoRA files", describe_lora
Z = torch.zeros
LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
KOHYA = f"lora_unet_{LAYER.replace('.', '_').replace('to.k', 'to_k')}"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"


def pair(layer, width=768, down="lora_down", up="lora_up", rank=2, kernel=()):
    return {f"{layer}.{down}.weight": Z(rank, width, *kernel), f"{layer}.{up}.weight": Z(width, rank, *kernel)}


def file(state, metadata=None, dtype=torch.float32):
    def make(folder):
        save_file({key: value.to(dtype) for key, value in state.items()}, folder / "my.safetensors", metadata)
        return folder / "my.safetensors"

    return make


def raw(content, name="my.safetensors"):
    def make(folder):
        (folder / name).write_bytes(content() if callable(content) else content)
        return folder / name

    return make


def is_one(family="sd15", kind="LoRA", left_out=""):
    def check(said):
        missing = bool(left_out) != bool(said.left_out) or (left_out and left_out not in said.left_out[0])
        return (said.family, said.kind) == (family, kind) and not missing

    return check


A_B = {"down": "lora_A", "up": "lora_B"}
USED = (
    ("of SD1.5, Kohya's layout", "used; it says that it needs family sd15", pair(KOHYA), is_one()),
    ("of SDXL", "used; it says that it needs family sdxl", pair(KOHYA, 2048), is_one("sdxl")),
    ("of room-tiny", "used", pair(KOHYA, 96), is_one("room-tiny")),
    ("diffusers' layout", "used", pair(f"unet.{LAYER}", **A_B), is_one()),
    (
        "diffusers' old layout (`processor.to_k_lora`)",
        "used",
        pair(f"unet.{LAYER.replace('to_k', 'processor.to_k_lora')}", down="down", up="up"),
        is_one(),
    ),
    (
        "peft's own layout, without its `adapter_config.json`",
        "used at scale 1; that it does not know its alpha is said",
        pair(f"base_model.model.{LAYER}", **A_B),
        is_one(left_out="adapter_config.json"),
    ),
    (
        "a raw state dict (`lora_A.default.weight`, `module.`, `_orig_mod.`)",
        "used; that it does not know its alpha is said",
        pair(f"module.{LAYER}", down="lora_A.default", up="lora_B.default"),
        is_one(left_out="adapter_config.json"),
    ),
    ("several ranks", "used, each layer at its own", pair(KOHYA) | pair(KOHYA[:-1] + "v", rank=4), is_one()),
    ("alphas, or none", "used; without one the scale is 1", pair(KOHYA) | {f"{KOHYA}.alpha": Z(())}, is_one()),
    (
        "a LoCon (convolutions too)",
        "used",
        pair(KOHYA) | pair("lora_unet_up_blocks_1_resnets_0_conv1", kernel=(3, 3)),
        is_one(kind="LoCon"),
    ),
    ("with scalars that LyCORIS learned", "used", pair(KOHYA) | {f"{KOHYA}.scalar": Z(1)}, is_one()),
    (
        "learned on a model that is not for inpainting, its first convolution too",
        "used; the mask's part of that layer stays as it is",
        pair(KOHYA)
        | {"lora_unet_conv_in.lora_down.weight": Z(2, 4, 3, 3), "lora_unet_conv_in.lora_up.weight": Z(9, 2)},
        is_one(kind="LoCon"),
    ),
    ("layers named in two ways", "used", pair(KOHYA) | pair(f"unet.{LAYER[:-1]}v", **A_B), is_one()),
    ("prefixes twice, or a pipeline's (`pipe.unet.`)", "used", pair(f"pipe.unet.unet.{LAYER}", **A_B), is_one()),
    (
        "with a half for the text encoder",
        "both halves are used",
        pair(KOHYA) | pair(TEXT),
        lambda said: said.text and is_one()(said),
    ),
    (
        "a DoRA of Kohya's or LyCORIS (`dora_scale`)",
        "used",
        pair(KOHYA) | {f"{KOHYA}.dora_scale": Z(768, 1)},
        is_one(kind="DoRA"),
    ),
    (
        "ComfyUI's layout",
        "used",
        pair(f"diffusion_model.{LAYER.replace('mid_block.attentions.0', 'middle_block.1')}"),
        is_one(),
    ),
    ("LyCORIS's layout", "used", pair(f"lycoris_{KOHYA.removeprefix('lora_unet_')}"), is_one()),
    ("OneTrainer's layout", "used", pair(f"lora_unet.{LAYER}"), is_one()),
    (
        "a DoRA of diffusers'",
        "used",
        pair(f"unet.{LAYER}", **A_B) | {f"unet.{LAYER}.lora_magnitude_vector": Z(768)},
        is_one(kind="DoRA"),
    ),
    (
        "with differences of biases or norms",
        "used; what is left out is said",
        pair(KOHYA) | {f"{KOHYA}.diff_b": Z(768)},
        is_one(left_out="diff"),
    ),
    (
        "with embeddings bundled",
        "used; what is left out is said",
        pair(KOHYA) | {"bundle_emb.wall.string_to_param.*": Z(1, 768)},
        is_one(left_out="bundled"),
    ),
)
PEFT = f"base_model.model.{LAYER}"
REFUSED = (
    ("a LoHa", "is a LoHa", {f"{KOHYA}.hada_w1_a": Z(4, 2), f"{KOHYA}.alpha": Z(())}),
    ("a LoKr", "is a LoKr", {f"{KOHYA}.lokr_w1": Z(4, 4), f"{KOHYA}.lokr_w2_a": Z(4, 2)}),
    ("an IA³", "is an IA3", {f"{KOHYA}.weight": Z(4), f"{KOHYA}.on_input": Z(())}),
    ("an IA³ of peft's", "is an IA3", {f"{PEFT}.ia3_l": Z(4, 1)}),
    ("an OFT", "is an OFT", {f"{KOHYA}.oft_blocks": Z(2, 4, 4)}),
    ("an OFT of peft's", "is an OFT", {f"{PEFT}.oft_R.weight": Z(2, 6)}),
    ("a BOFT", "is a BOFT", {f"{PEFT}.boft_R": Z(1, 2, 4, 4)}),
    ("a GLoRA", "is a GLoRA", {f"{KOHYA}.{end}.weight": Z(4, 4) for end in ("a1", "a2", "b1", "b2")}),
    ("a LoCon in Tucker's form", "Tucker", pair(KOHYA) | {f"{KOHYA}.lora_mid.weight": Z(2, 2, 3, 3)}),
    ("full differences", "is full weights", {f"{KOHYA}.diff": Z(4, 4), f"{KOHYA}.diff_b": Z(4)}),
    ("a quantized LoRA (fp8 with scales)", "quantized", pair(KOHYA) | {"scaled_fp8": Z(2)}),
    ("a LoRA of the SDXL refiner", "of the SDXL refiner", pair(KOHYA, 1280)),
    ("a LoRA of Stable Cascade", "of another kind of model", pair("lora_unet_down_blocks_0_1_attention_attn_in_proj")),
    (
        "a LoRA of a video model that began as Stable Diffusion",
        "of another kind of model",
        pair(f"unet.{LAYER.replace('transformer', 'temporal_transformer')}", 1024, **A_B),
    ),
    (
        "a LoRA of a language model",
        "of another kind of model",
        pair("base_model.model.model.layers.0.self_attn.q_proj", **A_B),
    ),
    ("a LoRA of Stable Diffusion 2", "of Stable Diffusion 2", pair(KOHYA, 1024)),
    (
        "a LoRA of FLUX or SD3",
        "of another kind of model",
        pair("transformer.single_transformer_blocks.0.attn.to_q", **A_B),
    ),
    ("a LoRA of FLUX, Kohya's layout", "of another kind of model", pair("lora_unet_double_blocks_0_img_attn_qkv")),
    ("a LoRA of a video model", "of another kind of model", pair("diffusion_model.blocks.0.self_attn.q", **A_B)),
    ("the same, Kohya's layout", "of another kind of model", pair("lora_unet_blocks_0_cross_attn_k", 5120)),
    (
        "another network of peft's (HRA, FourierFT, SHiRA …)",
        "another kind that peft knows",
        {f"{PEFT}.hra_u": Z(4, 4)},
    ),
    ("a hypernetwork", "is a hypernetwork", {"768.0.linear.0.weight": Z(4, 4)}),
    ("a LoRA of a text encoder alone", "of a text encoder alone", pair(TEXT)),
    ("half a LoRA", "is broken", {f"{KOHYA}.lora_down.weight": Z(2, 768)}),
    (
        "two adapters in one file",
        "names a layer twice",
        pair(f"{LAYER}", down="lora_A.a", up="lora_B.a") | pair(f"{LAYER}", down="lora_A.b", up="lora_B.b"),
    ),
    ("factors of two ranks", "is broken", pair(KOHYA) | {f"{KOHYA}.lora_up.weight": Z(768, 3)}),
    ("a textual inversion", "is a textual inversion", {"emb_params": Z(2, 768)}),
    ("a textual inversion, diffusers' layout", "is a textual inversion", {"<my-wall>": Z(1, 768)}),
    ("a textual inversion of SDXL", "is a textual inversion", {"clip_g": Z(2, 1280), "clip_l": Z(2, 768)}),
    ("an upscaler", "is an upscaler", {"body.0.rdb1.conv1.weight": Z(4, 4, 3, 3)}),
    (
        "a LoRA of the first trainer (cloneofsimo's)",
        "layout of cloneofsimo/lora",
        {"unet:0:up": Z(4, 2), "unet:0:down": Z(2, 4)},
    ),
    (
        "a ControlNet",
        "is a ControlNet",
        {"controlnet_cond_embedding.conv_in.weight": Z(4, 3, 3, 3), "conv_in.weight": Z(4, 4, 3, 3)},
    ),
    ("a ControlNet, the original layout", "is a ControlNet", {"control_model.input_blocks.0.0.weight": Z(4, 4)}),
    ("a VAE", "is a VAE", {"decoder.conv_in.weight": Z(4, 4, 3, 3), "quant_conv.weight": Z(4, 4, 1, 1)}),
    ("a checkpoint", "is a checkpoint", {"model.diffusion_model.input_blocks.0.0.weight": Z(4, 9, 3, 3)}),
    ("a UNet", "is a UNet", {"conv_in.weight": Z(4, 9, 3, 3), "down_blocks.0.resnets.0.conv1.weight": Z(4, 4, 3, 3)}),
    ("a text encoder", "is a text encoder", {"text_model.embeddings.token_embedding.weight": Z(4, 4)}),
    ("an image encoder", "is an image encoder", {"vision_model.embeddings.class_embedding": Z(4)}),
    (
        "an IP-Adapter that is no Plus",
        "not a Plus",
        {"image_proj.proj.weight": Z(4), "ip_adapter.1.to_k_ip.weight": Z(4, 4)},
    ),
    ("anything else", "is no LoRA", {"something": Z(3)}),
)
CASES = (
    *(Case(what, happens, file(state), check) for what, happens, state, check in USED),
    Case("in half precision (fp16, bf16)", "used", file(pair(KOHYA), dtype=torch.bfloat16), is_one()),
    Case(
        "a family that only the header tells",
        "used",
        file(pair("lora_unet_up_blocks_1_resnets_0_conv1", 320), {"ss_base_model_version": "sdxl_base_v1-0"}),
        is_one("sdxl"),
    ),
    Case(
        "a LoRA of Kolors, which its header tells",
        "of another kind of model",
        file(pair(KOHYA, 2048), {"modelspec.architecture": "kolors/lora"}),
    ),
    *(Case(what, told, file(state)) for what, told, state in REFUSED),
    Case("a file that is cut off, in its header", "fetch or save it again", raw(b"\x80\0\0\0\0\0\0\0{")),
    Case("a file that is cut off, in its tensors", "fetch or save it again", raw(lambda: save(pair(KOHYA))[:-9])),
    Case("a pickle (`.pt`, `.ckpt`) called `.safetensors`", "cannot be read", raw(b"\x80\x02}q\0.")),
    Case("a page of a download site", "cannot be read", raw(b"<!doctype html><title>Log in</title>")),
    Case("a pointer of git-lfs", "cannot be read", raw(b"version https://git-lfs.github.com/spec/v1\n")),
)
