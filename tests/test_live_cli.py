"""``synctool live``: what it prints, keeps, serves and runs, and how it ends."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from rich.console import Console

import loopback
from synctool.cli.app import main
from synctool.cli.live_run import NotableEvents
from synctool.errors import OutputError, UsageError
from synctool.live.answers import Answer
from synctool.live.clock_drift import ClockDrift
from synctool.live.commands import AlarmCommand
from synctool.live.events import Event
from synctool.live.history import History
from synctool.live.metrics import Metrics
from synctool.report.event_lines import EventLines
from synctool.report.live_view import LiveView
from test_webhooks import Receiver

GOOD = Answer(0.3, 0.98, "in sync", faces=1, speaker=2, speech=True)
AHEAD = Answer(5.25, 0.97, "unacceptable", faces=2, speaker=2, speech=True)
NONE = Answer(None, 0.2, "inconclusive", "nobody speaks while a face is visible", "no_speech")


def event(answer: Answer | None, kind: str = "answer", **more: object) -> Event:
    made = Event(kind, "news", t_s=3.0, part=0, answer=answer, delay_s=0.5)  # type: ignore[arg-type]
    return replace(made, **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- the whole


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.woken.set()
    server.shutdown()
    server.server_close()


@pytest.mark.integration
def test_a_file_with_an_alarm(
    clips: Path, tmp_path: Path, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """Everything at once: lines, history, webhook, command, exit code."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123")
    noted = tmp_path / "noted.json"
    program = tmp_path / "note.py"
    program.write_text(
        f"import os, sys\nopen({str(noted)!r}, 'w').write(os.environ['SYNCTOOL_EVENT'] + sys.stdin.read())"
    )
    code = main(
        [
            *("live", f"studio={clips / 'example.avi'}", "--fast", "--alarm", "90", "--for", "3"),
            *("--webhook", receiver.url, "--webhook-secret", str(secret)),
            *("--on-alarm", f"{sys.executable} {program}", "--history", str(tmp_path / "h.db")),
            *("--metrics", "127.0.0.1:0"),
        ]
    )
    assert code == 4
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {line["schema"] for line in lines} == {"synctool.live/1"}
    assert {line["source"] for line in lines} == {"studio"}
    assert [line["event"] for line in lines if line["event"] != "answer"] == [
        *("start", "part", "alarm", "end"),
    ]
    answers = [line for line in lines if line["event"] == "answer"]
    assert len(answers) == 12
    assert all(abs(line["offset_ms"] - 120) < 16 for line in answers[2:])
    ((headers, body),) = receiver.got
    assert json.loads(body)["event"] == "alarm"
    assert headers["webhook-signature"].startswith("v1,")
    said = noted.read_text()
    assert said.startswith("alarm{") and json.loads(said[5:])["source"] == "studio"
    with sqlite3.connect(tmp_path / "h.db") as database:
        assert database.execute("SELECT COUNT(*) FROM answers").fetchone() == (12,)
        kinds = [row[0] for row in database.execute("SELECT event FROM events")]
    assert kinds == ["start", "part", "alarm", "end"]


@pytest.mark.integration
def test_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    """Although nothing comes from the source; a second of quiet is no answer."""
    out = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "synctool", "live", "--json", str(out)),
            f"udp://127.0.0.1:{loopback.free_port()}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 60
    while not out.exists() or b"start" not in out.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    printed, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"Traceback" not in said
    assert printed == b""
    kinds = [json.loads(line)["event"] for line in out.read_text().splitlines()]
    assert kinds[0] == "start" and kinds[-1] == "end"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere.mp4"], 5),
        (["gopher://host"], 2),
        (["udp://:5000", "udp://:5000"], 2),
        (["udp://:5000", "--alarm", "0"], 2),
        (["udp://:5000", "--for", "3"], 2),
        (["udp://:5000", "--metrics", "here"], 2),
        (["udp://:5000", "--webhook", "ftp://host"], 2),
        (["udp://:5000", "--webhook", "http://127.0.0.1:9", "--webhook-secret", "nofile"], 5),
        (["udp://:5000", "--alarm", "90", "--on-alarm", "no-such-program"], 5),
        (["udp://:5000", "--alarm", "90", "--on-alarm", "'"], 2),
        (["udp://:5000", "--history", "/no/such/folder/a.db"], 1),
        (["udp://:5000", "--json", "/no/such/folder/a"], 1),
    ],
)
def test_what_cannot_begin(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", *words]) == code
    said = capsys.readouterr().err
    assert said.count("\n") <= 3
    assert "Traceback" not in said


# ---------------------------------------------------------------------- what is kept and served


def test_the_history_can_be_read_meanwhile_and_is_kept_short(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    old = event(GOOD, time=event(GOOD).time.replace(year=2020))
    first, second = History(path, days=7), History(path, days=0)
    second.add(old)
    second.add(replace(old, kind="lost", answer=None))
    second.close()
    first.add(event(AHEAD, alarm=True, drift=ClockDrift(36.0, 30.0, 42.0, 2.0)))
    first.add(event(NONE))
    first.close()
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT offset_ms, reason_code, alarm, drift_ms_per_hour FROM answers ORDER BY rowid"
        ).fetchall()
        assert rows == [(210, None, 1, 36.0), (None, "no_speech", 0, None)]
        assert database.execute("SELECT COUNT(*) FROM events").fetchone() == (0,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_history_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database, however long it may be" * 100)
    with pytest.raises(UsageError, match="no SQLite database"):
        History(tmp_path / "a.db", days=1)
    with sqlite3.connect(tmp_path / "new.db") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="newer"):
        History(tmp_path / "new.db", days=1)
    with pytest.raises(OutputError):
        History(tmp_path / "none" / "a.db", days=1)


def test_metrics_are_served() -> None:
    pytest.importorskip("prometheus_client")
    metrics = Metrics("127.0.0.1", 0)
    try:
        with pytest.raises(UsageError, match="in use"):
            Metrics("127.0.0.1", metrics.port)
        for given in (event(None, "start"), event(None, "part"), event(AHEAD, alarm=True)):
            metrics.add(given)
        metrics.add(event(AHEAD, "alarm", alarm=True))
        metrics.add(event(NONE, alarm=True))
        page = httpx.get(f"http://127.0.0.1:{metrics.port}/metrics").text
        assert 'synctool_live_up{source="news"} 1.0' in page
        assert 'synctool_live_offset_seconds{source="news"} NaN' in page
        assert 'synctool_live_alarm{source="news"} 1.0' in page
        assert 'synctool_live_answers_total{source="news",verdict="unacceptable"} 1.0' in page
        assert 'synctool_live_without_answer_total{reason="no_speech",source="news"} 1.0' in page
        assert 'synctool_live_events_total{event="alarm",source="news"} 1.0' in page
        metrics.add(event(GOOD))
        page = httpx.get(f"http://127.0.0.1:{metrics.port}/metrics").text
        assert 'synctool_live_offset_seconds{source="news"} 0.012' in page
        metrics.add(event(None, "lost"))
        page = httpx.get(f"http://127.0.0.1:{metrics.port}/metrics").text
        assert 'synctool_live_up{source="news"} 0.0' in page
        assert 'synctool_live_offset_seconds{source="news"} NaN' in page
    finally:
        metrics.close()
    Metrics("127.0.0.1", metrics.port).close()


def test_a_command_that_hangs_or_fails_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    command = AlarmCommand(f"{sys.executable} -c 'import time; time.sleep(60)'", timeout_s=0.3)
    began = time.monotonic()
    command.add(event(AHEAD, "alarm"))
    assert time.monotonic() - began < 0.2
    command.close()
    assert "ended after 0.3 s" in caplog.text
    failing = AlarmCommand(f"{sys.executable} -c 'raise SystemExit(3)'")
    failing.add(event(AHEAD, "alarm"))
    failing.close()
    assert "ended with 3" in caplog.text


def test_an_outage_is_told_once_and_its_end() -> None:
    told: list[str] = []
    notable = NotableEvents(lambda e: told.append(e.kind))
    for kind in ("start", "part", "lost", "lost", "lost", "part", "part", "alarm", "lost", "end"):
        notable(event(None, kind))
    assert told == ["lost", "part", "alarm", "lost"]


def test_lines_are_added_to_a_file(tmp_path: Path) -> None:
    for _ in range(2):
        with EventLines(str(tmp_path / "a.jsonl")) as lines:
            lines.add(event(GOOD))
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("left", [1, 30, -2, -1])
def test_half_a_line_of_a_killed_run_is_cut_off(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.jsonl"
    with EventLines(str(path)) as lines:
        lines.add(event(GOOD))
    line = path.read_bytes()
    path.write_bytes(b"notes of somebody else\n" + line + line[:left])
    with EventLines(str(path)) as lines:
        lines.add(event(GOOD))
    first, *events = path.read_text().splitlines()
    assert first == "notes of somebody else"
    assert [json.loads(text)["source"] for text in events] == ["news"] * (3 if left == -1 else 2)


def test_another_programs_last_line_is_ended(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("a note")
    with EventLines(str(tmp_path / "a.jsonl")) as lines:
        lines.add(event(GOOD))
    assert (tmp_path / "a.jsonl").read_text().startswith("a note\n{")


# ---------------------------------------------------------------------- the view


def shown(view: LiveView, *, width: int = 80, height: int = 24, encoding: str = "utf-8") -> str:
    console = Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding),
        width=width,
        height=height,
        force_terminal=True,
    )
    with console.capture() as captured:
        console.print(view, height=height)
    return captured.get()


def plain(text: str) -> str:
    from rich.text import Text

    return Text.from_ansi(text).plain


def test_the_view_says_what_is_now() -> None:
    view = LiveView(["news", "sport"], clock=lambda: 100.0)
    assert "waiting for data" in plain(shown(view))
    for _ in range(20):
        assert view.add(event(GOOD)) is None
    drift = ClockDrift(36.0, 30.0, 42.0, 2.0)
    view.add(event(AHEAD, alarm=True, drift=drift))
    line = view.add(event(AHEAD, "alarm", alarm=True))
    assert line is not None and "news ALARM audio 210 ms ahead" in line.plain
    text = plain(shown(view))
    assert "ALARM" in text and "audio 210 ms ahead" in text and "confidence 0.97" in text
    assert "▄" in text or "▅" in text
    assert "█" in text
    assert "face 2 speaks" in text and "drift +36.0 ±6.0 ms/h" in text
    assert max(map(len, text.splitlines())) <= 80
    view.add(event(NONE))
    assert "nobody speaks while a face is visible" in plain(shown(view))
    view.add(event(None, "lost", detail="nothing came for 10 s", more={"again_in_s": 4.0}))
    assert "nothing came for 10 s, again in 4 s" in plain(shown(view))
    view.add(event(None, "end"))
    assert "ended; last audio 210 ms ahead" in plain(shown(view))


def test_the_view_fits_small_and_plain_terminals() -> None:
    names = [f"a source with a long name {n}" for n in range(10)]
    view = LiveView(names)
    for name in names:
        view.add(replace(event(AHEAD), source=name))
    text = plain(shown(view, width=40, height=12))
    assert len(text.strip().splitlines()) == 10
    assert max(map(len, text.splitlines())) <= 40
    shown(view, encoding="ascii").encode("ascii", "replace")


def test_names_and_details_do_not_steer_the_terminal() -> None:
    view = LiveView(["\x1b[2Jnews"])
    line = view.add(
        replace(event(None, "lost", detail="\x1b]0;x\x07", more={}), source="\x1b[2Jnews")
    )
    assert line is not None and "\x1b" not in line.plain
    assert "\x1b[2J" not in shown(view)
