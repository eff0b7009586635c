"""Players in a real browser: the audio is where it belongs, whatever is done with the video."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import browser
from fake_results import made_result, series
from synctool.report.html.pages import detect_page, write_html
from synctool.report.html.player import copies
from synctool.settings.detect import DetectSettings
from synctool.types import Segment, Source
from videos import Audio, make_video, murmur

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(browser.found() is None, reason="no Chromium on this computer"),
    pytest.mark.timeout(180),
]
SECONDS = 24.0
AHEAD_MS, LATER_MS, CHANGE_S = 120.0, -200.0, 12.0
DRIFT_MS_PER_MIN, DRIFT_START_MS = 600.0, 40.0
TOLERANCE_MS = 10.0
PATIENCE_S = 40.0
WATCH = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, place, lasts) {
  started.push({ when, place, lasts, node: this, stopped: Infinity });
  return start.call(this, when, place, lasts);
};
const stop = AudioBufferSourceNode.prototype.stop;
AudioBufferSourceNode.prototype.stop = function (when) {
  const own = started.find((entry) => entry.node === this);
  own.stopped = Math.min(own.stopped, when || 0);
  return stop.call(this, when);
};
"""
"""Notes when which part of the audio is started; the page's own script knows nothing of it."""
LEAD_MS = """
(() => {
  const video = document.querySelector("video");
  if (!started.length) return null;
  const context = started[0].node.context;
  const stamp = context.getOutputTimestamp();
  const heard = stamp.contextTime + (performance.now() - stamp.performanceTime) / 1000;
  const on = started.filter((entry) => {
    const rate = entry.node.playbackRate.value;
    return entry.when <= heard && heard < Math.min(entry.stopped, entry.when + entry.lasts / rate);
  });
  if (on.length !== 1) return null;
  const samples = on[0].node.buffer.getChannelData(0);
  const hz = on[0].node.buffer.sampleRate;
  let mark = 0;
  for (let i = 0; i < hz / 2; i++) if (Math.abs(samples[i]) > Math.abs(samples[mark])) mark = i;
  const content = on[0].place + (heard - on[0].when) * on[0].node.playbackRate.value;
  return [1000 * (content - mark / hz - 0.4 - video.currentTime), video.currentTime];
})()
"""
"""How much later a part of the audio is heard than the image on screen, in ms, and where the video is."""
VIDEO = "document.querySelector('video')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of videos with one offset, two, and a drift, and of an excerpt of several."""
    place = tmp_path_factory.mktemp("players")
    audio = Audio(samples=murmur(SECONDS, 48_000))
    video = str(make_video(place / "clip.mp4", seconds=SECONDS, audio=(audio,)))
    source = Source(SECONDS, 25.0, 0.0, 0.0, 192, 128, 48_000)
    sure = series(*[3.0] * 600)
    common = {"source": source, "frames": replace(sure, confidence=(0.31, *sure.confidence[1:]))}
    one = made_result(video, segments=(Segment(0.0, SECONDS, 3.0, 0.9),), **common)
    two = made_result(
        video,
        segments=(Segment(0.0, 12.0, 3.0, 0.9), Segment(12.0, SECONDS, -5.0, 0.9)),
        **common,
    )
    drift = made_result(
        video,
        drift_ms_per_min=DRIFT_MS_PER_MIN,
        segments=(Segment(0.0, SECONDS, 4.0, 0.9),),
        **common,
    )
    make = partial(copies, settings=DetectSettings())
    for name, result in {"one": one, "two": two, "drift": drift}.items():
        write_html(detect_page([result], command="x", copies=make), place / f"{name}.html")
    results = [two, made_result("gone.mp4")]
    few = partial(copies, settings=DetectSettings(player_mb=0.4))
    write_html(detect_page(results, command="x", copies=few), place / "several.html")
    return place


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A browser for all tests."""
    with browser.opened(tmp_path_factory.mktemp("profile")) as page:
        page.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        page.look()
        yield page


def lead_ms(tab: browser.Page, wanted_ms: float, *, growth_ms_per_s: float = 0.0) -> float:
    """How far the audio is from where it should be, once the player has settled, or patience ends.

    Args:
        tab: The page, playing.
        wanted_ms: By how much the audio should lag behind its own place.
        growth_ms_per_s: By how much more each second.
    """
    off: list[float] = []
    until = time.monotonic() + PATIENCE_S
    tab.run(f"{VIDEO}.loop = true")  # a busy computer may need more than its length
    while time.monotonic() < until:
        tab.run("new Promise((done) => setTimeout(done, 60))")
        found = tab.run(LEAD_MS)
        if found is not None:
            lead, time_s = found
            off.append(lead + wanted_ms + growth_ms_per_s * time_s)
        if len(off) >= 3 and max(map(abs, off[-3:])) < TOLERANCE_MS:
            return off[-1]
    raise AssertionError(f"off by {off} ms")


def test_the_audio_is_moved_by_the_offset(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    tab.click("[data-play]")
    lead_ms(tab, 0.0)
    tab.click("[data-repaired=yes]")
    assert tab.run("document.querySelector('[data-repaired=yes]').ariaPressed") == "true"
    lead_ms(tab, AHEAD_MS)
    tab.run(f"{VIDEO}.currentTime = 15")
    lead_ms(tab, AHEAD_MS)
    assert tab.run(f"{VIDEO}.currentTime") > 15
    tab.click("[data-repaired=no]")
    lead_ms(tab, 0.0)
    tab.run(f"{VIDEO}.playbackRate = 0.5")
    lead_ms(tab, 0.0)
    tab.click("[data-repaired=yes]")
    lead_ms(tab, AHEAD_MS)
    tab.click("[data-play]")
    assert tab.run(f"{VIDEO}.paused") is True
    assert tab.settled("started.every((entry) => entry.stopped < Infinity)", True) is True
    assert tab.complaints == [] and {url.split(":")[0] for url in tab.requests} <= {
        *("file", "data", "blob")
    }
    assert sum(url.startswith("file") for url in tab.requests) == 1


@pytest.mark.parametrize("start_s", [5.0, 10.5, 16.0])
def test_every_segment_is_moved_by_its_own_offset(
    tab: browser.Page, folder: Path, start_s: float
) -> None:
    tab.open(folder / "two.html")
    tab.click("[data-repaired=yes]")
    tab.run(f"{VIDEO}.currentTime = {start_s}")
    tab.click("[data-play]")
    if start_s < CHANGE_S:
        lead_ms(tab, AHEAD_MS)
    if start_s == 10.5:  # plays over the change
        tab.settled(f"{VIDEO}.currentTime > 12.1", True)
    if start_s > 10.0:
        lead_ms(tab, LATER_MS)
    said = "document.querySelector('[data-now]').textContent"
    assert tab.run(said).endswith(
        "you hear it delayed by 120 ms." if start_s == 5.0 else "you hear it advanced by 200 ms."
    )


def test_a_drift_is_followed(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "drift.html")
    tab.click("[data-repaired=yes]")
    tab.click("[data-play]")
    for at in (2, 16):
        tab.run(f"{VIDEO}.currentTime = {at}")
        lead_ms(tab, DRIFT_START_MS, growth_ms_per_s=DRIFT_MS_PER_MIN / 60)


def test_the_keyboard_plays_moves_and_switches(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    tab.settled(f"{VIDEO}.readyState >= 2", True)
    for _ in range(10):
        tab.key("Tab")
        if tab.run("document.activeElement.matches('[data-player]')"):
            break
    now = f"Math.round(1000 * {VIDEO}.currentTime)"
    tab.key("ArrowRight")
    assert tab.settled(now, 5000) == 5000
    for key in ("ArrowRight", "ArrowLeft", ".", "."):  # faster than the decoder
        tab.key(key)
    assert tab.settled(now, 5100) == 5100  # the middle of a frame
    tab.key(",")
    assert tab.settled(now, 5060) == 5060
    tab.key("r")
    assert tab.run("document.querySelector('[data-repaired=yes]').ariaPressed") == "true"
    tab.key("r")
    assert tab.run("document.querySelector('[data-repaired=yes]').ariaPressed") == "false"
    tab.key(" ")
    assert tab.settled(f"{VIDEO}.paused", False) is False
    said = "document.querySelector('[data-play]').textContent"
    assert tab.settled(said, "Pause") == "Pause"
    lead_ms(tab, 0.0)
    tab.key(" ")
    assert tab.settled(f"{VIDEO}.paused", True) is True


def test_the_chart_follows_and_leads(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    tab.settled(f"{VIDEO}.readyState >= 2", True)
    x, y, width = tab.run(
        "(() => { const s = document.querySelector('svg.chart .axis'); s.scrollIntoView({block: 'center'});"
        " const r = s.getBoundingClientRect(); return [r.x, r.y, r.width]; })()"
    )
    tab.point(x + width / 2, y - 30, press=True)
    clock = "document.querySelector('[data-clock]').textContent"
    assert tab.settled(clock, "0:12.0 of 0:24.0") == "0:12.0 of 0:24.0"
    head = "document.querySelector('.playhead').getBoundingClientRect().x"
    assert tab.run(head) == pytest.approx(x + width / 2, abs=3)
    assert tab.run("document.querySelector('[data-now]').textContent") == (
        "Audio 120 ms ahead here; you hear it as it is."
    )


def test_a_doubtful_offset_is_called_so(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    now = "document.querySelector('[data-now]').textContent"
    said = "Audio 120 ms ahead here, with a confidence of 0.31 only; you hear it as it is."
    assert tab.settled(now, said) == said


def test_a_finger_can_move_the_position(tab: browser.Page, folder: Path) -> None:
    """Targets are 24 px high or more (WCAG 2.2, 2.5.8)."""
    tab.open(folder / "one.html")
    height = "document.querySelector('.player input[type=range]').getBoundingClientRect().height"
    assert tab.run(height) >= 24


def test_an_excerpt_of_one_of_several_videos(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "several.html")
    assert tab.run("document.querySelectorAll('[data-player]').length") == 1
    assert tab.run(f"{VIDEO}.src") == ""
    tab.run("document.querySelector('details').open = true")
    assert tab.settled(f"{VIDEO}.src.startsWith('blob:')", True) is True
    assert tab.run("document.querySelectorAll('.excerpt').length") == 1
    tab.click("[data-repaired=yes]")
    tab.click("[data-play]")
    lead = tab.run("JSON.parse(document.querySelector('[data-plan]').textContent).parts[0][1]")
    assert 0 < lead < CHANGE_S
    pad = tab.run(
        "(() => { const p = JSON.parse(document.querySelector('[data-plan]').textContent);"
        " return p.parts[0][1] - p.audio[0][1]; })()"
    )
    lead_ms(tab, AHEAD_MS - 1000 * pad)


def test_without_its_script_a_page_has_no_player(tab: browser.Page, folder: Path) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(folder / "one.html")
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.run("getComputedStyle(document.querySelector('[data-player]')).display") == "none"
