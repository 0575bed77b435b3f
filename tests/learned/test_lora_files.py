"""Files that people bring as LoRAs: told apart by their header, used or refused by name, what is left out said."""

import json
import struct
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import peak_bytes
from safetensors.torch import save_file

from wallpaint.errors import UserError
from wallpaint.learned.lora import load_lora
from wallpaint.learned.lora_files import ADAPTER, KINDS, MAX_HEADER, describe_lora
from wallpaint.models.families import FAMILIES, find_adapter, resolve_family
from wallpaint.paths import ROOT

LAYER = "mid_block.attentions.0.transformer_blocks.0"
KOHYA = f"lora_unet_{LAYER.replace('.', '_')}"
Z = torch.zeros
FACTORS = {"A": (2, 96), "B": (96, 2)}


def pair(layer, width=96, rank=2, down="lora_down", up="lora_up", out=None):
    return {f"{layer}.{down}.weight": torch.randn(rank, width), f"{layer}.{up}.weight": torch.randn(out or 96, rank)}


def kohya(width=96, rank=2, where="attn2_to_k"):
    return pair(f"{KOHYA}_{where}", width, rank)


def write(tmp_path, state, metadata=None):
    path = tmp_path / "mine.safetensors"
    save_file(state, path, metadata)
    return path


@pytest.fixture
def bring(load, tmp_path):
    """Load a LoRA of this state: what is said of it, and what it adds to a layer of the middle's attention."""

    def brought(state, header=None):
        models = load()
        described = load_lora(models.unet, write(tmp_path, state, header), "mine")
        block = models.unet.mid_block.attentions[0].transformer_blocks[0]
        return described, lambda where="attn1.to_q": block.get_submodule(where).get_delta_weight("mine")

    return brought


def test_the_widths_are_those_of_the_families():
    from wallpaint.recipes.tiny.sizes import UNET

    assert KINDS["widths"][UNET["cross_attention_dim"]] == "room-tiny" and set(FAMILIES) < set(
        KINDS["widths"].values()
    )


@pytest.mark.parametrize(
    ("state", "family"),
    [
        (kohya(96), "room-tiny"),
        (kohya(768), "sd15"),
        (kohya(2048), "sdxl"),
        (pair(f"unet.{LAYER}.attn2.to_v", 768, down="lora_A", up="lora_B"), "sd15"),
        (pair(f"unet.{LAYER}.attn2.to_k", 768, down="lora.down", up="lora.up"), "sd15"),
        (pair(f"unet.{LAYER}.attn2.processor.to_k_lora", 2048, down="down", up="up"), "sdxl"),
        (pair(f"base_model.model.{LAYER}.attn2.to_k", 768, down="lora_A", up="lora_B"), "sd15"),
        (pair(f"{LAYER}.attn2.to_k", 2048, down="lora_A", up="lora_B"), "sdxl"),
        (pair("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", 640), "sdxl"),
        (pair("lora_unet_down_blocks_0_attentions_0_proj_in", 320), "sd15"),
        (pair("lora_unet_up_blocks_1_resnets_0_conv1", 320), ""),
    ],
)
def test_shapes_tell_the_family(tmp_path, state, family):
    assert describe_lora(write(tmp_path, state)).family == family


def test_the_header_tells_the_family_where_shapes_do_not(tmp_path):
    state = pair("lora_unet_up_blocks_1_resnets_0_conv1", 320)
    for words, family in (
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "sdxl"),
        ({"ss_base_model_version": "sd_v1"}, "sd15"),
        ({"modelspec.architecture": "stable-diffusion-v1/lora"}, "sd15"),
    ):
        assert describe_lora(write(tmp_path, state, words)).family == family


LEFT_OUT = [
    ("unknown kind", {"lora_te_text_model_encoder_layers_0_mlp_fc1.what_is_this": Z(1)}),
    ("diff", {f"{KOHYA}_attn2_to_k.diff_b": Z(96)}),
    ("diff", {f"{KOHYA}_norm.diff": Z(96)}),
    ("bundled", {"bundle_emb.wall.string_to_param.*": Z(1, 96)}),
    ("unknown kind", {f"{KOHYA}_attn2_to_k.what_is_this": Z(1)}),
]


@pytest.mark.parametrize(("said", "more"), LEFT_OUT, ids=[f"{i}-{said}" for i, (said, _) in enumerate(LEFT_OUT)])
def test_what_is_left_out_of_a_lora_is_said_and_the_rest_is_used(bring, said, more):
    state = kohya()
    described, delta = bring(state | more)
    assert len(described.left_out) == 1 and said in described.left_out[0]
    assert (described.kind, described.ranks) == ("LoRA", (2,))
    down, up = state.values()
    torch.testing.assert_close(delta("attn2.to_k"), up @ down)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_ranks_and_alphas_are_each_layers_own_and_a_missing_alpha_is_scale_one(bring, dtype):
    layers, state = {"attn1_to_q": (2, 1.0), "attn1_to_k": (3, 6.0), "attn1_to_v": (4, None)}, {}
    for where, (rank, alpha) in layers.items():
        state |= kohya(96, rank, where) | ({f"{KOHYA}_{where}.alpha": torch.tensor(alpha)} if alpha else {})
    state = {key: value.to(dtype) for key, value in state.items()}
    described, delta = bring(state)
    assert described.ranks == (2, 3, 4)
    for where, (rank, alpha) in layers.items():
        down, up = (state[f"{KOHYA}_{where}.lora_{end}.weight"].float() for end in ("down", "up"))
        torch.testing.assert_close(delta(where.replace("_", ".", 1)), (alpha or rank) / rank * up @ down)


def test_ranks_of_diffusers_layout_may_differ_too(bring):
    state = {}
    for where, rank in (("to_q", 2), ("to_k", 3), ("to_v", 5)):
        state |= pair(f"unet.{LAYER}.attn1.{where}", rank=rank, down="lora_A", up="lora_B")
    _, delta = bring(state)
    for where in ("to_q", "to_k", "to_v"):
        down, up = (state[f"unet.{LAYER}.attn1.{where}.lora_{end}.weight"] for end in "AB")
        torch.testing.assert_close(delta(f"attn1.{where}"), up @ down)


@pytest.mark.parametrize(
    "layer",
    [
        *("attn1.processor.to_q_lora.{}", "attn1.to_q.lora.{}", "attn1.to_q.lora_{}"),
        *("attn1.to_q.lora_layer.{}", "attn1.to_q.lora_linear_layer.{}"),
    ],
)
@pytest.mark.parametrize(
    "prefix", ["unet.", "base_model.model.", "", "unet.unet.", "pipe.unet.", "model.unet.", "base_model.model.unet."]
)
def test_every_way_of_naming_a_layer_reaches_it(bring, layer, prefix):
    ends = ("A", "B") if layer.endswith("_{}") else ("down", "up")
    down, up = torch.randn(2, 96), torch.randn(96, 2)
    names = [f"{prefix}{LAYER}.{layer.format(end)}.weight" for end in ends]
    _, delta = bring(dict(zip(names, (down, up), strict=True)))
    torch.testing.assert_close(delta(), up @ down)


NAMED = f"{LAYER}.attn1.to_q"


@pytest.mark.parametrize(
    "name",
    [
        *(f"base_model.model.{NAMED}.{{}}.default", f"{NAMED}.{{}}.wall_2", f"unet.{NAMED}.{{}}.default"),
        *(f"module.unet.{NAMED}.{{}}", f"base_model.model._orig_mod.{NAMED}.{{}}", f"_orig_mod.{NAMED}.{{}}.default"),
        *(f"diffusion_model.{NAMED}.{{}}", f"model.diffusion_model.{NAMED}.{{}}", f"{KOHYA}_attn1_to_q.{{}}"),
    ],
)
def test_names_as_of_a_state_dict_or_of_comfyui_reach_their_layer(bring, tmp_path, name):
    state = {f"{name.format(f'lora_{end}')}.weight": torch.randn(*s) for end, s in FACTORS.items()}
    raw = any(word in name for word in ("default", "wall_2", "base_model"))
    described, delta = bring(state)
    assert bool(described.left_out) == raw  # its alpha is told beside it, if anywhere
    down, up = state.values()
    torch.testing.assert_close(delta(), up @ down)
    if raw:
        (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 6}')
        described, delta = bring(state)
        assert described.left_out == ()
        torch.testing.assert_close(delta(), 3 * up @ down)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (f"base_model.model.{NAMED}.lora_{{}}.other.weight", "as of two adapters"),
        (f"unet.{NAMED}.lora_{{}}.weight", "in two layouts"),
    ],
)
def test_a_layer_that_is_named_twice_is_refused(bring, other, told):
    names = [f"base_model.model.{NAMED}.lora_{{}}.default.weight", other]
    state = {name.format(end): torch.randn(*s) for name in names for end, s in FACTORS.items()}
    with pytest.raises(UserError, match=f"names a layer twice, {told}"):
        bring(state)


@pytest.mark.parametrize(
    ("name", "told", "alpha", "scale"),
    [
        (NAMED, {"r": 2, "lora_alpha": 8}, None, 4),  # as diffusers' unet.save_lora_adapter writes it
        (f"unet.{NAMED}", {"unet.r": 2, "unet.lora_alpha": 8}, 8, 4),
        (f"unet.{NAMED}", {"unet.r": 2, "unet.lora_alpha": 8}, 2, "two alphas"),
        (f"unet.{NAMED}", {"unet.r": 2, "unet.lora_alpha": 8, "unet.use_dora": True}, None, "magnitudes are missing"),
    ],
)
def test_what_the_header_says_of_a_loras_strength_is_heard_once(bring, name, told, alpha, scale):
    state = pair(name, down="lora_A", up="lora_B")
    down, up = state.values()
    more = {f"{name}.alpha": torch.tensor(float(alpha))} if alpha else {}
    prefix = "unet." if "unet.r" in told else ""
    header = {"lora_adapter_metadata": json.dumps(told | {f"{prefix}target_modules": ["to_q"]})}
    if isinstance(scale, str):
        with pytest.raises(UserError, match=scale):
            bring(state | more, header)
        return
    _, delta = bring(state | more, header)
    torch.testing.assert_close(delta(), scale * up @ down)


@pytest.mark.parametrize(
    ("name", "down", "up"),
    [
        *((name, "lora_A", "lora_B") for name in ("unet.{}", "{}")),
        *((name, "lora_down", "lora_up") for name in ("unet.{}", "{}", "lora_unet.{}", "diffusion_model.{sgm}")),
        ("lycoris_{plain}", "lora_down", "lora_up"),
    ],
)
def test_an_alpha_is_heard_in_every_layout(bring, name, down, up):
    sgm = NAMED.replace("mid_block.attentions.0", "middle_block.1")
    layer = name.format(NAMED, sgm=sgm, plain=NAMED.replace(".", "_"))
    state = pair(layer, down=down, up=up)
    _, delta = bring(state | {f"{layer}.alpha": torch.tensor(6.0)})
    down, up = state.values()
    torch.testing.assert_close(delta(), 3 * up @ down)


def test_layers_named_in_two_ways_in_one_file_are_all_used(bring):
    first, second = kohya(where="attn1_to_q"), pair(f"unet.{LAYER}.attn1.to_k", down="lora_A", up="lora_B")
    described, delta = bring(first | second)
    assert described.left_out == ()
    for where, state in (("attn1.to_q", first), ("attn1.to_k", second)):
        down, up = state.values()
        torch.testing.assert_close(delta(where), up @ down)


def test_a_scalar_that_lycoris_learned_beside_alpha_is_heard(bring):
    name = f"{KOHYA}_attn1_to_q"
    state = kohya(where="attn1_to_q") | {f"{name}.alpha": torch.tensor(6.0), f"{name}.scalar": torch.tensor([0.25])}
    described, delta = bring(state)
    assert described.left_out == ()
    down, up = list(state.values())[:2]
    torch.testing.assert_close(delta(), 6 / 2 * 0.25 * up @ down)


def test_a_lora_of_a_model_that_is_not_for_inpainting_leaves_the_mask_alone(load, tmp_path):
    models = load()
    conv = models.unet.conv_in
    down, up = torch.randn(2, 4, 3, 3), torch.randn(conv.out_channels, 2, 1, 1)
    state = {"lora_unet_conv_in.lora_down.weight": down, "lora_unet_conv_in.lora_up.weight": up}
    load_lora(models.unet, write(tmp_path, state), "mine")
    delta = models.unet.conv_in.get_delta_weight("mine")
    torch.testing.assert_close(delta[:, :4], torch.einsum("or,rikl->oikl", up[..., 0, 0], down), atol=1e-4, rtol=1e-4)
    assert delta.shape[1] == 9 and not delta[:, 4:].any()


def test_a_lora_that_changes_nothing_says_so(bring):
    state = {key: value * ("lora_down" in key) for key, value in kohya().items()}
    assert "zeros, which change nothing" in bring(state)[0].left_out[0]


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_factors_without_fractions_are_refused(bring, dtype):
    state = {key: (5 * value).to(dtype) for key, value in kohya().items()}
    with pytest.raises(UserError, match="no fractions"):
        bring(state)


def test_settings_of_a_newer_peft_in_the_header_are_left_out_and_said(bring):
    state = pair(f"unet.{NAMED}", down="lora_A", up="lora_B")
    told = {"r": 2, "lora_alpha": 6, "target_modules": ["to_q"], "use_next_thing": True}
    header = {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in told.items()})}
    described, delta = bring(state, header)
    assert described.left_out == ("settings of a newer peft (use_next_thing)",)
    down, up = state.values()
    torch.testing.assert_close(delta(), 3 * up @ down)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ("", 1),
        ('"lora_alpha": 6', 3),
        ('"lora_alpha": 6, "use_rslora": true', 18**0.5),
        ('"lora_alpha": 40, "alpha_pattern": {"^mid_block.*attn1.to_q": 6}', 3),
    ],
)
def test_peft_keeps_alpha_beside_its_file(bring, tmp_path, config, scale):
    state = pair(f"base_model.model.{NAMED}", down="lora_A", up="lora_B")
    if config:
        (tmp_path / "adapter_config.json").write_text(f'{{"alpha_pattern": {{"attn2.to_q": 9}}, {config}}}')
    described, delta = bring(state)
    assert bool(described.left_out) == (not config)
    down, up = state.values()
    torch.testing.assert_close(delta(), scale * up @ down)
    (tmp_path / "adapter_config.json").write_text("[1")
    with pytest.raises(UserError, match=r"adapter_config\.json cannot be read"):
        bring(state)


def test_what_peft_says_of_another_file_is_not_heard(bring, tmp_path):
    state = kohya(where="attn1_to_q")
    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 40, "r": 2}')
    _, delta = bring(state)
    down, up = state.values()
    torch.testing.assert_close(delta(), up @ down)
    (tmp_path / "adapter_config.json").write_text("[1")
    assert bring(state)[0].kind == "LoRA"


@pytest.mark.parametrize("begun", ["pissa_niter_4", "olora", "corda"])
def test_a_lora_whose_base_was_changed_with_it_is_refused(tmp_path, begun):
    path = write(tmp_path, pair(f"base_model.model.{LAYER}.attn1.to_q", down="lora_A", up="lora_B"))
    (tmp_path / "adapter_config.json").write_text(f'{{"init_lora_weights": "{begun}"}}')
    with pytest.raises(UserError, match=f"began as {begun}"):
        describe_lora(path)


def test_convolutions_are_used(load, tmp_path):
    models = load()
    conv = models.unet.up_blocks[0].resnets[0].conv1
    down, up = torch.randn(2, conv.in_channels, 3, 3), torch.randn(conv.out_channels, 2, 1, 1)
    name = "lora_unet_up_blocks_0_resnets_0_conv1"
    state = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    assert load_lora(models.unet, write(tmp_path, state), "mine").kind == "LoCon"
    delta = models.unet.up_blocks[0].resnets[0].conv1.get_delta_weight("mine")
    torch.testing.assert_close(delta, torch.einsum("or,rikl->oikl", up[..., 0, 0], down), atol=1e-4, rtol=1e-4)


def test_a_lora_of_another_family_names_the_one_it_needs(load, tmp_path):
    models = load()
    with pytest.raises(UserError, match="does not fit this model .*--family sdxl"):
        load_lora(models.unet, write(tmp_path, kohya(2048)), "mine")
    assert not getattr(models.unet, "peft_config", None)


def test_values_that_are_no_numbers_are_refused(bring):
    state = kohya()
    state[f"{KOHYA}_attn2_to_k.lora_up.weight"][0, 0] = float("nan")
    with pytest.raises(UserError, match="no numbers"):
        bring(state)


@pytest.mark.parametrize("words", ["not json", "[]", '{"unet.r": "many"}', '{"unet.r": -3, "unet.lora_alpha": 1}'])
def test_metadata_that_is_none_is_one_line_and_leaves_nothing_loaded(load, tmp_path, words):
    models = load()
    state = pair(f"unet.{LAYER}.attn2.to_k", down="lora_A", up="lora_B")
    with pytest.raises(UserError, match=r"mine\.safetensors cannot be"):
        load_lora(models.unet, write(tmp_path, state, {"lora_adapter_metadata": words}), "mine")
    assert not getattr(models.unet, "peft_config", None)


def test_the_adapter_is_known_as_one():
    described = describe_lora(find_adapter(resolve_family("room-tiny")))
    assert (described.kind, described.family) == (ADAPTER, "room-tiny")


KEYS = (
    st.sampled_from([f"{KOHYA}_attn2_to_k.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")])
    | st.text()
)
NUMBERS = st.integers(-3, 9) | st.integers(-(2**70), 2**70)
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "I64", "F8_E4M3", "X", ""]),
        "shape": st.lists(NUMBERS, max_size=4),
        "data_offsets": st.lists(NUMBERS, max_size=3),
    }
)
HEADERS = st.dictionaries(KEYS, ENTRY | st.none() | NUMBERS, max_size=4).map(lambda value: json.dumps(value).encode())
DUPLICATE = HEADERS.map(lambda text: b"{" + text[1:-1] + b"," + text[1:-1] + b"}")


@settings(max_examples=200, deadline=2000)
@given(
    header=HEADERS | DUPLICATE | st.binary(max_size=200),
    length=st.none() | st.integers(0, 2**64 - 1),
    data=st.binary(max_size=64),
)
def test_any_bytes_are_a_file_or_one_line(tmp_path_factory, header, length, data):
    path, at_first = tmp_path_factory.getbasetemp() / "fuzz.safetensors", peak_bytes()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    try:
        describe_lora(path)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
    assert peak_bytes() - at_first < 1e9


def test_the_longest_header_takes_no_more_than_a_gigabyte(tmp_path):
    """In a process of its own, which has not taken more before; a longer one is refused by its first bytes."""
    entry = '"%07d.lora_down.weight": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
    header = ("{" + ", ".join(entry % i for i in range(200_000)) + "}").encode()
    assert len(header) < MAX_HEADER
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    code = (
        "import resource, sys\nfrom wallpaint.errors import UserError\n"
        "from wallpaint.learned.lora_files import describe_lora\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\nfirst = peak()\n"
        "try: describe_lora(sys.argv[1])\nexcept UserError as error: print(error)\nprint(peak() - first)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "long.safetensors")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "is a LoRA of another kind of model" in told[0] and int(told[1]) < 1e9
    header += b" " * (MAX_HEADER - len(header) + 1)
    (tmp_path / "longer.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(UserError, match="its header is longer than any"):
        describe_lora(tmp_path / "longer.safetensors")


@pytest.mark.parametrize("place", ["transformer_blocks_0_attn1_to_q", "proj_in"])
@pytest.mark.parametrize("ones", [(), (1, 1)])
def test_factors_of_a_1x1_convolution_and_of_a_linear_layer_are_written_alike(load, tmp_path, place, ones):
    models, state = load(), pair(f"lora_unet_mid_block_attentions_0_{place}")
    down, up = state.values()
    wide = {name: value.reshape(*value.shape, *ones) for name, value in state.items()}
    load_lora(models.unet, write(tmp_path, wide), "mine")
    block = models.unet.mid_block.attentions[0]
    found = block.proj_in if place == "proj_in" else block.transformer_blocks[0].attn1.to_q
    torch.testing.assert_close(found.get_delta_weight("mine").flatten(1), up @ down)
