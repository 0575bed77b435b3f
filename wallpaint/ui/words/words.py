"""The words of the page in English and Vietnamese, read from the .yaml files beside this one.

The engine speaks English wherever it runs; what the page shows of its messages is translated by their wording.
"""

import functools
import itertools
import re
import string
from pathlib import Path

import yaml

from wallpaint.dataset.doctor import MESSAGES as FINDINGS
from wallpaint.settings.train_config import config_fields

LANGUAGES = ("en", "vi")


class T(str):
    """The key of a text that a component shows, in whichever language the page is read."""

    before = ""  # a name that stands before the text, the same in every language

    def after(self, name: str) -> "T":
        """Put a name before the text, as in a list of things by their names."""
        self.before = f"{name} · "
        return self


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
    **{
        f"help_{field.name}": {"en": field.help, "vi": SETTINGS[field.name]["help"]}
        for field in config_fields()
        if field.name in SETTINGS
    },
}


def t(key: str, language: str = "en", **values: object) -> str:
    """Give the text of `key` in `language` (else English), its {fields} filled in."""
    text = TEXT[key][language if language in LANGUAGES else "en"]
    return text.format(**values) if values else text


@functools.lru_cache(maxsize=1024)  # a log's lines are read again and again while it grows
def translate(message: str, language: str) -> str:
    """Give a message of the engine in the reader's language; as it is where nobody has translated it.

    What it names stays, unless it is a piece that has a translation itself.
    """
    if language != "vi":
        return message
    for pattern, text in _messages():
        if found := pattern.fullmatch(message):
            return text.format(**{name: _translate_part(value) for name, value in found.groupdict().items()})
    return message


def _translate_part(value: str) -> str:
    """Translate a piece of a message, or a list of hues or lightnesses."""
    names = {text["en"]: text["vi"] for key, text in TEXT.items() if key.startswith(("hue_", "light_"))}
    words = [names.get(word) for word in value.split(", ")]
    return ", ".join(word for word in words if word) if all(words) else translate(value, "vi")


@functools.cache
def _messages() -> list[tuple[re.Pattern, str]]:
    """Give what each message of the engine matches, the most telling ones first, and its Vietnamese."""
    known = read_words("messages") | {
        f"dataset: {what}, {{}}, {remedy}": (
            f"bộ dữ liệu: {TEXT['doctor_' + kind]['vi']}, {{}}, {TEXT['mend_' + kind]['vi']}"
        )
        for kind, (what, remedy) in FINDINGS.items()
    }
    known = {_number(english): _number(text) for english, text in known.items()}
    parsed = {english: [*string.Formatter().parse(english)] for english in known}
    ranked = sorted(known, key=lambda english: -sum(len(said) for said, *_ in parsed[english]))
    return [(_pattern(parsed[english]), known[english]) for english in ranked]


def _number(text: str) -> str:
    """Give every field that has no name one."""
    count = itertools.count()
    return re.sub(r"\{\}", lambda _: f"{{_{next(count)}}}", text)


def _pattern(parts: list) -> re.Pattern:
    """Match a message by what it says; what it names may be anything, and what has a name of its own, a list."""
    fields = [f"(?P<{name}>.*{'?' * name.startswith('_')})" if name else "" for _, name, *_ in parts]
    return re.compile("".join(re.escape(said) + field for (said, *_), field in zip(parts, fields, strict=True)), re.S)


def pick_language(asked: str | None, accept_language: str | None) -> str:
    """Choose the language: `?lang=` if we speak it, else the first such of Accept-Language, else English."""
    ranked = [part.split(";")[0] for part in (accept_language or "").split(",")]
    for tag in [asked or "", *ranked]:
        code = tag.strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return "en"
