"""The page's words and how its handlers report errors."""

import ast
import io
import json
import re
import string
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import yaml
from gradio.context import LocalContext
from PIL import Image

from wallpaint.dataset.doctor import check_dataset
from wallpaint.errors import UserError
from wallpaint.pixels import file_kinds
from wallpaint.pixels.images import load_photo
from wallpaint.settings.train_config import load_config
from wallpaint.ui.dataset.findings import _what
from wallpaint.ui.handlers import guarded, serve_function
from wallpaint.ui.page import Page, check_name, read_paint
from wallpaint.ui.train.run_html import read_log
from wallpaint.ui.words import words
from wallpaint.ui.words.words import BOARD, LANGUAGES, SETTINGS, TEXT, T, pick_language, read_words, t, translate

GREEN = "#7A9E7E"
FOLDER = Path(words.__file__).parent
PACKAGE = FOLDER.parents[1]

# ---- words


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("texts", [TEXT, BOARD], ids=["page", "board"])
def test_every_text_is_there_in_both_languages_with_the_same_fields(texts):
    for key, text in texts.items():
        assert tuple(text) == LANGUAGES and all(text.values()), key
        assert fields(text["en"]) == fields(text["vi"]), key


def test_no_text_hides_another_of_the_same_name():
    keys = {
        path.stem: [key.value for key, _ in yaml.compose(path.read_text("utf-8")).value]
        for path in FOLDER.glob("*.yaml")
    }
    keys.pop("messages")
    assert len(BOARD) == len(keys.pop("board")) and len(SETTINGS) == len(keys.pop("settings"))
    assert len(TEXT) == sum(map(len, keys.values())) + 2 * len(SETTINGS), keys.keys()


def test_words_are_strings_also_where_yaml_reads_something_else():
    assert t("yes") == "yes" and t("no", "vi") == "không" and t("intro").startswith("# wallpaint\nRepaint")


@pytest.mark.parametrize(
    ("asked", "accepted", "spoken"),
    [("vi", "en", "vi"), (None, "vi-VN,vi;q=0.9,en;q=0.8", "vi"), (None, "fr,en;q=0.5", "en"), ("xx", None, "en")],
)
def test_language_is_asked_for_or_the_browsers(asked, accepted, spoken):
    assert pick_language(asked, accepted) == spoken


def test_components_follow_the_language_choices_included():
    page = Page(None)
    with gr.Blocks():
        radio = page.add(gr.Radio, choices=[(T("split_train"), 1)], label=T("split"))
    assert radio.label == "Use it for" and radio.choices == [("Training", 1)]
    (update,) = page.translate("vi")
    assert update["label"] == t("split", "vi") != radio.label
    assert update["choices"] == [(t("split_train", "vi"), 1)]


# ---- errors


def test_a_value_error_is_shown_escaped_and_anything_else_only_named(caplog):
    def wrong(error):
        raise error

    with pytest.raises(gr.Error) as told:
        guarded(wrong)(UserError("no <b>file</b>"))
    assert told.value.message == "no &lt;b&gt;file&lt;/b&gt;"
    with pytest.raises(gr.Error) as told:
        guarded(wrong)(KeyError("/home/secret"))
    assert "secret" not in told.value.message and "KeyError" in told.value.message
    assert "secret" in caplog.text


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 65])
def test_a_name_never_leads_elsewhere(name):
    with pytest.raises(UserError, match="dataset"):
        check_name(name)
    with pytest.raises(UserError, match="bộ dữ liệu"):
        check_name(name, "vi")
    assert check_name(" phòng-1 ") == "phòng-1"


@pytest.mark.parametrize("value", ["#7A9E7E", "7a9e7e", "rgb(122, 158, 126)", "rgba(122.2, 157.9, 126, 1)"])
def test_a_picker_is_read_however_it_writes(value):
    assert read_paint(value).hex == GREEN


@pytest.mark.parametrize("value", ["", "red", "rgb(1,2)", "rgb(a,b,c)", "rgba(300,0,0,1)", None])
def test_garbage_from_a_picker_is_refused(value):
    with pytest.raises(UserError):
        read_paint(value)


# ---- what the engine says

HEADLESS = {
    "learned/export",
    "report/evaluate",
    "train/encode",
    "ui/guard",
    "walls/propose",
    "cli",
}  # never on the page


def said_by_engine():
    """Every text of a UserError in what the page runs, {} for what it names, and where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = str(path.relative_to(PACKAGE).with_suffix(""))
        if place in HEADLESS or place.startswith(("recipes/", "commands/")):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError":
                text = node.args[0]
                if isinstance(text, ast.Constant):
                    yield text.value, place
                elif isinstance(text, ast.JoinedStr):
                    said = (part.value if isinstance(part, ast.Constant) else "{}" for part in text.values)
                    yield "".join(said), place


def test_every_message_that_the_page_may_show_is_translated():
    found = dict(said_by_engine())
    assert len(found) > 150
    named = {text: text.replace("{}", "x") for text in found if re.search("[a-z]", text)}
    missing = [(text, found[text]) for text, said in named.items() if translate(said, "vi") == said]
    assert missing == [], "add them to wallpaint/ui/words/messages.yaml"


# Where the engine writes lines for people that are no errors: what a run warns of, what of a file is not used.
TOLD_BY = {
    "train/warnings": {"_dataset", "_disk", "_memory", "idle_settings", "other_settings"},
    "train/preflight": {"_tight"},
    "train/session": {"_warn"},
    "train/dataset_rows": {"changed_rows", "_changes"},
    "learned/lora_files": {"describe_lora", "_left_out"},
}


def told_by_engine():
    """Every such line, x for what it names."""
    for place, functions in TOLD_BY.items():
        tree = ast.parse((PACKAGE / f"{place}.py").read_text("utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name in functions:
                functions = functions - {function.name}
                nodes = [node for line in function.body[1:] for node in ast.walk(line)]
                texts = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
                parts = [part for text in texts for part in text]
                texts += [[node] for node in nodes if isinstance(node, ast.Constant) and node not in parts]
                for text in texts:
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in text)
        assert not functions, f"{place} has no {functions}"


def test_what_a_run_warns_of_and_what_of_a_file_is_not_used_is_translated():
    lines = [line for line in told_by_engine() if len(re.findall(r"[a-z]{2,}", line)) > 3 and "--check" not in line]
    assert len(lines) > 10
    assert [line for line in lines if translate(line, "vi") == line] == []


def said_by_the_trainer():
    """Every line that a training says while it works, 3 for what it names."""
    for path in [*(PACKAGE / "train").glob("*.py"), PACKAGE / "cache" / "build.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = isinstance(node, ast.Call) and (getattr(node.func, "attr", "") or getattr(node.func, "id", ""))
            if named in ("say", "report") and isinstance(node.args[0], ast.JoinedStr):
                parts = node.args[0].values
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "3" for part in parts)


def test_the_log_that_the_page_shows_is_in_the_readers_language(tmp_path):
    lines = {*said_by_the_trainer()} - {"3"}
    assert len(lines) >= 7
    assert [line for line in lines if translate(line, "vi") == line] == []
    log = (
        "warning: dataset: 64 % of the wall is burnt out, train/a.jpg, take it darker, or delete the sample\n"
        "160 samples (0 rows newly encoded), 32 held out; walls cover 36% of a picture (16% to 59%)\n"
        "step 990/1000 [#######################.]  loss 0.2431  0:00:04 left\n"
        "done at step 1000: runs/mine/weights\n"
    )
    (tmp_path / "train.log").write_text(log)
    said = read_log(tmp_path, 60, "vi")
    assert "cảnh báo: bộ dữ liệu: " in said and "để riêng 32 mẫu; tường chiếm 36% ảnh" in said
    assert "bước 990/1000 [#######################.]  loss 0.2431  còn 0:00:04" in said
    color = "step 9/30 [##.....]  loss 0.25  loss_color 0.14  0:00:15 left"
    assert translate(color, "vi") == "bước 9/30 [##.....]  loss 0.25  loss_color 0.14  còn 0:00:15"
    assert "xong ở bước 1000: runs/mine/weights" in said and "\n".join(log.split("\n")[:-1]) == read_log(
        tmp_path, 60, "en"
    )


BAD_ROWS = (
    *({"room_id": 3}, {"text": 7}, {"kind": "odd"}, {"reference_color_rgb": [1, 2]}, {"file_name": "no.png"}),
    *({"file_name": "../a.png"}, {"file_name": 7}, {"mask_file_name": "small.png"}, {"mask_file_name": "colour.png"}),
    *({"file_name": "broken.png"}, {"file_name": "video.png"}, {"truths": 3}, {"truths": [{"color": [1, 1, 1]}]}),
    *(
        {"truths": [{"color": "x", "file_name": "a.png"}]},
        {"truths": [{"color": [1, 2, 3], "file_name": "small.png"}]},
    ),
)


def test_what_the_doctor_finds_is_said_in_vietnamese_on_the_page_and_in_a_runs_warnings(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    Image.new("RGB", (40, 40), "gray").save(folder / "a.png")
    Image.new("RGB", (40, 40), "red").save(folder / "colour.png")
    for name, size, value in (("mask.png", 40, 255), ("small.png", 20, 255)):
        Image.new("L", (size, 40), value).save(folder / name)
    (folder / "broken.png").write_bytes(b"x")
    (folder / "video.png").write_bytes(b"\0\0\0\x18ftypmp42")
    good = {"file_name": "a.png", "mask_file_name": "mask.png", "reference_color_rgb": [1, 2, 3], "text": "x"}
    rows = [{**good, "room_id": "r", **changes} for changes in ({}, *BAD_ROWS)]
    lines = [*map(json.dumps, rows), json.dumps(good), "{not json", "[1]"]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    found = check_dataset(tmp_path)
    assert len([one for one in found if one.kind in ("bad_row", "mask_size")]) == len(BAD_ROWS) + 3
    english = re.compile(r"\b(is|has|does|needs|leads|cannot be read|the|but|and)\b")
    for one in found:
        said = re.sub(r"\(.*\)", "", _what(one, "vi"))  # what a library says of a broken file
        assert not english.search(said), said
        warned = re.sub(r"\(.*\)", "", translate(f"dataset: {one}", "vi"))
        assert warned.startswith("bộ dữ liệu: ") and not english.search(warned), warned


KINDS = {what for *_, what in file_kinds.SIGNATURES} | {*file_kinds.TEXTS.values(), *file_kinds.REMEDIES}


@pytest.mark.parametrize("said", sorted(KINDS | {*file_kinds.REMEDIES.values(), "a picture of kind PCX"}))
def test_what_a_file_is_that_is_not_opened_is_translated(said):
    assert translate(said, "vi") != said


def encoded(kind):
    file = io.BytesIO()
    Image.effect_noise((300, 300), 60).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "tệp rỗng"),
        (b"\1\2\3", "nội dung không phải ảnh"),
        (encoded("PNG")[:5000], "tệp bị cắt cụt"),
        (encoded("WEBP")[:3000], "dữ liệu trong tệp bị hỏng"),
    ],
)
def test_why_a_photo_cannot_be_read_is_translated(data, said, tmp_path):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UserError) as told:
        load_photo(tmp_path / "a.jpg")
    assert f"({said})" in translate(str(told.value), "vi")


@pytest.mark.parametrize("english", [*read_words("messages")])
def test_a_translation_names_what_the_message_names(english):
    assert fields(english) == fields(read_words("messages")[english])
    assert english.count("{}") == read_words("messages")[english].count("{}")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "image a b.heic is a HEIC picture: save it as JPEG or PNG",
            "ảnh a b.heic là ảnh HEIC: hãy lưu thành JPEG hoặc PNG",
        ),
        (
            "dataset: no wall is painted in any of these hues (orange, pink and red), train, "
            "add rooms in these hues if you mean to paint in them",
            "bộ dữ liệu: chưa có tường nào sơn các sắc này (cam, hồng và đỏ), train, "
            "thêm phòng có các màu này nếu bạn định sơn chúng",
        ),
        (
            "color_loss_weight 0.2 has no effect: no colour loss is used",
            "color_loss_weight 0.2 không có tác dụng: không dùng mất mát màu",
        ),
        ("something that nobody has translated", "something that nobody has translated"),
    ],
)
def test_a_message_is_translated_with_the_pieces_it_is_made_of(message, said):
    assert translate(message, "vi") == said and translate(message, "en") == message


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": "fast"},
        {"lora_rank": "0"},
        {"seed": "x"},
        {"method": "lora_i"},
        {"resolution": "99"},
        {"use_color_loss": "true", "max_train_steps": "5"},
        {"image_drop_prob": "0.9", "text_drop_prob": "0.9"},
        {"use_ip_adapter_training": "false", "method": "lora_ip"},
        {"lr_warmup_steps": "9999"},
        {"nonsense": "1"},
    ],
)
def test_what_is_wrong_in_the_training_form_is_said_in_vietnamese(changes):
    with pytest.raises(UserError) as told:
        load_config(None, changes)
    english = {
        "in the settings",
        "choose",
        "has to be",
        "lower",
        "unknown",
        "more than",
        "leave",
        "goes from",
        "use 0",
    }
    assert any(word in str(told.value) for word in english)
    assert not any(word in translate(str(told.value), "vi") for word in english)


def test_an_error_is_told_in_the_language_of_who_asks():
    def wrong():
        raise UserError("the mask is empty: mark the wall first")

    for address, accepted, said in (
        ("?lang=vi", "en", "mặt nạ trống"),
        ("", "vi-VN", "mặt nạ trống"),
        ("?lang=en", "vi", "mask"),
    ):
        headers = {"referer": f"http://127.0.0.1:7860/{address}", "accept-language": accepted}
        token = LocalContext.request.set(SimpleNamespace(headers=headers))
        with pytest.raises(gr.Error, match=said):
            guarded(wrong)()
        assert said in serve_function(lambda workspace, asked: wrong(), Path())({})["error"]
        LocalContext.request.reset(token)
