"""What a file of learned weights is, told from its header alone; torch is not loaded for it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

from wallpaint.errors import UserError, reason_of

ADAPTER = "IP-Adapter"
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga", "mipissa")  # ways peft has of beginning a LoRA
# Tables of patterns: 'widths', 'versions', 'networks', 'files', 'left_out'.
KINDS = yaml.safe_load(Path(__file__).with_name("lora_kinds.yaml").read_text(encoding="utf-8"))
OTHER_MODELS = (
    r"^(lora_|base_model\.model\.)?transformer[._]|(double|single|joint|single_transformer|temporal_transformer)_blocks"
    r"|\badd_[kqv]_proj|_(down|up)_blocks_\d+_\d+_"
)
_ENCODERS = r"lora_te\d?[_.]|text_encoder(_\d)?\.|text_encoders\.clip_[lg]\.transformer\."  # the last: ComfyUI
TEXT = rf"^(base_model\.model\.)?({_ENCODERS}|text_model\.)"
BLOCKS = r"((down|up|input|output)_blocks|mid_block|middle_block|conv_in|conv_out|out_|time_emb|label_emb|add_emb)"
_OWN_BLOCKS = r"(down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding|add_embedding)"
UNET = rf"^(lora_unet_{BLOCKS}|((unet|base_model\.model)\.)?{_OWN_BLOCKS}\.)"
# Layers as ComfyUI, OneTrainer and LyCORIS name them beside Kohya's way.
ALIKE = re.compile(
    rf"^(?:(?:model\.)?diffusion_model\.|lora_unet[._]|lycoris_)({BLOCKS}.*?)"
    r"(?=\.(?:lora_(?:down|up|A|B)\.|alpha$|scalar$|dora_scale$))"
)
# Names as PyTorch has them while a model is wrapped, and peft with its adapter's: `lora_A.default.weight`.
WRAPPED = re.compile(r"(^|\.)((module|_orig_mod)\.)+")
# Prefixes of a pipeline, or of a model wrapped twice, before the one that counts.
PREFIXES = re.compile(
    r"^(?:(?:pipe|pipeline|model|unet|base_model\.model)\.)*(unet\.|base_model\.model\.|(?=lora_unet_))"
)
RAW = re.compile(
    r"^(?:base_model\.model\.|unet\.)?(.*\.lora_(?:[AB]|magnitude_vector))\.(?!weight$|bias$)\w+(\.\w+)?$"
)
DOWN, UP = (r"(\blora_down|\blora\.down|\blora_A|\.down)\.weight$", r"(\blora_up|\blora\.up|\blora_B|\.up)\.weight$")
MAGNITUDE = r"\.(dora_scale|lora_magnitude_vector(\.weight)?)$"  # of a DoRA; LyCORIS, peft
STRENGTH = r"\.(alpha|scalar)$"  # of a layer; LyCORIS may learn a scalar beside its alpha
OWN = rf"^(?!{TEXT[1:]}){UNET[1:]}.*({DOWN}|{UP}|(lora_up|lora_B)\.bias$|{STRENGTH}|{MAGNITUDE})"  # for the UNet
TEXT_OWN = rf"{TEXT}.*({DOWN}|{UP}|{STRENGTH}|{MAGNITUDE})"  # for text encoders
OTHER = "another kind of model"  # as in KINDS
MAX_HEADER = 20_000_000  # bytes; the longest has some thousand tensors and what Kohya's trainers tell of tags
SHOWN = "wallpaint.shown"  # in the header's metadata
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class LoraFile:
    """What an arm's file is: `kind` 'LoRA', 'LoCon' (convolutions too), 'DoRA' or ADAPTER."""

    kind: str
    family: str  # of its base model: a name of FAMILIES; '' where its shapes do not tell
    ranks: tuple[int, ...]  # each that occurs
    left_out: tuple[str, ...]  # what of it is not used, for people
    kohya: bool = False  # in Kohya's layout, or in diffusers'
    shown: str = ""  # what it learned to see in the wall's place, see Method.shown
    text: bool = False  # whether a half of it is for text encoders


def describe_lora(path: str | Path) -> LoraFile:
    """Judge a LoRA or adapter by its header, in milliseconds.

    Raises:
        UserError: it cannot be read, is nothing that an arm could be, or is one of a model that is none here.
    """
    shapes, metadata = read_header(path)
    if any(key.startswith("ip_adapter.") for key in shapes):
        if "image_proj.latents" not in shapes:
            raise UserError(f"{path} is an IP-Adapter, but not a Plus in h94's layout: give an ip-adapter-plus file")
        return LoraFile(ADAPTER, _family_of_width(shapes, r"\.to_k_ip\.weight$"), (), ())
    config = read_config(path) if _has(shapes, f"{DOWN}|{UP}") and any(map(is_peft, shapes)) else {}
    _refuse_other_networks(path, shapes, config)
    factors, text = ({key: shape for key, shape in shapes.items() if re.match(own, key)} for own in (OWN, TEXT_OWN))
    downs = {key: shape for key, shape in factors.items() if re.search(DOWN, key)}
    family = _family(shapes, metadata)
    if family not in ("", "room-tiny", "sd15", "sdxl"):
        raise UserError(f"{path} is a LoRA of {family}: give one of Stable Diffusion 1.5 (sd15) or XL (sdxl)")
    if not downs:
        only = "of a text encoder alone" if _has(shapes, TEXT) else "of another kind of model"
        raise UserError(f"{path} is a LoRA {only}: give one of Stable Diffusion's UNet (sd15 or sdxl)")
    _check_pairs(path, factors | text)
    left_out = _left_out(shapes, factors | text)
    if any(map(is_peft, downs)) and not config:
        left_out.append("its alpha, which peft keeps in an adapter_config.json beside it: taken to be its rank")
    convolves = any(shape[2:] not in ((), (1, 1)) for shape in downs.values())
    kind = "DoRA" if _has(factors, MAGNITUDE) else "LoCon" if convolves else "LoRA"
    ranks = tuple(sorted({shape[0] for shape in downs.values()}))
    kohya, shown = any(key.startswith("lora_unet_") for key in downs), metadata.get(SHOWN, "")
    return LoraFile(kind, family, ranks, tuple(left_out), kohya, shown, bool(text))


def _refuse_other_networks(path: str | Path, shapes: Shapes, config: dict[str, Any]) -> None:
    """Complain of what is no plain LoRA: other networks, other files, and what changes the base as well."""
    begun = str(config.get("init_lora_weights", "")).lower()
    if begun.startswith(CHANGES_BASE):
        raise UserError(
            f"{path} began as {begun}, which changes the model's own weights too: have peft convert it "
            "(path_initial_model_for_weight_conversion), and give that"
        )
    other = _find(shapes, KINDS["networks"])
    if not other and not _has(shapes, f"{DOWN}|{UP}"):
        other = _find(shapes, KINDS["files"]) or _embedding(shapes) or "no LoRA of a UNet"
    if other:
        raise UserError(f"{path} is {other}, which cannot be painted with: give a plain LoRA saved as .safetensors")


def _left_out(shapes: Shapes, used: Shapes) -> list[str]:
    """What of a LoRA's tensors is not used, for people."""
    known = KINDS["left_out"]
    counts = {what: sum(bool(re.search(pattern, key)) for key in shapes) for what, pattern in known.items()}
    strange = [key for key in shapes if key not in used and not re.search("|".join(known.values()), key)]
    told = [f"{what} ({count} tensors)" for what, count in counts.items() if count]
    if strange:
        told.append(f"{len(strange)} tensors of an unknown kind ({strange[0][:80]})")
    return told


def common_name(key: str) -> str:
    """Name a UNet's layer in Kohya's way where a tensor's name has it in one that is alike; in peft's as it saves."""
    key = WRAPPED.sub(r"\1", key)
    if prefixes := PREFIXES.match(key):
        key = ("base_model.model." if "base_model" in prefixes[0] else prefixes[1]) + key[prefixes.end() :]
    key = re.sub(r"\.lora_(linear_)?layer\.", ".lora.", key)
    if raw := RAW.match(key):
        return f"base_model.model.{raw[1]}{raw[2] or ''}"
    if not (alike := ALIKE.match(key)):
        return key
    end = key[alike.end() :].replace(".lora_A.", ".lora_down.").replace(".lora_B.", ".lora_up.")
    return "lora_unet_" + alike[1].replace(".", "_") + end


def is_peft(key: str) -> bool:
    """Whether a tensor is named as peft does, which keeps the settings beside its file; others' are not its own."""
    return key.startswith("base_model.model.")


def read_header(path: str | Path) -> tuple[Shapes, dict[str, str]]:
    """Read the shapes of a safetensors file's tensors by their `common_name`, and its metadata; no tensor is read.

    Raises:
        UserError: it is no whole safetensors file.
    """
    remedy = "give weights saved as .safetensors"
    try:
        with open(path, "rb") as content:
            if int.from_bytes(content.read(8), "little") > MAX_HEADER:
                raise ValueError("its header is longer than any of weights")
            remedy = "fetch or save it again" if content.read(1) == b"{" else remedy
        with safe_open(str(path), framework="np") as file:
            names = list(file.keys())
            shapes = {common_name(name): tuple(file.get_slice(name).get_shape()) for name in names}
            if len(shapes) < len(names):
                raise ValueError("it names a layer twice, as of two adapters")
            return shapes, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({reason_of(error)}): {remedy}") from None


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the adapter_config.json that peft writes beside its weights; {} where there is none.

    Raises:
        UserError: it cannot be read.
    """
    beside = Path(path).with_name("adapter_config.json")
    if not beside.is_file():
        return {}
    try:
        return dict(json.loads(beside.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{beside} cannot be read ({error}): restore it, or take it away") from None


def _find(shapes: Shapes, kinds: dict[str, str]) -> str:
    """Give the first kind whose pattern any key has; '' where none has."""
    return next((kind for kind, pattern in kinds.items() if _has(shapes, pattern)), "")


def _has(shapes: Shapes, pattern: str) -> bool:
    """Whether any key has this pattern."""
    return any(re.search(pattern, key) for key in shapes)


def _embedding(shapes: Shapes) -> str:
    """A textual inversion as diffusers saves it: vectors of a text encoder's width under the word they stand for."""
    one = len(shapes) == 1 and next(iter(shapes.values()))
    return "a textual inversion embedding" if one and one[-1] in (768, 1024, 1280) and len(one) <= 2 else ""


def _family_of_width(shapes: Shapes, pattern: str) -> str:
    widths = [shape[1] for key, shape in shapes.items() if re.search(pattern, key) and len(shape) > 1]
    return KINDS["widths"].get(widths[0], "") if widths else ""


def _family(shapes: Shapes, metadata: dict[str, str]) -> str:
    """Tell the base model: by cross-attention, else by the header's words, else by layers that only one has."""
    if _has(shapes, OTHER_MODELS):
        return OTHER
    words = (metadata.get("modelspec.architecture", "") + metadata.get("ss_base_model_version", "")).lower()
    told = next((family for family, pattern in KINDS["versions"].items() if re.search(pattern, words)), "")
    if told == OTHER:  # whose shapes may be those of one of ours
        return told
    if found := _family_of_width(shapes, r"attn2.*to_[kv][._](lora|processor)?.*(lora_down|lora\.down|lora_A|\.down)"):
        return found
    if told:
        return told
    if any(
        re.match(r"lora_te2[_.]|text_encoder_2\.|text_encoders\.clip_g\.|lora_unet_(input|output)_blocks", key)
        for key in shapes
    ):
        return "sdxl"
    first = [shape[1] for key, shape in shapes.items() if re.search(rf"down_blocks[._]0[._]attentions.*{DOWN}", key)]
    return "sd15" if first and first[0] == 320 else ""


def _check_pairs(path: str | Path, factors: Shapes) -> None:
    """Every factor down needs the factor up of its rank, and the other way round."""
    downs, ups = (
        {re.sub(pattern, "", key): shape for key, shape in factors.items() if re.search(pattern, key)}
        for pattern in (DOWN, UP)
    )
    for layer in downs.keys() | ups.keys():
        down, up = downs.get(layer, ()), ups.get(layer, ())
        if not (len(down) > 1 and len(up) > 1 and down[0] == up[1] > 0):
            raise UserError(
                f"LoRA {path} is broken ({layer[:80]} is {down or 'missing'} down and {up or 'missing'} up): "
                "save it again"
            )
