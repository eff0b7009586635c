"""``synctool download`` as a program: words, exit codes, JSON, passwords, and being killed."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_catalogue import NOTE, catalogue, entry_of, file_of, some_bytes
from fake_plugins import run_synctool, write_distribution
from fault_server import Fault, FaultServer, serving
from synctool.cli import app
from synctool.plugins.specs import CatalogueEntry, CatalogueFile

pytestmark = pytest.mark.integration

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and terminals")
CONTENT = some_bytes(300_000)
PROGRAM = [sys.executable, "-c", "import sys; from synctool.cli.app import main; sys.exit(main())"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder; waits are short, and nothing of the user's own surroundings is seen."""
    for name in [n for n in os.environ if n.startswith(("SYNCTOOL_", "NETRC", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SYNCTOOL_DOWNLOAD_WAIT_S", "0")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with serving() as server:
        yield server


@pytest.fixture
def thing(server: FaultServer) -> Iterator[CatalogueEntry]:
    """A file on the server, and an entry that nobody can have."""
    url = server.serve("/a", CONTENT)
    entry = entry_of(file_of("a.bin", CONTENT, url, "https://example.invalid/a"))
    other = entry_of(
        file_of("b.bin", CONTENT, server.serve("/b", CONTENT, always=Fault(500)), size=None),
        name="other",
        kind="dataset",
        access="credentials",
        licence_url="https://example.org/licence",
    )
    with catalogue(entry, other):
        yield entry


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = app.main(["download", *words])
    out, err = capsys.readouterr()
    return code, out, err


# ---------------------------------------------------------------------------------------- getting


@pytest.mark.parametrize("words", [["thing"], ["get", "thing"], ["--parallel", "2", "thing"]])
def test_names_alone_mean_get(capsys, thing, place: Path, words: list[str]) -> None:
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert out == f"thing: 1 file (300 kB), checked, in {place / 'thing'}\n"
    assert (place / "thing" / "a.bin").read_bytes() == CONTENT
    assert run(capsys, *words)[1] == f"thing: is here already, in {place / 'thing'}\n"


def test_a_wrong_name_is_told_before_anything_is_fetched(capsys, thing, server) -> None:
    code, _, err = run(capsys, "thing", "thin", "--json", "-")
    assert code == 2
    assert "there is no download 'thin'" in err
    assert "Did you mean thing?" in err
    assert not server.asked
    assert "synctool download list" in run(capsys, "zzzzz")[2]


def test_help_and_nothing_at_all(capsys, thing) -> None:
    for words in ([], ["--help"], ["-h"]):
        _, out, err = run(capsys, *words)
        assert "NAME... | COMMAND" in out + err
    assert "--keep-archives" in run(capsys, "get", "--help")[1]
    assert "--password" not in run(capsys, "get", "--help")[1]


def test_names_are_completed() -> None:
    words = {
        "_SYNCTOOL_COMPLETE": "complete_bash",
        "COMP_WORDS": "synctool download get syncn",
        "COMP_CWORD": "3",
    }
    assert run_synctool(env=words).stdout.split() == ["syncnet"]


def test_json_and_quiet(capsys, thing, place: Path) -> None:
    code, out, _ = run(capsys, "thing", "--json", "-")
    assert code == 0
    assert json.loads(out) == [
        {
            "name": "thing",
            "folder": str(place / "thing"),
            "files": ["a.bin"],
            "bytes_come": 300_000,
            "unpacked": 0,
            "checked": True,
        }
    ]
    assert run(capsys, "thing", "--quiet") == (0, "", "")


def test_one_that_fails_does_not_cost_the_others(capsys, thing, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_USER", "ann")
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "s3cret")
    code, out, err = run(capsys, "other", "thing", "--retries", "0")
    assert code == 1
    assert "busy (500" in err
    assert out.startswith("thing: 1 file")


def test_one_place_for_one_entry(capsys, thing) -> None:
    for flag in ("--dest", "--from"):
        code, _, err = run(capsys, "thing", "other", flag, "x")
        assert code == 2
        assert flag in err


def test_offline_and_from(capsys, thing, tmp_path: Path, server) -> None:
    code, _, err = run(capsys, "thing", "--offline")
    assert code == 5
    assert "--from" in err
    (tmp_path / "copy").write_bytes(CONTENT)
    code, out, _ = run(capsys, "thing", "--offline", "--from", "copy")
    assert code == 0
    assert "1 file (300 kB), checked" in out
    assert not server.asked
    code, _, err = run(capsys, "thing", "--offline", "--force")
    assert code == 2
    assert "Leave one out" in err


def test_dry_run(capsys, thing, place: Path, server) -> None:
    code, out, _ = run(capsys, "thing", "other", "--dry-run")
    assert code == 0
    assert f"thing: to {place / 'thing'}" in out
    assert f"a.bin: 300 kB from {server.url('/a')}" in out
    assert "1 file of unknown size" in out
    assert "free: " in out
    plan, _ = json.loads(run(capsys, "thing", "other", "--dry-run", "--json", "-")[1])
    assert (plan["bytes_to_fetch"], plan["unknown_sizes"]) == (300_000, 0)
    assert plan["files"][0]["urls"] == list(thing.files[0].urls)
    assert not server.asked
    assert not place.exists()
    run(capsys, "thing")
    assert "is here already" in run(capsys, "thing", "--dry-run")[1]
    assert "a.bin: 300 kB" in run(capsys, "thing", "--dry-run", "--force")[1]


def test_settings_are_checked(capsys, thing, monkeypatch) -> None:
    assert run(capsys, "thing", "--parallel", "99")[0] == 2
    monkeypatch.setenv("SYNCTOOL_DOWNLOAD_RETRIES", "many")
    assert "SYNCTOOL_DOWNLOAD_RETRIES" in run(capsys, "thing")[2]


# ------------------------------------------------------------------------------- list, show, verify


def test_list(capsys, thing) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0
    head, other, first = out.splitlines()
    assert head.split() == ["NAME", "KIND", "SIZE", "ACCESS", "HERE", "SUMMARY", "LICENCE"]
    assert other.split()[:5] == ["other", "dataset", "-", "credentials", "no"]
    assert first.split()[:6] == ["thing", "weights", "300", "kB", "open", "no"]
    run(capsys, "thing")
    rows = json.loads(run(capsys, "list", "--json", "-", "--kind", "weights")[1])
    assert [(row["name"], row["status"], row["size_bytes"]) for row in rows] == [
        ("thing", "here", 300_000)
    ]
    assert run(capsys, "list", "--kind", "films")[0] == 2


def test_show(capsys, thing, place: Path, server) -> None:
    code, out, _ = run(capsys, "show", "thing")
    assert code == 0
    for words in (
        "thing: made up",
        "https://example.org/thing",
        "CC BY 4.0",
        f"open: {NOTE}",
        "300 kB",
        f"SHA-256 {thing.files[0].sha256}",
        "https://example.invalid/a",
        f"no, would go to {place / 'thing'}",
    ):
        assert words in out
    run(capsys, "thing")
    assert f"yes, in {place / 'thing'}" in run(capsys, "show", "thing")[1]
    data = json.loads(run(capsys, "show", "other", "--json", "-")[1])
    assert data["access_note"] == NOTE
    assert data["files"][0]["status"] == "missing"
    assert data["files"][0]["urls"] == [server.url("/b")]
    assert run(capsys, "show", "thin")[0] == 2


def test_verify(capsys, thing, place: Path) -> None:
    assert run(capsys, "verify") == (0, "nothing is here\n", "")
    assert run(capsys, "verify", "thing")[0] == 5
    run(capsys, "thing")
    code, out, _ = run(capsys, "verify")
    assert (code, out) == (0, f"thing: ok, in {place / 'thing'}\n  a.bin: ok\n")
    (place / "thing" / "a.bin").write_bytes(some_bytes(300_000, seed=2))
    code, out, _ = run(capsys, "verify", "thing")
    assert code == 1
    assert "a.bin: damaged (its SHA-256 is" in out
    assert "run: synctool download thing" in out
    (verified,) = json.loads(run(capsys, "verify", "--json", "-")[1])
    assert (verified["status"], verified["files"][0]["status"]) == ("damaged", "damaged")
    assert run(capsys, "verify", "--quiet") == (1, "", "")
    os.truncate(place / "thing" / "a.bin", 1000)
    assert "1000 bytes in place of 300000" in run(capsys, "verify", "thing")[1]


def test_verify_without_a_published_checksum(capsys, server, place: Path) -> None:
    url = server.serve("/a", CONTENT)
    with catalogue(entry_of(file_of("a.bin", CONTENT, url, sha256=None))):
        assert "not all with a published checksum" in run(capsys, "thing")[1]
        code, out, _ = run(capsys, "verify")
        assert code == 0
        assert "a.bin: no checksum known (as it was when it came)" in out
        (place / "thing" / "a.bin").write_bytes(some_bytes(300_000, seed=2))
        code, out, _ = run(capsys, "verify")
        assert code == 1
        assert "changed since it came" in out


def test_verify_what_has_come_in_part(capsys, server, place: Path) -> None:
    url = server.serve("/a", CONTENT, ranges=True, faults=[Fault(drop_after=100_000)])
    server.pages["/a"].always = Fault(500)
    with catalogue(entry_of(file_of("a.bin", CONTENT, url))):
        code, _, err = run(capsys, "thing", "--retries", "0")
        assert code == 1
        assert "100 kB are kept" in err
        code, out, _ = run(capsys, "verify")
        assert code == 5
        assert "a.bin: incomplete (100 kB of 300 kB)" in out
        assert run(capsys, "list")[1].count("in part") == 1


# -------------------------------------------------------------------------------- passwords


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


SECRET = "S3cretOfAnn"


@pytest.mark.parametrize("given", [SECRET, "Wr0ngOfAnn"])
def test_the_password_is_nowhere(server, tmp_path: Path, given: str) -> None:
    """Not in what is printed, with --debug or without, nor in any file; and there is no option."""
    server.serve("/a", CONTENT, user=("ann", SECRET), faults=[Fault(drop_after=70_000), Fault(503)])
    plugin(tmp_path / "site", server.url("/a"), access="credentials")
    environment = {
        "SYNCTOOL_CACHE": str(tmp_path / "cache"),
        "SYNCTOOL_DOWNLOAD_WAIT_S": "0",
        "SYNCTOOL_USER": "ann",
        "SYNCTOOL_PASSWORD": given,
    }
    done = run_synctool(
        "download", "thing", "--retries", "3", "--debug", path=tmp_path / "site", env=environment
    )
    assert done.returncode == (0 if given == SECRET else 5), done.stderr
    for secret in (given, base64.b64encode(f"ann:{given}".encode()).decode()):
        assert secret not in done.stdout + done.stderr
        assert secret.encode() not in everything_in(tmp_path)
    assert "authorization" in server.asked[0].headers


@posix_only
def test_a_password_is_asked_for_on_a_terminal(server, tmp_path: Path) -> None:
    server.serve("/a", CONTENT, user=("ann", SECRET))
    plugin(tmp_path / "site", server.url("/a"), access="credentials")
    shown, code = on_terminal(
        tmp_path, ["thing"], answers=[("User name", "ann"), ("Password", SECRET)]
    )
    assert code == 0, shown
    assert NOTE in shown
    assert SECRET not in shown
    assert "1 file (300 kB), checked" in shown


@posix_only
def test_the_bar_on_a_terminal(server, tmp_path: Path) -> None:
    server.serve("/a", CONTENT, chunk_s=0.1)
    plugin(tmp_path / "site", server.url("/a"))
    shown, code = on_terminal(tmp_path, ["thing", "--parallel", "2"])
    assert code == 0
    assert "fetching a.bin" in shown
    assert "/300.0 kB" in shown
    assert "kB/s" in shown or "MB/s" in shown


def test_no_bar_elsewhere(capsys, thing) -> None:
    assert run(capsys, "thing")[2] == ""


# ------------------------------------------------------------------------- killed and stopped


BIG = some_bytes(24 << 20, seed=3)
RATE = (16 << 10) / 0.004
"""Bytes a second and connection, at the least wait that the test server makes."""


@posix_only
@pytest.mark.parametrize("parallel", ["1", "3"])
def test_a_killed_download_is_continued(server, tmp_path: Path, place: Path, parallel: str) -> None:
    url = server.serve("/a", BIG, chunk_s=0.004)
    plugin(tmp_path / "site", url, content=BIG, piece=4 << 20)
    words = ["thing", "--parallel", parallel]
    process = start(tmp_path, words)
    note = place / "thing" / ".a.bin.part.json"
    until(lambda: note.exists() and server.sent > 3 << 20, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held = json.loads(note.read_text())["spans"]
    before = len(server.asked)
    assert held
    server.pages["/a"].chunk_s = 0
    process = start(tmp_path, words)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert (place / "thing" / "a.bin").read_bytes() == BIG
    assert b"1 file" in out
    for asked in server.asked[before:]:
        first, last = asked.span
        assert not any(start <= first < stop for start, stop in held), "fetched twice"
        assert not any(start <= last < stop for start, stop in held), "fetched twice"
    again = sum(asked.sent for asked in server.asked[before:])
    assert again == len(BIG) - sum(stop - start for start, stop in held)
    slack = 3 * RATE * int(parallel) + (1 << 20)
    assert server.sent - len(BIG) < slack, "a killed download loses seconds, not more"


@posix_only
def test_ctrl_c_loses_nothing(server, tmp_path: Path, place: Path) -> None:
    server.serve("/a", BIG, chunk_s=0.004, always=Fault(stall_after=3 << 20))
    plugin(tmp_path / "site", server.url("/a"), content=BIG, piece=4 << 20)
    process = start(tmp_path, ["thing", "--parallel", "2"])
    until(lambda: server.sent >= 6 << 20, process)
    time.sleep(0.5)
    stopped = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - stopped < 4, "though the server is silent"
    assert process.returncode == 130
    assert "Run the same command again" in err.decode()
    assert "Traceback" not in err.decode()
    server.pages["/a"].always, server.pages["/a"].chunk_s = None, 0
    before = server.sent
    process = start(tmp_path, ["thing"])
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (place / "thing" / "a.bin").read_bytes() == BIG
    assert server.sent - before <= len(BIG) - (6 << 20) + (1 << 20)


@posix_only
def test_two_processes_do_not_disturb_each_other(server, tmp_path: Path, place: Path) -> None:
    server.serve("/a", BIG[: 8 << 20], chunk_s=0.002)
    plugin(tmp_path / "site", server.url("/a"), content=BIG[: 8 << 20], piece=1 << 20)
    processes = [start(tmp_path, ["thing"]) for _ in range(2)]
    outs = [process.communicate(timeout=60)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted("is here already" in out for out in outs) == [False, True]
    assert (place / "thing" / "a.bin").read_bytes() == BIG[: 8 << 20]
    assert server.sent == 8 << 20


def plugin(
    site: Path, url: str, *, content: bytes = CONTENT, piece: int = 64 << 10, **more: object
) -> None:
    """Install a plugin with one entry; its import makes the pieces small."""
    entry = entry_of(file_of("a.bin", content, url), **more)
    code = (
        "from synctool import hookimpl\n"
        "from synctool.plugins.specs import *\n"
        "from synctool.downloads import range_workers\n"
        f"range_workers.PIECE_BYTES = {piece}\n"
        "@hookimpl\n"
        "def synctool_catalogue():\n"
        f"    return [{entry!r}]\n"
    )
    write_distribution(site, "made-up", code=code)


def found_first(site: Path) -> str:
    """A ``PYTHONPATH`` with this folder before what was there."""
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))


def start(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, "download", *words],
        env={**os.environ, "PYTHONPATH": found_first(folder / "site")},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until(true, process: subprocess.Popen[bytes]) -> None:
    """Wait until something is true, while a process runs."""
    end = time.monotonic() + 20
    while not true():
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        assert time.monotonic() < end
        time.sleep(0.02)


ON_A_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


def on_terminal(
    folder: Path, words: list[str], answers: list[tuple[str, str]] | None = None
) -> tuple[str, int]:
    """Run the program on a terminal of its own, answer its questions, and return what it shows."""
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *PROGRAM, "download", *words],
        env={
            **os.environ,
            "PYTHONPATH": found_first(folder / "site"),
            "COLUMNS": "120",
            "TERM": "xterm",
        },
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    shown, waiting = "", list(answers or [])
    while chunk := process.stdout.read(4096):
        shown += chunk.decode(errors="replace")
        if waiting and waiting[0][0] in shown:
            time.sleep(0.2)  # it turns the echo off after the question
            process.stdin.write(f"{waiting.pop(0)[1]}\n".encode())
    process.stdin.close()
    process.stdout.close()
    return shown, process.wait(timeout=20)


def test_a_dry_run_says_when_the_disk_is_too_small(capsys) -> None:
    huge = CatalogueFile("a.bin", ("https://example.org/a",), size=10**18)
    with catalogue(entry_of(huge)):
        code, out, _ = run(capsys, "thing", "--dry-run")
    assert code == 0
    assert "not enough" in out
