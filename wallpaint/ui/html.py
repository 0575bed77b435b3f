"""What handlers show as HTML: templates beside the code, in the reader's language. Whatever they insert is escaped."""

from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wallpaint.templates import open_templates
from wallpaint.ui.words.words import t

_templates = open_templates(Path(__file__).parent, autoescape=True)


def say(key: str, language: str, **values: Any) -> Markup:
    """Give a text of the page as HTML, the values inserted escaped."""
    return Markup(t(key, language)).format(**values) if values else Markup(t(key, language))


def render(template: str, language: str, **values: Any) -> Markup:
    """Fill in a template, named by its path from this folder; what is inserted is escaped, unless it is Markup.

    Inside it `t(key, **values)` gives a text in the reader's language.
    """
    return Markup(_templates.get_template(template).render(t=partial(_say_in, language), **values))


def _say_in(language: str, key: str, **values: Any) -> Markup:
    return say(key, language, **values)
