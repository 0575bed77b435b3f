"""The command line: one parser a command, which its own flag chooses; the studio has none.

Imports nothing heavy, so that --help and a mistyped flag answer at once.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from wallpaint.errors import UserError
from wallpaint.paths import COMMAND, find_shipped, from_home
from wallpaint.settings.train_config import TrainConfig, config_fields, load_config
from wallpaint.walls.finders import FINDERS

if TYPE_CHECKING:
    from wallpaint.pixels.color import Swatch

HELP = f"see {COMMAND} --help"
PAINTING = ("family", "seed", "num_inference_steps", "guidance_scale", "ip_adapter_scale")
QUOTE = "put the colour in quotes, '#7A9E7E': a bare # begins a comment in most shells"
ENGINES = ("plain", "ray")  # of train/encode.py


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is a UserError: one line, what, where, what to do."""

    def error(self, message: str) -> NoReturn:
        """Complain, and say what is special about a colour."""
        raise UserError(f"{message}, on the command line, {QUOTE if '--swatch: expected' in message else HELP}")

    def path(self, flag: str, metavar: str, help: str, folder: bool = False, **how: Any) -> None:
        """Take a file or folder that has to be there, perhaps one that is shipped."""
        self.add_argument(flag, metavar=metavar, help=help, type=lambda text: existing(text, flag, folder), **how)

    def settings(self, names: Collection[str] | None = None) -> None:
        """Take settings of TrainConfig, all of them or those named; what is not given is not there."""
        for setting in config_fields():
            if names is None or setting.name in names:
                text = setting.help.replace("%", "%%")
                self.add_argument(f"--{setting.name}", metavar="VALUE", default=argparse.SUPPRESS, help=text)


def a_path(text: str) -> Path:
    """A path as a person gives it; UserError where it is empty, as a shell gives a variable that is not set."""
    if not text.strip():
        raise UserError("an empty path is given, on the command line, name a file or folder")
    return from_home(text)


def existing(path: str, flag: str, folder: bool = False) -> Path:
    """Return `path` if it is there, or complain and name the flag it came with."""
    found = find_shipped(a_path(path))
    if not (found.is_dir() if folder else found.is_file()):
        kind = "folder" if folder else "file"
        if found.exists():
            what = "folder" if found.is_dir() else "file" if found.is_file() else "pipe or device"
            unzip = " (unzip what is zipped)" if folder else ""
            raise UserError(f"{path!r} is a {what}, given to {flag}, give a {kind}{unzip}")
        if re.match(r"https?://", path):
            raise UserError(f"{path!r} is an address, given to {flag}, download it and give the {kind}")
        raise UserError(f"no such {kind} {path!r}, given to {flag}, check the path")
    return found


def read_config(path: Path | None, overrides: dict[str, str]) -> TrainConfig:
    """Give the settings of a YAML file and of the command line, a shipped dataset by the place where it lies."""
    config = load_config(path, overrides)
    return replace(config, dataset=str(find_shipped(config.dataset)))


def read_swatch(text: str, palette: Path | None, flag: str = "--swatch") -> Swatch:
    """Give the colour of a hex code, quoted twice or without its #, of three numbers, or of a paint's name.

    A name is looked for in the file `palette` before the shipped ones.

    Raises:
        UserError: no colour and no paint is called so, or the palette cannot be read.
    """
    from wallpaint.pixels.color import parse_color
    from wallpaint.pixels.color_cells import color_in, drop_alpha
    from wallpaint.pixels.palettes import find_paint, read_palette

    bare = drop_alpha(text.strip(" \t'\"`‘’“”"))
    if bare in ("", "#"):
        raise UserError(f"no colour is given, to {flag}, {QUOTE}")
    if color := color_in(bare):  # rgb(122, 158, 126) too
        return color
    if bare.startswith("#") or re.fullmatch("[0-9a-fA-F]{3}", bare):
        return parse_color(bare)
    return find_paint(bare, read_palette(palette) if palette else None).swatch


def split_spot(text: str) -> tuple[float, float]:
    """Read '640,120', a pixel of a photo."""
    if not re.fullmatch(r"\d{1,6},\d{1,6}", text.strip()):
        raise UserError(f"{text[:40]!r} is no pixel, given to --white, write it as '640,120'")
    x, y = text.split(",")
    return int(x), int(y)


def split_arms(text: str) -> list[str]:
    """Split 'old,new=runs/x' at its commas, but not at those of a path that is there."""
    pieces, arms = text.split(","), []
    while pieces:
        joined = [",".join(pieces[:count]).strip() for count in range(1, len(pieces) + 1)]
        there = (os.path.exists(from_home(arm.partition("=")[2])) for arm in joined)  # '', of a mere name, is
        count = next((number for number, found in enumerate(there, 1) if found), 1)
        arms.append(joined[count - 1])
        pieces = pieces[count:]
    return [arm for arm in arms if arm]


def _studio(add: Parser) -> None:
    add.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen on (%(default)s)")
    add.add_argument("--port", type=int, default=7860, metavar="P", help="port to listen on (%(default)s)")
    add.add_argument("--auth", metavar="USER:PASSWORD", help="ask for this name and password")
    add.add_argument("--share", action="store_true", help="a public link through gradio.live")
    text = "another name it is reached by, '*.example.com' for all below; may be repeated"
    add.add_argument("--allowed-host", action="append", default=[], metavar="NAME", help=text)
    _workspace(add, "holds datasets, runs and results")


def _workspace(add: Parser, text: str) -> None:
    """Take the folder that a studio's files are in."""
    add.add_argument("--workspace", default="workspace", type=a_path, metavar="DIR", help=f"{text} (./%(default)s)")


def _train(add: Parser) -> None:
    add.path("--train", "CONFIG.yaml", "train, by this file or by the settings alone", nargs="?")
    add.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    _workspace(add, "holds the runs")
    add.settings()


def _compare(add: Parser) -> None:
    add.add_argument("--compare", action="store_true", help="repaint one photo with several arms")
    add.path("--room", "FILE", "a project of the studio, in place of --photo, --mask, --swatch and --white")
    add.path("--photo", "FILE", "the room")
    text = "its wall, white = repaint, of the photo's size; again for a further wall, the later wins where two overlap"
    add.path("--mask", "FILE", text, action="append")
    add.add_argument("--invert-mask", action="store_true", help="the mask's black is the wall")
    text = "the paint, such as '#7A9E7E', or its name in a palette, such as 'RAL 6021'; one for each --mask"
    add.add_argument("--swatch", metavar="COLOUR", help=text, action="append")
    add.path("--palette", "FILE", "look there first for the paint's name")
    text = "the paint on the wall now, where it is known; one for each --mask, or none"
    add.add_argument("--old-paint", metavar="COLOUR", help=text, action="append", default=[])
    text = "a pixel of the photo that shows white paper or a white trim, where the light is read off; may be repeated"
    add.add_argument("--white", metavar="X,Y", type=split_spot, action="append", help=text)
    _arms(add)


def _arms(add: Parser) -> None:
    text = "NAME or NAME=PATH, by commas; names: refine, old, new, color, base, field, recolor"
    add.add_argument("--arms", type=split_arms, help=text)
    add.add_argument("--out", metavar="DIR", type=a_path, required=True, help="where the report and the pictures go")
    add.add_argument("--bounce", action="store_true", help="let the new wall throw its light on what is round it")
    add.settings(PAINTING)


def _evaluate(add: Parser) -> None:
    add.add_argument("--evaluate", action="store_true", help="measure arms on rooms with truths")
    add.path("--rooms", "DIR", "a folder of rooms with truths", folder=True, required=True)
    add.add_argument("--limit", type=int, metavar="N", help="at most N repaints, of every kind of room")
    add.add_argument("--old-paint", action="store_true", help="tell the arms each room's paint on the wall now")
    _arms(add)


def _masks(add: Parser) -> None:
    add.path("--masks", "FOLDER", "propose walls for a folder of photos", folder=True)
    add.add_argument("--out", metavar="DATASET", type=a_path, required=True, help="where the dataset goes")
    text = "what finds walls; without it the better one where it is there and a GPU too"
    add.add_argument("--finder", choices=FINDERS, help=text)


def _check(add: Parser) -> None:
    add.path("--check", "DATASET", "say what is wrong with a dataset", folder=True)


def _doctor(add: Parser) -> None:
    text = "say what machine this is and which models are there or missing"
    add.add_argument("--doctor", action="store_true", help=text)


def _encode(add: Parser) -> None:
    text = "fill the cache that training reads, ahead of it, for a dataset or for what a CONFIG.yaml names"
    add.add_argument("--encode", metavar="DATASET", help=text)
    add.path("--config", "CONFIG.yaml", "the run that will read it")
    add.add_argument("--engine", choices=ENGINES, default="plain", help="what spreads the encoding (%(default)s)")
    add.settings()


def _export(add: Parser) -> None:
    add.add_argument("--export", choices=("kohya",), help="write a run's LoRA for other tools")
    add.add_argument("--run", metavar="RUN", type=a_path, required=True, help="a run folder or a LoRA file")
    add.add_argument("--out", metavar="FILE", type=a_path, help="where it goes")


def _push_to_hub(add: Parser) -> None:
    add.add_argument("--push-to-hub", metavar="REPO", help="put a run on the Hugging Face hub")
    add.path("--run", "RUN", "a run folder", folder=True, required=True)


COMMANDS: dict[str, tuple[str, Callable[[Parser], None]]] = {  # its flag -> how it is called, its arguments
    "": ("[--host H] [--port P] [...]", _studio),
    "--train": ("--train [CONFIG.yaml] [--FIELD VALUE ...]", _train),
    "--compare": ("--compare --photo FILE --mask FILE --swatch COLOUR | --room FILE --out DIR [...]", _compare),
    "--evaluate": ("--evaluate --rooms DIR --out DIR [...]", _evaluate),
    "--masks": ("--masks FOLDER --out DATASET", _masks),
    "--check": ("--check DATASET", _check),
    "--doctor": ("--doctor", _doctor),
    "--encode": ("--encode DATASET [--config CONFIG.yaml] [--FIELD VALUE ...]", _encode),
    "--export": ("--export kohya --run RUN [--out FILE]", _export),
    "--push-to-hub": ("--push-to-hub REPO --run RUN", _push_to_hub),
}


def build_parser(command: str) -> Parser:
    """Build the parser of one command, named by its flag; '' is the studio."""
    usage, add_arguments = COMMANDS[command]
    parser = Parser(usage=f"{COMMAND} {usage}", allow_abbrev=False, add_help=False)
    add_arguments(parser)
    return parser


def read_arguments(arguments: list[str]) -> tuple[str, argparse.Namespace]:
    """Give the command by its flag ('' for the studio) and its options, settings given as `overrides`.

    Raises:
        UserError: what is given does not fit.
        SystemExit: help was asked for, and printed.
    """
    given = [argument.partition("=")[0] for argument in arguments]
    commands = [flag for flag in COMMANDS if flag and flag in given] or [""]
    parser = build_parser(commands[0])
    if len(commands) > 1:
        parser.error(f"{commands[1]}: not allowed with {commands[0]}")
    if {"--help", "-h"} & set(given):
        shown = commands if commands[0] else COMMANDS
        print("\n".join(build_parser(command).format_help() for command in shown), end="")
        raise SystemExit(0)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse(parser, commands[0], unknown[0].partition("=")[0])
    names = {setting.name for setting in config_fields()}
    options.overrides = {name: value for name, value in vars(options).items() if name in names}
    return commands[0], options


def _refuse(parser: Parser, command: str, unknown: str) -> NoReturn:
    """Complain of a flag that is another command's, or nobody's."""
    flags = {flag: {f for action in build_parser(flag)._actions for f in action.option_strings} for flag in COMMANDS}
    if unknown in set().union(*flags.values()):
        parser.error(f"{unknown} does not belong to {command or 'the studio'}")
    near = difflib.get_close_matches(unknown, flags[command], n=1, cutoff=0.75)
    parser.error(f"unknown argument {unknown!r}" + (f" (did you mean {near[0]}?)" if near else ""))
