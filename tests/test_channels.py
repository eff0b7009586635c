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
from synctool.features.direction import StereoPair
from synctool.media.video_file import VideoFile
from synctool.report.channel_tables import channels_table
from synctool.report.html.pages import detect_page
from synctool.scoring.direction import Moment, compare_directions
from synctool.types import (
    AudioChannel,
    AudioDirection,
    DetectResult,
    SpeakerDirection,
    StreamSelection,
)
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
        video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "threads": "1"})
        video.height, video.width = images.shape[1:]
        video.pix_fmt = "yuv420p"
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="gray")
            frame = frame.reformat(format="yuv420p", threads=1)
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


# --------------------------------------------------------------------------------------- direction


def heard(left: np.ndarray, right: np.ndarray):
    """What two seconds tell, with a still second before."""
    quiet = np.arange(75) < 25
    still = np.zeros(RATE, np.int16)
    return StereoPair(np.r_[still, left], np.r_[still, right], quiet).heard(np.arange(25, 73))


def test_a_panned_voice_is_louder_on_its_side() -> None:
    own = sound(2.0)
    found = heard(own // 2, own)
    assert found.level_db == pytest.approx(6.0, abs=0.1)
    assert found.delay_ms == 0 and found.side == pytest.approx(1.0, abs=0.02)
    assert heard(own, own // 2).side == pytest.approx(-1.0, abs=0.02)


def test_the_nearer_microphone_hears_a_voice_earlier() -> None:
    own = sound(2.0)
    found = heard(later(own, 4), own)
    assert found.delay_ms == pytest.approx(0.25, abs=0.02) and abs(found.level_db) < 0.1
    assert found.side == pytest.approx(1.0, abs=0.1)
    assert heard(own, -later(own, 4)).delay_ms == pytest.approx(-0.25, abs=0.02)


def test_what_is_diffuse_has_no_delay_and_what_is_noise_no_level() -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.normal(0, 3000, 3 * RATE).astype(np.int16) for _ in range(2))
    assert StereoPair(left, right, np.arange(75) < 25).heard(np.arange(25, 73)) is None
    found = heard(left[: 2 * RATE], right[: 2 * RATE])
    assert found.delay_ms is None and abs(found.side) < 0.1


def moments(*of: tuple[float, float]) -> list[Moment]:
    """A second each: places and sides."""
    return [Moment(place, side, 1.0) for place, side in of]


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ([(-0.5, -0.8), (-0.5, -0.6), (0.4, 0.5), (0.4, 0.7)], "consistent"),
        ([(-0.5, 0.2), (-0.5, 0.3), (0.4, 0.9), (0.4, 1.0)], "consistent"),  # the pair is turned
        ([(-0.5, 0.8), (-0.5, 0.6), (0.4, -0.5), (0.4, -0.7)], "mirrored"),
        ([(-0.5, 0.9), (-0.5, 0.9), (0.4, 0.9), (0.4, 0.9)], "not consistent"),
        ([(-0.5, 0.9), (-0.5, -0.9), (0.4, 0.9), (0.4, -0.9)], "not consistent"),
        ([(-0.5, 0.0), (-0.5, 0.1), (0.4, 0.0), (0.4, 0.1)], "cannot tell"),
        ([(-0.4, -0.5), (-0.4, -0.6)], "consistent"),
        ([(-0.4, 0.5), (-0.4, 0.6)], "mirrored"),
        ([(-0.4, 0.1), (-0.4, 0.0)], "cannot tell"),
        ([(-0.4, 0.8), (-0.4, -0.7)], "not consistent"),
        ([(0.0, 0.9), (0.0, 1.0)], "not consistent"),
        ([(0.0, 0.1), (0.0, 0.2)], "cannot tell"),
        ([(-0.4, -0.5)], "cannot tell"),
        ([], "cannot tell"),
    ],
)
def test_directions_beside_places(given, verdict) -> None:
    assert compare_directions(moments(*given)).verdict == verdict


@pytest.mark.parametrize(("swapped", "verdict"), [(False, "consistent"), (True, "mirrored")])
def test_a_presenter_at_the_side_is_heard_there(
    presenter, tmp_path: Path, capsys, swapped: bool, verdict: str
) -> None:
    images, own = presenter
    wide = np.pad(images, ((0, 0), (0, 0), (images.shape[2], 0)))  # on the right
    pair = [own // 3, own]
    path = write(tmp_path / "side.mkv", wide, pair[::-1] if swapped else pair, "stereo")
    assert (
        main(["detect", str(path), "--channels", "mix", "--json", str(tmp_path / "r")]) == EXIT_OK
    )
    assert f"{verdict}: the voice is heard on" in capsys.readouterr().out
    result = DetectResult.from_dict(json.loads((tmp_path / "r").read_text()))
    found = result.audio_direction
    assert found.verdict == verdict and found.speech_s > 2
    assert found.speakers[0].place == pytest.approx(0.5, abs=0.15)
    assert found.speakers[0].level_db == pytest.approx(-9.5 if swapped else 9.5, abs=0.5)
    assert any("swapped" in said for said in result.source.warnings) == swapped


@pytest.mark.parametrize(
    ("layout", "reason"),
    [("mono", "one channel"), ("stereo", "carry the same"), ("3.0", "no left and right")],
)
def test_without_a_pair_no_direction_is_told(presenter, tmp_path: Path, layout, reason) -> None:
    images, own = presenter
    channels = {"mono": [own], "stereo": [own, own], "3.0": [own // 9, own // 8, own]}[layout]
    path = write(tmp_path / "own.mkv", images, channels, layout)
    found = synctool.detect(path, channels="mix").audio_direction
    assert found.verdict == "cannot tell" and reason in found.reason


def test_directions_are_in_the_page_by_face() -> None:
    speakers = (SpeakerDirection(7, -0.42, -6.1, None, 5.0),)
    result = made_result(
        audio_direction=AudioDirection("consistent", "as <it>", 0.9, 5.0, speakers)
    )
    page = detect_page([result], command="synctool detect talk.mp4")
    assert "Directions" in page and "as &lt;it&gt;" in page and "as <it>" not in page
