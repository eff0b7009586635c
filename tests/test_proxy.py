"""Small copies of videos for players: what they show and sound like, when, and how large they are."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from synctool.errors import MediaError, MissingError
from synctool.media import proxy
from synctool.media.proxy import LEAD_IN_S, MARK_S, Proxy, make_proxy
from videos import CLICKS_S, Audio, Video, find_clicks, make_video, read_time_ms

PLENTY = 6e6


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds that tell their own time."""
    return make_video(tmp_path_factory.mktemp("proxy") / "clip.mp4")


def shown_ms(copy: Proxy) -> list[tuple[float, int | None]]:
    """Time in the copy, and the time that its image spells, of every frame."""
    with av.open(io.BytesIO(copy.video)) as video:
        return [
            (1000 * frame.time, read_time_ms(frame.to_ndarray(format="gray")))
            for frame in video.decode(video=0)
        ]


def heard_s(copy: Proxy) -> list[float]:
    """Times of the clicks after the lead-in, counted as a page does: from the sync mark."""
    with av.open(io.BytesIO(copy.audio)) as audio:
        blocks = [frame.to_ndarray().ravel() for frame in audio.decode(audio=0)]
    samples = np.concatenate(blocks)
    if samples.dtype != np.int16:
        samples = (32767 * samples).astype(np.int16)
    mark, *clicks = find_clicks(samples)
    return [click - mark - (LEAD_IN_S - MARK_S) for click in clicks]


def test_images_and_audio_keep_their_times(clip: Path) -> None:
    copy = make_proxy(clip, duration_s=3.0, limit_bytes=PLENTY)
    shown = shown_ms(copy)
    assert len(shown) == 75
    assert max(abs(at - spelled) for at, spelled in shown if spelled is not None) < 1
    assert heard_s(copy) == pytest.approx(CLICKS_S, abs=0.002)
    assert (copy.size_px, copy.frame_s) == ((192, 128), pytest.approx(0.04))
    assert copy.bytes < 100_000


def test_an_excerpt_is_put_together_without_gaps(clip: Path) -> None:
    parts = ((0.4, 1.0), (2.0, 2.6))
    copy = make_proxy(clip, duration_s=3.0, limit_bytes=PLENTY, excerpt=parts, pad_s=0.1)
    first, second = copy.video_parts
    assert (first.at_s, second.at_s) == (0.0, pytest.approx(0.6))
    for at, spelled in shown_ms(copy):
        part = first if at < 599.5 else second
        assert spelled == pytest.approx(at + 1000 * (part.start_s - part.at_s), abs=1)
    clicks = [
        click - audio.start_s + audio.at_s
        for audio in copy.audio_parts
        for click in CLICKS_S
        if audio.start_s < click < audio.end_s
    ]
    assert [(p.start_s, p.end_s) for p in copy.audio_parts] == [
        pytest.approx((0.3, 1.1), abs=1e-3),
        pytest.approx((1.9, 2.7), abs=1e-3),
    ]
    assert heard_s(copy) == pytest.approx(clicks, abs=0.002) and len(clicks) == 4


def test_a_stream_that_is_missing_at_an_end_is_black_or_held(tmp_path: Path) -> None:
    late = make_video(tmp_path / "late.mp4", seconds=2.0, video=Video(start_s=0.48))
    copy = make_proxy(late, duration_s=2.48, limit_bytes=PLENTY)
    with av.open(io.BytesIO(copy.video)) as video:
        frames = list(video.decode(video=0))
    assert frames[0].time == 0 and frames[0].to_ndarray(format="gray").max() < 40
    assert frames[1].time == pytest.approx(0.48, abs=0.001)
    long = make_video(
        tmp_path / "long.mkv",
        seconds=1.0,
        audio=(Audio(samples=np.zeros(48_000 * 2, np.float32)),),
    )
    copy = make_proxy(long, duration_s=2.0, limit_bytes=PLENTY)
    assert shown_ms(copy)[-1] == (pytest.approx(1900, abs=1), 960)


def test_the_limit_chooses_the_quality(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (10, 360, 640), np.uint8)
    hard = make_video(
        tmp_path / "hard.mp4", seconds=0.4, video=Video(size=(640, 360), images=noise)
    )
    best = make_proxy(hard, duration_s=0.4, limit_bytes=PLENTY)
    assert best.size_px == (640, 360)
    smaller = make_proxy(hard, duration_s=0.4, limit_bytes=0.8 * best.bytes)
    assert smaller.bytes < best.bytes and smaller.size_px[0] < 640
    with pytest.raises(MediaError, match="does not fit into"):
        make_proxy(hard, duration_s=0.4, limit_bytes=2000)


def test_other_encoders_where_the_first_are_missing(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "_VIDEO", proxy._VIDEO[1:])
    monkeypatch.setattr(proxy, "_AUDIO", proxy._AUDIO[1:])
    copy = make_proxy(clip, duration_s=3.0, limit_bytes=PLENTY)
    assert (copy.video_type, copy.audio_type) == ("video/webm", "audio/flac")
    assert max(abs(at - spelled) for at, spelled in shown_ms(copy) if spelled is not None) < 1
    assert heard_s(copy) == pytest.approx(CLICKS_S, abs=0.002)
    monkeypatch.setattr(proxy, "_VIDEO", (proxy._Coding("none", "mp4", "video/mp4"),))
    with pytest.raises(MissingError, match="no encoder none"):
        make_proxy(clip, duration_s=3.0, limit_bytes=PLENTY)


def test_nothing_is_left_on_the_disk(clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    make_proxy(clip, duration_s=3.0, limit_bytes=PLENTY)
    assert list(tmp_path.iterdir()) == []
