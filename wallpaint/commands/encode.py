"""--encode: fill the cache ahead of training."""

import argparse

from wallpaint.cli import existing, read_config
from wallpaint.process import collector_paused
from wallpaint.train.inputs import read_inputs


def run(options: argparse.Namespace) -> int:
    """Fill the cache with what a run of these settings will read there."""
    given, path = options.encode, options.config
    if given.endswith((".yaml", ".yml")) and not path:
        config = read_config(existing(given, "--encode"), options.overrides)
    else:
        config = read_config(path, {**options.overrides, "dataset": str(existing(given, "--encode", folder=True))})
    inputs = read_inputs(config)  # before torch
    with collector_paused():
        from wallpaint.train.encode import encode_dataset

    print(f"manifest: {encode_dataset(config, options.engine, inputs=inputs)}")
    return 0
