"""The page's words and how its handlers report errors."""

import string
from pathlib import Path

import gradio as gr
import pytest
import yaml

from wallpaint.errors import UserError
from wallpaint.settings.train_config import config_fields
from wallpaint.ui.page import Page, check_name, guarded, read_paint
from wallpaint.ui.words import words
from wallpaint.ui.words.words import BOARD, LANGUAGES, SETTINGS, TEXT, T, pick_language, t

GREEN = "#7A9E7E"
FOLDER = Path(words.__file__).parent

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
    assert len(BOARD) == len(keys.pop("board")) and len(SETTINGS) == len(keys.pop("settings"))
    assert len(TEXT) == sum(map(len, keys.values())) + 2 * len(config_fields()), keys.keys()


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
        check_name(name, "dataset")
    assert check_name(" phòng-1 ", "dataset") == "phòng-1"


@pytest.mark.parametrize("value", ["#7A9E7E", "7a9e7e", "rgb(122, 158, 126)", "rgba(122.2, 157.9, 126, 1)"])
def test_a_picker_is_read_however_it_writes(value):
    assert read_paint(value).hex == GREEN


@pytest.mark.parametrize("value", ["", "red", "rgb(1,2)", "rgb(a,b,c)", "rgba(300,0,0,1)", None])
def test_garbage_from_a_picker_is_refused(value):
    with pytest.raises(UserError):
        read_paint(value)
