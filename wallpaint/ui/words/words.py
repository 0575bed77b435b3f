"""The words of the page in English and Vietnamese, read from the .yaml files beside this one.

Messages of the engine itself stay in English, as they are.
"""

from pathlib import Path

import yaml

from wallpaint.settings.train_config import config_fields

LANGUAGES = ("en", "vi")


class T(str):
    """The key of a text that a component shows, in whichever language the page is read."""


def read_words(name: str) -> dict:
    """Read a file of words; every value stays a string, also `yes` and `no`."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the one in C is ten times as fast
    return yaml.load((Path(__file__).parent / f"{name}.yaml").read_text("utf-8"), loader)


BOARD: dict[str, dict[str, str]] = read_words("board")
SETTINGS: dict[str, dict[str, str]] = read_words("settings")
TEXT: dict[str, dict[str, str]] = {
    **read_words("page"),
    **read_words("dataset"),
    **read_words("train"),
    **read_words("compare"),
    # The form shows a setting's name beside its words: those who know look for it.
    **{
        f"label_{name}": {language: f"{text[language]} · {name}" for language in LANGUAGES}
        for name, text in SETTINGS.items()
    },
    **{f"help_{field.name}": {"en": field.help, "vi": SETTINGS[field.name]["help"]} for field in config_fields()},
}


def t(key: str, language: str = "en", **values: object) -> str:
    """Give the text of `key` in `language` (else English), its {fields} filled in."""
    text = TEXT[key][language if language in LANGUAGES else "en"]
    return text.format(**values) if values else text


def board_words() -> dict[str, dict[str, str]]:
    """Give the words of the board's script, {language: {key: text}}."""
    return {language: {key: text[language] for key, text in BOARD.items()} for language in LANGUAGES}


def pick_language(asked: str | None, accept_language: str | None) -> str:
    """Choose the language: `?lang=` if we speak it, else the first such of Accept-Language, else English."""
    ranked = [part.split(";")[0] for part in (accept_language or "").split(",")]
    for tag in [asked or "", *ranked]:
        code = tag.strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return "en"
