"""What tab 3 can compare: the shipped arms, the workspace's runs, LoRAs that people bring."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wallpaint import paths
from wallpaint.disk import link_or_copy
from wallpaint.learned.lora_files import ADAPTER, LoraFile, describe_lora
from wallpaint.models.families import resolve_family
from wallpaint.runs import state
from wallpaint.runs.machine import list_parts
from wallpaint.ui.board import pictures
from wallpaint.ui.handlers import naming
from wallpaint.ui.html import render
from wallpaint.ui.upload import open_upload
from wallpaint.ui.words.words import t, translate

SHIPPED = ("old", "new", "color", "refine", "base", "field", "recolor")
SHEET_ARM = "field"  # paints many paints at once unless another is chosen: fast, and as near the truth as any
ANY_FAMILY = ("base", "field", "recolor")  # they go with LoRAs of every family
TINY = "room-tiny"  # what the shipped arms were trained on
MAX_LORA = 2_000_000_000  # bytes
LORA_SUFFIXES = (".safetensors",)
NAME_LENGTH = 40


@dataclass(frozen=True)
class OwnLora:
    """A LoRA (or adapter) that the reader brought."""

    label: str
    arm: str  # label=path
    file: LoraFile


def list_arms(workspace: Path, own: Sequence[OwnLora] = ()) -> list[tuple[str, str]]:
    """Give (label, arm) of what can be compared: the shipped arms, the runs with weights, then `own`."""
    there = [name for name in SHIPPED if name in ANY_FAMILY or (paths.ASSETS / "loras" / name).is_dir()]
    arms, brought = {name: name for name in there}, {lora.label: lora.arm for lora in own}
    for run in state.list_runs(workspace):
        if any((run.folder / "weights").glob("*.safetensors")):
            name = name_arm(run.name, {*arms, *brought})
            arms[name] = f"{name}={run.folder}"
    return [*arms.items(), *brought.items()]


def name_arm(wanted: str, taken: Iterable[str]) -> str:
    """Make a name that an arm can have: one line, without the '=' before its path, and no other arm's."""
    text = "".join(" " if letter == "=" or not letter.isprintable() else letter for letter in wanted)
    name = plain = " ".join(unicodedata.normalize("NFC", text).split())[:NAME_LENGTH] or "lora"
    number, taken = 1, {*SHIPPED, *taken}
    while name in taken:
        number += 1
        name = f"{plain} {number}"
    return name


def take_lora(
    workspace: Path, uploaded: dict[str, Any] | None, ticked: list[str], own: list[OwnLora]
) -> tuple[list[OwnLora], list[str]]:
    """Judge an uploaded LoRA (or adapter) by its header and keep it for a day, beside the reader's `own` so far.

    Returns:
        (own, ticked): the LoRA stands in both where its family's weights are, with the arms of that family.

    Raises:
        UserError: it cannot be an arm; one line says why.
    """
    with open_upload(workspace, uploaded, LORA_SUFFIXES) as path:
        with naming(path):
            file = describe_lora(path)
        kept = pictures.working_folder(workspace) / "lora.safetensors"
        link_or_copy(path, kept)  # two gigabytes need not be written twice
        if (config := path.with_name("adapter_config.json")).is_file():  # peft's, beside a file of the workspace
            shutil.copyfile(config, kept.with_name(config.name))
        label = name_arm(path.stem, dict(list_arms(workspace, own)))
    lora = OwnLora(label, f"{label}={kept}", file)
    own = [*own, lora]
    if file.family and missing_weights(file.family):  # it cannot paint yet
        return own, ticked
    fitting = [arm for arm in ticked if not file.family or arm_family(arm, own) in ("", file.family)]
    return own, [*fitting, lora.arm]


def find_loras(workspace: Path, own: Sequence[OwnLora]) -> list[OwnLora]:
    """Give those of a visit's LoRAs that are still there, each in a working folder of this workspace."""
    found = []
    for lora in own:
        path = Path(lora.arm.partition("=")[2])
        if path.is_file() and path.parent.parent.resolve() == (workspace / "working").resolve():
            found.append(lora)
    return found


def arm_family(arm: str, own: Sequence[OwnLora]) -> str:
    """Tell the family that an arm was trained on; '' where it goes with any, or does not say."""
    if arm in ANY_FAMILY:
        return ""
    if arm in SHIPPED:
        return TINY
    known = {lora.arm: lora.file.family for lora in own}
    if arm in known:
        return known[arm]
    return str(state.read_run(arm.partition("=")[2]).fields.get("family") or "")


def missing_weights(family: str) -> str:
    """Say what of a family's weights is not on this machine, and the command that fetches it; '' for nothing."""
    parts = [part for part in list_parts(resolve_family(family)) if not (part.path or part.optional)]
    return ", ".join(dict.fromkeys(part.remedy for part in parts))


def draw_own(own: Sequence[OwnLora], language: str) -> str:
    """Say of each LoRA that the reader brought what it is, for which family, and what is left out or missing."""
    rows = []
    for lora in own:
        file = lora.file
        ranks = "–".join(str(rank) for rank in dict.fromkeys((*file.ranks[:1], *file.ranks[-1:])))  # least and most
        family = file.family or t("lora_any_family", language)
        key = "lora_adapter" if file.kind == ADAPTER else "lora_kind"
        missing = missing_weights(file.family) if file.family else ""
        left_out = ", ".join(translate(what, language) for what in file.left_out)
        notes = [t("lora_left_out", language, parts=left_out)] if left_out else []
        notes += [t("lora_missing", language, family=family, remedy=missing)] if missing else []
        rows.append((lora.label, t(key, language, kind=file.kind, ranks=ranks, family=family), notes))
    return render("compare/loras.html", language, rows=rows) if rows else ""
