"""A stream whose codecs and sample rate change on the way is measured on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import loopback
from flicker import flicker_video
from synctool.live import rolling
from synctool.media.timeline import GuessedTimes
from test_live_measuring import Spoken
from test_live_streams import Watched, offset_near


def coded(source: Path, target: Path, *codecs: str, begin_s: float) -> Path:
    """A video in other codecs, as a transport stream that begins later."""
    command = [loopback.ffmpeg(), "-nostdin", "-loglevel", "error", "-i", str(source)]
    command += [*codecs, "-output_ts_offset", str(begin_s), str(target)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this ffmpeg lacks an encoder")
    return target


@pytest.mark.integration
def test_other_codecs_and_another_sample_rate_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H.264 and AAC, HEVC and MP2 at another rate, and the first again: one timeline, one offset."""
    monkeypatch.setattr(rolling, "VoiceActivity", Spoken)
    video = flicker_video(tmp_path / "a.mp4", seconds=6, ahead_frames=2, size=(128, 128))
    x265 = "log-level=error:keyint=50"
    first = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-ar", "48000")
    other = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", x265)
    other += ("-c:a", "mp2", "-ar", "32000")
    parts = [
        coded(video, tmp_path / f"{number}.ts", *codecs, begin_s=6 * number)
        for number, codecs in enumerate((first, other, first))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with Watched(str(joined), paced=False) as watched:
        watched.ended()
    assert watched.kinds() == ["start", "part", *["change"] * 4, "end"]
    told = [e.detail for e in watched.events if e.kind == "change"]
    assert sorted(told[:2]) == [
        "the audio goes on in another codec (mp2)",
        "the video goes on in another codec (hevc)",
    ]
    answers = {e.t_s: e for e in watched.events if e.kind == "answer"}
    within = [at_s for at_s in (4.0, 5.0, 11.0, 12.0, 17.0, 18.0) if offset_near(80)(answers[at_s])]
    assert within == [4.0, 5.0, 11.0, 12.0, 17.0, 18.0]


def test_times_that_ffmpeg_counted_by_another_rate_are_counted_anew() -> None:
    """Three frames of 32 ms behind one timestamp, counted as 21.3 ms each; the next timestamp is true."""
    told_s = [7.368, 7.38933, 7.41067, 7.464, 7.48533, None]
    times = GuessedTimes()
    mended = [times.mended(at, counted_s=1024 / 48_000, lasts_s=0.032) for at in told_s]
    assert mended == pytest.approx([7.368, 7.4, 7.432, 7.464, 7.496, None])
