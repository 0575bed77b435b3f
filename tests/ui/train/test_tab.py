"""Tab 2 without a browser: the form, the queue, what is shown of a run."""

import json
import os
import re
import shutil
import time
from dataclasses import replace

import gradio as gr
import pytest
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.runs import launch, state
from wallpaint.runs.device import Load
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import config_fields, load_config
from wallpaint.ui.page import Page
from wallpaint.ui.train import actions, curves, form, plan, run_html, run_panel
from wallpaint.ui.train.tab import build_train_tab
from wallpaint.ui.words.words import SETTINGS, t


@pytest.fixture(scope="module")
def inputs():
    with gr.Blocks():
        return form.build_form(Page(None), None)


@pytest.fixture
def started(monkeypatch):
    """Keep the studio from starting processes; give the list of what it would have run."""
    calls = []

    def note(folder, arguments):
        calls.append(arguments)
        state.write_state(folder, state="running", pid=os.getpid(), step=0, max_train_steps=200)

    monkeypatch.setattr(launch, "_launch", note)
    return calls


@pytest.fixture
def data(shipped_rooms):
    return str(shipped_rooms / "rooms" / "sample")


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    """A machine whose load does not change."""
    monkeypatch.setattr(run_panel, "look_at_load", lambda: Load(51.0, 2 * 10**9, 8 * 10**9, "H9", 97, 10**9))


def look(workspace, name, before, language, over=()):
    return run_panel.refresh_run(workspace, name, over, before, language)


def values_of(names, preset, **changes):
    filled = form.fill_form(names, actions.CONFIGS / f"{preset}.yaml")
    return list((dict(zip(names, filled, strict=True)) | changes).values())


# ---- the form


def test_the_form_has_every_field_but_what_the_tab_decides(inputs):
    assert set(inputs) == {field.name for field in config_fields()} - set(form.ELSEWHERE)
    assert [*inputs][:2] == ["method", "max_train_steps"]


def test_every_setting_has_words_its_name_and_an_explanation_in_both_languages(inputs):
    assert set(SETTINGS) == set(inputs)
    assert inputs["learning_rate"].label == "Learning rate · learning_rate"
    assert inputs["learning_rate"].info == "step size of AdamW"
    assert t("label_learning_rate", "vi") == "Tốc độ học · learning_rate"


@pytest.mark.parametrize("preset", sorted(actions.list_presets()))
def test_a_recipe_goes_through_the_form_unchanged(inputs, preset):
    path, names = actions.CONFIGS / f"{preset}.yaml", list(inputs)
    assert load_config(None, form.read_form(names, form.fill_form(names, path))) == load_config(path)


def test_the_method_can_be_changed_after_a_recipe_was_chosen(inputs):
    names = list(inputs)
    config = load_config(None, form.read_form(names, values_of(names, "new_lora", method="lora")))
    assert (config.method, config.use_ip_adapter_training) == ("lora", False)


def test_recipes_start_with_the_studys_three():
    assert actions.list_presets()[:3] == ["old_lora", "new_lora", "color_lora"]


# ---- before a run


def test_the_plan_shows_what_learns_and_the_yaml_of_it(data, tmp_path, inputs):
    names = list(inputs)
    shown, yaml = actions.show_plan(tmp_path, names, data, "en", *values_of(names, "new_lora"))
    assert t("adapter_frozen") in shown and "LoRA of rank 16" in shown and "attic" in shown
    (tmp_path / "said.yaml").write_text(yaml)
    config = load_config(tmp_path / "said.yaml")
    assert (config.method, config.dataset) == ("lora_ip", data)
    shown, _ = actions.show_plan(tmp_path, names, data, "vi", *values_of(names, "old_lora"))
    assert t("adapter_absent", "vi") in shown and t("warn_no_adapter", "vi") in shown


def test_a_plan_that_cannot_be_says_why_in_its_place(data, tmp_path, inputs):
    names = list(inputs)
    wrong = values_of(names, "new_lora", learning_rate="<fast>")
    shown, yaml = actions.show_plan(tmp_path, names, data, "en", *wrong)
    assert "learning_rate" in shown and "&lt;fast&gt;" in shown and "<fast>" not in shown and yaml == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (75, "1 min 15 s"), (120, "2 min"), (1150, "19 min"), (3590, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations_are_written_for_people(seconds, text):
    assert plan.write_duration(seconds, "en") == text
    assert not {"h", "min", "s"} & {*plan.write_duration(seconds, "vi").split()}


# ---- starting


def test_start_writes_the_form_as_the_runs_config(data, tmp_path, started, inputs):
    names = list(inputs)
    values = values_of(names, "new_lora", lora_rank=4)
    update, message = actions.start_training(tmp_path, names, data, "en", *values)
    assert update["value"] == "lora_ip-1" and message == "Started lora_ip-1."
    folder = tmp_path / "runs" / "lora_ip-1"
    assert started == [[str(folder / "config.yaml"), "--output_dir", str(folder)]]
    config = load_config(folder / "config.yaml")
    assert (config.method, config.lora_rank, config.dataset) == ("lora_ip", 4, data)
    assert config.cache_dir == str(tmp_path / "cache")


def test_a_second_start_queues(data, tmp_path, started, inputs):
    names = list(inputs)
    for _ in range(2):
        said = actions.start_training(tmp_path, names, data, "en", *values_of(names, "new_lora"))
    assert said[1] == "In the queue: lora_ip-2." and len(started) == 1
    assert state.read_run(tmp_path / "runs" / "lora_ip-2").state == "queued"


def test_all_three_are_queued_each_by_its_recipe_with_what_was_changed(data, tmp_path, started, inputs):
    names = list(inputs)
    values = values_of(names, "new_lora", max_train_steps=30, lora_rank=4)
    update, _ = actions.train_arms(tmp_path, names, "new_lora", data, "en", *values)
    assert update["value"] == "lora-1" and len(started) == 1
    configs = [load_config(folder / "config.yaml") for folder in sorted((tmp_path / "runs").iterdir())]
    assert [config.method for config in configs] == ["lora", "lora_ip", "lora_ip_color"]
    assert {(config.max_train_steps, config.lora_rank) for config in configs} == {(30, 4)}
    assert configs[2].color_loss_start_step == 3  # else it would never act in so short a run
    recipe = load_config(actions.CONFIGS / "color_lora.yaml")
    assert configs[2].color_loss_weight == recipe.color_loss_weight
    assert configs[0].learning_rate == recipe.learning_rate
    assert configs[0].color_loss_start_step == load_config(None, {}).color_loss_start_step  # nothing to warn of


def test_a_wrong_form_or_dataset_starts_nothing(data, tmp_path, started, inputs):
    names = list(inputs)
    with pytest.raises(UserError, match="no dataset is chosen"):
        actions.start_training(tmp_path, names, "/etc", "en", *values_of(names, "new_lora"))
    wrong = values_of(names, "new_lora", learning_rate="fast")
    with pytest.raises(UserError, match="learning_rate"):
        actions.start_training(tmp_path, names, data, "en", *wrong)
    assert started == [] and not (tmp_path / "runs").exists()


def test_resume_goes_on_in_the_same_folder(run_folder, tmp_path, started):
    state.write_state(run_folder, state="stopped")
    (run_folder / "config.yaml").write_text("method: lora\n")
    (run_folder / "checkpoints" / "step-000040").mkdir(parents=True)
    assert actions.resume_training(tmp_path, "lora-1", "en")[1] == "Started lora-1."
    assert started == [[str(run_folder / "config.yaml"), "--output_dir", str(run_folder), "--resume"]]


def test_a_run_from_elsewhere_is_refused(run_folder, tmp_path):
    for act in (actions.stop_training, actions.resume_training, actions.delete_training):
        for name in ("../../etc", "", None, "lora-2"):
            with pytest.raises(UserError, match="no run is chosen"):
                act(tmp_path, name, "en")
    assert run_folder.is_dir()


# ---- watching


def test_a_run_is_shown_from_its_folder_and_only_when_it_changed(run_folder, tmp_path):
    seen, shown = look(tmp_path, "lora-1", None, "en")
    assert "running" in shown["status"] and "step 50 of 200" in shown["status"]
    assert 'max="200" value="50" aria-label="Progress of lora-1"' in shown["status"]
    assert (
        "hello\nstep 50/200" in shown["log"] and shown["plots"].count("<circle") == 1
    )  # seen from its first value on
    assert "processor 50 % busy, 2.0 of 8.0 GB memory free · H9 95 % busy, 1.0 GB free" in shown["load"]
    ((picture, caption),) = shown["samples"]["value"]
    assert picture.getpixel((0, 0)) == (254, 0, 0) or picture.getpixel((0, 0)) == (255, 0, 0)
    assert caption == "step 50"
    again, nothing = look(tmp_path, "lora-1", seen, "en")
    assert again == seen and nothing == {}
    Image.new("RGB", (8, 8), "blue").save(run_folder / "samples" / "step-000100.png")
    _, shown = look(tmp_path, "lora-1", seen, "en")
    assert [*shown] == ["samples"] and [said for _, said in shown["samples"]["value"]] == ["step 100", "step 50"]
    (run_folder / "train.log").write_text("more")
    _, shown = look(tmp_path, "lora-1", seen, "en")
    assert "more" in shown["log"]


def test_a_page_that_got_an_older_answer_last_is_told_again(run_folder, tmp_path):
    older, _ = look(tmp_path, "lora-1", None, "en")
    state.write_state(run_folder, state="done")
    assert 'class="badge done"' in look(tmp_path, "lora-1", None, "en")[1]["status"]
    _, shown = look(tmp_path, "lora-1", [*older], "en")  # what the page says it shows
    assert 'class="badge done"' in shown["status"]
    from wallpaint.ui import app

    page = app.build_page(tmp_path, public=False)
    looks = [handler for handler in page.fns.values() if handler.api_name.startswith("refresh_panel")]
    for found in looks:  # the page itself keeps it: in a State the server would, and believe what was overtaken
        assert [part.get_block_name() for part in found.inputs] == ["dropdown", "dropdown", "json", "state"]
    assert len(looks) == 4


def test_buttons_offer_what_makes_sense(run_folder, tmp_path):
    def live():
        shown = look(tmp_path, "lora-1", None, "en")[1]
        return {name for name in ("stop", "resume", "use", "delete") if shown[name]["interactive"]}

    assert live() == {"stop"}
    (run_folder / "weights").mkdir()
    (run_folder / "weights" / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert live() == {"stop", "use"}
    state.write_state(run_folder, state="queued")
    assert live() == {"stop", "use", "delete"}
    state.write_state(run_folder, state="failed")
    assert live() == {"resume", "use", "delete"}
    state.write_state(run_folder, state="done")
    assert live() == {"use", "delete"}


def test_a_crashed_run_says_why_escaped_and_offers_to_go_on(run_folder, tmp_path):
    (run_folder / "train.log").write_text("<b>boom</b>\n")
    state.write_state(run_folder, state="failed", exit_code=1, error="<script>")
    status = look(tmp_path, "lora-1", None, "en")[1]["status"]
    assert "exit code 1" in status and "&lt;script&gt;" in status and "<script>" not in status
    assert "&lt;b&gt;boom" in status and t("may_restart") in status
    (run_folder / "checkpoints" / "step-000040").mkdir(parents=True)
    assert t("may_resume") in run_html.draw_status(state.read_run(run_folder), [], "en")
    state.write_state(run_folder, state="running", exit_code=None, error="", pid_started=1.0)
    shown = look(tmp_path, "lora-1", None, "vi")[1]
    assert t("state_crashed", "vi") in shown["status"] and t("ended_silently", "vi") in shown["status"]
    assert shown["resume"]["variant"] == "primary"


def test_a_queued_run_says_what_it_waits_for_and_a_starting_one_what_it_does(run_folder, tmp_path):
    for name, turn in (("lora-2", 5), ("lora-3", 6), ("lora-4", 4)):
        folder = state.new_run_folder(tmp_path, "lora")
        assert folder.name == name
        state.write_state(folder, state="queued", queued=turn)
    seen, shown = look(tmp_path, "lora-3", None, "en")
    assert "starts after lora-1, lora-4, lora-2" in shown["status"] and "<progress" not in shown["status"]
    assert "step" not in shown["status"] and shown["details"] == gr.update(visible=False)  # no empty log
    state.write_state(run_folder, state="done")
    assert "starts after lora-4, lora-2" in look(tmp_path, "lora-3", seen, "en")[1]["status"]
    state.write_state(tmp_path / "runs" / "lora-3", state="starting", pid=os.getpid())
    assert t("starting_said", "vi") in look(tmp_path, "lora-3", seen, "vi")[1]["status"]


def test_a_stopped_run_says_what_going_on_does_and_a_done_one_asks_to_be_used(run_folder, tmp_path):
    state.write_state(run_folder, state="stopped")
    assert t("may_restart") in look(tmp_path, "lora-1", None, "en")[1]["status"]
    state.write_state(run_folder, state="done")
    shown = look(tmp_path, "lora-1", None, "en")[1]
    assert t("may_restart") not in shown["status"] and shown["use"]["variant"] == "primary"


def test_the_best_is_told_where_it_is_not_the_newest():
    rows = [{"step": 0, "delta_e_truth": 5.52}, {"step": 9, "delta_e_truth": 6.4}]
    assert run_html.list_figures(rows, "vi") == [("ΔE so với thật", "6.4", "tốt nhất 5.5")]
    assert run_html.list_figures(rows[:1], "en") == [("ΔE to truth", "5.5", "")]


def test_methods_are_called_by_the_studys_names_in_both_languages(inputs):
    assert {name: method.study_name for name, method in METHODS.items()} == {
        name: t(f"study_{name}") for name in METHODS
    }
    page = Page(None)
    with gr.Blocks():
        shown = form.build_form(page, None)["method"]
    at = [part for part, _ in page.words].index(shown)
    assert ("lora · LoRA alone (old)", "lora") in shown.choices
    assert ("lora · Chỉ LoRA (old)", "lora") in page.translate("vi")[at]["choices"]


def test_a_run_that_could_not_go_on_says_why(run_folder, tmp_path):
    state.write_state(run_folder, state="stopped", refused="<b>torn</b>")
    shown = look(tmp_path, "lora-1", None, "en")[1]
    assert "could not go on: &lt;b&gt;torn" in shown["status"] and shown["resume"]["interactive"]


def test_what_the_trainer_found_is_in_plain_sight(run_folder):
    counts = {"parameters": {"lora": 192000, "frozen": 3284628}}
    state.write_state(run_folder, method="lora_ip", preflight=counts)
    said = run_html.draw_status(state.read_run(run_folder), [], "en")
    assert t("adapter_frozen") in said and "192,000" in said and "3,284,628" in said
    said = run_html.draw_status(state.read_run(run_folder), [], "vi")
    assert "lora 192\u202f000" in said and "Tuần tự (new)" in said  # a comma is a decimal point there


def test_the_plot_says_on_which_rooms_the_error_was_measured(run_folder, tmp_path):
    other = state.new_run_folder(tmp_path, "lora")
    for folder in (run_folder, other):
        (folder / "metrics.jsonl").write_text('{"step": 0, "delta_e_truth": 9.5}\n')

    def titles(*over, language="en"):
        return re.findall("<figcaption>(.*?)<", look(tmp_path, "lora-1", None, language, over)[1]["plots"])

    assert titles() == titles("lora-2") == ["ΔE on the validation rooms"]  # runs of before do not tell
    state.write_state(run_folder, held_out=2)
    assert titles() == ["ΔE on the validation rooms"]
    state.write_state(other, held_out=0)
    assert titles("lora-2") == ["ΔE on the validation rooms, of lora-2 on rooms it learns from"]
    state.write_state(run_folder, held_out=0)
    assert titles() == titles("lora-2") == ["ΔE on rooms it learns from, as none is held out"]
    assert titles(language="vi") == [t("plot_learned", "vi")]


def test_warnings_of_the_start_and_of_a_resume_are_shown_escaped_each_once(run_folder):
    resumed = ["dataset: 3 rows are gone", "twice", "<img>"]
    state.write_state(run_folder, preflight={"warnings": ["memory is short", "twice"]}, warnings=resumed)
    said = run_html.draw_status(state.read_run(run_folder), [], "vi")
    assert said.count("<li>") == 4 and "memory is short" in said and "3 rows are gone" in said
    assert "&lt;img&gt;" in said and "<img>" not in said and t("warnings_of_run", "vi") in said


def test_the_page_goes_on_while_a_runs_files_come_and_go(run_folder, tmp_path, monkeypatch):
    with open(run_folder / "metrics.jsonl", "a") as file:  # the last line is being written
        file.write('{"step": 20, "loss_diffusion": "high"}\n{"step": null, "loss_diffusion": 1}\n')
        file.write('{"step": 30, "loss_diffusion": 0.2}\n{"step": 4')
    (run_folder / "samples" / "step-000900.png").write_bytes(b"\x89PNG, half of it")
    (run_folder / "samples" / "step-last.png").touch()
    snapshot, shown = look(tmp_path, "lora-1", None, "en")
    assert shown["plots"].count("<circle") == 2
    assert [caption for _, caption in shown["samples"]["value"]] == ["step 50"]
    found = state.list_runs(tmp_path)
    shutil.rmtree(run_folder)  # between the look at the list and the look into the folder
    with monkeypatch.context() as patch:
        patch.setattr(state, "list_runs", lambda workspace: found)
        look(tmp_path, "lora-1", None, "vi")
        assert "Deleted lora-1." in actions.delete_training(tmp_path, "lora-1", "en")[1]
    _, shown = look(tmp_path, "lora-1", snapshot, "en")
    assert t("no_runs") in shown["status"]


def test_the_newest_pictures_are_those_of_the_highest_step(run_folder, tmp_path):
    for step in ("0999500", "1000000", "995000"):
        Image.new("RGB", (8, 8)).save(run_folder / "samples" / f"step-{int(step):06d}.png")
    shown = look(tmp_path, "lora-1", None, "en")[1]
    assert [caption for _, caption in shown["samples"]["value"]] == [
        "step 1000000",
        "step 999500",
        "step 995000",
        "step 50",
    ]


def test_without_runs_the_page_says_so(tmp_path):
    seen, shown = look(tmp_path, None, None, "en")
    assert t("no_runs") in shown["status"] and shown["details"] == gr.update(visible=False)
    assert look(tmp_path, None, seen, "en") == (seen, {})


def test_the_list_of_runs_follows_what_others_start(run_folder, tmp_path):
    seen, _ = look(tmp_path, "lora-1", None, "en")
    state.write_state(state.new_run_folder(tmp_path, "lora"), state="queued")
    _, shown = look(tmp_path, "lora-1", seen, "en")
    assert [name for _, name in shown["run"]["choices"]] == ["lora-2", "lora-1"]
    assert "value" not in shown["run"]  # what is chosen meanwhile stays chosen
    assert run_panel.choose_run("nothing", tmp_path)["value"] == "lora-1"  # at work
    state.write_state(run_folder, state="queued")
    assert look(tmp_path, "gone", None, "en")[1]["run"]["value"] == "lora-1"  # next
    assert "value" not in look(tmp_path, None, None, "en")[1]["run"]  # being started, maybe
    for name in ("lora-2", "lora-1"):
        state.write_state(tmp_path / "runs" / name, state="done")
    assert run_panel.choose_run("nothing", tmp_path)["value"] == "lora-2"  # the newest


def test_values_that_lie_close_are_not_torn_apart():
    points = [(0.0, 5.51), (0.0, 5.55)]
    frame = curves.lay_out([curves.Curve("a", "red", "first", points)])
    low, high = (y for _, y in frame.curves[0].points)
    assert 0 < low - high < 0.2 * (curves.HEIGHT - curves.TOP - curves.BOTTOM)
    assert len(frame.values) >= 2


TITLES = {"loss_diffusion": "Loss", "loss_color": "Colour loss"}


def test_a_curve_is_raw_and_smoothed_and_not_too_long():
    rows = [{"step": n, "loss_diffusion": float(n % 2)} for n in range(2000)]
    raw, mean = curves.list_curves({"a": rows}, TITLES, "en")
    assert (raw.name, raw.look, mean.name, mean.look) == ("", "raw", "Loss, smoothed", "first")
    assert len(raw.points) == len(mean.points) <= curves.POINTS + 1 and raw.points[-1] == (1999, 1.0)
    assert all(0.4 < value < 0.6 for _, value in mean.points[50:])
    assert curves.list_curves({"a": [{"step": 1, "lr": 1}]}, TITLES, "en") == []
    assert curves.smooth([(0, 3.0), (1, 3.0)])[1][1] == pytest.approx(3.0)  # no pull towards 0
    few = [{"step": n, "loss_diffusion": 5.0} for n in range(3)]
    assert [curve.name for curve in curves.list_curves({"a": few}, TITLES, "en")] == ["Loss"]


def test_runs_lie_over_each_other_on_common_axes_each_in_its_colour(run_folder, tmp_path):
    other = state.new_run_folder(tmp_path, "lora")
    (other / "metrics.jsonl").write_text(
        '{"step": 0, "loss_diffusion": 1.5, "loss_color": 0.5}\n{"step": 30, "loss_diffusion": 0.5}\n'
    )
    seen, alone = look(tmp_path, "lora-1", None, "en")
    after, shown = look(tmp_path, "lora-1", seen, "en", ["lora-2", "gone"])
    assert [*shown] == ["plots"] and look(tmp_path, "lora-1", after, "en", ["lora-2"]) == (after, {})
    assert [alone["plots"].count(name) for name in ("lora-1", "lora-2")] == [0, 0]
    runs = {"lora-1": [{"step": 10, "loss_diffusion": 0.5}], "lora-2": state.read_metrics(other)}
    drawn = curves.list_curves(runs, TITLES, "en")
    assert [curve.name for curve in drawn] == ["lora-1: Loss", "lora-2: Loss", "lora-2: Colour loss"]
    assert [curve.look for curve in drawn] == ["first", "first", "second"]
    assert drawn[0].color != drawn[1].color == drawn[2].color and "lora-1: Diffusion loss" in shown["plots"]
    frame = curves.lay_out(drawn)
    heights = [curve.points[-1][1] for curve in frame.curves]
    assert heights[0] == heights[1] == heights[2] > frame.curves[1].points[0][1]  # 0.5 is 0.5 in all of them
    assert frame.curves[0].points[0][0] == pytest.approx(
        curves.LEFT + (curves.WIDTH - curves.LEFT - curves.RIGHT) / 3, 1
    )
    state.write_state(other, state="done")
    launch.delete_run(other)
    _, shown = look(tmp_path, "lora-1", after, "en", ["lora-2"])
    assert shown["over"] == gr.update(choices=["lora-1"], value=[], visible=False)  # nothing to lay over it


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 30, [0, 10, 20, 30]), (0.52, 0.61, [0.55, 0.6]), (-1, 1, [-1, -0.5, 0, 0.5, 1])]
)
def test_axes_have_round_numbers(low, high, ticks):
    assert curves.round_ticks(low, high) == ticks


def test_the_end_is_told_as_a_time_of_the_day(run_folder, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Ho_Chi_Minh")
    time.tzset()
    run = replace(state.read_run(run_folder), eta_seconds=75.0)
    run.fields["updated"] = 1_764_130_800.0  # 11:20 there
    said = run_html.draw_status(run, [], "vi")
    assert "còn khoảng 1 phút 15 giây" in said and '<time datetime="2025-11-26T11:21:15+0700">11:21</time>' in said
    time.tzset()


def test_a_deleted_run_comes_back_under_another_name_where_its_own_is_taken(run_folder, tmp_path):
    state.write_state(run_folder, state="done")
    update, said = actions.delete_training(tmp_path, "lora-1", "en")
    assert "For a day" in said and update["choices"] == []
    _, shown = look(tmp_path, None, None, "vi")
    assert shown["bring_back"] == gr.update(visible=True, value="Khôi phục lora-1")
    state.write_state(state.new_run_folder(tmp_path, "lora"), state="stopped")
    update, said = actions.bring_back_training(tmp_path, "lora-1", "en")
    assert update["value"] == "lora-2" and said == "lora-1 is back as lora-2: another run has its name."
    assert "hello" in state.tail_log(tmp_path / "runs" / "lora-2") and launch.list_deleted(tmp_path) == []
    assert look(tmp_path, "lora-2", None, "en")[1]["bring_back"]["visible"] is False
    with pytest.raises(UserError, match="trash"):
        actions.bring_back_training(tmp_path, None, "en")


def test_the_trash_is_emptied_after_a_day(run_folder, tmp_path):
    from wallpaint.ui.board import pictures

    state.write_state(run_folder, state="done")
    launch.delete_run(run_folder)
    pictures.clear_old(tmp_path)
    (kept,) = launch.list_deleted(tmp_path)
    old = time.time() - pictures.KEPT_SECONDS - 9
    os.utime(kept.parent, (old, old))
    pictures.clear_old(tmp_path)
    assert launch.list_deleted(tmp_path) == [] and not kept.exists()


def test_the_form_and_the_runs_looked_at_come_back(run_folder, tmp_path, data):
    from wallpaint.ui.visits import bring_back

    page = Page(tmp_path)
    with gr.Blocks():
        tab = build_train_tab(page, gr.State("en"), gr.Timer(2))
    form_kept, runs_kept = tab.kept
    values = [part.value for part in form_kept.parts]
    filled = [*values[:1], data, *values[2:-1], "none"]
    packed = json.loads(
        json.dumps({"recipe": form_kept.pack(*filled), "runs": runs_kept.pack("lora-1", ["lora-1", "x"])})
    )
    updates = bring_back(tab.kept, packed, "en")
    assert updates[1]["value"] == data and [values[0], *updates[2:-3]] == [filled[0], *filled[2:]]
    assert updates[-3] == filled[0]  # the recipe that filled it in
    assert updates[-2]["value"] == "lora-1" and updates[-1] == gr.update(choices=["lora-1"], value=["lora-1"])
    packed["recipe"][2].pop("seed")  # of an older version
    assert all(update == gr.skip() for update in bring_back(tab.kept[:1], packed, "en"))


def test_a_dataset_saved_meanwhile_can_be_chosen(data, tmp_path):
    from wallpaint.dataset.folder import add_sample

    assert actions.choose_dataset(None, tmp_path, "en") == gr.update(choices=[("Sample rooms", data)], value=data)
    photo = Image.new("RGB", (64, 64), "gray")
    add_sample(tmp_path / "datasets" / "mine", "train", photo, Image.new("L", (64, 64), 255), (9, 9, 9), "", "a")
    update = actions.choose_dataset(data, tmp_path, "vi")
    assert [name for name, _ in update["choices"]] == ["mine", "Phòng mẫu"] and update["value"] == data


def test_looking_at_a_run_again_and_again_passes_by_the_queue(tmp_path):
    from wallpaint.ui import app

    page = app.build_page(tmp_path, public=False)
    queued = {row["api_name"]: row["queue"] for row in page.config["dependencies"]}
    assert queued["refresh_panel"] is False and queued["paint_arms"]
    assert queued["start_training"] is not False


def test_a_log_without_a_line_is_no_empty_card(run_folder):
    (run_folder / "train.log").write_text("")
    assert run_html.draw_log(run_folder, "en") == ""
    (run_folder / "train.log").write_text("encoding or finding 4 pictures of 64x64\n")
    assert "<pre>encoding or finding 4 pictures of 64x64</pre>" in run_html.draw_log(run_folder, "en")
