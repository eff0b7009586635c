"""The service, as programs use it: a real server process, and a worker that measures nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as fuzzed
from hypothesis import strategies as some

from fake_jobs import begun
from serve_process import PATIENCE_S, Server, serving, until

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from synctool.cli.app import main
from synctool.errors import UsageError
from synctool.report.outcome import Failure
from synctool.serving.access import Access, access_of, is_foreign
from synctool.serving.api import _path_order
from synctool.serving.api_errors import add_answers
from synctool.serving.job_files import JobFiles, OutsideError, allowed_path, safe_name
from synctool.serving.job_store import JobRecord, JobStore, owned
from synctool.serving.jobs import JobOutcome, JobProgress, VideoJob, VideoLimits
from synctool.serving.limits import LimitError, check_limits
from synctool.serving.patience import patient_protocol
from synctool.serving.server import bound
from synctool.serving.uploads import _Form
from synctool.serving.video_job import VideoJobs
from synctool.settings.serve import ServeSettings
from videos import Audio, Video, make_video

integration = pytest.mark.integration
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose videos may be named, with links out of it."""
    place = tmp_path_factory.mktemp("allowed")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.mp4").write_text("level")
    (place / "sub").mkdir()
    (place / "sub" / "talk.mp4").write_text("level")
    (place / "link.mp4").symlink_to(outside / "secret.mp4")
    (place / "folder").symlink_to(outside)
    return place


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, allowed: Path) -> Iterator[Server]:
    """One service for the tests that leave it as it was."""
    words = ["--allow", str(allowed), "--jobs", "2", "--upload-mb", "1", "--queue", "3"]
    limits = ["--uploads", "3", "--upload-timeout", "2"]
    with serving(tmp_path_factory.mktemp("server"), *words, *limits) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """No job is left for the next test."""
    yield
    if "server" in request.fixturenames:
        running: Server = request.getfixturevalue("server")
        for job in running.client.get("/api/jobs").json()["jobs"]:
            running.client.delete(f"/api/jobs/{job['id']}")
        (running.notes / "go").unlink(missing_ok=True)


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


# ------------------------------------------------------------------------------------- jobs


@integration
def test_a_video_is_sent_followed_fetched_and_deleted(server: Server) -> None:
    answer = server.send("level", "../talk über.mp4", fix="true")
    assert answer.status_code == 201
    job = answer.json()
    assert (job["name"], job["fix"], job["size_bytes"]) == ("talk über.mp4", True, 5)
    events = []
    with server.client.stream("GET", f"/api/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events += [json.loads(x[6:]) for x in stream.iter_lines() if x.startswith("data: ")]
    done = events[-1]
    assert (done["state"], done["said"], done["verdict"], done["offset_ms"]) == (
        *("done", "audio is level", "in sync", 7),
    )
    assert done == server.job(job["id"])
    assert done["files"] == ["result", "page", "plot", "repaired", "repair"]
    place = answer.url.join(answer.headers["location"])
    assert server.client.get(f"{place}/result").json() == {"said": "level"}
    page = server.client.get(f"{place}/page")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == "sandbox allow-scripts allow-downloads"
    repaired = server.client.get(f"{place}/repaired")
    assert repaired.text == "repaired"
    assert "talk%20%C3%BCber-repaired.mp4" in repaired.headers["content-disposition"]
    assert not (server.data / "jobs" / job["id"] / "video" / job["name"]).exists()
    assert server.client.delete(f"{place}").status_code == 204
    assert error(server.client.get(f"{place}")) == (404, "there is no such job")
    assert not (server.data / "jobs" / job["id"]).exists()


@integration
def test_a_video_may_be_the_whole_body(server: Server) -> None:
    given = {"name": "a b.mkv", "fix": "false"}
    job = server.client.post("/api/jobs", params=given, content=b"ahead").json()
    done = server.until(job["id"], "done")
    assert (done["name"], done["said"], done["fix"]) == ("a b.mkv", "audio is ahead", False)
    assert error(server.client.get(f"/api/jobs/{job['id']}/repaired"))[0] == 404


@integration
def test_a_video_in_an_allowed_folder_is_named_by_its_path(server: Server, allowed: Path) -> None:
    for path in ("sub/talk.mp4", str(allowed / "sub" / "talk.mp4"), "sub/../sub/talk.mp4"):
        job = server.client.post("/api/paths", json={"path": path}).json()
        assert server.until(job["id"], "done")["name"] == "talk.mp4"
    assert (allowed / "sub" / "talk.mp4").read_text() == "level"


@integration
@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("link.mp4", 403), ("folder/secret.mp4", 403), ("../outside0/secret.mp4", 403)),
        *(("/etc/passwd", 403), ("a\0b", 403), ("none.mp4", 404), ("sub", 404), ("", 422)),
    ],
)
def test_no_path_leads_out_of_the_allowed_folders(server: Server, path: str, status: int) -> None:
    answer = server.client.post("/api/paths", json={"path": path})
    assert answer.status_code == status and answer.json()["error"]


@integration
def test_failures_are_told_with_their_remedies(server: Server) -> None:
    ids = {said: server.send(said).json()["id"] for said in ("bad", "kill")}
    bad = server.until(ids["bad"], "failed")
    assert bad["problem"] == {"error": "no video", "remedy": "Get one."}
    killed = server.until(ids["kill"], "failed")
    assert "was killed" in killed["problem"]["error"]
    assert begun(server.notes)["a.mp4"] >= 3
    assert error(server.client.get(f"/api/jobs/{ids['bad']}/result"))[0] == 404


@integration
def test_a_job_that_runs_is_cancelled_and_its_process_ends(server: Server) -> None:
    id = server.send("hang", "hang.mp4").json()["id"]
    until(lambda: "hang.mp4" in begun(server.notes))
    assert error(server.client.get(f"/api/jobs/{id}/result")) == (409, "the job is not done yet")
    (process,) = map(int, (server.notes / "hang.mp4").read_text().split())
    assert server.client.delete(f"/api/jobs/{id}").status_code == 204
    until(lambda: _gone(process))
    until(lambda: not (server.data / "jobs" / id).exists())
    assert server.until(server.send("level").json()["id"], "done")


@integration
def test_the_list_has_the_latest_first_and_goes_on(server: Server) -> None:
    ids = [server.send("level", f"{n}.mp4").json()["id"] for n in range(3)]
    for id in ids:
        server.until(id, "done")
    page = server.client.get("/api/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in page["jobs"]] == [ids[2], ids[1]]
    rest = server.client.get("/api/jobs", params={"limit": 2, "before": page["next"]}).json()
    assert [job["id"] for job in rest["jobs"]] == [ids[0]] and rest["next"] is None


@integration
def test_what_the_api_does_not_have_is_told_as_a_problem(server: Server) -> None:
    wrong = server.client.put("/api/jobs")
    assert error(wrong) == (405, "Method Not Allowed") and "POST" in wrong.headers["allow"]
    many = server.client.options("/api/jobs/x")
    assert many.status_code == 405 and many.headers["allow"] == "DELETE, GET"
    assert error(server.client.get("/api/none")) == (404, "Not Found")
    invalid = server.client.get("/api/jobs", params={"limit": "many"})
    assert invalid.status_code == 422 and invalid.json()["error"].startswith("query limit:")
    described = server.client.get("/api/openapi.json").json()
    assert {"/api/jobs", "/api/paths", "/api/jobs/{id}/events"} <= set(described["paths"])
    assert "security" not in described["paths"]["/api/jobs"]["get"]  # nobody needs a token here
    assert "securitySchemes" not in described["components"]


# ------------------------------------------------------------------------------------- limits


@integration
def test_an_upload_that_is_too_large_is_refused(server: Server) -> None:
    answer = server.client.post("/api/jobs", files={"file": ("a.mp4", b"x" * 1_100_000)})
    assert error(answer) == (413, "the video is larger than 1 MB, which are allowed")
    endless = server.client.post("/api/jobs", content=(b"x" * 65536 for _ in range(20)))
    assert error(endless)[0] == 413
    assert list((server.data / "uploads").iterdir()) == []


@integration
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b""),
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"rubbish"),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nlevel',
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="fix"\r\n\r\n1\r\n--b--\r\n',
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="fix"\r\n\r\nmaybe\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nlevel\r\n--b--\r\n',
        ),
    ],
)
def test_what_is_no_upload_is_refused(server: Server, headers: dict, body: bytes) -> None:
    for query in ("", "?fix=true"):
        answer = server.client.post(f"/api/jobs{query}", content=body, headers=headers)
        assert answer.status_code == 422 and answer.json()["remedy"]
    assert list((server.data / "uploads").iterdir()) == []


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="fix"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nlevel\r\n--b--\r\n'
)
HEADERS = some.text(some.characters(max_codepoint=255), max_size=80)
"""As servers decode them."""
KINDS = ["multipart/form-data; boundary=b", "multipart/form-data; boundary=\"b\"; x*=utf-9''%ff"]


def spliced(draw: some.DrawFn) -> bytes:
    """A form with other bytes at places."""
    body = bytearray(FORM)
    for _ in range(draw(some.integers(0, 4))):
        at = draw(some.integers(0, len(body)))
        stop = min(len(body), at + draw(some.integers(0, 30)))
        body[at:stop] = draw(
            some.sampled_from([FORM, b"\r\n", b"--b", b";", b"*=", b"\0"]) | some.binary()
        )
    return bytes(body)


@fuzzed(max_examples=100, deadline=None, derandomize=True)
@given(
    body=some.composite(spliced)(),
    kind=some.sampled_from(KINDS) | HEADERS,
    step=some.integers(1, 400),
)
def test_any_form_is_taken_or_refused(body: bytes, kind: str, step: int) -> None:
    video = bytearray()
    try:
        form = _Form(kind, video)
        for at in range(0, len(body), step):
            form.feed(body[at : at + step])
        form.finish()
    except UsageError as error:
        assert error.remedy
    else:
        assert len(video) <= len(body)


def test_a_header_of_a_form_may_not_be_long() -> None:
    with pytest.raises(UsageError):
        _Form(f"multipart/form-data; boundary={'b' * 300}", bytearray())
    form = _Form(KINDS[0], bytearray())
    with pytest.raises(UsageError):
        for _ in range(100):
            form.feed(b"--b\r\nContent-Disposition: form-data; name=" + b"a" * 1000)


class Body:
    """As much of a request as is asked for."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def body(self) -> bytes:
        """The body."""
        return self._content


@fuzzed(max_examples=100, deadline=None, derandomize=True)
@given(
    some.binary(max_size=200)
    | some.sampled_from(
        [b"[" * 100_000, b'{"path":' * 50_000, b'{"path": "\\ud800"}', b'{"path": 1e999}']
    )
    | some.recursive(
        some.none()
        | some.booleans()
        | some.floats()
        | some.text()
        | some.sampled_from(["path", "fix"]),
        lambda inner: (
            some.lists(inner) | some.dictionaries(some.sampled_from(["path", "fix", "x"]), inner)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_json_is_an_order_or_a_problem(content: bytes) -> None:
    app = FastAPI()
    add_answers(app)
    request: Any = Body(content)
    try:
        assert asyncio.run(_path_order(request)).path
    except RequestValidationError as error:
        handler: Any = app.exception_handlers[RequestValidationError]
        assert asyncio.run(handler(request, error)).status_code == 422


@integration
def test_a_full_queue_turns_away_and_takes_again(server: Server) -> None:
    names = [f"{n}.mp4" for n in range(5)]
    ids = [server.send("wait", name).json()["id"] for name in names[:2]]
    until(lambda: set(names[:2]) <= set(begun(server.notes)))
    ids += [server.send("wait", name).json()["id"] for name in names[2:]]
    assert [server.job(id)["ahead"] for id in ids] == [None, None, 0, 1, 2]
    refused = server.send("level")
    assert error(refused) == (503, "3 jobs are waiting already")
    assert refused.headers["retry-after"] == "30"
    about = server.client.get("/api/service").json()
    assert (about["queued"], about["running"]) == (3, 2)
    (server.notes / "go").touch()
    for id in ids:
        server.until(id, "done")
    assert server.send("level").status_code == 201


def raw(server: Server) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S)


HEAD = "POST /api/jobs?name=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


@integration
def test_a_client_that_sends_too_slowly_is_given_up(server: Server) -> None:
    with raw(server) as slow:
        slow.sendall(HEAD.encode())
        answer = received(slow)
    assert " 408 " in answer.splitlines()[0] and "nothing has come for 2 s" in answer
    assert list((server.data / "uploads").iterdir()) == []


@integration
def test_a_client_that_sends_a_byte_now_and_then_is_given_up(server: Server) -> None:
    with raw(server) as slow:
        slow.sendall(HEAD.encode())
        begun_at = time.monotonic()
        dripping = threading.Thread(target=drip, args=(slow,))
        dripping.start()
        answer = received(slow)
        took_s = time.monotonic() - begun_at
    dripping.join()
    assert " 408 " in answer.splitlines()[0] and "bytes have come within 2 s" in answer
    assert took_s >= 1.9
    assert list((server.data / "uploads").iterdir()) == []


@integration
def test_json_that_does_not_come_in_time_is_given_up(server: Server) -> None:
    with raw(server) as slow:
        head = HEAD.replace("/jobs?name=a.mp4", "/paths").encode()
        slow.sendall(head.replace(b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n"))
        dripping = threading.Thread(target=drip, args=(slow,))
        dripping.start()
        answer = received(slow)
    dripping.join()
    assert " 408 " in answer.splitlines()[0] and "the body has not come within 2 s" in answer


def drip(connection: socket.socket) -> None:
    """Send a byte now and then until the other side has closed."""
    try:
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)
    except OSError:
        return


def received(connection: socket.socket) -> str:
    """An answer with a problem."""
    answer = ""
    while "}" not in answer and (part := connection.recv(65536)):
        answer += part.decode()
    return answer


def test_a_connection_that_says_nothing_is_closed() -> None:
    """And one that says half of a further request, but none that waits between two."""
    silent, half, second, idle = asyncio.run(_left_alone(head_s=0.4, for_s=1.5))
    assert silent[0] < 1 and silent[1] == b""
    assert half[0] < 1 and half[1] == b""
    assert second[0] < 1 and second[1].startswith(b"HTTP/1.1 200")
    assert idle[0] >= 1.4


async def _left_alone(*, head_s: float, for_s: float) -> list[tuple[float, bytes]]:
    """How long connections last, and what came: with no word, half a request, one and a half, one."""

    server = await _patient(_hello, head_s=head_s, taken_s=60)
    loop = asyncio.get_running_loop()
    port = server.sockets[0].getsockname()[1]

    async def lasts_s(*parts: bytes) -> tuple[float, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        came = b""
        for part in parts:
            writer.write(part)
            came += await reader.read(1000) if part.endswith(b"\r\n\r\n") else b""
        began = loop.time()
        with suppress(asyncio.TimeoutError):
            came += await asyncio.wait_for(reader.read(), for_s)
        writer.close()
        return loop.time() - began, came

    whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    try:
        return await asyncio.gather(
            lasts_s(), lasts_s(whole[:-2]), lasts_s(whole, whole[:-2]), lasts_s(whole)
        )
    finally:
        server.close()


async def _patient(app: Any, **limits: float) -> asyncio.Server:
    """A web server in this event loop."""
    import uvicorn

    config = uvicorn.Config(app, log_config=None, http=patient_protocol(**limits))
    config.load()
    state = uvicorn.server.ServerState()
    made = config.http_protocol_class
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: made(config, state, {}), "127.0.0.1", 0)


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body"})


def test_a_client_that_does_not_read_its_response_is_given_up() -> None:
    """One that reads slowly gets all of it."""
    gone_after_s, slow = asyncio.run(_read_slowly(taken_s=0.5))
    assert 0.4 < gone_after_s < 10
    assert slow == _LONG_BYTES


_LONG_BYTES = 32 << 20
"""More than the system's buffers hold."""


async def _long(scope: Any, receive: Any, send: Any) -> None:
    length = str(_LONG_BYTES).encode()
    start = {"status": 200, "headers": [(b"content-length", length)]}
    await send({"type": "http.response.start", **start})
    piece = b"x" * (1 << 16)
    for number in range(parts := _LONG_BYTES // len(piece)):
        more = number + 1 < parts
        await send({"type": "http.response.body", "body": piece, "more_body": more})


async def _read_slowly(*, taken_s: float) -> tuple[float, int]:
    """When the server is done with a client that reads nothing, and what one gets that reads slowly."""
    done: dict[bytes, float] = {}
    loop = asyncio.get_running_loop()

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        await _long(scope, receive, send)
        done[scope["query_string"]] = loop.time()

    server = await _patient(noted, head_s=60, taken_s=taken_s)
    port = server.sockets[0].getsockname()[1]

    async def asked(query: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /?" + query + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return reader, writer

    try:
        _, deaf = await asked(b"deaf")
        begun_at = loop.time()
        reader, slow = await asked(b"slow")
        await reader.readuntil(b"\r\n\r\n")
        came = 0
        while part := await reader.read(1 << 20):
            came += len(part)
            await asyncio.sleep(taken_s / 100)
        while b"deaf" not in done:
            assert loop.time() - begun_at < PATIENCE_S
            await asyncio.sleep(0.02)
        deaf.close()
        slow.close()
        return done[b"deaf"] - begun_at, came
    finally:
        server.close()


@integration
def test_a_client_that_vanishes_leaves_nothing(server: Server) -> None:
    for _ in range(5):
        with raw(server) as gone:
            gone.sendall(HEAD.encode() + b"x" * 500)
            until(lambda: any((server.data / "uploads").iterdir()))
        until(lambda: not any((server.data / "uploads").iterdir()))
    assert server.client.get("/api/jobs").json()["jobs"] == []
    assert server.send("level").status_code == 201


@integration
def test_too_many_uploads_at_a_time_are_turned_away(server: Server) -> None:
    slow = [raw(server) for _ in range(3)]
    for connection in slow:
        connection.sendall(HEAD.encode() + b"x")
    until(lambda: len(list((server.data / "uploads").iterdir())) == 3)
    assert error(server.send("level")) == (503, "3 videos are being sent already")
    for connection in slow:
        connection.close()
    until(lambda: server.send("level").status_code == 201)


@integration
def test_listeners_that_do_not_read_and_vanish_cost_nothing(server: Server) -> None:
    listeners = [raw(server) for _ in range(20)]
    for listener in listeners:
        listener.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    ids = [server.send("level", f"{n}.mp4").json()["id"] for n in range(3)]
    for id in ids:
        server.until(id, "done")
    for listener in listeners:
        listener.close()
    assert server.client.get("/api/health").json() == {"status": "ok"}


@integration
def test_many_at_a_time_are_all_done_once(server: Server) -> None:
    def one(number: int) -> dict[str, Any]:
        name = f"many-{number}.mp4"
        while (answer := server.send(f"said{number}", name)).status_code == 503:
            threading.Event().wait(0.05)
        return server.until(answer.json()["id"], "done")

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(one, range(16)))
    assert [job["said"] for job in done] == [f"audio is said{n}" for n in range(16)]
    many = {n: c for n, c in begun(server.notes).items() if n.startswith("many-")}
    assert len(many) == 16 and set(many.values()) == {1}


# ------------------------------------------------------------------------------------- who may


@integration
def test_pages_elsewhere_reach_nothing(server: Server) -> None:
    elsewhere = {"Origin": "http://elsewhere.example"}
    answer = server.client.post("/api/jobs", content=b"level", headers=elsewhere)
    assert error(answer)[0] == 403
    own = {"Origin": server.url.rstrip("/")}
    assert server.client.post("/api/jobs", content=b"level", headers=own).status_code == 201
    rebound = server.client.get("/api/jobs", headers={"Host": "elsewhere.example"})
    assert error(rebound) == (421, "this is not the name of the service")


@integration
def test_tokens_and_cookies_open_their_own_jobs_only(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# two people\nann {'a' * 20}\n\nbob {'b' * 20}\n")
    with serving(tmp_path, "--tokens", str(tokens)) as server:
        client = server.client
        denied = client.get("/api/jobs")
        assert error(denied) == (401, "a token is needed")
        assert denied.headers["www-authenticate"] == "Bearer"
        for path in ("/api/service", "/api/events", "/api/jobs/x", "/api/jobs/x/page"):
            assert client.get(path).status_code == 401
        assert server.send("level").status_code == 401
        assert client.get("/api/health").status_code == client.get("/").status_code == 200
        assert client.get("/api/openapi.json").json()["paths"]["/api/jobs"]["get"]["security"]
        ann, bob = ({"Authorization": f"Bearer {letter * 20}"} for letter in "ab")
        id = client.post("/api/jobs", content=b"level", headers=ann).json()["id"]
        until(lambda: client.get(f"/api/jobs/{id}", headers=ann).json()["state"] == "done")
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/events")):
            answer = client.request(method, f"/api/jobs/{id}{path}", headers=bob)
            assert answer.status_code == 404
        assert client.get("/api/jobs", headers=bob).json()["jobs"] == []
        wrong = client.post("/api/session", json={"token": "c" * 20})
        assert error(wrong) == (401, "this token is not known")
        signed = client.post("/api/session", json={"token": "a" * 20})
        cookie = signed.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "a" * 20 not in cookie
        assert client.get(f"/api/jobs/{id}/result").json() == {"said": "level"}
        client.delete("/api/session")
        assert client.get("/api/jobs").status_code == 401


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"host": "0.0.0.0"}, "everybody who reaches 0.0.0.0 could use the service"),
        ({"tokens": "ann short"}, "line 1: no token of at least 16 characters"),
        ({"tokens": "# none"}, "holds no token"),
        ({"tokens": "ann " + "a" * 16 + "\nbob " + "a" * 16}, "this token is there twice"),
        ({"tokens": "ann " + "a" * 16, "open": True}, "contradict each other"),
    ],
)
def test_who_may_use_it_must_be_said(tmp_path: Path, words: dict[str, Any], said: str) -> None:
    if "tokens" in words:
        (tmp_path / "tokens").write_text(words["tokens"])
        words = {**words, "tokens": tmp_path / "tokens"}
    with pytest.raises(UsageError, match=said):
        access_of(ServeSettings(**words))


def test_names_and_origins_are_compared_without_ports_and_case() -> None:
    access = access_of(ServeSettings())
    assert all(
        map(access.host_is_known, ("localhost:80", "127.0.0.1:8000", "LOCALHOST", "[::1]:1"))
    )
    assert not any(map(access.host_is_known, ("evil.example", "localhost.evil.example", "", "[")))
    assert Access({}, {}).host_is_known("anything")
    assert not is_foreign(None, "a:80") and not is_foreign("http://A:80", "a:80")
    assert is_foreign("http://a:81", "a:80") and is_foreign("null", "a:80")


# ------------------------------------------------------------------- stopped, killed, and gone on


@unix
@integration
def test_a_killed_server_goes_on_with_its_jobs(tmp_path: Path) -> None:
    with serving(tmp_path, "--jobs", "1") as server:
        first = server.send("level", "first.mp4").json()["id"]
        done = server.until(first, "done")
        ids = [server.send("wait", f"{n}.mp4", fix="1").json()["id"] for n in range(3)]
        until(lambda: "0.mp4" in begun(server.notes))
        (worker,) = map(int, (server.notes / "0.mp4").read_text().split())
        with raw(server) as sending:
            sending.sendall(HEAD.encode() + b"x" * 10)
            until(lambda: any((server.data / "uploads").iterdir()))
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: _gone(worker))
    (tmp_path / "notes" / "go").touch()
    with serving(tmp_path, "--jobs", "1") as server:
        assert server.job(first) == done
        assert server.client.get(f"/api/jobs/{first}/result").json() == {"said": "level"}
        for id in ids:
            assert server.until(id, "done")["repair"] is None
            assert server.client.get(f"/api/jobs/{id}/repaired").text == "repaired"
        assert begun(server.notes) == {"first.mp4": 1, "0.mp4": 2, "1.mp4": 1, "2.mp4": 1}
        assert list((server.data / "uploads").iterdir()) == []
        with raw(server) as listener:
            listener.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in listener.recv(1000)
            assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in (tmp_path / "stderr").read_text()
    assert "1 jobs are begun again" in (tmp_path / "stderr").read_text()


@unix
@integration
def test_ctrl_c_ends_it_and_old_jobs_are_deleted(tmp_path: Path) -> None:
    with serving(tmp_path, "--keep-hours", "0.0001") as server:
        id = server.send("level").json()["id"]
        until(lambda: server.client.get(f"/api/jobs/{id}").status_code == 404)
        until(lambda: not any((server.data / "jobs").iterdir()))
        assert server.stop(signal.SIGINT) == 130
    assert "Traceback" not in (tmp_path / "stderr").read_text()


@integration
def test_a_port_or_a_folder_in_use_is_refused(tmp_path: Path, capsys) -> None:
    with socket.socket() as other, owned(tmp_path / "data"):
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", "--port", port, "--data", str(tmp_path / "data")]) == 2
        assert f"port {port} of 127.0.0.1 is in use by another program" in capsys.readouterr().err
        assert main(["serve", "--port", "0", "--data", str(tmp_path / "data")]) == 2
        assert f"(process {os.getpid()})" in capsys.readouterr().err


def test_addresses_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on port|is no address"):
        bound("203.0.113.7", 0)

    def unknown(*_: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError, match=r"no\.such\.host is no address to listen on: Name or"):
        bound("no.such.host", 0)


def test_allowed_folders_and_jobs_may_not_hold_each_other(tmp_path: Path, capsys) -> None:
    (tmp_path / "data").mkdir()
    words = ["serve", "--port", "0", "--data", str(tmp_path / "data")]
    assert main([*words, "--allow", str(tmp_path)]) == 2
    assert "hold each other" in capsys.readouterr().err
    assert main([*words, "--allow", str(tmp_path / "none")]) == 5


# ------------------------------------------------------------------------------------- its parts


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("talk.mp4", "talk.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.mov", "a.mov"),
        ("..", "video"),
        ("", "video"),
        ("-rf.mp4", "rf.mp4"),
        (".hidden.mp4", "hidden.mp4"),
        ("a\x1b[31m\n.mp4", "a_[31m_.mp4"),
        ("x" * 300 + ".mp4", "x" * 146 + ".mp4"),
        ("ü" * 200 + ".mkv", "ü" * 73 + ".mkv"),
    ],
)
def test_names_that_are_sent_become_safe(given: str, name: str) -> None:
    assert safe_name(given) == name


def test_a_path_is_looked_for_in_every_allowed_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "x.mp4").touch()
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert allowed_path("x.mp4", folders) == (tmp_path / "b" / "x.mp4").resolve()
    with pytest.raises(OutsideError):
        allowed_path(str(tmp_path / "b" / "x.mp4"), [])


def record(id: str, **more: Any) -> JobRecord:
    return JobRecord(id, "", f"{id}.mp4", None, 1, False, **more)


def test_the_database_keeps_order_and_outcomes(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    added = [store.add(record(id)) for id in "abc"]
    assert [store.ahead_of(job) for job in added] == [0, 1, 2]
    claimed = store.claim()
    assert claimed is not None and (claimed.id, claimed.state, claimed.starts) == (
        "a",
        "running",
        1,
    )
    outcome = JobOutcome("x", failure=("cause", None), exit_code=1)
    store.finish("a", outcome)
    assert store.claim() is not None
    store.close()
    again = JobStore(tmp_path / "jobs.sqlite")
    assert again.queue_again() == 1
    first = again.get("a")
    assert first is not None and (first.state, first.outcome) == ("failed", outcome)
    claimed = again.claim()
    assert claimed is not None and (claimed.id, claimed.starts) == ("b", 2)
    assert again.finish("gone", outcome) is None
    assert again.ended_before(1e12) == ["a"] and again.ids() == {"a", "b", "c"}
    again.close()


def test_what_is_no_database_of_jobs_is_refused(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "a").write_bytes(b"rubbish" * 1000)
    with pytest.raises(UsageError, match="is no database"):
        JobStore(tmp_path / "a")
    with sqlite3.connect(tmp_path / "b") as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(UsageError, match="of another program"):
        JobStore(tmp_path / "b")


def test_what_belongs_to_no_job_is_removed(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    files.prepare(())
    (files.uploads / "half").touch()
    for id in ("known", "unknown"):
        files.of(id).mkdir()
    files.prepare(["known"])
    assert [p.name for p in (tmp_path / "jobs").iterdir()] == ["known"]
    assert list(files.uploads.iterdir()) == []


@pytest.mark.integration
def test_videos_beyond_the_limits_are_refused_by_their_headers(tmp_path: Path) -> None:
    video = make_video(
        tmp_path / "a.mp4", seconds=2, video=Video(size=(640, 480)), audio=[Audio(), Audio()]
    )
    check_limits(str(video), VideoLimits(1, 0.31, 3))
    for limits, said in (
        (VideoLimits(minutes=0.02), "is longer than 0.02 min"),
        (VideoLimits(megapixels=0.3), "has images of 640x480"),
        (VideoLimits(streams=2), "has 3 streams, and 2 are allowed"),
    ):
        with pytest.raises(LimitError, match=said) as caught:
            check_limits(str(video), limits)
        outcome = JobOutcome.failed(caught.value, "a.mp4")
        assert outcome.failure == (caught.value.cause, caught.value.remedy)
        assert not outcome.passing and outcome.exit_code == Failure.of("", caught.value).exit_code


@integration
def test_a_video_whose_header_tells_no_length_is_stopped_at_the_limit(tmp_path: Path) -> None:
    """A few bytes may make hours of black frames."""
    told = make_video(tmp_path / "a.mp4", seconds=6)
    video = tmp_path / "b.mkv"
    words = ["ffmpeg", "-loglevel", "error", "-i", str(told), "-c", "copy", "-f", "matroska", "-"]
    with video.open("wb") as piped:  # where it cannot go back, FFmpeg leaves the length out
        subprocess.run(words, stdout=piped, check=True)
    seen: list[JobProgress] = []
    job = VideoJob("1", str(video), "b.mkv", limits=VideoLimits(minutes=0.03))
    check_limits(str(video), job.limits)
    outcome = VideoJobs(ServeSettings(), threads=1)(job, seen.append)
    assert outcome.failure is not None
    assert outcome.failure[0] == "b.mkv is longer than 0.03 min, which are allowed"
    assert len(seen) <= 2  # after 1.8 of 6 s, and told once a second


def _gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@integration
def test_json_names_a_video_and_other_bodies_are_refused(server: Server) -> None:
    def sent(where: str, kind: str, body: Any) -> httpx.Response:
        return server.client.post(where, content=body, headers={"Content-Type": kind})

    made = sent("/api/jobs", "application/json", b'{"path": "sub/talk.mp4", "fix": true}')
    assert (made.status_code, made.json()["name"], made.json()["fix"]) == (201, "talk.mp4", True)
    assert error(sent("/api/jobs", "application/json", b"{}")) == (422, "path: Field required")
    assert sent("/api/jobs", "application/json", b'{"path": "../a.mp4"}').status_code == 403
    assert sent("/api/jobs", "application/x-www-form-urlencoded", b"path=a").status_code == 415
    assert sent("/api/session", "application/json", b"\xff").status_code == 422
    large = b" " * (65 << 10)
    assert sent("/api/session", "application/json", large).status_code == 413
    assert sent("/api/session", "application/json", iter([large])).status_code == 411
