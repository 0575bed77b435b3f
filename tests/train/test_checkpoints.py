"""Checkpoints of a run, by the numbers of their steps."""

import torch

from wallpaint.train.checkpoints import find_start, list_checkpoints, save_checkpoint


def test_beyond_a_million_steps_the_newest_checkpoints_stay_and_the_last_is_gone_on_from(tmp_path):
    for step in (999_000, 999_500, 1_000_000, 1_000_500):
        save_checkpoint(tmp_path, step, {"learned": {"a": torch.ones(1)}}, {}, keep=2)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-1000000", "step-1000500"]
    assert find_start(tmp_path, resume=True).name == "step-1000500"
