"""The page of the service in a real browser: from the drop of a video to the repaired file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import browser
from serve_process import Server, serving, until

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(browser.found() is None, reason="no Chromium on this computer"),
    pytest.mark.timeout(240),
]
MARKS = "Array.from(document.querySelectorAll('.job .state .mark'), e => e.innerText.trim())"
TEXT = "document.querySelector({}).innerText"
TOKEN = "a" * 24
NASTY, SAFE = "<img src=x onerror=alert(1)>.avi", "_img src=x onerror=alert(1)_.avi"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A browser for all tests."""
    with browser.opened(tmp_path_factory.mktemp("profile")) as page:
        yield page


def drop(tab: browser.Page, *videos: Path) -> None:
    """Drag files from the desktop and let go over the page."""
    where = tab.run(
        "(() => { const r = document.getElementById('drop').getBoundingClientRect();"
        " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    data = {"items": [], "files": [str(video) for video in videos], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        tab.send("Input.dispatchDragEvent", type=kind, x=where[0], y=where[1], data=data)


def enter(tab: browser.Page, server: Server) -> None:
    tab.look()
    tab.open(server.url)
    assert tab.settled("document.getElementById('inside').hidden", False) is False


def focused(tab: browser.Page) -> str:
    return tab.run("document.activeElement.id || document.activeElement.innerText")


def test_a_dropped_video_is_measured_shown_and_downloaded(
    tab: browser.Page, clips: Path, tmp_path: Path
) -> None:
    talk = tmp_path / NASTY
    talk.write_bytes((clips / "test_offset_12.avi").read_bytes())
    with serving(tmp_path, "--jobs", "1", fake=False) as server:
        enter(tab, server)
        drop(tab, talk)
        assert tab.settled(MARKS, ["■ unacceptable"]) == ["■ unacceptable"]
        assert tab.run(TEXT.format("'.job h3'")) == SAFE
        said = tab.run(TEXT.format("'.job .said'"))
        assert said.startswith("Audio is 3") and "behind the video" in said
        assert "Repaired, " in tab.run(TEXT.format("'[data-repair]'"))
        assert tab.run(TEXT.format("'#told'")).endswith(f": {said[0].lower()}{said[1:-1]}")
        height = "document.querySelector('iframe').getBoundingClientRect().height > 1000"
        assert tab.settled(height, True), "the report has not told how high it is"
        folder = tmp_path / "downloads"
        tab.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        tab.click("[data-file=repaired]")
        until(lambda: any(folder.glob("*-repaired.avi")))
        (repaired,) = folder.iterdir()
        assert abs(repaired.stat().st_size - talk.stat().st_size) < 100_000
        result = tab.run(
            "fetch(document.querySelector('[data-file=result]').href).then(r => r.json())"
        )
        assert result["verdict"] == "unacceptable" and result["input"] == SAFE
        assert tab.complaints == []
        assert all(url.startswith((server.url, "blob:", "data:")) for url in tab.requests)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that measures nothing and asks for a token."""
    place = tmp_path_factory.mktemp("server")
    (place / "tokens").write_text(f"ann {TOKEN}\n")
    with serving(place, "--tokens", str(place / "tokens"), "--upload-mb", "0.01") as running:
        running.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield running


def videos(folder: Path, **said: str) -> list[Path]:
    made = [folder / f"{name}.mp4" for name in said]
    for path, text in zip(made, said.values()):
        path.write_text(text)
    return made


def test_the_keyboard_alone_is_enough(tab: browser.Page, server: Server, tmp_path: Path) -> None:
    tab.look()
    tab.open(server.url)
    assert tab.settled("document.activeElement.id", "token") == "token"
    tab.send("Input.insertText", text="wrong")
    tab.key("Enter")
    error = TEXT.format("'#door .problem'")
    assert tab.settled(error, "This token is not known. Ask who runs the service.").startswith("Th")
    tab.send("Input.insertText", text=TOKEN)
    tab.key("Enter")
    assert tab.settled("document.activeElement.id", "files") == "files"
    assert tab.run("document.getElementById('files').labels[0].innerText") == "choose files"
    (path,) = videos(tmp_path, a="level")
    root = tab.send("DOM.getDocument")["root"]["nodeId"]
    field = tab.send("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
    tab.send("DOM.setFileInputFiles", nodeId=field, files=[str(path)])
    assert tab.settled(MARKS, ["● in sync"]) == ["● in sync"]
    assert tab.run("document.getElementById('told').getAttribute('role')") == "status"
    tab.key("Tab")
    assert focused(tab) == "fix"
    tab.key("Tab")
    assert tab.run("document.activeElement.getAttribute('aria-label')") == "Report: a.mp4"
    assert tab.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    tab.key("Enter")
    assert tab.run("document.activeElement.getAttribute('aria-expanded')") == "false"
    while focused(tab) != "Delete":
        tab.key("Tab")
    tab.key("Enter")
    assert tab.settled(MARKS, []) == []
    assert focused(tab) == "files"
    told = "a.mp4 is deleted."
    assert tab.settled(TEXT.format("'#told'"), told) == told
    assert server.client.get("/api/jobs").json()["jobs"] == []


def test_what_fails_is_said_and_what_waits_can_be_cancelled(
    tab: browser.Page, server: Server, tmp_path: Path
) -> None:
    enter(tab, server)
    large = tmp_path / "large.mp4"
    large.write_bytes(b"x" * 20_000)
    drop(tab, large)
    refused = "large.mp4 has 20 kB; 10 kB are allowed."
    assert tab.settled(TEXT.format("'#problem'"), refused) == refused
    drop(tab, *videos(tmp_path, bad="bad", wait="wait"))
    assert tab.settled(MARKS, ["✕ failed"]) == ["✕ failed"]
    problems = "Array.from(document.querySelectorAll('.job .problem'), e => e.innerText)"
    assert "No video. Get one." in tab.run(problems)
    stage = "document.querySelector('.job [data-stage]').innerText"
    assert tab.settled(stage, "Measuring, 50 %") == "Measuring, 50 %"
    assert tab.run("document.querySelector('.job progress').hidden") is False
    drop(tab, *videos(tmp_path, next="level"))
    assert tab.settled(stage, "Waiting") == "Waiting"
    assert tab.run("document.querySelector('.job progress').hidden") is True
    tab.click(".job [data-delete]")
    assert tab.settled(stage, "Measuring, 50 %") == "Measuring, 50 %"
    tab.click(".job [data-delete]")
    count = "document.querySelectorAll('.job').length"
    assert tab.settled(count, 1) == 1
    assert len(server.client.get("/api/jobs").json()["jobs"]) == 1


@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 360)])
def test_nothing_is_cut_off_or_complained_of(
    tab: browser.Page, server: Server, tmp_path: Path, dark: bool, width: int
) -> None:
    server.send("level", f"{'long' * 30}.mp4", fix="1")
    tab.look(dark=dark, width=width)
    tab.open(server.url)
    assert tab.settled(f"{MARKS}.length > 0", True)
    time.sleep(0.2)
    wide = tab.run("document.documentElement.scrollWidth")
    assert wide <= width
    nameless = tab.run(
        "Array.from(document.querySelectorAll('#inside :is(button, a, input)')).filter(e =>"
        " !e.hidden && !(e.innerText || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert nameless == 0
    assert tab.complaints == []
    assert all(url.startswith(server.url) for url in tab.requests), json.dumps(tab.requests)
