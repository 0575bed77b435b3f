"""The page's handlers and its server, without a browser and without a model."""

import json
import os
import types

import gradio as gr
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from wallpaint import dataset, launch, runs
from wallpaint.config import config_fields, load_config
from wallpaint.ui import app, canvas, compare_tab, form, samples, train_tab, watch
from wallpaint.ui.page import Page, check_name, guarded, read_paint
from wallpaint.ui.text import TEXT, T, pick_language, t

GREEN = "#7A9E7E"


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "my room.png"
    Image.fromarray(rng.integers(140, 156, (90, 160, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def rooms(tmp_path, monkeypatch, photo):
    """Ship one sample room and one test room with a truth."""
    assets, image = tmp_path / "assets", Image.open(photo)
    mask = Image.new("L", image.size)
    mask.paste(255, (0, 0, 160, 40))
    sample = dataset.add_sample(
        assets / "rooms" / "sample", "train", image, mask, (150, 150, 150), "", "attic"
    )
    (assets / "rooms" / "sample" / "train").rename(assets / "rooms" / "test")
    dataset.add_sample(assets / "rooms" / "sample", "train", image, mask, (150, 150, 150), "", "attic")
    rows = assets / "rooms" / "test" / "metadata.jsonl"
    truth = {"color": [122, 158, 126], "file_name": sample.image.name}
    rows.write_text(json.dumps({**json.loads(rows.read_text()), "kind": "dark", "truths": [truth]}))
    monkeypatch.setattr(canvas, "ASSETS", assets)
    return assets


def event(x, y=None):
    return types.SimpleNamespace(index=x if y is None else (x, y))


def marked(photo, tmp_path, area):
    """Open a photo as tab 1 does and mark this part of it."""
    picture = canvas.open_picture(photo, tmp_path, "attic")
    mask = np.zeros((90, 160), bool)
    mask[area] = True
    wall = canvas.Wall(canvas.save_wall_mask(picture["folder"], mask), GREEN, GREEN)
    canvas.write_walls(picture["folder"], [wall])
    return picture


# ---- words


def test_every_text_is_there_in_both_languages_with_the_same_fields():
    import string

    for key, (english, vietnamese) in TEXT.items():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for text in (english, vietnamese)
        ]
        assert english and vietnamese and fields[0] == fields[1], key


@pytest.mark.parametrize(
    ("asked", "accepted", "spoken"),
    [
        ("vi", "en", "vi"),
        (None, "vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        (None, "fr,en;q=0.5", "en"),
        ("xx", None, "en"),
    ],
)
def test_language_is_asked_for_or_the_browsers(asked, accepted, spoken):
    assert pick_language(asked, accepted) == spoken


def test_components_follow_the_language_choices_included():
    page = Page(None)
    with gr.Blocks():
        radio = page.add(gr.Radio, choices=[(T("click_add"), 1)], label=T("click_mode"))
    assert radio.label == "A click means" and radio.choices == [("Wall", 1)]
    (update,) = page.translate("vi")
    assert update["label"] == t("click_mode", "vi") != radio.label
    assert update["choices"] == [(t("click_add", "vi"), 1)]


# ---- errors


def test_a_value_error_is_shown_escaped_and_anything_else_only_named(caplog):
    def wrong(error):
        raise error

    with pytest.raises(gr.Error) as told:
        guarded(wrong)(ValueError("no <b>file</b>"))
    assert told.value.message == "no &lt;b&gt;file&lt;/b&gt;"
    with pytest.raises(gr.Error) as told:
        guarded(wrong)(KeyError("/home/secret"))
    assert "secret" not in told.value.message and "KeyError" in told.value.message
    assert "secret" in caplog.text


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 65])
def test_a_name_never_leads_elsewhere(name):
    with pytest.raises(ValueError, match="dataset"):
        check_name(name, "dataset")
    assert check_name(" phòng-1 ", "dataset") == "phòng-1"


@pytest.mark.parametrize("value", ["#7A9E7E", "7a9e7e", "rgb(122, 158, 126)", "rgba(122.2, 157.9, 126, 1)"])
def test_a_picker_is_read_however_it_writes(value):
    assert read_paint(value).hex == GREEN


@pytest.mark.parametrize("value", ["", "red", "rgb(1,2)", "rgb(a,b,c)", "rgba(300,0,0,1)", None])
def test_garbage_from_a_picker_is_refused(value):
    with pytest.raises(ValueError):
        read_paint(value)


# ---- tab 2


@pytest.fixture
def inputs():
    with gr.Blocks():
        return form.build_form(Page(None), None)


def test_the_form_has_every_field_but_what_the_tab_decides(inputs):
    assert set(inputs) == {field.name for field in config_fields()} - set(form.ELSEWHERE)
    assert [*inputs][:2] == ["method", "max_train_steps"]


@pytest.mark.parametrize("preset", sorted(train_tab.list_presets()))
def test_a_recipe_goes_through_the_form_unchanged(inputs, preset):
    path = train_tab.CONFIGS / f"{preset}.yaml"
    names = list(inputs)
    assert load_config(None, form.read_form(names, form.fill_form(names, path))) == load_config(path)


def test_the_method_can_be_changed_after_a_recipe_was_chosen(inputs):
    names = list(inputs)
    values = dict(zip(names, form.fill_form(names, train_tab.CONFIGS / "new_lora.yaml"), strict=True))
    config = load_config(None, form.read_form(names, list({**values, "method": "lora"}.values())))
    assert (config.method, config.use_ip_adapter_training) == ("lora", False)


def test_recipes_start_with_the_studys_three():
    assert train_tab.list_presets()[:3] == ["old_lora", "new_lora", "color_lora"]


@pytest.fixture
def started(monkeypatch):
    """Keep the studio from starting processes; give the list of what it would have run."""
    calls = []

    def note(folder, arguments):
        calls.append(arguments)
        runs.write_state(folder, state="running", pid=os.getpid(), step=0, max_train_steps=200)

    monkeypatch.setattr(launch, "_launch", note)
    return calls


def test_start_writes_the_form_as_the_runs_config(rooms, tmp_path, started, inputs):
    names = list(inputs)
    values = dict(zip(names, form.fill_form(names, train_tab.CONFIGS / "new_lora.yaml"), strict=True))
    values["lora_rank"] = 4
    data = str(rooms / "rooms" / "sample")
    update, message = train_tab.start_training(data, "en", tmp_path, names, list(values.values()))
    assert update["value"] == "lora_ip-1" and message == "Started lora_ip-1."
    folder = tmp_path / "runs" / "lora_ip-1"
    assert started == [[str(folder / "config.yaml"), "--output_dir", str(folder)]]
    config = load_config(folder / "config.yaml")
    assert (config.method, config.lora_rank, config.dataset) == ("lora_ip", 4, data)
    assert config.cache_dir == str(tmp_path / "cache")


def test_a_wrong_form_or_dataset_starts_nothing(rooms, tmp_path, started, inputs):
    names, values = list(inputs), form.fill_form(list(inputs), None)
    with pytest.raises(ValueError, match="no dataset is chosen"):
        train_tab.start_training("/etc", "en", tmp_path, names, values)
    values[names.index("learning_rate")] = "fast"
    with pytest.raises(ValueError, match="learning_rate"):
        train_tab.start_training(str(rooms / "rooms" / "sample"), "en", tmp_path, names, values)
    assert started == [] and not (tmp_path / "runs").exists()


@pytest.fixture
def run(tmp_path):
    folder = runs.new_run_folder(tmp_path, "lora")
    runs.write_state(folder, state="running", pid=os.getpid(), step=0, max_train_steps=200)
    runs.write_state(folder, step=50)
    (folder / "metrics.jsonl").write_text(
        '{"step": 10, "loss": 0.5, "loss_diffusion": 0.4}\n{"step": 20, "lo'
    )
    (folder / "train.log").write_text("hello\nstep 50/200\n")
    (folder / "samples").mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "samples" / "step-000050.png")
    return folder


def test_a_run_is_shown_from_its_folder_and_only_when_it_changed(run, tmp_path):
    seen, status, curve, picture, log = watch.watch_run("lora-1", None, "en", tmp_path)
    assert "running" in status and "step 50 of 200" in status and "width:25.0%" in status and "left" in status
    assert curve.values.tolist() == [[10, 0.5, "loss"], [10, 0.4, "loss_diffusion"]]
    assert picture.getpixel((0, 0)) == (255, 0, 0) and log == "hello\nstep 50/200"
    again = watch.watch_run("lora-1", seen, "en", tmp_path)
    assert all(isinstance(part, dict) and "value" not in part for part in again)
    Image.new("RGB", (8, 8), "blue").save(run / "samples" / "step-000100.png")
    _, _, _, picture, _ = watch.watch_run("lora-1", seen, "en", tmp_path)
    assert picture.getpixel((0, 0)) == (0, 0, 255)
    (run / "train.log").write_text("hello\nmore\n")
    seen = watch.watch_run("lora-1", None, "en", tmp_path)[0]
    os.utime(run / "train.log", ns=(1, 1))
    _, _, _, picture, log = watch.watch_run("lora-1", seen, "en", tmp_path)
    assert isinstance(picture, dict) and log.endswith("more")  # the picture is not sent twice


def test_a_dead_run_and_its_error_are_shown_escaped(run, tmp_path):
    runs.write_state(run, pid_started=1.0, error="<script>")
    status = watch.watch_run("lora-1", None, "vi", tmp_path)[1]
    assert t("state_crashed", "vi") in status and "&lt;script&gt;" in status and "<script>" not in status


def test_without_runs_the_page_says_so(tmp_path):
    seen, status, curve, picture, log = watch.watch_run(None, None, "en", tmp_path)
    assert status == t("no_runs") and (curve, picture, log) == (None, None, "")


def test_a_run_from_elsewhere_is_refused(run, tmp_path):
    for name in ("../../etc", "", None, "lora-2"):
        with pytest.raises(ValueError, match="no run is chosen"):
            train_tab.stop_training(name, "en", tmp_path)
    runs.new_run_folder(tmp_path, "lora")
    assert watch.choose_run("lora-1", tmp_path)["value"] == "lora-1"
    assert watch.choose_run("nothing", tmp_path)["value"] == "lora-2"  # the newest


def test_a_dataset_saved_meanwhile_can_be_chosen(rooms, tmp_path):
    sample = str(rooms / "rooms" / "sample")
    assert train_tab.choose_dataset(None, tmp_path) == gr.update(
        choices=[("sample rooms", sample)], value=sample
    )
    picture = marked(rooms / "rooms" / "test" / "attic-001.png", tmp_path, np.s_[:40])
    samples.save_sample(tmp_path, picture, "mine", "train", "attic", "", "en")
    update = train_tab.choose_dataset(sample, tmp_path)
    assert [name for name, _ in update["choices"]] == ["mine", "sample rooms"] and update["value"] == sample


def test_resume_goes_on_in_the_same_folder(run, tmp_path, started):
    runs.write_state(run, state="stopped")
    (run / "config.yaml").write_text("method: lora\n")
    train_tab.resume_training("lora-1", "en", tmp_path)
    assert started == [[str(run / "config.yaml"), "--output_dir", str(run), "--resume"]]
    assert train_tab.stop_training  # stopping is tested with a real process in test_runs.py


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (75, "1 min 15 s"), (7500, "2 h 5 min")])
def test_durations_are_written_for_people(seconds, text):
    assert watch.write_duration(seconds) == text


# ---- tab 3


def test_arms_are_the_shipped_ones_that_are_there_and_runs_with_weights(rooms, run, tmp_path):
    assert compare_tab.list_arms(tmp_path) == [("base", "base"), ("recolor", "recolor")]
    (rooms / "loras" / "new").mkdir(parents=True)
    (run / "weights").mkdir()
    (run / "weights" / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert [name for name, _ in compare_tab.list_arms(tmp_path)] == ["new", "base", "recolor", "lora-1"]
    assert compare_tab.list_arms(tmp_path)[-1][1] == f"lora-1={run}"


def test_a_test_room_brings_its_mask_and_its_known_paints(rooms):
    room, shown, known = compare_tab.open_test_room(event(0))
    assert shown.size == (160, 90) and known["choices"] == [GREEN] and known["visible"]
    assert room["mask"].endswith("_mask.png") and list(room["truths"]) == [GREEN]


def test_a_mask_must_fit_its_photo(rooms, photo, tmp_path):
    with pytest.raises(ValueError, match="upload the photo"):
        compare_tab.open_mask(str(photo), None, "en", tmp_path)
    room = compare_tab.open_photo(str(photo), tmp_path)[0]
    assert room["mask"] is None
    with pytest.raises(ValueError, match="choose a test room"):
        compare_tab.paint_comparison(tmp_path, room, GREEN, ["recolor"], 0, "en")
    Image.new("L", (10, 10), 255).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match="10x10"):
        compare_tab.open_mask(str(tmp_path / "small.png"), room, "en", tmp_path)
    Image.new("L", (160, 90), 255).save(tmp_path / "fits.png")
    assert compare_tab.open_mask(str(tmp_path / "fits.png"), room, "en", tmp_path)[0]["mask"]


def test_a_comparison_is_painted_measured_and_reported(rooms, tmp_path):
    room = compare_tab.open_test_room(event(0))[0]
    pictures, table, report = compare_tab.paint_comparison(tmp_path, room, GREEN, ["recolor"], 0, "en")
    assert [caption.split(" ")[0] for _, caption in pictures] == ["photo", "truth", "recolor"]
    (row,) = table["value"]["data"]
    assert row[0] == "recolor" and float(row[1]) < 5 and row[2] != "–" and row[4] == "0"
    assert table["value"]["headers"][0] == "Arm"
    assert report.startswith(str(tmp_path / "results")) and os.path.getsize(report) > 1000
    with pytest.raises(ValueError, match="tick at least one"):
        compare_tab.paint_comparison(tmp_path, room, GREEN, [], 0, "en")
    with pytest.raises(ValueError):  # an arm the page did not offer, such as a path of one's own
        compare_tab.paint_comparison(tmp_path, room, GREEN, ["x=/etc/passwd"], 0, "en")


def test_the_room_of_tab_1_is_compared_with_its_own_mask(photo, tmp_path):
    with pytest.raises(ValueError, match="choose a sample room"):
        compare_tab.open_tab1_room(None, "en")
    with pytest.raises(ValueError, match="click on the wall"):
        compare_tab.open_tab1_room(canvas.open_picture(photo, tmp_path), "en")
    picture = marked(photo, tmp_path, np.s_[20:40, 40:60])
    room = compare_tab.open_tab1_room(picture, "en")[0]
    assert np.count_nonzero(Image.open(room["mask"])) == 400


# ---- the server


def handlers(demo):
    return {function.name for function in demo.fns.values()}


@pytest.fixture
def page(rooms, tmp_path):
    return app.build_page(tmp_path / "space", public=False)


def test_a_public_page_registers_nothing_that_trains_or_keeps(page, rooms, tmp_path):
    writing = {"start_here", "stop_here", "resume_here", "save_here", "watch_here"}
    assert writing <= handlers(page)
    public = handlers(app.build_page(tmp_path / "public", public=True))
    assert not writing & public and {"paint_here", "open_sample_here"} <= public


def test_no_handler_is_offered_as_an_api(page):
    assert page.get_api_info()["named_endpoints"] == {}
    assert page.get_api_info()["unnamed_endpoints"] == {}


@pytest.fixture
def client(page):
    options = app.launch_options("127.0.0.1", False, False)
    server, _, _ = page.launch(prevent_thread_lock=True, server_port=None, inbrowser=False, **options)
    with TestClient(server, base_url="http://127.0.0.1:7860") as client:
        yield client
    page.close(verbose=False)


def test_the_server_answers_its_own_page_alone(client):
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"host": "localhost:7860"}).status_code == 200
    assert client.get("/", headers={"host": "evil.com"}).status_code == 400
    upload = {"files": ("a.png", b"x")}
    own = {"origin": "http://127.0.0.1:7860"}
    assert client.post("/gradio_api/upload", files=upload, headers=own).status_code == 200
    for origin in ("http://evil.com", "http://127.0.0.1:9999", "null"):
        assert client.post("/gradio_api/upload", files=upload, headers={"origin": origin}).status_code == 403


def test_files_outside_the_results_are_not_served(client, photo):
    for path in ("/etc/passwd", str(photo), "studio.py", str(train_tab.CONFIGS / "new_lora.yaml")):
        assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_names_a_studio_answers_to():
    assert set(app.own_names("127.0.0.1")) == {"localhost", "127.0.0.1", "[::1]"}
    assert "evil.com" not in app.own_names("0.0.0.0") and "127.0.0.1" in app.own_names("0.0.0.0")
