"""A run as HTML: its state, its figures, why it ended, its log."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wallpaint.runs import state
from wallpaint.runs.device import GB, Load
from wallpaint.settings.methods import METHODS
from wallpaint.ui.html import Markup, render, say
from wallpaint.ui.train.curves import DELTAS, FIGURES, is_number
from wallpaint.ui.train.plan import adapter_of, write_duration
from wallpaint.ui.words.words import t, translate

KNOWN = (*state.ALIVE, state.QUEUED, "done", "stopped", "failed", "crashed")
ENDED_BADLY = ("failed", "crashed")
LOG_LINES, LAST_LINES = 60, 6  # of the log, and of its end beside an error


def state_name(run: state.RunState, language: str) -> str:
    """Give the word for a run's state."""
    return t(f"state_{run.state}" if run.state in KNOWN else "state_unknown", language)


def draw_nothing(found: list[state.RunState], language: str) -> str:
    """Say what to do while no run is chosen."""
    key = "no_run_chosen" if found else "no_runs"
    return f'<div class="card empty {key}">{say(key, language)}</div>'


def draw_status(run: state.RunState, rows: list[dict[str, Any]], language: str, ahead: Sequence[str] = ()) -> str:
    """Write a run's state, progress, figures, warnings and, if it ended badly, why, as HTML.

    Run.json says it, with what the trainer found before the first step in `preflight`, and `rows` of metrics.jsonl;
    a queued run waits for those `ahead` of it.
    """
    ready, facts = None, list_facts(run, language, ahead)
    if run.eta_seconds is not None:
        facts.append(t("left", language, time=write_duration(run.eta_seconds, language)))
        ready = time.localtime(run.fields["updated"] + run.eta_seconds)
    found = run.fields.get("preflight")
    found = found if isinstance(found, dict) else {}
    method, counts = METHODS.get(str(run.fields.get("method"))), found.get("parameters")
    return render(
        "train/run.html",
        language,
        run=run,
        state=state_name(run, language),
        method=method,
        facts=facts,
        ready=ready and (time.strftime("%Y-%m-%dT%H:%M:%S%z", ready), time.strftime("%H:%M", ready)),
        total=run.max_train_steps or 1,
        adapter=adapter_of(method) if method and counts else "",
        learned=count_parameters(counts, language) if counts else "",
        warnings=[translate(line, language) for line in list_warnings(run, found)],
        going=run.max_train_steps > 0,
        error=translate(run.error, language),
        refused=translate(str(run.fields.get("refused") or ""), language),
        figures=list_figures(rows, language),
        end=explain_end(run, language),
        next=explain_next(run, language),
        log=read_log(run.folder, LAST_LINES, language),
    )


def list_facts(run: state.RunState, language: str, ahead: Sequence[str]) -> list[str]:
    """Say how far a run has come, and what it waits for or does before its first step."""
    facts = []
    if run.max_train_steps:
        facts.append(t("step", language, step=run.step, total=run.max_train_steps))
    if run.state == state.QUEUED and ahead:
        facts.append(t("waits_for", language, names=", ".join(ahead)))
    if run.state == "starting":
        facts.append(t("starting_said", language))
    return facts


def list_warnings(run: state.RunState, preflight: dict[str, Any]) -> list[str]:
    """Give what the trainer warns of: settings, dataset, memory, and what a resume finds changed."""
    lines = [*(run.fields.get("warnings") or []), *(preflight.get("warnings") or [])]
    return list(dict.fromkeys(str(line) for line in lines))


def count_parameters(counts: dict[str, int], language: str) -> str:
    """Say how many parameters learn and how many are frozen, as the trainer has counted them."""
    written = {name: write_count(count, language) for name, count in counts.items()}
    learns = ", ".join(f"{name} {count}" for name, count in written.items() if name != "frozen")
    return t("learning_now", language, learns=learns, frozen=written.get("frozen", "0"))


def write_count(count: int, language: str) -> str:
    """Write 192000 in groups of three, in Vietnamese by spaces, for a comma is its decimal point."""
    return f"{count:,}".replace(",", "\u202f" if language == "vi" else ",")


def list_figures(rows: list[dict[str, Any]], language: str) -> list[tuple[str, str, str]]:
    """Give (title, figure, best) of the newest of each metric; the best ΔE so far where that was another."""
    figures = []
    for key, form in FIGURES.items():
        values = [row[key] for row in rows if is_number(row.get(key))]
        if values:
            newest, best = f"{values[-1]:{form}}", f"{min(values):{form}}"
            said = t("best", language, value=best) if key in DELTAS and best != newest else ""
            figures.append((t(f"figure_{key}", language), newest, said))
    return figures


def explain_end(run: state.RunState, language: str) -> str:
    """Say why a run ended badly, '' for any other."""
    if run.state not in ENDED_BADLY:
        return ""
    if (code := run.exit_code) is None:
        return t("ended_silently", language)
    # A signal's number below 0, or as a shell reports SIGKILL and SIGTERM.
    return t("ended_by_signal" if code < 0 or code in (137, 143) else "ended_with", language, code=code)


def explain_next(run: state.RunState, language: str) -> str:
    """Say what "Go on" will do with a run that has ended before its last step, '' for any other."""
    if run.state not in (*ENDED_BADLY, "stopped"):
        return ""
    return t("may_resume" if any((run.folder / "checkpoints").glob("step-*")) else "may_restart", language)


def read_log(folder: Path, lines: int, language: str) -> str:
    """Give the log's last lines in the reader's language, as far as they are words."""
    return "\n".join(translate(line, language) for line in state.tail_log(folder, lines).split("\n"))


def draw_log(folder: Path, language: str) -> str:
    """Write the log's last lines as HTML that stays scrolled to its end; '' while there are none."""
    lines = read_log(folder, LOG_LINES, language)
    html = Markup('<div class="log" role="log" tabindex="0" aria-label="{}"><pre>{}</pre></div>')
    return html.format(t("log", language), lines) if lines else ""


def draw_load(load: Load, language: str) -> str:
    """Say how busy the machine is, in steps that a reader follows."""
    free, total = (f"{size / GB:.1f}" for size in (load.free, load.total))
    said = t("load", language, cpu=5 * round(load.cpu / 5), free=free, total=total)
    if load.gpu:
        said += t(
            "load_gpu", language, name=load.gpu, busy=5 * round(load.gpu_busy / 5), free=f"{load.gpu_free / GB:.1f}"
        )
    return Markup('<p class="quiet">{}</p>').format(said)
