"""--doctor: what machine this is, which family fits it, what is there and what is missing."""

import argparse

from wallpaint.runs.machine import describe_machine


def run(options: argparse.Namespace) -> int:
    """Say it line by line, as it is found out."""
    for line in describe_machine():
        print(line)
    return 0
