"""Every command, path and link in the documents is one that there is."""

import importlib.util
import re
import shlex

import pytest

from wallpaint.paths import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "README.vi.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS.append(ROOT / "assets" / "models" / "room-tiny" / "README.md")
WORDS = 900  # the README is read by people
TOPS = ["assets", "configs", "docs", "tests", "wallpaint", ".ci"]
# What a command makes or a person has, not the repository; RUN, DIR and the like are written large.
THEIRS = re.compile(r"(?:my_|out\b|pool\b|workspace|room\.jpg|wall\.png|[A-Z][A-Z_/]*\b|ANH)")


def blocks(text: str) -> list[str]:
    """The command lines of a document: indented by four, a trailing backslash joins the next one."""
    lines = re.sub(r" \\\n\s+", " ", text).split("\n")
    return [line.strip() for line in lines if line.startswith("    ") and line.strip()]


def commands() -> list[tuple[str, str]]:
    """(document, command): of code blocks and of `code` in the text that begins as a command does."""
    starts = re.compile(r"(?:[A-Z_]+=\S+ )*(?:python|make|accelerate|pip|tensorboard)\b")
    found = []
    for document in DOCUMENTS:
        text = re.sub(r"(?s)^---\n.*?\n---\n", "", document.read_text("utf-8"))
        inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
        found += [(document.name, code) for code in [*blocks(text), *inline] if starts.match(code)]
    return found


def paths() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        for code in re.findall(r"`([^`\n]+)`", document.read_text("utf-8")):
            if code.split("/")[0] in TOPS and " " not in code and "/" in code:
                found.append((document.name, code))
    return found


@pytest.mark.parametrize("command", [command for _, command in commands()])
def test_a_command_of_the_documents_is_one_that_there_is(command):
    words = [word for word in shlex.split(command, comments=True) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
        assert set(words[1:]) <= {*targets}, command
        return
    for word in words[1:]:
        if "/" in word and word.split("/")[0] in TOPS or word.endswith((".py", ".txt")):
            assert list(ROOT.glob(word)), f"{word} of `{command}` is not there"
    if "studio.py" in words:
        arguments = words[words.index("studio.py") + 1 :]
        known = {"--help"} | set(re.findall(r"--[a-z][\w-]*", help_text()))
        assert {word for word in arguments if word.startswith("--")} <= known, command
    elif "-m" in words:
        module = words[words.index("-m") + 1]
        assert importlib.util.find_spec(module), command
        check_flags(words, importlib.util.find_spec(module).origin)
    elif words[0] == "python" and len(words) > 1:
        check_flags(words, ROOT / words[1])


def check_flags(words: list[str], source: str) -> None:
    """The flags of a script are named in it, or in the package it is the front of."""
    from pathlib import Path

    place = Path(source)
    files = place.parent.glob("*.py") if place.name in ("__init__.py", "bench_train.py") else [place]
    text = "".join(path.read_text("utf-8") for path in files)
    for word in words:
        assert not word.startswith("--") or f'"{word}"' in text, f"{source} takes no {word}"


def help_text() -> str:
    import contextlib
    import io

    import studio

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        studio.main(["--help"])
    return said.getvalue()


@pytest.mark.parametrize(("document", "path"), paths())
def test_a_path_of_the_documents_is_there(document, path):
    assert THEIRS.match(path) or list(ROOT.glob(path.rstrip("/"))), f"{document} names {path}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("name", ["README.md", "README.vi.md"])
def test_the_readme_is_short(name):
    text = re.sub(r"(?s)^---\n.*?\n---\n", "", (ROOT / name).read_text("utf-8"))
    limit = WORDS if name == "README.md" else 1.6 * WORDS  # Vietnamese writes a word as its syllables
    assert len(text.split()) <= limit
