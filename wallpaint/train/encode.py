"""Fill the cache ahead of training, on one machine or on many: `studio.py --encode DATASET --engine ray`.

A dataset is cut into pieces, whole rooms each, and every piece is one call of `encode_batch`, which writes
shards named by their content, each whole or not at all. So a piece may be done twice, by anybody, and every
engine leaves the same bytes: `plain` does them one after the other, `ray` spreads them over Ray's workers.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wallpaint.cache.build import encode_views, open_cache
from wallpaint.cache.tables import reference_table, text_table
from wallpaint.cache.views import EncodingOptions, View, list_views
from wallpaint.disk import atomic_path
from wallpaint.errors import UserError
from wallpaint.models.bundle import Models, load_family
from wallpaint.models.runtime import pick_runtime
from wallpaint.paths import ROOT
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.inputs import Inputs, family_of, read_inputs
from wallpaint.train.prepare import attach, dataset_sizes, encoding_options

PIECE = 256  # views, about: a few minutes of work, so that little is done twice


def encode_dataset(
    config: TrainConfig, engine: str = "plain", piece: int = PIECE, inputs: Inputs | None = None
) -> Path:
    """Encode every split of `config.dataset` as `config.method` needs it; what is there is not done again.

    `engine` is a row of ENGINES, `piece` about how many views a call of `encode_batch` gets.

    Returns:
        the manifest: JSON with every shard's name, bytes and SHA-256.

    Raises:
        UserError: the dataset or the models cannot be read, or Ray is not installed.
    """
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r} is unknown, given to --engine, choose {' or '.join(ENGINES)}")
    inputs = inputs or read_inputs(config)
    files, splits = inputs.files, inputs.splits
    models, options = _open(config)
    sizes = dataset_sizes(splits, files, models.family)
    samples = [sample for rows in splits.values() for sample in rows]
    views = list_views(samples, files, sizes, config.random_flip, config.dataloader_num_workers)
    _encode_shared(config, models, options, views)
    pieces = cut_pieces(views, piece)
    print(f"{len(samples)} samples of {config.dataset} in {len(pieces)} pieces, by {engine}", flush=True)
    ENGINES[engine](config, pieces)
    return _write_manifest(config, open_cache(models, config.cache_dir).folder, len(samples))


def encode_batch(config: TrainConfig, views: list[View]) -> int:
    """Encode some views into shards of their own; return how many rows were not there before.

    A function of its arguments and the models' files: done twice it writes the same bytes to the same names.
    On a CPU it computes in one thread, because sums depend on how they are shared out.
    """
    models, options = _open(config)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        workers = config.dataloader_num_workers
        return encode_views(models, views, config.cache_dir, options, workers, lambda line: None).new_rows
    finally:
        torch.set_num_threads(threads)


def cut_pieces(views: list[View], piece: int) -> list[list[View]]:
    """Cut views into pieces of whole rooms, each of `piece` views or a few more; a photo met twice is encoded once.

    Rooms stay whole because a reference may be another view of the room.
    """
    rooms: dict[str, dict[str, View]] = {}
    found: set[str] = set()
    for view in views:
        if view.key not in found:
            found.add(view.key)
            rooms.setdefault(view.sample.room_id, {})[view.key] = view
    pieces: list[list[View]] = [[]]
    for room in rooms.values():
        if len(pieces[-1]) >= piece:
            pieces.append([])
        pieces[-1] += room.values()
    return pieces


def _plain(config: TrainConfig, pieces: list[list[View]]) -> None:
    """One piece after the other, here."""
    for number, views in enumerate(pieces, 1):
        rows = encode_batch(config, views)
        print(f"piece {number}/{len(pieces)}: {rows} rows newly encoded", flush=True)


def _ray(config: TrainConfig, pieces: list[list[View]]) -> None:
    """Ray Data over the workers of the cluster that RAY_ADDRESS names, else of this machine, at least two.

    The pieces of a worker that dies are done again by another. All need dataset, cache and models at the same paths.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise UserError("Ray is not installed, --engine ray, pip install -r requirements-ray.txt") from None
    root, gpu = str(ROOT), pick_runtime(config.device).device.type == "cuda"
    places = {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": max(2, os.cpu_count() or 1)}
    ray.init(
        ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": places}, **own
    )
    try:
        workers = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 0))
        rows = ray.data.from_items([{"piece": n} for n in range(len(pieces))], override_num_blocks=len(pieces))
        done = rows.map_batches(
            RayWorker,
            fn_constructor_args=(config, pieces),
            batch_size=1,
            concurrency=max(1, min(workers, len(pieces))),
            num_cpus=1,
            num_gpus=1 if gpu else 0,
        )
        for number, row in enumerate(done.iter_rows(), 1):
            print(f"piece {number}/{len(pieces)}: {row['rows']} rows newly encoded", flush=True)
    finally:
        ray.shutdown()


class RayWorker:
    """A process of Ray's that keeps the models loaded between pieces."""

    def __init__(self, config: TrainConfig, pieces: list[list[View]]):
        self.config, self.pieces = config, pieces

    def __call__(self, batch: dict) -> dict:
        """Encode the pieces that a batch of one names; Ray wants a row back for it."""
        return {"rows": [encode_batch(self.config, self.pieces[int(n)]) for n in batch["piece"]]}


ENGINES: dict[str, Callable[[TrainConfig, list[list[View]]], None]] = {"plain": _plain, "ray": _ray}


@functools.lru_cache(maxsize=1)
def _open(config: TrainConfig) -> tuple[Models, EncodingOptions]:
    """The models, loaded once a process, and what the method needs of a sample."""
    models = load_family(family_of(config), pick_runtime(config.device, config.mixed_precision))
    if config.init_from:  # it may bring an adapter, and image tokens are what that adapter makes
        attach(config, models, METHODS[config.method])
    return models, encoding_options(config)


def _encode_shared(config: TrainConfig, models: Models, options: EncodingOptions, views: list[View]) -> None:
    """What many pieces need, so that no two of them encode it at once: texts, swatches, the null image."""
    cache = open_cache(models, config.cache_dir)
    text_table(models, cache, {view.sample.text for view in views})
    of_swatches = views if options.reference == "swatch" else []
    swatch = replace(options, reference="swatch")
    reference_table(models, cache, of_swatches, swatch, config.dataloader_num_workers)


def _write_manifest(config: TrainConfig, folder: Path, samples: int) -> Path:
    """Name every shard of the models' folder, with its size and hash; one at a time is in memory."""

    def describe(path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        return {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    shards = [describe(path) for path in sorted(folder.glob("[!.]*.safetensors"))]
    manifest = {
        "dataset": str(config.dataset),
        "family": config.family,
        "method": config.method,
        "samples": samples,
        "shards": shards,
    }
    with atomic_path(folder / "manifest.json") as path:
        path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return folder / "manifest.json"
