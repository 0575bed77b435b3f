"""What the tabs share: the page under construction, its words in two languages, what is written in its boxes."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch, parse_color
from wallpaint.pixels.color_cells import color_in
from wallpaint.ui.words.words import T, t

try:
    import spaces  # on a Hugging Face Space: before torch
except ImportError:
    spaces = None

SHARED_GPU = bool(spaces and os.environ.get("SPACES_ZERO_GPU"))  # work then runs in a process of its own
GPU = {"concurrency_id": "gpu", "concurrency_limit": 1}  # whatever runs a model waits its turn
PRIVATE = {"api_visibility": "private"}
# With nothing to show progress on: Gradio's page tells every part that has any how every event fares, at each of its
# turns, and a page whose every part has some is busy with that for seconds.
QUIET = {**PRIVATE, "show_progress": "hidden", "show_progress_on": []}
OPENING = {**QUIET, "concurrency_limit": None}  # what a page asks for as it opens: no visitor waits for another's
# What was written is fetched at once, by a button that stands unseen on the page and has to hear of it first.
DOWNLOAD = """() => { setTimeout(() => document.querySelector("#%s").click(), 300); }"""
UPLOAD_BYTES = 50_000_000  # any file of a public page
PHOTO_BYTES = 400_000_000  # a photo of one's own page: 108 megapixels without compression
SCRIPTS = Path(__file__).parent / "scripts"  # ES modules that run in the browser
# Where they are served; the address changes with them, so that no browser mixes old ones with new ones.
SCRIPTS_AT = (
    "scripts-" + hashlib.sha256(b"".join(p.read_bytes() for p in sorted(SCRIPTS.glob("*.js")))).hexdigest()[:12]
)
NAME = re.compile(r"[\w][\w-]{0,63}")


@dataclass
class Page:
    """The page under construction: where its files are and which components show words."""

    workspace: Path
    public: bool = False  # on a Space: nothing that trains or writes
    words: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    @property
    def photo_bytes(self) -> int:
        """How large a photo may be; other files come in pieces, see upload.py."""
        return UPLOAD_BYTES if self.public else PHOTO_BYTES

    def add(self, kind: type, **props: Any) -> Any:
        """Make a component; its T(key) props, labels of choices included, follow the reader's language."""
        texts = {name: value for name, value in props.items() if _has_words(value)}
        component = kind(**{name: _say(value, "en") for name, value in props.items()})
        if texts:
            self.words.append((component, texts))
        return component

    def translate(self, language: str) -> list[Any]:
        """Give an update per component of `words`, in order."""
        return [gr.update(**{name: _say(value, language) for name, value in texts.items()}) for _, texts in self.words]


class Step(NamedTuple):
    """An event's handler with its inputs and outputs; a tab's `refresh` is a chain of them."""

    handler: Callable
    inputs: list[Any] | None
    outputs: list[Any]


def on_gpu(function: Callable) -> Callable:
    """Let a function run on a Space's shared GPU; elsewhere it stays what it is."""
    return spaces.GPU(function) if spaces else function


def _has_words(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_has_words(item) for item in value)
    return isinstance(value, T)


def _say(value: Any, language: str) -> Any:
    if isinstance(value, T):
        return value.before + t(value, language)
    if isinstance(value, (list, tuple)) and _has_words(value):
        return type(value)(_say(item, language) for item in value)
    return value


def run_script(name: str, texts: dict[str, dict[str, str]], about: dict[str, Any]) -> str:
    """Give the `js_on_load` of a component whose script is the module `name`, with its words and its settings."""
    given = json.dumps({"texts": texts, "about": about})
    return f"""import(new URL("{SCRIPTS_AT}/{name}.js", document.baseURI)).then((module) =>
      module.start({{ element, props, server, trigger, watch, ...{given} }}));"""


def check_name(name: str, language: str = "en") -> str:
    """Return `name` if it can name a dataset, else raise UserError."""
    name = (name or "").strip()
    if not NAME.fullmatch(name):
        raise UserError(t("bad_name", language, name=name))
    return name


def plain_name(text: str) -> str:
    """Make a name of ours of a file's: its letters, digits and dashes; '' where it has none."""
    return re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", text)).strip("-_")[:64]


def read_paint(value: str) -> Swatch:
    """Read what a ColorPicker or a hex box holds; a picker may also say 'rgb(…)' or 'rgba(…)'."""
    return color_in(str(value).strip()) or parse_color(value)
