import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from wallpaint.errors import UserError
from wallpaint.models.bundle import load_models
from wallpaint.models.encoders import encode_references, encode_text
from wallpaint.models.families import FAMILIES, find_adapter, resolve_family
from wallpaint.models.loading import read_adapter
from wallpaint.models.runtime import pick_runtime


def test_missing_weights_are_one_error_with_file_place_and_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_models("sd15", pick_runtime("cpu"))
    message = str(caught.value)
    assert "model_index.json" in message and "Hugging Face cache" in message and "\n" not in message
    assert "`hf download stable-diffusion-v1-5/stable-diffusion-inpainting --include" in message
    assert message.endswith("(about 2.1 GB)")  # of the 40 GB in the repository


def test_a_missing_adapter_is_named_with_its_own_command(family):
    with pytest.raises(UserError, match="`hf download h94/IP-Adapter models/ip-adapter-plus_sd15.*2.6 GB"):
        load_models(
            "room-tiny",
            pick_runtime("cpu"),
            base_model=str(family),
            ip_adapter_model="h94/IP-Adapter",
            ip_adapter_weight_name="ip-adapter-plus_sd15.bin",
        )


def test_a_half_copied_folder_says_which_file_is_missing(family, tmp_path):
    folder = tmp_path / "half"
    shutil.copytree(family, folder)
    next((folder / "unet").glob("*.safetensors")).unlink()
    with pytest.raises(UserError, match="unet/diffusion_pytorch_model.safetensors.*is missing"):
        load_models("room-tiny", pick_runtime("cpu"), base_model=str(folder))


def test_an_unknown_family_offers_the_known_ones():
    with pytest.raises(UserError, match="choose room-tiny or sd15 or sdxl"):
        load_models("sd35")


def test_every_id_may_be_a_local_folder(family):
    resolved = resolve_family("sd15", base_model=str(family), ip_adapter_model="ip_adapter", resolution=0)
    assert resolved.ip_adapter_model == str(family / "ip_adapter")
    assert resolved.resolution == FAMILIES["sd15"].resolution


def test_everything_is_loaded_frozen_and_in_eval_mode(loaded):
    for module in (loaded.vae, loaded.unet, loaded.image_proj, loaded.text_encoder, loaded.image_encoder):
        assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert all(p.dtype == torch.float32 for p in loaded.vae.parameters())


def test_the_null_image_is_what_the_encoder_says_to_zero_pixels(loaded):
    size = loaded.image_encoder.config.image_size
    with torch.no_grad():
        zeros = loaded.image_encoder(torch.zeros(1, 3, size, size), output_hidden_states=True).hidden_states[-2]
    null = encode_references(loaded, [None])
    torch.testing.assert_close(null, zeros, atol=1e-5, rtol=1e-5)
    assert null.abs().sum() > 0


def test_text_is_encoded_to_the_tokenizers_length(loaded):
    embeds = encode_text(loaded, ["", "a room with sage walls " * 50])["prompt_embeds"]
    assert embeds.shape == (2, loaded.tokenizer.model_max_length, loaded.unet.config.cross_attention_dim)
    assert not torch.equal(embeds[0], embeds[1])


def test_a_bin_adapter_is_read_without_pickles_power_and_means_the_same(loaded, tmp_path):
    groups = read_adapter(find_adapter(loaded.family))
    torch.save(groups, tmp_path / "adapter.bin")
    again = read_adapter(tmp_path / "adapter.bin")
    assert all(torch.equal(again[g][k], v) for g, state in groups.items() for k, v in state.items())

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"image_proj": Evil(), "ip_adapter": {}}, tmp_path / "evil.bin")
    with pytest.raises(UserError, match="evil.bin cannot be read"):
        read_adapter(tmp_path / "evil.bin")
    assert not (tmp_path / "owned").exists()


def test_another_kind_of_file_is_no_adapter(tmp_path):
    save_file({"unet.x": torch.zeros(1)}, tmp_path / "lora.safetensors")
    with pytest.raises(UserError, match="no IP-Adapter-Plus"):
        read_adapter(tmp_path / "lora.safetensors")


def test_an_adapter_of_another_family_is_refused(family, tmp_path):
    wide = tmp_path / "ip_adapter" / "models"
    shutil.copytree(family / "ip_adapter" / "models", wide)
    (file,) = wide.glob("*.safetensors")
    state = load_file(file)
    state["ip_adapter.1.to_k_ip.weight"] = torch.zeros(320, 768)
    file.unlink()
    save_file(state, file)
    with pytest.raises(UserError, match="does not fit"):
        load_models("room-tiny", pick_runtime("cpu"), base_model=str(family), ip_adapter_model=str(wide.parent))


def test_the_runtime_is_chosen_with_a_reason():
    runtime = pick_runtime("cpu")
    assert runtime.weight_dtype == torch.float32 and runtime.mixed_precision == "no" and runtime.reason
    assert pick_runtime("cpu", "bf16").mixed_precision == "bf16"
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device cuda"):
            pick_runtime("cuda")
