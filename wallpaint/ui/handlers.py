"""How a handler's error reaches the reader: a UserError in their language, anything else logged and named."""

import contextlib
import functools
import html
import inspect
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gradio as gr
from gradio.context import LocalContext

from wallpaint.errors import UserError
from wallpaint.ui.words.words import pick_language, t, translate

log = logging.getLogger(__name__)


def reader_language() -> str:
    """Tell the language of whoever asks: the page's address says it, else the browser."""
    headers = getattr(LocalContext.request.get(None), "headers", {})
    asked = parse_qs(urlsplit(headers.get("referer", "")).query).get("lang", [None])[0]
    return pick_language(asked, headers.get("accept-language"))


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let a UserError name an upload as its reader knows it, and not where the studio keeps it."""
    try:
        yield
    except UserError as problem:
        raise UserError(str(problem).replace(str(path), Path(path).name)) from None


def guarded(handler: Callable, *bound: Any) -> Callable:
    """Wrap a handler: a UserError becomes a message on the page, anything else is logged and named there.

    Args:
        handler: gives, or yields, the updates of an event's outputs.
        bound: its first arguments; the event's inputs follow them.
    """

    @contextlib.contextmanager
    def told() -> Iterator[None]:
        try:
            yield
            return
        except gr.Error:
            raise
        except UserError as problem:
            message = translate(str(problem), reader_language())
        except Exception as problem:
            log.exception("handler %s failed", handler.__name__)
            message = t("trouble", reader_language(), kind=type(problem).__name__)
        raise gr.Error(html.escape(message), print_exception=False)

    def once(*args: Any, **kwargs: Any) -> Any:
        with told():
            return handler(*bound, *args, **kwargs)

    def often(*args: Any, **kwargs: Any) -> Any:
        with told():
            yield from handler(*bound, *args, **kwargs)

    wrapped = functools.wraps(handler)(often if inspect.isgeneratorfunction(handler) else once)

    # Gradio counts the parameters, and finds those it gives itself by their annotation.
    wrapped.__signature__ = inspect.signature(functools.partial(handler, *bound))  # type: ignore[attr-defined]
    return wrapped


def announce(action: Callable) -> Callable:
    """Make a handler of an action that gives (update, message): the message becomes a toast."""

    @functools.wraps(action)
    def announced(*values: Any) -> Any:
        update, message = action(*values)
        gr.Info(html.escape(message))
        return update

    return announced


def serve_function(function: Callable[[Path, dict], dict], workspace: Path) -> Callable[[Any], dict]:
    """Make a function that a component's script calls as `await server.NAME(asked)`.

    Such calls pass by Gradio's queue and know no session: what they get comes from anybody. A form that brings
    bytes gives them as `file`. Bad input comes back as {error: words}, anything else is logged and only named.
    """

    @functools.wraps(function)
    def served(asked: Any) -> dict:
        if getattr(asked, "files", None):
            asked = {**asked.data, "file": asked.files[0][1]}
        try:
            return function(workspace, asked if isinstance(asked, dict) else {})
        except UserError as problem:
            return {"error": translate(str(problem), reader_language())}
        except Exception as problem:
            log.exception("%s failed", function.__name__)
            return {"error": t("trouble", reader_language(), kind=type(problem).__name__)}

    del served.__wrapped__  # Gradio looks at the signature: one argument, not two
    return served
