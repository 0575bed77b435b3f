"""The page's server: who may reach it, what it answers, what a public one leaves out."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import types
from pathlib import Path
from urllib.request import Request, urlopen

import gradio
import pytest
import yaml
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from wallpaint.errors import UserError
from wallpaint.paths import ROOT
from wallpaint.pixels.photo_files import MAX_PIXELS
from wallpaint.ui import app, guard, page
from wallpaint.ui.page import on_gpu
from wallpaint.ui.train import actions
from wallpaint.ui.words.words import t

# What trains, deletes or keeps things in the workspace.
WRITING = {
    "start_training",
    "train_arms",
    "stop_training",
    "resume_training",
    "delete_training",
    "bring_back_training",
    "refresh_panel",
    "show_plan",
    "follow_saved",
    "use_here",
    "save_here",
    "save_ticked_here",
    "edit_here",
    "move_here",
    "import_here",
    "export_here",
    "undo_here",
    "list_again",
    "list_here",
}


def endpoints(client) -> set[str]:
    """Names of all that the page's script may call, also of what is hidden from the API's page."""
    return {row["api_name"] for row in client.get("/config").json()["dependencies"] if row["api_name"]}


@pytest.fixture
def serve(tmp_path):
    """Serve a page as the studio does and give a client of it."""
    served = []

    def serve(public):
        demo = app.build_page(tmp_path / "space", public)
        options = app.launch_options("127.0.0.1", False, public)
        server, _, _ = demo.launch(prevent_thread_lock=True, inbrowser=False, **options)
        served.append(demo)
        return TestClient(server, base_url="http://127.0.0.1:7860")

    yield serve
    for demo in served:
        demo.close(verbose=False)


def test_a_space_registers_nothing_that_trains_or_keeps(serve):
    home, space = endpoints(serve(public=False)), endpoints(serve(public=True))
    assert home >= WRITING and not space & WRITING
    assert space >= {"paint_arms", "open_shipped_room", "open_photo", "add_lora", "upload_here"}


def test_the_page_answers_before_the_models_are_read(tmp_path, monkeypatch):
    order = []
    demo = types.SimpleNamespace(launch=lambda **how: order.append("page"), block_thread=lambda: order.append("wait"))
    monkeypatch.setattr(app, "build_page", lambda *how: demo)
    monkeypatch.setattr(app, "start_housekeeping", lambda *how: None)
    monkeypatch.setattr(app.segmenter, "warm_up", lambda: order.append("models"))
    app.serve("127.0.0.1", free_port(), None, False, tmp_path)
    assert order == ["page", "models", "wait"]


def test_the_studio_started_as_a_space_offers_painting_alone(tmp_path):
    """The real thing: `python studio.py` with SPACE_ID set, asked under a name that is not this machine's.

    Its environment names a proxy, a console that shows ASCII alone, and a folder for temporary files in which
    Gradio's cannot be made, as if it were another user's.
    """
    port = free_port()
    command = [sys.executable, str(ROOT / "studio.py"), "--port", str(port), "--workspace", str(tmp_path)]
    proxies = {"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}  # nobody answers there
    place = {**os.environ, **proxies, "SPACE_ID": "someone/wallpaint", "PYTHONIOENCODING": "ascii"}
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / "gradio").touch()
    place |= {"TMPDIR": str(tmp_path / "temporary")}
    process = subprocess.Popen(command, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 90
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        url = f"http://127.0.0.1:{port}"
        asked = Request(f"{url}/config", headers={"Host": "someone-wallpaint.hf.space"})
        config = json.loads(urlopen(asked, timeout=60).read())
        form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\npixels\r\n--x--\r\n'
        head = {"Content-Type": "multipart/form-data; boundary=x"}
        (uploaded,) = json.loads(urlopen(Request(f"{url}/gradio_api/upload", form, head), timeout=60).read())
        assert Path(uploaded).is_relative_to(tmp_path / "tmp" / "gradio") and Path(uploaded).read_text() == "pixels"
    finally:
        process.terminate()
        process.wait(30)
    names = {row["api_name"] for row in config["dependencies"]}
    assert {"paint_arms", "open_photo"} <= names and not names & WRITING
    shown = {part["props"].get("elem_id") for part in config["components"]}
    assert "paint" in shown and not shown & {"start-training", "train-all", "yaml", "run"}


def test_no_handler_is_offered_as_an_api(tmp_path):
    page = app.build_page(tmp_path, public=False)
    assert page.get_api_info()["named_endpoints"] == {}
    assert page.get_api_info()["unnamed_endpoints"] == {}


def test_the_server_answers_its_own_page_alone(serve):
    client = serve(public=False)
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"host": "localhost:7860"}).status_code == 200
    assert client.get("/", headers={"host": "evil.com"}).status_code == 400
    upload = {"files": ("a.png", b"x")}
    own = {"origin": "http://127.0.0.1:7860"}
    assert client.post("/gradio_api/upload", files=upload, headers=own).status_code == 200
    for origin in ("http://evil.com", "http://127.0.0.1:9999", "null"):
        assert client.post("/gradio_api/upload", files=upload, headers={"origin": origin}).status_code == 403
    for path in ("/etc/passwd", "studio.py", str(actions.CONFIGS / "new_lora.yaml")):
        assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def ask(hosts, host, origin=None, own="127.0.0.1"):
    """Give the status of a page asked for under `host` by a page of `origin`."""

    async def page(scope, receive, send):
        await PlainTextResponse("page")(scope, receive, send)

    (check,) = guard.middleware(own, False, False, hosts)
    client = TestClient(check.cls(page, **check.kwargs), base_url="http://127.0.0.1:7860")
    return client.get("/", headers={"host": host, **({"origin": origin} if origin else {})}).status_code


RENTED = ["pod-7860.proxy.example.net", "*.Lab.example.org", "10.1.2.3", "FD00::0:5", "phòng.example.vn"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("pod-7860.proxy.example.net", 200),
        ("POD-7860.proxy.example.net:443", 200),
        ("a.lab.example.org", 200),
        ("a.b.lab.example.org:8443", 200),
        ("10.1.2.3:7860", 200),
        ("[::1]:7860", 200),
        ("[fd00::5]:7860", 200),
        ("xn--phng-mqa.example.vn", 200),
        ("localhost", 200),
        ("other-7860.proxy.example.net", 400),
        ("lab.example.org", 400),
        ("evil-lab.example.org", 400),
        ("a.lab.example.org.evil.com", 400),
        ("evil.com", 400),
        ("", 400),
    ],
)
def test_a_studio_behind_a_proxy_answers_to_the_names_it_was_told(host, status):
    assert ask(RENTED, host) == status
    assert ask([], host) == (200 if host in ("[::1]:7860", "localhost") else 400)


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("https://pod-7860.proxy.example.net", "pod-7860.proxy.example.net", 200),
        ("https://pod-7860.proxy.example.net", "pod-7860.proxy.example.net:443", 200),
        ("https://pod-7860.proxy.example.net", "127.0.0.1:7860", 200),  # the proxy puts its own name into Host
        ("https://pod-7860.proxy.example.net:9999", "127.0.0.1:7860", 403),
        ("https://a.lab.example.org", "a.lab.example.org", 200),
        ("https://b.lab.example.org", "a.lab.example.org", 403),  # another machine under the same domain
        ("http://localhost", "localhost:7860", 403),
        ("http://evil.com", "a.lab.example.org", 403),
        ("null", "a.lab.example.org", 403),
        ("https://", "a.lab.example.org", 403),
    ],
)
def test_the_origin_check_agrees_with_the_names_allowed(origin, host, status):
    assert ask(RENTED, host, origin) == status


@pytest.mark.parametrize(
    "name", ["*", "*.com", "", "https://x.example.com", "x.example.com:7860", "a b", "x/y", "a*.b.c"]
)
def test_what_is_no_host_name_or_too_wide_is_refused(name):
    with pytest.raises(UserError, match="--allowed-host"):
        guard.middleware("127.0.0.1", False, False, [name])


@pytest.mark.parametrize(("public", "limit"), [(False, "PHOTO_BYTES"), (True, "UPLOAD_BYTES")])
def test_an_upload_is_limited_in_bytes(serve, monkeypatch, public, limit):
    assert page.PHOTO_BYTES > 3 * MAX_PIXELS  # no photo that can be opened is too large for its owner
    monkeypatch.setattr(page, limit, 1000)
    client = serve(public=public)
    upload = {"files": ("a.png", b"x" * 5000)}
    assert client.post("/gradio_api/upload", files=upload).status_code == 413


def test_names_a_studio_answers_to():
    assert set(guard.own_names("127.0.0.1")) == {"localhost", "127.0.0.1", "[::1]"}
    assert "evil.com" not in guard.own_names("0.0.0.0") and "127.0.0.1" in guard.own_names("0.0.0.0")


@pytest.mark.parametrize(
    ("given", "bare"),
    [
        *(("[::1]", "::1"), ("::1", "::1"), ("127.1", "127.0.0.1"), ("0", "0.0.0.0"), (" me.local ", "me.local")),
        *((name, None) for name in ("", "http://localhost", "localhost:8000", "a b", "*", "127.0.0.1/", "x@y")),
    ],
)
def test_an_address_is_listened_on_as_the_system_writes_it(given, bare):
    if bare:
        assert guard.bare_host(given) == bare
    else:
        with pytest.raises(UserError, match="is no address, given to --host"):
            guard.bare_host(given)


def test_a_studio_of_all_addresses_knows_those_of_ipv6(monkeypatch):
    told = [types.SimpleNamespace(family=socket.AF_INET6, address="fe80::5%eth0")]
    monkeypatch.setattr(guard.psutil, "net_if_addrs", lambda: {"eth0": told})
    assert "[fe80::5]" in guard.own_names("::")


def test_a_studio_listens_on_ipv6_through_a_proxy_that_cannot_be_used(tmp_path):
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "studio.py"), "--host", "[::1]", "--port", str(port), "--workspace", "w"]
    place = {**os.environ, "ALL_PROXY": "socks4://127.0.0.1:9", "NO_PROXY": "[::1]"}
    process = subprocess.Popen(command, env=place, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = [process.stdout.readline().decode() for _ in range(2)]
        assert "the proxy of ALL_PROXY cannot be used" in said[0] and f"http://[::1]:{port} " in said[1]
        assert urlopen(f"http://[::1]:{port}/", timeout=60).status == 200
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "share"), [("0.0.0.0", False), ("192.168.1.7", False), ("127.0.0.1", True), ("me.local", False)]
)
def test_what_others_reach_needs_a_password(host, share):
    with pytest.raises(UserError, match="add --auth"):
        guard.check_bind(host, free_port(), None, share)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8"])
def test_this_machine_alone_needs_none(host):
    guard.check_bind(host, free_port(), None, False)
    assert guard.is_private(host) and guard.is_private("::1")


def test_with_a_password_anyone_may_be_listened_to():
    guard.check_bind("0.0.0.0", free_port(), "me:secret", False)


def test_painting_asks_a_space_for_its_gpu(monkeypatch):
    from wallpaint.ui import page

    monkeypatch.setattr(page, "spaces", types.SimpleNamespace(GPU=lambda function: ("on the GPU", function)))
    assert on_gpu(print) == ("on the GPU", print)
    monkeypatch.setattr(page, "spaces", None)
    assert on_gpu(print) is print


def test_the_queue_moves_on_by_itself(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(app, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(app.launch, "start_next", asked.append)
    app.start_housekeeping(tmp_path, public=False)
    end = time.monotonic() + 60
    while len(asked) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert asked[:3] == [tmp_path] * 3


def test_the_readme_makes_the_repository_a_space():
    front = yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---")[1])
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    assert front["python_version"] in ("3.10", "3.12")  # what ZeroGPU offers
    assert front["sdk_version"].split(".")[0] == gradio.__version__.split(".")[0] == "6"
    assert len(front["short_description"]) <= 60  # the hub refuses more


def test_no_visitor_waits_for_what_the_page_of_another_asks_for_as_it_opens(tmp_path):
    functions = app.build_page(tmp_path, public=False).fns.values()
    opening = [function for function in functions if function.name in ("choose_language", "restore_visit")]
    assert len(opening) == 2 and all(function.concurrency_limit is None for function in opening)
    waiting = {function.name for function in functions if function.concurrency_limit is not None}
    assert "paint_arms" in waiting and not waiting & {"open_first_room", "list_all_arms"}


def test_the_page_is_told_of_an_events_progress_only_where_it_shows_it(tmp_path):
    config = app.build_page(tmp_path, public=False).get_config_file()
    hidden = [row for row in config["dependencies"] if row["backend_fn"] and row["show_progress"] == "hidden"]
    assert len(hidden) > 30 and {tuple(row["show_progress_on"]) for row in hidden} == {()}


def test_a_page_that_speaks_the_readers_language_is_sent_no_words(tmp_path):
    functions = {function.name: function for function in app.build_page(tmp_path, public=False).fns.values()}

    def ask(language):
        request = types.SimpleNamespace(query_params={}, headers={"accept-language": language})
        chosen, switch, *words = functions["choose_language"].fn(request)
        assert chosen == switch == language
        return words

    assert not any(update.keys() - {"__type__"} for update in ask("en"))
    assert len(ask("en")) == len(ask("vi")) and all(update.keys() - {"__type__"} for update in ask("vi"))


def test_while_it_paints_the_buttons_say_so_and_take_no_second_press(tmp_path):
    functions = {function.name: function for function in app.build_page(tmp_path, public=False).fns.values()}
    begin, end = functions["begin"], functions["end"]
    cancel, *busy = begin.fn("vi", types.SimpleNamespace(session_hash="me"))
    assert cancel["interactive"] and [one["interactive"] for one in busy] == [False, False]
    assert {one["value"] for one in busy} == {t("painting", "vi") + "…"}
    cancel, *ready = end.fn("vi")
    assert not cancel["interactive"] and all(one["interactive"] for one in ready)
    assert [one["value"] for one in ready] == [t("paint_button", "vi"), t("paint_sheet", "vi")]
    assert begin.outputs == end.outputs
