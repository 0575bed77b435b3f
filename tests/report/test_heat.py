"""The map of errors on a wall whose errors are known."""

import numpy as np
import pytest
from PIL import Image

from wallpaint.pixels.color import Swatch
from wallpaint.pixels.metrics import delta_e_paint, delta_e_truth, error_map, wall_region
from wallpaint.report.heat import STOPS, draw_layer

SAGE = Swatch((122, 158, 126))
MASK = Image.new("L", (100, 80))
MASK.paste(255, (10, 10, 90, 60))


def test_the_map_is_the_figure_pixel_by_pixel():
    out = Image.new("RGB", MASK.size, SAGE.rgb)
    out.paste((200, 40, 40), (10, 10, 40, 60))
    wall = wall_region(MASK)
    to_paint = error_map(out, MASK, SAGE)
    assert np.isnan(to_paint[~wall]).all() and np.isfinite(to_paint[wall]).all()
    assert np.median(to_paint[wall]) == pytest.approx(delta_e_paint(out, SAGE, MASK)["median"])
    truth = Image.new("RGB", MASK.size, (10, 200, 90))
    to_truth = error_map(out, MASK, SAGE, truth)
    assert to_truth[wall].mean() == pytest.approx(delta_e_truth(out, truth, MASK)["mean"], rel=1e-5)


def test_right_is_blue_wrong_is_red_and_the_rest_is_clear():
    out = Image.new("RGB", MASK.size, SAGE.rgb)
    out.paste((200, 40, 40), (10, 10, 40, 60))
    heat = np.asarray(draw_layer(out, MASK, SAGE))
    assert (heat[30, 70] == [*STOPS[0], 255]).all() and (heat[30, 20] == [*STOPS[-1], 255]).all()
    assert heat[70, 50, 3] == 0
