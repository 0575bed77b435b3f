"""Many at once and for long: twenty visitors mark and repaint, hundreds of repaints leave the memory as it was."""

import base64
import gc
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from toys import toy_room

from wallpaint.ui import app
from wallpaint.ui.board import calls, palettes, pictures, segmenter
from wallpaint.ui.board.walls import read_walls, wall_mask
from wallpaint.ui.dataset import samples
from wallpaint.walls.finders import FINDERS

GREEN, SIZE, VISITORS = (122, 158, 126), (160, 96), 20


@pytest.fixture
def sam(family, monkeypatch):
    """Click with the random family's segment-anything."""
    chosen = replace(FINDERS["room-tiny"], sam=str(family))
    monkeypatch.setattr(segmenter, "_models", {"chosen": chosen})
    monkeypatch.setattr(pictures, "embed_soon", lambda folder: None)
    segmenter._view.cache_clear()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "room.png"
    toy_room(1, GREEN, SIZE)[0].save(path)
    return path


def wall_runs(shift=0):
    return calls.encode_runs(np.roll(np.asarray(toy_room(1, GREEN, SIZE)[1]) > 0, shift, axis=1))


def test_twenty_visitors_at_once_each_keep_their_own_walls(tmp_path, sam, photo):
    """Over HTTP, as the board's script asks; none gets an error or what is another's."""
    workspace = tmp_path / "w"
    demo = app.build_page(workspace, public=False)
    server, _, _ = demo.launch(
        prevent_thread_lock=True, inbrowser=False, **app.launch_options("127.0.0.1", False, False)
    )
    board = next(block._id for block in demo.blocks.values() if block.elem_id == "board")
    opened = [pictures.open_picture(photo, workspace) for _ in range(VISITORS)]
    begin = threading.Barrier(VISITORS)

    def visit(number):
        client = TestClient(server, base_url="http://127.0.0.1:7860")
        token = os.path.basename(opened[number]["folder"])

        def call(name, **asked):
            body = {"component_id": board, "fn_name": name, "session_hash": f"visitor{number}"}
            answer = client.post("/gradio_api/component_server/", json={**body, "data": {"token": token, **asked}})
            assert answer.status_code == 200 and "error" not in answer.json(), answer.text
            return answer.json()

        begin.wait(60)
        call("embed")
        assert call("predict", points=[[50, 30, 1]], box=None)["masks"]
        paint = f"#{number:02X}4060"
        call("save_walls", walls=[{"runs": wall_runs(number), "now": paint, "chosen": True, "paint": paint}])
        return call("repaint")["image"].startswith("data:image/jpeg")

    try:
        with ThreadPoolExecutor(VISITORS) as visitors:
            assert all(visitors.map(visit, range(VISITORS)))
    finally:
        demo.close(verbose=False)
    for number, picture in enumerate(opened):
        (wall,), _ = read_walls(picture["folder"])
        assert wall.now == f"#{number:02X}4060"
        mask = np.asarray(wall_mask(picture["folder"], wall, SIZE)) > 0
        assert calls.encode_runs(mask) == wall_runs(number)


def test_memory_and_disk_stay_flat_over_hundreds_of_calls(tmp_path, sam, photo):
    folders = [pictures.open_picture(photo, tmp_path)["folder"] for _ in range(20)]

    def use(times):
        for number in range(times):
            asked = {"token": os.path.basename(folders[number % len(folders)])}
            paint = {"now": f"#{number % 256:02X}8040", "chosen": True}
            assert "now" in calls.save_walls(tmp_path, {**asked, "walls": [{"runs": wall_runs(number % 50), **paint}]})
            calls.repaint(tmp_path, {**asked, "paints": [f"#{number % 256:02X}4060"]})
            if number % 5 == 0:
                calls.predict(tmp_path, {**asked, "points": [[number % 160, 30, 1]]})
                palette = f"name,hex\nOne,#{number % 4096:06X}\n".encode()
                palettes.import_palette(tmp_path, {"name": "a.csv", "data": base64.b64encode(palette).decode()})
                samples.show_dataset(tmp_path, "none", "en")
        gc.collect()
        return psutil.Process().memory_info().rss

    before = use(60)  # caches are full by now
    assert use(160) - before < 6e6  # a view takes 46 KB, so one that stays would be above it
    assert len(palettes._imported) <= palettes.KEPT_PALETTES and segmenter._view.cache_info().currsize <= 16
    for folder in folders:  # masks that no wall names any more are gone
        assert len(list((tmp_path / "working" / os.path.basename(folder)).glob("wall-*.png"))) == 1


def test_runs_are_read_while_their_tab_is_open_alone(tmp_path):
    """A tick keeps Gradio's page busy, whatever is looked at."""
    config = app.build_page(tmp_path, public=False).get_config_file()
    (timer,) = [part for part in config["components"] if part["type"] == "timer"]
    tabs = {part["id"]: part["props"]["id"] for part in config["components"] if part["type"] == "tabitem"}
    told = {
        tabs[target]: re.search("active: (true|false)", event["js"])[1]
        for event in config["dependencies"]
        if event["outputs"] == [timer["id"]]
        for target, _ in event["targets"]
    }
    assert told == {"compare": "false", "dataset": "false", "train": "true"} and not timer["props"]["active"]
