"""Entries on the Hub, from a made-up Hub on this machine, each test in a process and a cache of its own."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fake_catalogue import NOTE, some_bytes
from fake_plugins import Answer, Program, write_distribution
from fault_server import Quiet

pytestmark = pytest.mark.integration

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"hidden_size": 768}',
    "model.safetensors": some_bytes(200_000),
    "pytorch_model.bin": b"a pickle",
}
LARGE = {"model.safetensors", "pytorch_model.bin"}
Run = Callable[..., Answer]
"""``synctool download`` with the words that follow."""


class FakeHub:
    """Speaks as much of the Hub's language as its client needs for a snapshot."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuse: int | None = None
        self.damage = False
        self.chunk_s = 0.0
        self._http = Quiet(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()


def blob(name: str, content: bytes) -> str:
    if name in LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            hub.asked.append(f"{self.command} {path}")
            if hub.refuse is not None:
                kind = {403: "GatedRepo", 404: "RepoNotFound"}.get(hub.refuse)
                headers = {"X-Error-Code": kind} if kind else {}
                self.answer(b"no", status=hub.refuse, headers=headers)
            elif "/tree/" in path:
                self.answer(json.dumps([self.row(name) for name in FILES]).encode())
            elif path.startswith("/api/"):
                siblings = [{"rfilename": name} for name in FILES]
                data = {"id": "made/up", "sha": COMMIT, "siblings": siblings, "private": False}
                self.answer(json.dumps(data).encode())
            elif (name := path.rsplit("/", 1)[-1]) in FILES:
                content, mark = FILES[name], blob(name, FILES[name])
                if hub.damage and self.command == "GET":
                    content = content[::-1]
                headers = {"ETag": f'"{mark}"', "X-Repo-Commit": COMMIT}
                if name in LARGE:
                    headers |= {"X-Linked-Etag": f'"{mark}"', "X-Linked-Size": str(len(content))}
                self.answer(content, headers=headers)
            else:
                self.answer(b"", status=404, headers={"X-Error-Code": "EntryNotFound"})

        def row(self, name: str) -> dict[str, object]:
            size, mark = len(FILES[name]), blob(name, FILES[name])
            row = {"type": "file", "path": name, "size": size, "oid": mark[:40]}
            return (
                {**row, "lfs": {"oid": mark, "size": size, "pointerSize": 130}}
                if name in LARGE
                else row
            )

        def answer(
            self, content: bytes, *, status: int = 200, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                for start in range(0, len(content), 1 << 16):
                    self.wfile.write(content[start : start + (1 << 16)])
                    time.sleep(hub.chunk_s)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    yield hub
    hub.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The Hub's cache; a plugin with one entry on the Hub is installed beside it."""
    code = (
        "from synctool import hookimpl\n"
        "from synctool.types import CatalogueEntry, HubSource\n"
        "@hookimpl\n"
        "def synctool_catalogue():\n"
        "    return [CatalogueEntry(name='net', kind='weights', summary='made up',\n"
        "        homepage='https://example.org', licence='MIT',\n"
        f"        access_note={NOTE!r},\n"
        "        hub=HubSource('made/up', patterns=('config.json', '*.safetensors', 'if-there')))]\n"
    )
    write_distribution(tmp_path / "site", "made-up", code=code)
    return tmp_path / "hf" / "hub"


def environment(hub: FakeHub | None, cache: Path) -> dict[str, str]:
    return {
        "HF_HOME": str(cache.parent),
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "",
        "NO_PROXY": "*",
        "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9",
        "SYNCTOOL_CACHE": str(cache.parent.parent / "cache"),
        "HOME": str(cache.parent.parent),
    }


@pytest.fixture
def run(hub: FakeHub, cache: Path) -> Iterator[Run]:
    """Run ``synctool download`` in the process of the test, whose Hub is the made-up one."""
    program = started(hub, cache)
    yield partial(program.run, "download")
    assert program.close() == ""


def started(hub: FakeHub | None, cache: Path) -> Program:
    place = cache.parent.parent
    return Program(path=place / "site", env=environment(hub, cache), cwd=place)


def test_into_the_hubs_own_cache(hub: FakeHub, cache: Path, run: Run) -> None:
    done = run("net", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (result,) = json.loads(done.stdout)
    folder = cache / "models--made--up" / "snapshots" / COMMIT
    assert Path(result["folder"]) == folder
    assert (result["files"], result["checked"]) == (["config.json", "model.safetensors"], True)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not any("pytorch_model.bin" in asked for asked in hub.asked), "no pickle"

    hub.asked.clear()
    assert "is here already" in run("net").stdout
    assert run("net", "--offline").returncode == 0
    assert run("verify").stdout.startswith(f"net: ok, in {folder}")
    assert "yes, in" in run("show", "net").stdout
    assert not hub.asked

    (folder / "model.safetensors").resolve().write_bytes(some_bytes(200_000, seed=2))
    done = run("verify", "net")
    assert done.returncode == 1
    assert "model.safetensors: damaged (its checksum is" in done.stdout


def test_into_a_folder(hub: FakeHub, cache: Path, run: Run) -> None:
    folder = cache.parent.parent / "mine"
    done = run("net", "--dest", "mine")
    assert done.returncode == 0, done.stderr
    assert (folder / "config.json").read_bytes() == FILES["config.json"]
    assert not (folder / "pytorch_model.bin").exists()
    hub.asked.clear()
    assert "is here already" in run("net").stdout
    done = run("verify", "net")
    assert (done.returncode, done.stdout.count(": ok")) == (0, 3)
    (folder / "config.json").write_text("damaged")
    assert run("verify", "net").returncode == 1
    (folder / "config.json").unlink()
    assert run("net", "--offline").returncode == 5
    assert not hub.asked


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.skipif(
    tuple(map(int, version("huggingface_hub").split(".")[:2])) < (1, 3),
    reason="older clients tell nobody of the bytes that come, and cannot be stopped",
)
def test_ctrl_c(hub: FakeHub, cache: Path, monkeypatch) -> None:
    """The Hub's client would wait for the end of the file."""
    monkeypatch.setitem(FILES, "model.safetensors", some_bytes(64 << 20))
    hub.chunk_s = 0.01
    for name, value in environment(hub, cache).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(cache.parent.parent / "site"))
    code = "import sys; from synctool.cli.app import main; sys.exit(main(['download', 'net']))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 20
    while not any("GET" in asked and "safetensors" in asked for asked in hub.asked):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stopped = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "files that came in full are kept" in err
    assert time.monotonic() - stopped < 8, "the whole file takes ten seconds"


def test_what_was_interrupted_is_not_here(hub: FakeHub, cache: Path, run: Run) -> None:
    assert run("net").returncode == 0
    folder = cache / "models--made--up" / "snapshots" / COMMIT
    (folder / "model.safetensors").unlink()
    assert run("net", "--offline").returncode == 5
    assert run("net").returncode == 0
    assert run("net", "--offline").returncode == 0


def test_what_is_not_here(hub: FakeHub, run: Run) -> None:
    done = run("net", "--offline")
    assert done.returncode == 5
    assert "net is not here" in done.stderr
    done = run("net", "--dry-run")
    assert "config.json, *.safetensors, if-there from made/up on the Hub" in done.stdout
    assert run("verify", "net").returncode == 5
    assert run("net", "--from", ".").returncode == 2
    assert not hub.asked


@pytest.mark.parametrize("status", [403, 404])
def test_a_repository_that_is_not_for_everybody(hub: FakeHub, run: Run, status: int) -> None:
    hub.refuse = status
    done = run("net")
    assert done.returncode == 5, done.stderr
    assert "hf auth login" in done.stderr
    assert (NOTE in done.stderr) is (status == 403)


@pytest.mark.parametrize("refuse", [500, None])
def test_a_hub_that_does_not_answer(hub: FakeHub, cache: Path, refuse: int | None) -> None:
    hub.refuse = refuse
    program = started(hub if refuse else None, cache)
    done = program.run("download", "net")
    assert program.close() == ""
    assert done.returncode == 1, done.stderr
    assert "cannot fetch net from the Hub (made/up)" in done.stderr
    assert len(done.stderr.splitlines()) == 2, "not what the client says by itself"


def test_a_file_that_comes_damaged(hub: FakeHub, run: Run) -> None:
    hub.damage = True
    done = run("net")
    assert done.returncode == 1
    assert "came damaged" in done.stderr
    hub.damage = False
    assert run("net").returncode == 0
    assert run("verify", "net").returncode == 0
