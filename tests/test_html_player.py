"""Players of pages: which parts of a video they have, and what they say; see test_html_player_browser.py."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import html5lib
import pytest

from fake_results import inconclusive, made_result, series
from synctool.media.proxy import QUALITIES, Proxy, ProxyPart
from synctool.report.html.pages import detect_page
from synctool.report.html.player import copies, player, shares, telling_parts
from synctool.settings.detect import DetectSettings
from synctool.types import DetectResult, Segment, Source
from videos import make_video


def long_result(seconds: float, **changes: Any) -> DetectResult:
    """A longer video."""
    return made_result(source=Source(seconds, 25.0, 0.0, 0.0, 640, 360, 48_000), **changes)


def made_copy(*parts: tuple[float, float]) -> Proxy:
    """A copy of four seconds, or of parts, with nothing in it."""
    made, at = [], 0.0
    for start, end in parts or ((0.0, 4.0),):
        made.append(ProxyPart(at, start, end))
        at += end - start
    return Proxy(b"v", "video/mp4", (64, 36), 0.04, tuple(made), b"a", "audio/mpeg", tuple(made))


def test_short_videos_get_what_they_need_and_long_ones_share_the_rest() -> None:
    small, large, larger = shares([10.0, 3600.0, 7200.0], 6e6)
    assert small == pytest.approx(QUALITIES[0].bytes_per_s * 11.2)
    assert large == pytest.approx(larger) == pytest.approx((6e6 - small) / 2)
    assert sum(shares([5.0, 5.0], 6e6)) < 6e6


def test_an_excerpt_has_every_change_and_else_what_is_large_and_sure() -> None:
    offsets = [0.0] * 25 * 100 + [4.0] * 25 * 100 + [0.0] * 25 * 300
    result = long_result(
        500.0,
        frames=series(*offsets),
        segments=(
            Segment(0.0, 100.0, 0.0, 0.9),
            Segment(100.0, 200.0, 4.0, 0.9),
            Segment(200.0, 500.0, 0.0, 0.9),
        ),
    )
    parts = telling_parts(result, 48.0)
    assert sum(end - start for start, end in parts) <= 48.0
    assert all(a[1] < b[0] for a, b in pairwise(parts))
    for change in (100.0, 200.0):
        assert any(start < change - 4 and change + 4 < end for start, end in parts)
    others = [p for p in parts if not any(p[0] < c < p[1] for c in (100.0, 200.0))]
    assert others and all(100.0 <= start and end <= 200.0 for start, end in others)


def test_an_excerpt_of_a_video_without_offsets_begins_at_its_beginning() -> None:
    result = inconclusive("no face", source=Source(500.0, 25.0, 0.0, 0.0, 640, 360, 48_000))
    assert telling_parts(result, 10.0) == ((0.0, 10.0),)


@pytest.mark.parametrize(
    ("result", "spans"),
    [
        (made_result(), [[0.0, 120.0, 0.0]]),
        (
            made_result(segments=(Segment(0.0, 2.0, 3.0, 0.9), Segment(2.0, 4.0, -1.0, 0.9))),
            [[0.0, 120.0, 0.0], [2.0, -40.0, 0.0]],
        ),
        (
            long_result(60.0, drift_ms_per_min=60.0, segments=(Segment(0.0, 60.0, 3.0, 0.9),)),
            [[0.0, 90.0, 60.0]],
        ),
        (inconclusive("no face"), None),
    ],
)
def test_the_script_is_told_the_offsets_of_the_repair(result: DetectResult, spans: Any) -> None:
    made = player("video-1", result, made_copy())
    assert json.loads(made.plan)["spans"] == spans
    assert made.repairable is (spans is not None)


def test_a_player_says_what_is_missing() -> None:
    made = player("video-1", long_result(60.0), made_copy((1.0, 5.0), (20.0, 24.0)))
    assert made.sentences == [
        "An excerpt, as the page would be too large: 0:01.0 to 0:05.0, 0:20.0 to 0:24.0. "
        "--player-mb allows more."
    ]
    assert made.seconds == 8.0
    (sentence,) = player("video-1", inconclusive("no face"), made_copy()).sentences
    assert sentence == "The offset is not known, so there is no repair to be heard."


def test_a_page_has_a_player_of_each_video_and_else_says_why(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", seconds=4.0)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    results = [made_result(str(video)), made_result(str(broken)), made_result("-")]
    settings = DetectSettings()
    page = detect_page(results, command="x", copies=lambda chosen: copies(chosen, settings))
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count('<figure class="player"') == 1
    said = re.findall(r'<p class="note">(There is no player[^<]*)</p>', page)
    assert len(said) == 2
    assert said[0].startswith("There is no player: broken.mp4")
    assert "a pipe, which can be read only once" in said[1]
    assert "media-src blob:" in page


def test_a_limit_that_is_too_small_for_anything_is_told(tmp_path: Path) -> None:
    results = [long_result(600.0)]
    made = copies(results, DetectSettings(player_mb=0.05))
    assert made == {
        "talk.mp4": "There is no player: the page would be too large. --player-mb allows more."
    }


def test_a_page_without_players_has_nothing_of_them() -> None:
    page = detect_page([made_result()], command="x")
    for word in ("media-src", "data-player", "AudioContext", ".player"):
        assert word not in page
    assert len(page) < 60_000
