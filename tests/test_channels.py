"""Multi-channel audio: places of the channels, the aligned mix, ``detect --channels``."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve

import synctool
from fake_results import made_result
from synctool.cli.app import main
from synctool.errors import EXIT_OK, EXIT_USAGE, UsageError
from synctool.features.channel_mix import metres, mixed, places_of
from synctool.media.video_file import VideoFile
from synctool.report.channel_tables import channels_table
from synctool.report.html.pages import detect_page
from synctool.types import AudioChannel, DetectResult, StreamSelection
from videos import CLICKS_S, clicks, find_clicks, make_video, murmur

RATE = 16_000


def sound(seconds: float = 6.0, *, seed: int = 0) -> np.ndarray:
    """Noise with the rhythm of speech, int16."""
    return (murmur(seconds, seed=seed) * 20_000).astype(np.int16)


def later(samples: np.ndarray, count: int) -> np.ndarray:
    return np.r_[np.zeros(count, samples.dtype), samples[: samples.size - count]]


def write(path: Path, images: np.ndarray, channels: list[np.ndarray], layout: str) -> Path:
    """A video with different audio, int16, on every channel."""
    with av.open(str(path), "w") as out:
        audio = out.add_stream("pcm_s16le", rate=RATE, layout=layout)
        video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.height, video.width = images.shape[1:]
        video.pix_fmt = "yuv420p"
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        packed = np.stack(channels, 1).reshape(1, -1)
        heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), "s16", layout)
        heard.sample_rate, heard.pts, heard.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(audio.encode(heard))
        out.mux(audio.encode(None))
    return path


# ------------------------------------------------------------------------------------------ places


@pytest.mark.parametrize("count", [0, 1, 37, 160, 600])
@pytest.mark.parametrize("sign", [1, -1])
def test_delay_and_polarity_of_a_channel(count: int, sign: int) -> None:
    own = sound()
    _, place = places_of([own, sign * later(own, count) // 2], 0)
    assert place.delay_ms == pytest.approx(1000 * count / RATE, abs=0.07)
    assert place.inverted == (sign < 0) and place.coherence > 0.8


def test_a_channel_that_is_earlier_has_a_negative_delay() -> None:
    own = sound()
    place, _ = places_of([own, later(own, 80)], 1)
    assert place.delay_ms == pytest.approx(-5, abs=0.07)


def test_other_sound_and_silence_are_no_part_of_the_mix() -> None:
    own = sound()
    noise = (np.random.default_rng(3).standard_normal(own.size) * 8000).astype(np.int16)
    places = places_of([own, noise, np.zeros_like(own)], 0)
    assert [p.weight for p in places] == [1, 0, 0]
    assert [p.delay_ms for p in places] == [0, None, None]
    assert (mixed([own, noise, np.zeros_like(own)], places) == own).all()


def test_the_mix_of_inverted_and_late_channels_is_the_sound_itself() -> None:
    own = sound()
    channels = [own, -own, later(own, 100)]
    mix = mixed(channels, places_of(channels, 0))[:-200].astype(float)
    assert np.abs(mix - own[:-200]).max() < 0.02 * np.abs(own).max()


def test_microphones_in_a_recorded_room(corpus: Path) -> None:
    path = corpus / "background" / "rir" / "openair_s1r1_liveroom_ir_1.flac"
    if not path.is_file():
        pytest.skip("this corpus has no such impulse response")
    room, rate = soundfile.read(path)
    assert rate == RATE
    direct = int(np.abs(room).argmax())
    own = sound()
    far = fftconvolve(own.astype(float), room[direct:])[: own.size]
    far = later((far / np.abs(far).max() * 8000).astype(np.int16), 140)
    _, place = places_of([own, far], 0)
    assert place.delay_ms == pytest.approx(8.75, abs=0.2)
    assert metres(place.delay_ms) == pytest.approx(3.0, abs=0.1)
    assert 0.1 < place.weight < 0.5


# ------------------------------------------------------------------------------------------- video


def test_every_channel_is_read_at_its_time(tmp_path: Path) -> None:
    one = (clicks(3.0, RATE) * 20_000).astype(np.int16)
    two = later(one, 800)
    path = write(tmp_path / "two.mkv", np.zeros((75, 64, 64), np.uint8), [one, two], "stereo")
    with VideoFile(path, each_channel=True) as video:
        for _ in video:
            pass
        assert video.channel_names == ("FL", "FR")
        found = [find_clicks(track.pop(track.end)) for track in video.channel_audio]
    assert found[0] == pytest.approx(CLICKS_S, abs=0.001)
    assert found[1] == pytest.approx([t + 0.05 for t in CLICKS_S], abs=0.001)


@pytest.fixture(scope="module")
def presenter(clips: Path) -> tuple[np.ndarray, np.ndarray]:
    """Four seconds of SyncNet's example."""
    with VideoFile(clips / "example.avi") as video:
        images = np.stack([image.luma for image in video if image.luma is not None])
        samples = video.audio.pop(video.audio.end)
    return images[:100], samples[: 4 * RATE]


def test_each_channel_has_its_own_offset(presenter, tmp_path: Path) -> None:
    images, own = presenter
    channels = [own, -later(own, 480), sound(4.0, seed=9)]
    path = write(tmp_path / "three.mkv", images, channels, "3.0")
    result = synctool.detect(path, channels="each")
    assert result.source.channel == "aligned mix"
    assert 90 < result.offset_ms < 150
    first, second, third = result.audio_channels
    assert first.reference and not first.inverted and second.inverted
    assert second.delay_ms == pytest.approx(30, abs=0.1)
    apart = 40 * (first.offset_frames - second.offset_frames)
    assert apart == pytest.approx(30, abs=10)
    assert third.delay_ms is None and third.weight == 0 and third.offset_frames is None
    told = json.loads(json.dumps(result.to_dict()))
    assert DetectResult.from_dict(told).to_dict() == result.to_dict()


def test_a_mix_says_nothing_of_single_offsets(presenter, tmp_path: Path, capsys) -> None:
    images, own = presenter
    path = write(tmp_path / "cancelled.mkv", images, [own, -own], "stereo")
    assert main(["detect", str(path), "--channels", "mix"]) == EXIT_OK
    said = capsys.readouterr().out
    assert "aligned mix of 2 channels" in said and "inverted" in said
    result = synctool.detect(path, channels="mix")
    assert {c.verdict for c in result.audio_channels} == {None}
    assert result.verdict != "inconclusive"


def test_w_is_the_first_of_four_channels(tmp_path: Path) -> None:
    one = (clicks(3.0, RATE) * 20_000).astype(np.int16)
    nothing = np.zeros_like(one)
    channels = [one, nothing, nothing, nothing]
    path = write(tmp_path / "w.mkv", np.zeros((75, 64, 64), np.uint8), channels, "4.0")
    with VideoFile(path, streams=StreamSelection(channel="W")) as video:
        for _ in video:
            pass
        heard = find_clicks(video.audio.pop(video.audio.end))
    assert heard == pytest.approx(CLICKS_S, abs=0.001)
    assert synctool.DetectSettings(channels="W").streams.channel == "W"


def test_wrong_settings_are_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(UsageError, match="contradict"):
        synctool.DetectSettings(channels="each", channel="FL")
    path = make_video(tmp_path / "plain.mp4", seconds=2.0)
    assert main(["detect", str(path), "--channels", "W"]) == EXIT_USAGE
    assert "no audio channel W" in capsys.readouterr().err
    assert main(["detect", str(path), "--channels", "some"]) == EXIT_USAGE


# ------------------------------------------------------------------------------------------ report


def test_the_table_names_distance_and_polarity() -> None:
    channels = (
        AudioChannel("FL", -20.0, 0.0, False, 1.0, 0.6, True, 3.0, 0.98, "unacceptable"),
        AudioChannel("FR", -26.0, 14.6, True, 0.8, 0.4, False, 2.6, 0.9, "unacceptable"),
        AudioChannel("3<b>", -60.0, None, False, 0.0, 0.0),
    )
    result = made_result(audio_channels=channels)
    remarks = [row[-1].text for row in channels_table(result).rows]
    assert remarks[0] == "reference"
    assert "inverted" in remarks[1] and "5.0 m further away" in remarks[1]
    assert remarks[2] == "other sound, or silence"
    page = detect_page([result], command="synctool detect talk.mp4")
    assert "5.0 m further away" in page and "3<b>" not in page
