"""What finds walls is chosen apart from what paints them."""

import pytest
import torch

from wallpaint.errors import UserError
from wallpaint.models import runtime
from wallpaint.models.files import find_sam
from wallpaint.walls.finders import FINDERS, Finder, pick_finder


@pytest.fixture
def there(monkeypatch, tmp_path):
    """Have the weights of finder `sam`, as far as looking goes, and no choice made."""
    for name in ("WALLPAINT_SAM", "WALLPAINT_FINDER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sam.pth").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setitem(FINDERS, "sam", Finder("sam", str(tmp_path / "sam.pth"), str(tmp_path)))
    return tmp_path


def on(monkeypatch, kind):
    monkeypatch.setattr(runtime, "pick_runtime", lambda: runtime.Runtime(torch.device(kind), torch.float32, ""))


def test_the_better_finder_works_by_itself_where_it_is_there_and_a_gpu_too(there, monkeypatch):
    on(monkeypatch, "cpu")
    assert pick_finder().name == "room-tiny"
    on(monkeypatch, "cuda")
    assert pick_finder().name == "sam"
    (there / "model.safetensors").unlink()
    assert not FINDERS["sam"].there and pick_finder().name == "room-tiny"


def test_whoever_names_a_finder_or_a_sam_has_it_on_a_cpu_too(there, monkeypatch):
    on(monkeypatch, "cpu")
    monkeypatch.setenv("WALLPAINT_SAM", str(there / "sam.pth"))
    assert pick_finder().name == "sam"
    monkeypatch.setenv("WALLPAINT_FINDER", "room-tiny")
    assert pick_finder().name == "room-tiny"
    monkeypatch.setenv("WALLPAINT_FINDER", "eyes")
    with pytest.raises(UserError, match="'eyes' does not exist.*choose room-tiny or sam"):
        pick_finder()


def test_metas_checkpoint_is_where_it_is_said_to_be_or_it_is_said_how_to_fetch_it(there, monkeypatch):
    monkeypatch.setenv("WALLPAINT_SAM", str(there / "sam.pth"))
    assert find_sam("sam_vit_b_01ec64.pth") == there / "sam.pth"
    monkeypatch.setenv("WALLPAINT_SAM", str(there / "nowhere.pth"))
    with pytest.raises(UserError, match=r"nowhere\.pth is missing .*curl -LO .*vit_b.*WALLPAINT_SAM"):
        find_sam("sam_vit_b_01ec64.pth")
    assert find_sam(FINDERS["room-tiny"].sam).name == "sam.json"  # which no variable moves
