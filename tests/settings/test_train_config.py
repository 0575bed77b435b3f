import dataclasses
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wallpaint.errors import UserError
from wallpaint.paths import CONFIGS
from wallpaint.settings.choices import CANNOT_TRAIN, FAMILY_NAMES, FAMILY_PRESETS, METHOD_NAMES, PRESETS
from wallpaint.settings.train_config import TrainConfig, config_fields, load_config, to_yaml

STUDY = """
training:
  # Enable IP-Adapter during training
  use_ip_adapter_training: true
  ip_adapter_model: "h94/IP-Adapter"
  ip_adapter_weight_name: "ip-adapter-plus_sd15.bin"
  ip_adapter_scale: 1.0
  freeze_ip_adapter: true  # Sequential approach

  # Color consistency loss
  use_color_loss: true
  color_loss_weight: 0.1
  color_loss_start_step: 1000

  # LoRA config
  lora_rank: 16
  lora_alpha: 32
"""


def write(folder, text):
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_the_studys_block_alone_loads_and_means_sd15_with_colour_loss(tmp_path):
    config = load_config(write(tmp_path, STUDY))
    assert (config.family, config.method, config.use_color_loss) == ("sd15", "lora_ip", True)
    assert (config.color_loss_weight, config.color_loss_start_step) == (0.1, 1000)
    assert (config.lora_rank, config.lora_alpha) == (16, 32)
    assert config.ip_adapter_weight_name == "ip-adapter-plus_sd15.bin"


def test_the_shipped_lora_training_yaml_is_the_studys_block():
    assert yaml.safe_load((CONFIGS / "lora_training.yaml").read_text()) == yaml.safe_load(STUDY)


def test_nested_and_flat_files_mean_the_same(tmp_path):
    nested = load_config(write(tmp_path, "training:\n  lora_rank: 3\n"))
    assert nested == load_config(write(tmp_path, "lora_rank: 3\n"))
    assert nested.lora_rank == 3


@pytest.mark.parametrize(
    ("switches", "method", "color"),
    [
        ({}, "lora_ip", False),
        ({"use_ip_adapter_training": False}, "lora", False),
        ({"use_ip_adapter_training": False, "use_color_loss": True}, "lora", True),
        ({"freeze_ip_adapter": False}, "joint", False),
        ({"freeze_ip_adapter": True, "use_color_loss": True}, "lora_ip", True),
        ({"method": "lora_ip_color"}, "lora_ip_color", True),
        ({"method": "ip_adapter"}, "ip_adapter", False),
    ],
)
def test_switches_choose_the_method_where_none_is_named(switches, method, color):
    config = TrainConfig(**switches)
    assert (config.method, config.use_color_loss) == (method, color)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "lora", "use_ip_adapter_training": True}, "choose method lora_ip"),
        ({"method": "lora_ip", "use_ip_adapter_training": False}, "choose method lora"),
        ({"method": "lora_ip", "freeze_ip_adapter": False}, "choose method joint"),
        ({"method": "joint", "freeze_ip_adapter": True}, "choose method lora_ip"),
        ({"use_ip_adapter_training": False, "freeze_ip_adapter": False}, "freeze_ip_adapter"),
        ({"method": "lora_ip_color", "use_color_loss": False}, "choose method lora_ip"),
        ({"use_color_loss": True, "color_loss_start_step": 100, "max_train_steps": 100}, "never act"),
        ({"image_drop_prob": 0.5, "text_drop_prob": 0.4, "both_drop_prob": 0.2}, "more than 1"),
        ({"lr_warmup_steps": 50, "max_train_steps": 50}, "lr_warmup_steps"),
        ({"resolution": 130}, "multiple of 8"),
    ],
)
def test_contradictions_are_refused_with_the_way_out(settings, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("lora_rank", 0),
        ("seed", -1),
        ("lora_rank", 1.5),
        ("max_train_steps", True),
        ("method", "anydor"),
        ("family", "sd35"),
        ("use_ema", "maybe"),
        ("dataset", 3),
        ("mixed_precision", "fp8"),
        ("ip_adapter_scale", float("inf")),
        ("image_drop_prob", -0.1),
    ],
)
def test_values_of_another_type_or_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=name):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(("wrong", "right"), [("lora_rnk", "lora_rank"), ("lerning_rate", "learning_rate")])
def test_an_unknown_key_is_an_error_that_offers_the_nearest_name(tmp_path, wrong, right):
    with pytest.raises(UserError, match=f"'{wrong}'.*did you mean {right}"):
        load_config(write(tmp_path, f"{wrong}: 8\n"))
    with pytest.raises(UserError, match=f"did you mean {right}"):
        load_config(None, {wrong: "8"})


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [\n", "training: 3\n", "seed: 1\ntraining:\n  seed: 2\n"])
def test_a_file_that_holds_no_settings_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, text))
    assert "\n" not in str(caught.value) and "config.yaml" in str(caught.value)


def test_texts_of_the_command_line_become_the_fields_types():
    config = load_config(
        None,
        {
            "learning_rate": "1e-4",
            "seed": "7",
            "use_ema": "true",
            "use_color_loss": "false",
            "method": "lora",
            "mixed_precision": "no",
            "max_train_steps": "1e3",
        },
    )
    assert config.learning_rate == 1e-4 and config.seed == 7 and config.max_train_steps == 1000
    assert config.use_ema is True and config.use_color_loss is False


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("seed: 010", "seed", 10),  # eight, to YAML
        ("learning_rate: 1e-4", "learning_rate", 1e-4),  # a text, to YAML
        ("mixed_precision: no", "mixed_precision", "no"),  # false, to YAML
        ("max_train_steps: 2_000", "max_train_steps", 2000),
        ("use_ema: on", "use_ema", True),
        ("use_color_loss:", "use_color_loss", False),
        ("image_drop_prob: ~", "image_drop_prob", 0.05),
        ("base_model: null", "base_model", ""),
        ("dataset: 2024", "dataset", "2024"),
        ("dataset: 2024-01-31", "dataset", "2024-01-31"),
        ("dataset: no", "dataset", "no"),
        ("report_to: none", "report_to", "none"),
        ("# nothing is set", "seed", 0),
        ("\ufeffseed: 3", "seed", 3),
        ("training:\r\n  seed: 3\r\n", "seed", 3),
    ],
)
def test_a_value_is_the_text_that_stands_in_the_file(text, name, value, tmp_path):
    (tmp_path / "config.yaml").write_bytes(text.encode())
    found = getattr(load_config(tmp_path / "config.yaml"), name)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_is_read_as_windows_saves_it(tmp_path, encoding):
    mark = "\ufeff" if encoding[-3:] in ("-le", "-be") else ""
    (tmp_path / "config.yaml").write_bytes(f"{mark}seed: 3\r\ndataset: phòng\r\n".encode(encoding))
    config = load_config(tmp_path / "config.yaml")
    assert (config.seed, config.dataset) == (3, "phòng")


def test_letters_that_are_not_utf8_are_told_with_what_to_do(tmp_path):
    (tmp_path / "config.yaml").write_bytes("seed: 3  # Größe\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"config.yaml is not YAML \(.*\): save it as UTF-8 text$"):
        load_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lora_rank: true", "lora_rank is 'true' in the settings: it has to be a whole number"),
        ("lora_rank: 1.5", "it has to be a whole number"),
        ("lora_rank: 1e999", "it has to be a whole number"),
        ("lora_rank: 513", "it goes from 1 to 512"),
        ("learning_rate: .nan", "it has to be a number"),
        ("learning_rate: nan", "it goes from 1e-08 to 1.0"),
        ("use_ema: perhaps", "it has to be true or false"),
        ("dataset: [a, b]", "it has to be a text"),
        ("lr_scheduler: cosin", "choose constant, .* .did you mean cosine"),
        ("dataset: " + 5000 * "[", "is not YAML"),
    ],
)
def test_a_value_that_will_not_do_is_named_with_what_would(text, told, tmp_path):
    with pytest.raises(UserError, match=told):
        load_config(write(tmp_path, text))


@given(st.dictionaries(st.sampled_from([f.name for f in config_fields()]), st.text(max_size=8), max_size=4))
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_is_read_back_the_same_or_refused_in_one_line(tmp_path_factory, texts):
    try:
        config = load_config(None, dict(texts))
    except UserError as problem:
        assert "\n" not in str(problem)
    else:
        folder = tmp_path_factory.getbasetemp() / "read back"  # right in it a config.yaml is every test's run
        folder.mkdir(exist_ok=True)
        assert load_config(write(folder, to_yaml(config))) == config


def test_overrides_win_over_the_file(tmp_path):
    assert load_config(write(tmp_path, "seed: 1\nlora_rank: 4\n"), {"seed": "2"}).seed == 2


def test_a_saved_config_loads_as_the_same_one(tmp_path):
    for method in METHOD_NAMES:
        config = TrainConfig(method=method, seed=5, learning_rate=3e-5, output_dir="một/thư mục")
        assert load_config(write(tmp_path, to_yaml(config))) == config


def test_every_field_can_be_drawn_in_a_form_and_keeps_its_own_limits():
    for field in config_fields():
        assert field.help and field.group, field.name
        if field.range and field.default is not None:
            assert field.range[0] <= field.default <= field.range[1], field.name
        if field.choices:
            assert field.default in ("", *field.choices), field.name
        assert field.range or field.kind not in (int, float), f"{field.name} needs a range"


def test_names_agree_with_the_tables_they_stand_for():
    from wallpaint.models.families import FAMILIES
    from wallpaint.settings.methods import METHODS

    assert set(METHOD_NAMES) == set(METHODS) and set(FAMILY_NAMES) == set(FAMILIES)
    assert {*CANNOT_TRAIN, *FAMILY_PRESETS} <= set(FAMILIES)
    presets = next(field.choices for field in config_fields() if field.name == "memory_preset")
    assert presets == ("auto", *PRESETS) and all(set(own) <= set(PRESETS) for own in FAMILY_PRESETS.values())
    assert {name for names in CANNOT_TRAIN.values() for name in names} <= set(METHODS)
    for name, method in METHODS.items():
        config = TrainConfig(method=name)
        assert config.use_ip_adapter_training == ("image_prompt" in method.conditions)
        assert config.freeze_ip_adapter == ("ip_adapter" not in method.learns)
        assert config.use_color_loss == ("color" in method.losses)


def test_the_three_arms_differ_in_nothing_but_the_method_and_its_colour_loss():
    old, new, color = (load_config(CONFIGS / f"{name}_lora.yaml") for name in ("old", "new", "color"))
    assert (old.method, new.method, color.method) == ("lora", "lora_ip", "lora_ip_color")
    differ = {f.name for f in config_fields() if len({getattr(c, f.name) for c in (old, new, color)}) > 1}
    assert differ <= {
        "method",
        "use_ip_adapter_training",
        "use_color_loss",
        "color_loss_weight",
        "color_loss_start_step",
        "color_loss_crop",
    }


def test_a_config_cannot_be_changed_behind_its_checks():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().seed = 3


def test_reading_a_config_imports_no_torch():
    code = "import sys, wallpaint.settings.train_config as c; c.load_config(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=CONFIGS.parent, text=True).strip() == "False"


@pytest.mark.parametrize("text", ["seed: 1\nseed: 2\n", "training:\n  seed: 1\n  seed: 2\n"])
def test_a_setting_that_stands_twice_is_refused(tmp_path, text):
    (tmp_path / "x.yaml").write_text(f"method: lora\n{text}")
    with pytest.raises(UserError, match=r"seed stands twice in config .*x\.yaml: keep one"):
        load_config(tmp_path / "x.yaml")
