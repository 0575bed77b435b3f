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
from wallpaint.ui import app, canvas, compare_tab, dataset_tab, form, samples, train_tab, watch
from wallpaint.ui.page import Page, check_name, guarded, read_paint
from wallpaint.ui.text import TEXT, T, pick_language, t

GREEN = "#7A9E7E"


class FakeMasker:
    """Marks a square about each wall click; counts how often it looks at a picture."""

    looked = 0

    def set_image(self, view):
        self.size, self.looked = view.size, self.looked + 1

    def predict(self, points, labels):
        mask = np.zeros(self.size[::-1], np.uint8)
        for (x, y), label in zip(points, labels, strict=True):
            mask[max(0, y - 10) : y + 10, max(0, x - 10) : x + 10] = 255 * label
        return [(Image.fromarray(mask), 0.9)]


@pytest.fixture
def masker(monkeypatch):
    fake = FakeMasker()
    monkeypatch.setattr(canvas, "_masker", {"model": fake})
    return fake


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


def opened(photo, tmp_path):
    return dataset_tab.open_upload(str(photo), GREEN, tmp_path)[0]


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


# ---- tab 1


def test_an_upload_is_opened_upright_and_small_enough_to_show(tmp_path):
    path = tmp_path / "tall.jpg"
    image = Image.new("RGB", (2000, 1000), "gray")
    exif = image.getexif()
    exif[0x0112] = 6  # turn it by 90 degrees
    image.save(path, exif=exif)
    picture, shown, preview, wall, room = dataset_tab.open_upload(str(path), GREEN, tmp_path)
    assert shown.size == (512, 1024) and preview is None and room == "tall"
    with Image.open(f"{picture['folder']}/photo.png") as kept:
        assert kept.size == (1000, 2000) and not kept.getexif()
    assert "value" not in wall  # the paint on the wall stays as it was


def test_what_is_no_photo_is_refused(tmp_path):
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"x\.png"):
        dataset_tab.open_upload(str(tmp_path / "x.png"), GREEN, tmp_path)


def test_clicks_mark_undo_and_clear_the_wall(photo, tmp_path, masker):
    picture = opened(photo, tmp_path)
    picture, shown, preview, wall = dataset_tab.add_click(picture, 1, GREEN, event(50, 30))
    mask = np.asarray(canvas.mask_at(picture, (160, 90))) > 0
    assert mask[20:40, 40:60].all() and mask.sum() == 400
    plain = np.asarray(Image.open(photo), int)
    change = np.abs(np.asarray(shown, int) - plain).sum(-1)
    assert change[mask].all() and not change[70:, 100:].any()
    repaint = np.abs(np.asarray(preview, int) - plain).sum(-1)
    assert repaint[22:38, 42:58].all() and not repaint[~mask].any()
    assert read_paint(wall).hex == wall
    picture = dataset_tab.add_click(picture, 1, GREEN, event(100, 30))[0]
    assert np.count_nonzero(canvas.mask_at(picture, (160, 90))) == 800
    picture = dataset_tab.add_click(picture, 0, GREEN, event(50, 30))[0]
    assert [click[2] for click in picture["clicks"]] == [1, 1, 0]
    assert np.count_nonzero(canvas.mask_at(picture, (160, 90))) == 400
    picture = dataset_tab.undo_click(picture, GREEN)[0]
    assert np.count_nonzero(canvas.mask_at(picture, (160, 90))) == 800
    assert masker.looked == 1  # one look at the photo serves all clicks
    picture, _, preview, _ = dataset_tab.clear_clicks(picture, GREEN)
    assert picture["clicks"] == [] and picture["mask"] is None and preview is None


def test_two_sessions_do_not_mix_their_pictures(photo, tmp_path, masker):
    one, other = opened(photo, tmp_path), opened(photo, tmp_path)
    for picture, looks in ((one, 1), (other, 2), (other, 2), (one, 3)):
        dataset_tab.add_click(picture, 1, GREEN, event(50, 30))
        assert masker.looked == looks


def test_a_large_photo_keeps_its_mask_at_its_own_size(tmp_path, masker):
    Image.new("RGB", (2048, 1024), "gray").save(tmp_path / "large.png")
    picture = opened(tmp_path / "large.png", tmp_path)
    picture = dataset_tab.add_click(picture, 1, GREEN, event(100, 100))[0]
    photo, mask = canvas.save_photo_mask(picture)
    assert Image.open(photo).size == Image.open(mask).size == (2048, 1024)
    assert np.count_nonzero(Image.open(mask)) == pytest.approx(1600, rel=0.05)


def test_another_paint_changes_the_preview_alone(rooms, tmp_path):
    picture = dataset_tab.open_sample(GREEN, tmp_path, event(0))[0]
    picture = dataset_tab.use_given_mask(picture, GREEN, "en")[0]
    code, red = dataset_tab.change_paint(picture, "rgb(200, 0, 0)")
    assert code == "#C80000"
    assert np.asarray(red)[:35, :, 0].mean() > 3 * np.asarray(red)[:35, :, 1].mean()
    with pytest.raises(ValueError, match="hex"):
        dataset_tab.change_paint(picture, "reddish")


def test_without_room_or_mask_one_is_told_what_to_do(photo, tmp_path):
    with pytest.raises(ValueError, match="choose a sample room"):
        dataset_tab.use_given_mask(None, GREEN, "en")
    with pytest.raises(ValueError, match="click on its wall"):
        dataset_tab.use_given_mask(opened(photo, tmp_path), GREEN, "en")
    values = ("d", "train", "room", GREEN, "")
    with pytest.raises(ValueError, match="choose a sample room"):
        samples.save_sample(tmp_path, None, *values, "en")
    with pytest.raises(ValueError, match="click on the wall"):
        samples.save_sample(tmp_path, opened(photo, tmp_path), *values, "en")
    assert not (tmp_path / "datasets").exists()


def test_a_saved_sample_is_in_the_dataset_and_the_list(rooms, tmp_path):
    picture, *_, room = dataset_tab.open_sample(GREEN, tmp_path, event(0))
    picture = dataset_tab.use_given_mask(picture, GREEN, "en")[0]
    message, shown = samples.save_sample(
        tmp_path, picture, "flat", "validation", room, "#102030", "a room", "en"
    )
    (sample,) = dataset.read_samples(tmp_path / "datasets" / "flat", "validation")
    assert (sample.color, sample.text, sample.room_id) == ((16, 32, 48), "a room", "attic")
    assert np.count_nonzero(Image.open(sample.mask)) == 160 * 40
    assert "0 for training, 1 for validation" in message
    assert [caption for _, caption in shown] == ["attic · #102030 · validation"]
    with pytest.raises(ValueError, match="cannot be a name"):
        samples.save_sample(tmp_path, picture, "../x", "train", room, GREEN, "", "en")


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
    picture = dataset_tab.use_given_mask(dataset_tab.open_sample(GREEN, tmp_path, event(0))[0], GREEN, "en")[
        0
    ]
    samples.save_sample(tmp_path, picture, "mine", "train", "attic", GREEN, "", "en")
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


def test_the_room_of_tab_1_is_compared_with_its_own_mask(photo, tmp_path, masker):
    with pytest.raises(ValueError, match="choose a sample room"):
        compare_tab.open_tab1_room(None, "en")
    picture = opened(photo, tmp_path)
    with pytest.raises(ValueError, match="click on the wall"):
        compare_tab.open_tab1_room(picture, "en")
    picture = dataset_tab.add_click(picture, 1, GREEN, event(50, 30))[0]
    room = compare_tab.open_tab1_room(picture, "en")[0]
    assert np.count_nonzero(Image.open(room["mask"])) == 400


# ---- the server


def handlers(demo):
    return {function.name for function in demo.fns.values()}


@pytest.fixture
def page(rooms, tmp_path):
    return app.build_page(tmp_path / "space", public=False)


def test_a_public_page_registers_nothing_that_trains_or_keeps(page, rooms, tmp_path):
    writing = {"start_here", "stop_here", "resume_here", "save_sample_here", "watch_here"}
    assert writing <= handlers(page)
    public = handlers(app.build_page(tmp_path / "public", public=True))
    assert not writing & public and {"paint_here", "add_click"} <= public


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
