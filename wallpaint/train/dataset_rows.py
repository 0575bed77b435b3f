"""Which rows a run learns from, kept in its folder, so that a resumed run can say what has changed since."""

import json
from collections import Counter, defaultdict
from pathlib import Path

from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.rows import Sample
from wallpaint.disk import atomic_path
from wallpaint.pixels.color import Swatch

ROWS_FILE = "dataset.jsonl"
FIELDS = ("photo", "mask", "paint", "text", "room")  # of a row, after its name
NAMED = 3  # rows of each change that are named
Row = tuple[str, ...]  # 'train/room-001.png', then FIELDS; files by the start of their SHA-256


def describe_rows(splits: dict[str, list[Sample]], files: FileIndex, workers: int = 2) -> list[Row]:
    """The rows of a dataset in their order, with all that training reads of them."""
    samples = [(split, sample) for split, rows in splits.items() for sample in rows]
    files.hash_all((path for _, sample in samples for path in (sample.image, sample.mask)), workers)
    paints = {color: Swatch(color).hex for color in {s.color for _, s in samples}}
    return [
        (
            f"{split}/{s.file_name}",
            *(files.digest(path)[:16] for path in (s.image, s.mask)),
            paints[s.color],
            s.text,
            s.room_id,
        )
        for split, s in samples
    ]


def save_rows(folder: Path, rows: list[Row]) -> None:
    """Write the rows to a run folder, one JSON list a line."""
    with atomic_path(folder / ROWS_FILE) as path, open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def changed_rows(folder: Path, rows: list[Row]) -> str:
    """What has changed in the rows since a run began, in one line; '' where nothing has, or nothing is known."""
    try:
        with open(folder / ROWS_FILE, encoding="utf-8") as file:
            before = [tuple(json.loads(line)) for line in file]
    except (OSError, ValueError):
        return ""
    if before == rows:
        return ""
    found = [
        f"{len(names)} {'row' if len(names) == 1 else 'rows'} {change} "
        f"({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"
        for change, names in _changes(before, rows).items()
    ]
    return f"the dataset has changed since this run began: {'; '.join(found) or 'its rows stand in another order'}"


def _changes(before: list[Row], rows: list[Row]) -> dict[str, list[str]]:
    """Change -> the names of the rows that changed so."""
    gone, added = _by_name(Counter(before) - Counter(rows)), _by_name(Counter(rows) - Counter(before))
    changes: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys((*gone, *added)):
        old, new = gone.get(name, []), added.get(name, [])
        for first, second in zip(old, new, strict=False):
            for field, a, b in zip(FIELDS, first[1:], second[1:], strict=True):
                if a != b:
                    changes[f"with another {field}"].append(name)
        if len(old) != len(new):
            changes["gone" if len(old) > len(new) else "added"] += [name] * abs(len(old) - len(new))
    return changes


def _by_name(rows: Counter[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows.elements():
        found.setdefault(row[0], []).append(row)
    return found
