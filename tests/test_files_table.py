"""What can be brought and what happens: every case of `brought` is tried, and `docs/files.md` is the table of them."""

import os

import pytest
from brought import datasets, folders, loras, masks, palettes, photos, uploads, zips

from wallpaint.errors import UserError
from wallpaint.paths import ROOT

AREAS = (photos, folders, masks, datasets, zips, palettes, loras, uploads)
DOCUMENT = ROOT / "docs" / "files.md"
INTRODUCTION = """# What can be brought

Every line is tried by the tests (`tests/brought/`, `tests/test_files_table.py`), which write this table.
What is refused is refused in one line that says what is wrong, where, and what to do; these are its words.
"""


@pytest.mark.parametrize(("read", "case"), [pytest.param(a.read, c, id=c.brought) for a in AREAS for c in a.CASES])
def test_what_is_brought(tmp_path, read, case):
    path = case.make(tmp_path)
    if case.check:
        assert case.check(read(path))
        return
    with pytest.raises(UserError) as error:
        read(path)
    assert case.happens in str(error.value) and "\n" not in str(error.value) and path.name in str(error.value)


def test_the_document_is_the_table():
    lines = [INTRODUCTION]
    for area in AREAS:
        lines += [f"## {area.TITLE}", "", "| brought | what happens |", "|---|---|"]
        lines += [f"| {c.brought} | {c.happens if c.check else f'refused: *{c.happens}*'} |" for c in area.CASES]
        lines.append("")
    text = "\n".join(lines)
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(text, "utf-8")
    assert DOCUMENT.read_text("utf-8") == text, "docs/files.md is stale: WRITE_DOCS=1 pytest tests/test_files_table.py"
