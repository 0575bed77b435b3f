"""Repaints without diffusion, and where the figures rank them."""

import numpy as np
import pytest
from PIL import Image
from toys import toy_room

from wallpaint.errors import UserError
from wallpaint.paint.classical import CLASSICAL
from wallpaint.pixels.color import Swatch, rgb_to_lab
from wallpaint.pixels.metrics import delta_e_paint, outside_changed_pixels, shading_correlation
from wallpaint.pixels.recolor import Coat

SAGE = Swatch((122, 158, 126))
RANKED = ("recolor", "flat", "keep_lightness", "untouched")


def lab(picture, mask):
    return rgb_to_lab(np.asarray(picture)[np.asarray(mask) >= 128] / 255)


@pytest.mark.parametrize("name", RANKED)
def test_nothing_changes_outside_the_wall_and_a_wall_is_needed(name):
    photo, mask = toy_room(1, (200, 60, 50))
    assert outside_changed_pixels(CLASSICAL[name](Coat(photo, mask, SAGE)), photo, mask) == 0
    with pytest.raises(UserError, match="the mask is empty"):
        CLASSICAL[name](Coat(photo, Image.new("L", photo.size), SAGE))


def test_each_does_what_its_name_says():
    photo, mask = toy_room(1, (200, 60, 50))
    painted = {name: CLASSICAL[name](Coat(photo, mask, SAGE)) for name in RANKED}
    assert (np.asarray(painted["flat"])[np.asarray(mask) >= 128] == SAGE.rgb).all()
    assert painted["untouched"].tobytes() == photo.tobytes()
    kept, paint = lab(painted["keep_lightness"], mask), rgb_to_lab(np.array(SAGE.rgb) / 255)
    np.testing.assert_allclose(kept[:, 0], lab(photo, mask)[:, 0], atol=0.6)  # bytes are rounded
    np.testing.assert_allclose(kept[:, 1:], np.broadcast_to(paint[1:], kept[:, 1:].shape), atol=1.5)


def test_a_flat_and_an_untouched_wall_are_not_what_the_figures_praise():
    photo, mask = toy_room(1, (200, 60, 50))
    painted = {name: CLASSICAL[name](Coat(photo, mask, SAGE)) for name in RANKED}
    assert delta_e_paint(painted["untouched"], SAGE, mask)["median"] > 20
    assert delta_e_paint(painted["recolor"], SAGE, mask)["median"] < 6
    assert (
        shading_correlation(painted["flat"], photo, mask) < 0.1 < shading_correlation(painted["recolor"], photo, mask)
    )
