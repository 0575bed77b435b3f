"""The command line: its flags, which of them belong to which command, and what is missing.

Imports nothing heavy, so that --help and a mistyped flag answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import select
import sys
from collections.abc import Iterator
from typing import NoReturn

from wallpaint.settings.train_config import config_fields

ENCODING = {
    "family",
    "base_model",
    "ip_adapter_model",
    "ip_adapter_weight_name",
    "method",
    "resolution",
    "random_flip",
    "device",
    "mixed_precision",
    "cache_dir",
    "dataloader_num_workers",
}
PAINTING = {"family", "seed", "num_inference_steps", "guidance_scale", "ip_adapter_scale"}
COMMANDS = {  # command -> the options it takes, beside --train's own --FIELD VALUE
    "studio": {"host", "port", "auth", "share", "workspace"},
    "train": {"resume", "workspace"},
    "compare": {"photo", "mask", "swatch", "arms", "out"},
    "evaluate": {"rooms", "arms", "limit", "out"},
    "masks": {"out"},
    "check": set(),
    "doctor": set(),
    "encode": {"engine"},
    "export": {"run", "out"},
    "push_to_hub": {"run"},
}
FIELDS = {  # the fields of TrainConfig that other commands than --train take
    "masks": {"family"},
    "encode": ENCODING,
    "compare": PAINTING,
    "evaluate": PAINTING,
}
NEEDS = {
    "compare": ("photo", "mask", "swatch", "out"),
    "evaluate": ("rooms", "out"),
    "masks": ("out",),
    "export": ("run",),
    "push_to_hub": ("run",),
}
GONE = 141  # 128 + SIGPIPE, as a shell says of a tool whose reader left


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one line: `error: what, where, what to do`."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint without argparse's usage block and leave with 2."""
        print(f"error: {message}, on the command line, see python studio.py --help", file=sys.stderr)
        sys.exit(2)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; the fields of TrainConfig come from the dataclass itself."""
    parser = Parser(
        prog="studio.py",
        usage="studio.py [--host H] [--port P] [...] | --train [CONFIG.yaml] [--FIELD VALUE ...] "
        "| --compare ... | --evaluate ... | --masks FOLDER --out DATASET | --check DATASET | --doctor "
        "| --encode DATASET | --export kohya --run RUN | --push-to-hub REPO --run RUN",
        description="Repaint the walls of a room photo, train the model on your own rooms, measure it.",
        allow_abbrev=False,
    )
    command = parser.add_mutually_exclusive_group()
    command.add_argument("--train", nargs="?", const="", metavar="CONFIG.yaml", help="train")
    command.add_argument("--compare", action="store_true", help="repaint one photo with several arms")
    command.add_argument("--evaluate", action="store_true", help="measure arms on rooms with truths")
    command.add_argument("--masks", metavar="FOLDER", help="propose walls for a folder of photos")
    command.add_argument("--check", metavar="DATASET", help="say what is wrong with a dataset")
    command.add_argument(
        "--doctor", action="store_true", help="say what machine this is and which models are there or missing"
    )
    command.add_argument("--encode", metavar="DATASET", help="fill the cache that training reads, ahead of it")
    command.add_argument("--export", metavar="LAYOUT", help="write a run's LoRA for other tools: kohya")
    command.add_argument("--push-to-hub", metavar="REPO", help="put a run on the Hugging Face hub")
    group = parser.add_argument_group("the studio")
    group.add_argument("--host", help="address to listen on (127.0.0.1)")
    group.add_argument("--port", type=int, help="port to listen on (7860)")
    group.add_argument("--auth", metavar="USER:PASSWORD", help="ask for this name and password")
    group.add_argument("--share", action="store_true", default=None, help="a public link through gradio.live")
    group.add_argument("--workspace", metavar="DIR", help="holds datasets, runs and results (./workspace)")
    group = parser.add_argument_group("--compare, --evaluate and --masks")
    group.add_argument("--photo", metavar="FILE", help="the room")
    group.add_argument("--mask", metavar="FILE", help="its walls, white = repaint, of the photo's size")
    group.add_argument("--swatch", metavar="HEX", help="the paint, such as '#7A9E7E'")
    group.add_argument("--rooms", metavar="DIR", help="a folder of rooms with truths")
    group.add_argument("--arms", help="NAME or NAME=PATH, by commas; names: old, new, color, base, recolor")
    group.add_argument("--limit", type=int, metavar="N", help="at most N repaints, of every kind of room")
    group.add_argument("--out", metavar="DIR", help="where the report, the pictures or the dataset go")
    group = parser.add_argument_group("--encode, --export and --push-to-hub")
    group.add_argument("--engine", choices=("plain", "ray"), help="what spreads the encoding (plain)")
    group.add_argument("--run", metavar="RUN", help="a run folder, or for --export also a LoRA file")
    group = parser.add_argument_group("--train (any field may also stand in the YAML)")
    group.add_argument("--resume", action="store_true", default=None, help="go on from the last checkpoint")
    for field in config_fields():
        text = field.help.replace("%", "%%")
        group.add_argument(f"--{field.name}", metavar="VALUE", help=text)
    return parser


def read_arguments(arguments: list[str]) -> tuple[str, argparse.Namespace, dict[str, str]]:
    """Give the command, the options and the overrides of TrainConfig; leave with 2 on what does not fit."""
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        near = difflib.get_close_matches(unknown[0].split("=")[0], flags, n=1, cutoff=0.75)
        parser.error(f"unknown argument {unknown[0]!r}" + (f" (did you mean {near[0]}?)" if near else ""))
    command = next((name for name in COMMANDS if getattr(options, name, None) not in (None, False)), "studio")
    given = {name for name, value in vars(options).items() if value is not None} - COMMANDS.keys()
    fields = {field.name for field in config_fields()}
    strange = given - COMMANDS[command] - (fields if command == "train" else FIELDS.get(command, set()))
    if strange:
        where = "the studio" if command == "studio" else f"--{command}"
        parser.error(f"--{min(strange)} does not belong to {where}")
    missing = [f"--{name}" for name in NEEDS.get(command, ()) if getattr(options, name) is None]
    if missing:
        parser.error(f"--{command} needs {' and '.join(missing)}")
    return command, options, {name: getattr(options, name) for name in given & fields}


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """End without a word, as Unix tools do, when the reader of what is printed is gone (`| head -1`).

    Not by SIGPIPE's own way, which would end the studio with the first browser that hangs up.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # at its own exit Python would complain aloud
    except BrokenPipeError:
        if not has_reader_left():
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise SystemExit(GONE) from None


def has_reader_left() -> bool:
    """Whether nobody reads what is printed any more; a broken pipe may also be another's."""
    ends = select.poll()
    for stream in (sys.stdout, sys.stderr):
        ends.register(stream.fileno(), 0)  # errors and hang-ups are told unasked
    return bool(ends.poll(0))
