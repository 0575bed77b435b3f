"""What a run is given to read: dataset, models, the weights it begins with. Looked at before torch is imported.

A path that is mistyped so costs a look at it, and not the seconds that the libraries take.
"""

from dataclasses import dataclass

from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.folder import read_splits
from wallpaint.dataset.rows import Sample
from wallpaint.learned.arm_files import find_arm
from wallpaint.models.families import Family, find_files, resolve_family, with_base
from wallpaint.process import collector_paused
from wallpaint.settings.choices import FAMILY_FIELDS
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig

Splits = dict[str, list[Sample]]


@dataclass(frozen=True)
class Inputs:
    """What was found of it."""

    files: FileIndex
    splits: Splits
    family: Family


@collector_paused()
def read_inputs(config: TrainConfig) -> Inputs:
    """Find all that a run reads.

    Raises:
        UserError: the dataset, a file of the family or the weights of `init_from` are missing or cannot be read.
    """
    if config.init_from:
        find_arm(config.init_from)
    files = FileIndex(config.cache_dir)
    splits = read_splits(config.dataset, files)
    family = family_of(config)
    find_files(family)
    return Inputs(files, splits, family)


def family_of(config: TrainConfig) -> Family:
    """The family's row with what `config` puts into it."""
    overrides = {name: getattr(config, name) for name in FAMILY_FIELDS}
    return with_base(resolve_family(config.family, **overrides), METHODS[config.method].base)
