"""Several walls, each in its own paint, in one picture."""

import numpy as np
import pytest
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.paint.arms import Arms
from wallpaint.paint.coats import paint_coats, part_masks
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import parse_color
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.pixels.recolor import Coat, recolor

SAGE, BRICK = parse_color("#7A9E7E"), parse_color("#C8553D")
GREY, WHITE, BLACK = (parse_color(paint) for paint in ("#C0C0C0", "#F4F4F0", "#202020"))
SIZE = (96, 64)


@pytest.fixture
def photo():
    pixels = np.random.default_rng(0).integers(186, 198, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    pixels[48:] = (90, 60, 40)
    return Image.fromarray(pixels)


def wall(left, right):
    """A mask between two columns, down to the floor."""
    mask = np.zeros(SIZE[::-1], bool)
    mask[4:48, left:right] = True
    return to_mask(mask)


def test_each_wall_has_its_own_paint_and_nothing_else_changes(photo):
    coats = [Coat(photo, wall(4, 50), SAGE, GREY), Coat(photo, wall(50, 90), BRICK, GREY)]
    (picture, seconds) = paint_coats(Arms(("recolor",)), coats, SamplingSettings())["recolor"]
    pixels, before = np.asarray(picture), np.asarray(photo)
    outside = ~(np.asarray(wall(4, 90)) > 0)
    assert (pixels[outside] == before[outside]).all() and seconds > 0
    for coat, inner in ((coats[0], np.s_[8:44, 8:46]), (coats[1], np.s_[8:44, 54:86])):
        alone = recolor(coat)
        np.testing.assert_allclose(
            pixels[inner], np.asarray(alone)[inner], atol=3
        )  # the light, read off a little more


def test_where_walls_meet_no_seam_of_the_old_paint_is_left(photo):
    coats = [Coat(photo, wall(4, 50), SAGE, GREY), Coat(photo, wall(50, 90), SAGE, GREY)]
    joined = paint_coats(Arms(("recolor",)), coats, SamplingSettings())["recolor"][0]
    whole = recolor(Coat(photo, wall(4, 90), SAGE, GREY))
    apart = np.abs(np.asarray(joined).astype(int) - np.asarray(whole))[8:44, 8:86]
    assert apart.max() <= 4  # one wall of one paint, or two that meet: the same
    alone = recolor(coats[0])
    assert np.asarray(alone)[20, 49].mean() > np.asarray(joined)[20, 49].mean() + 10  # by itself its rim is soft


def test_where_masks_overlap_the_later_one_wins(photo):
    below, above = part_masks([wall(4, 90), wall(30, 60)])
    coats = [Coat(photo, below, SAGE, GREY), Coat(photo, above, BRICK, GREY)]
    assert not (np.asarray(coats[0].mask) & np.asarray(coats[1].mask)).any()
    pixels = np.asarray(paint_coats(Arms(("recolor",)), coats, SamplingSettings())["recolor"][0]).astype(int)
    assert (pixels[10:40, 34:56, 0] > pixels[10:40, 34:56, 1]).all()  # brick
    assert (pixels[10:40, 8:28, 0] < pixels[10:40, 8:28, 1]).all()  # sage


def test_walls_that_cannot_be_painted_together_are_told(photo):
    with pytest.raises(UserError, match="mask 1 marks nothing that later masks do not cover"):
        part_masks([wall(30, 60), wall(4, 90)])


def test_every_wall_throws_its_light_on_what_surrounds_them_and_on_no_wall(photo):
    walls, floor = np.asarray(wall(4, 90)) > 0, np.s_[50:]

    def paint(left, right, bounce):
        coats = [Coat(photo, wall(4, 50), left, GREY), Coat(photo, wall(50, 90), right, GREY)]
        return np.asarray(paint_coats(Arms(("recolor",)), coats, SamplingSettings(bounce=bounce))["recolor"][0])

    light = {}
    for left, right in ((WHITE, WHITE), (WHITE, BLACK), (BLACK, BLACK)):
        lit = paint(left, right, bounce=True)
        assert (lit[walls] == paint(left, right, bounce=False)[walls]).all()
        light[left, right] = lit[floor].mean()
    assert light[WHITE, WHITE] > light[WHITE, BLACK] > light[BLACK, BLACK]


def test_progress_runs_from_wall_to_wall(photo):
    class Steps(Arms):
        def paint(self, coat, settings, on_step=None):
            on_step(0.5)
            on_step(1.0)
            return {"a": (coat.photo, 1.0)}

    seen = []
    coats = [Coat(photo, wall(4, 50), SAGE), Coat(photo, wall(50, 90), BRICK)]
    done = paint_coats(Steps(("a",)), coats, SamplingSettings(), seen.append)
    assert seen == pytest.approx([0.25, 0.5, 0.75, 1.0]) and done["a"][1] == pytest.approx(2.0)
