"""What people bring, a table: how such a file is made, and what must come of it. `docs/files.md` is written from it.

A module beside this one holds the CASES of one area and the function `read` that is given each file; a new area is
one more module and one more line in AREAS. `WRITE_DOCS=1 pytest tests/test_files_table.py` writes the document.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """One kind of file."""

    brought: str  # what it is, as the document says it
    happens: str  # what comes of it; of what is refused, the words that the message has
    make: Callable[[Path], Path]  # writes it into a folder and gives its path
    check: Callable[[Any], bool] | None = None  # whether what `read` gave is right; None: it must be refused
