"""Models as others publish them: their names of files and of weights, at their sizes where that is cheap."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from segment_anything import sam_model_registry
from small import WIDTHS, save_random, small_sam
from transformers import Dinov2Config, Dinov2Model

from wallpaint.errors import UserError
from wallpaint.learned.adapter import adapter_heads, resampler_to_h94
from wallpaint.models.bundle import _attach_adapter, load_models
from wallpaint.models.encoders import encode_images, encoder_key, reference_side
from wallpaint.models.families import resolve_family
from wallpaint.models.files import find_weights
from wallpaint.models.loading import load_module, read_adapter
from wallpaint.models.runtime import pick_runtime
from wallpaint.runs.machine import is_ready, list_parts
from wallpaint.walls.masks import Masker

SD15_WIDTHS = [320, 320, 640, 640, 1280, 1280, *[1280] * 3, *[640] * 3, *[320] * 3, 1280]  # down, up, mid
DINO_PROCESSOR = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "BitImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 256},
}


def meta_sam(name):
    """segment-anything's own model of a name, without memory."""
    with torch.device("meta"):
        return sam_model_registry[name]()


@pytest.mark.parametrize("name", WIDTHS)
def test_a_checkpoint_of_metas_is_read_bit_for_bit(name, tmp_path, monkeypatch):
    shapes = meta_sam(name).state_dict() if name == "vit_b" else small_sam(monkeypatch, name)
    state = save_random(shapes, tmp_path / f"sam_{name}_012345.pth")
    sam = Masker.load(tmp_path / f"sam_{name}_012345.pth").predictor.model
    assert all(torch.equal(value, state[key]) for key, value in sam.state_dict().items())
    assert not sam.training and not any(p.requires_grad or p.dtype != torch.float32 for p in sam.parameters())
    assert [tensor.device.type for tensor in (sam.pixel_mean, sam.pixel_std)] == ["cpu", "cpu"]
    assert sam.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])


def test_a_checkpoint_of_metas_in_half_precision_is_asked_in_float32(tmp_path, monkeypatch):
    shapes = small_sam(monkeypatch, "vit_b")
    state = {key: value.half() for key, value in save_random(shapes, tmp_path / "x.pth").items()}
    save_file(state, tmp_path / "sam_vit_b.safetensors")
    sam = Masker.load(tmp_path / "sam_vit_b.safetensors").predictor.model
    assert all(torch.equal(value, state[key].float()) for key, value in sam.state_dict().items())
    assert all(value.dtype == torch.float32 for value in sam.state_dict().values())


def test_a_checkpoint_that_is_cut_short_or_of_something_else_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    shapes = small_sam(monkeypatch, "vit_b")
    save_random(shapes, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"sam_vit_b_01ec64\.pth cannot be loaded .*: fetch them") as short:
        Masker.load(path)
    assert "\n" not in str(short.value)
    path.write_bytes(b"<html>404 Not Found</html>")
    with pytest.raises(UserError, match="more than weights, or is cut short"):
        Masker.load(path)
    torch.save(torch.nn.Linear(1, 1), path)  # a pickled object may run any code: it is not unpickled
    with pytest.raises(UserError, match="it holds more than weights"):
        Masker.load(path)
    for other in (
        {"unet.x": torch.zeros(3)},
        [torch.zeros(3)],
        {"image_encoder.patch_embed.proj.weight": torch.zeros(384, 3, 16, 16)},
    ):
        torch.save(other, path)
        with pytest.raises(UserError, match="it is none of Meta's vit_b, vit_l and vit_h"):
            Masker.load(path)
    save_random({key: value for key, value in shapes.items() if "neck" not in key}, path)
    with pytest.raises(UserError, match="neck") as lacking:
        Masker.load(path)
    assert "\n" not in str(lacking.value)


def read_again(family, folder, name="ip-adapter-plus_sd15.safetensors"):
    """The family with the adapter of another folder, as h94 publishes it."""
    return load_models(
        "room-tiny",
        pick_runtime("cpu"),
        base_model=str(family),
        ip_adapter_model=str(folder),
        ip_adapter_weight_name=name,
    )


@pytest.mark.parametrize("asked", ["ip-adapter-plus_sd15.safetensors", "ip-adapter-plus_sd15.bin"])
def test_an_adapter_as_bin_or_safetensors_is_the_same_adapter(family, loaded, tmp_path, asked):
    """Either file is found by either name, and CLIP's older file, with its names of before, by its own."""
    shutil.copytree(family / "ip_adapter", tmp_path / "h94")
    (file,) = (tmp_path / "h94" / "models").glob("*.safetensors")
    torch.save(read_adapter(file), file.with_name("ip-adapter-plus_sd15.bin"))
    file.unlink()
    clip = tmp_path / "h94" / "models" / "image_encoder"
    state = load_file(clip / "model.safetensors")
    count = state["vision_model.embeddings.position_embedding.weight"].shape[0]
    state["vision_model.embeddings.position_ids"] = torch.arange(count)[None]
    torch.save(state, clip / "pytorch_model.bin")
    (clip / "model.safetensors").unlink()
    again = read_again(family, tmp_path / "h94", asked)
    for name in ("unet", "image_proj", "image_encoder"):
        first, second = getattr(loaded, name).state_dict(), getattr(again, name).state_dict()
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[key]) for key, value in first.items()), name


def test_the_sd15_adapter_has_the_names_and_shapes_that_its_unet_takes():
    """As `ip-adapter-plus_sd15.bin` has them: a Resampler of 4 layers and 16 pairs, 1, 3, ..., 31."""
    wide = {
        f"{n}.{kind}.weight": (width, 768)
        for n, width in zip(range(1, 33, 2), SD15_WIDTHS, strict=True)
        for kind in ("to_k_ip", "to_v_ip")
    }
    inside = {
        "latents": (1, 16, 768),
        "proj_in.weight": (768, 1280),
        "proj_in.bias": (768,),
        "proj_out.weight": (768, 768),
        "proj_out.bias": (768,),
        "norm_out.weight": (768,),
        "norm_out.bias": (768,),
    }
    layer = {
        "0.norm1.weight": (768,),
        "0.norm1.bias": (768,),
        "0.norm2.weight": (768,),
        "0.norm2.bias": (768,),
        "0.to_q.weight": (768, 768),
        "0.to_kv.weight": (1536, 768),
        "0.to_out.weight": (768, 768),
        "1.0.weight": (768,),
        "1.0.bias": (768,),
        "1.1.weight": (3072, 768),
        "1.3.weight": (768, 3072),
    }
    inside |= {f"layers.{n}.{key}": shape for n in range(4) for key, shape in layer.items()}
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=9, cross_attention_dim=768, attention_head_dim=8)
        adapter = {
            "image_proj": {key: torch.empty(shape) for key, shape in inside.items()},
            "ip_adapter": {key: torch.empty(shape) for key, shape in wide.items()},
        }
    image_proj = _attach_adapter(unet, adapter)
    assert {key: tuple(p.shape) for key, p in adapter_heads(unet).items()} == wide
    back = resampler_to_h94(image_proj.state_dict())
    assert {key: tuple(value.shape) for key, value in back.items()} == inside


def test_dinov2_is_read_as_facebook_publishes_it(loaded, tmp_path):
    """Learned at 518 pixels in patches of 14, asked at 224: its places are stretched to 16 x 16."""
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=518)
    made = Dinov2Model(config).eval()
    made.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(DINO_PROCESSOR))
    models = replace(loaded, family=replace(loaded.family, dinov2_model=str(tmp_path)), parts={})
    paint = Image.new("RGB", (500, 300), (122, 158, 126))
    told = encode_images(models, "identity", [paint, None])
    assert told.shape == (2, 1 + 16 * 16, 24) and reference_side(models, "identity") == 224
    mean, deviation = (torch.tensor(DINO_PROCESSOR[key])[:, None, None] for key in ("image_mean", "image_std"))
    pixels = (torch.tensor(paint.getpixel((0, 0)))[:, None, None] / 255 - mean) / deviation
    with torch.no_grad():
        asked = torch.stack([pixels.expand(3, 224, 224), torch.zeros(3, 224, 224)])
        torch.testing.assert_close(told, made(asked).last_hidden_state, atol=1e-5, rtol=1e-5)
    key = encoder_key(models, "identity")
    state = load_file(tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")  # the older of the two files in the repository
    (tmp_path / "model.safetensors").unlink()
    again = encode_images(replace(models, parts={}), "identity", [paint, None])
    torch.testing.assert_close(again, told, atol=1e-5, rtol=1e-5)
    assert encoder_key(models, "identity") != key


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "ip_adapter/models/image_encoder"])
@pytest.mark.parametrize("fault", ["cut short", "a weight is gone", "another shape"])
def test_weights_that_are_not_whole_are_one_line_and_never_filled_up_at_random(family, tmp_path, part, fault):
    folder = tmp_path / "base"
    shutil.copytree(family, folder)
    (path,) = (folder / part).glob("*.safetensors")
    state = load_file(path)
    key = min(state)
    if fault == "cut short":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        value = state.pop(key)
        save_file(state | ({} if "gone" in fault else {key: torch.cat([value, value])}), path, {"format": "pt"})
    with pytest.raises(UserError, match=f"{part}/.* cannot be read .*fetch it again") as caught:
        load_models("room-tiny", pick_runtime("cpu"), base_model=str(folder))
    assert "\n" not in str(caught.value)


def test_a_base_that_does_not_inpaint_is_named_with_its_channels(family, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(family, folder)
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet"), in_channels=4)
    unet.save_pretrained(folder / "unet")
    with pytest.raises(UserError, match=f"{folder}/unet/.* takes 4 channels, not the 9 of inpainting"):
        load_models("room-tiny", pick_runtime("cpu"), base_model=str(folder))


def test_a_fine_tune_without_adapter_dino_and_sam_has_its_familys_own(family, tmp_path):
    folder = tmp_path / "fine-tune"
    shutil.copytree(family, folder, ignore=shutil.ignore_patterns("ip_adapter", "dinov2", "sam*"))
    resolved = resolve_family("room-tiny", base_model=str(folder))
    assert is_ready(parts := list_parts(resolved)) and all(part.path for part in parts)
    assert resolved.base_model == str(folder)
    (folder / "ip_adapter").mkdir()
    assert resolve_family("room-tiny", base_model=str(folder)).ip_adapter_model == str(folder / "ip_adapter")


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize(("safe", "size"), [(True, "10GB"), (True, "2MB"), (False, "10GB")])
def test_a_fine_tune_is_read_as_it_was_saved(family, tmp_path, variant, safe, size):
    saved = UNet2DConditionModel.from_pretrained(family / "unet")
    shutil.copytree(family, tmp_path / "base", ignore=shutil.ignore_patterns("unet"))
    options = {"safe_serialization": safe, "variant": variant, "max_shard_size": size}
    saved.save_pretrained(tmp_path / "base" / "unet", **options)
    files = [path for path in (tmp_path / "base" / "unet").iterdir() if path.name != "config.json"]
    assert len(files) == 1 if size == "10GB" else len(files) > 2
    found = load_module(UNet2DConditionModel, find_weights(str(tmp_path / "base"), "unet"), torch.float32).state_dict()
    assert all(torch.equal(found[key], value) for key, value in saved.state_dict().items())
