"""--push-to-hub: a run on the Hugging Face hub."""

import argparse

from wallpaint.learned.export import push_to_hub


def run(options: argparse.Namespace) -> int:
    """Put it there, and say where."""
    print(f"repository: {push_to_hub(options.run, options.push_to_hub)}")
    return 0
