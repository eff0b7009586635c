"""Which tracks and channels of a file are measured, and that the choice is told."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from synctool.data.augmentation.music import music
from synctool.errors import MediaError, UsageError
from synctool.media.downmix import Downmix, channel_names
from synctool.media.listening import Signal, TrackAudio
from synctool.media.selection import select
from synctool.media.speech_likeness import CLEAR_SPEECH, NO_SPEECH, speech_likeness
from synctool.media.video_file import VideoFile
from synctool.report.text import chosen_streams, passed_over
from synctool.types import AUDIO_HZ, StreamSelection
from transport_streams import PMT_PID, pat, pmt, with_tables

pytestmark = pytest.mark.integration

NONE = Disposition(0)
DEFAULT = Disposition.default
HZ = 48_000
SECONDS = 4.0


def talk(seed: int = 0, hz: int = HZ, seconds: float = SECONDS) -> np.ndarray:
    """Noise in bands that open and close like syllables: float32 ``[N]``."""
    rng = np.random.default_rng(seed)
    size = round(seconds * hz)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / hz)
    out = np.zeros(size)
    for low, high in ((150, 700), (700, 1500), (1500, 2600), (2600, 4500)):
        band = np.fft.irfft(np.where((hertz >= low) & (hertz < high), spectrum, 0), size)
        knots = rng.random(round(seconds * 9) + 2) ** 3
        out += band * np.interp(np.arange(size) / hz * 9, np.arange(len(knots)), knots)
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def time_code(hz: int = HZ, seconds: float = SECONDS) -> np.ndarray:
    """A square wave that changes between two frequencies, as linear time code does."""
    bits = np.random.default_rng(1).integers(0, 2, round(seconds * 2000) + 1)
    signs = np.cumsum(1 + bits) % 2 * 2 - 1
    return (0.4 * np.repeat(signs, hz // 2000)[: round(seconds * hz)]).astype(np.float32)


def tune(seed: int = 0, hz: int = HZ, seconds: float = SECONDS) -> np.ndarray:
    made = music(round(seconds * hz), np.random.default_rng(seed))
    return (0.3 * made / np.abs(made).max()).astype(np.float32)


def hush(seconds: float = SECONDS) -> np.ndarray:
    return np.zeros(round(seconds * HZ), np.float32)


@dataclass(frozen=True)
class Audio:
    """An audio track: samples ``[channels, N]`` at 48 kHz."""

    samples: np.ndarray
    layout: str = "mono"
    flags: Disposition = NONE
    title: str = ""
    codec: str = "pcm_s16le"


@dataclass(frozen=True)
class Video:
    """A video track of one grey, 25 fps."""

    grey: int = 100
    flags: Disposition = NONE
    seconds: float = SECONDS
    codec: str = "libx264"


def mono(samples: np.ndarray, **more: object) -> Audio:
    return Audio(samples[None], **more)


def write(path: Path, *tracks: Audio | Video) -> Path:
    """Write tracks in this order."""
    with av.open(str(path), "w") as video_file:
        streams = [
            _video(video_file, t) if isinstance(t, Video) else _audio(video_file, t) for t in tracks
        ]
        for stream, track in zip(streams, tracks):
            stream.disposition = track.flags
            if getattr(track, "title", ""):
                stream.metadata["title"] = track.title
        packets = []
        for stream, track in zip(streams, tracks):
            made = (
                _video_frames(stream, track)
                if isinstance(track, Video)
                else _audio_frames(stream, track)
            )
            packets += made
        packets.sort(key=lambda p: float((p.dts or 0) * p.time_base))
        for packet in packets:
            video_file.mux(packet)
    return path


def _video(video_file, track: Video):
    options = {"threads": "1"} | ({"preset": "ultrafast"} if track.codec == "libx264" else {})
    stream = video_file.add_stream(track.codec, rate=25, options=options)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p" if track.codec == "libx264" else "yuvj420p"
    return stream


def _audio(video_file, track: Audio):
    return video_file.add_stream(track.codec, rate=HZ, layout=track.layout)


def _video_frames(stream, track: Video) -> list[av.Packet]:
    packets = []
    for i in range(max(1, round(track.seconds * 25))):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64), track.grey, np.uint8), format="gray")
        frame = frame.reformat(format=stream.pix_fmt, threads=1)
        frame.pts, frame.time_base = i, Fraction(1, 25)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _audio_frames(stream, track: Audio) -> list[av.Packet]:
    packets = []
    samples = np.round(32767 * track.samples).astype(np.int16)
    for start in range(0, samples.shape[1], 4800):
        block = np.ascontiguousarray(samples[:, start : start + 4800].T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=track.layout)
        frame.sample_rate, frame.pts, frame.time_base = HZ, start, Fraction(1, HZ)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def measured(path: Path, **wanted: object) -> tuple[VideoFile, np.ndarray, int]:
    """The video after it was read, its audio, and the grey of its last frame."""
    with VideoFile(path, streams=StreamSelection(**wanted)) as video_file:
        lumas = [image.luma for image in video_file if image.luma is not None]
        grey = round(float(lumas[-1].mean()))
        return video_file, video_file.audio.pop(video_file.audio.end), grey


def chosen(video_file: VideoFile) -> dict[str, int]:
    return {track.kind: track.number for track in video_file.source.tracks if track.measured}


def alike(audio: np.ndarray, wanted: np.ndarray) -> float:
    """Correlation of 16 kHz audio with a signal at 48 kHz."""
    wanted = wanted[: wanted.size // 3 * 3].reshape(-1, 3).mean(1)
    size = min(audio.size, wanted.size)
    return abs(float(np.corrcoef(audio[:size].astype(float), wanted[:size])[0, 1]))


# ------------------------------------------------------------------------------------------ likeness


def test_speech_is_told_from_time_code_noise_hum_and_silence() -> None:
    noise = np.random.default_rng(0).standard_normal(4 * AUDIO_HZ).astype(np.float32)
    hum = np.sin(2 * np.pi * 50 * np.arange(4 * AUDIO_HZ) / AUDIO_HZ).astype(np.float32)
    for other in (noise, hum, time_code(AUDIO_HZ), 0.001 * noise):
        assert 0 < speech_likeness(other) < NO_SPEECH
    assert speech_likeness(0 * noise) == speech_likeness(noise[:100]) == 0
    for seed in range(4):
        speech = talk(seed, AUDIO_HZ)
        assert speech_likeness(speech) > CLEAR_SPEECH
        assert speech_likeness(0.01 * speech) == pytest.approx(speech_likeness(speech), abs=0.01)


def test_real_talk_is_like_speech(corpus: Path) -> None:
    videos = sorted((corpus / "grid" / "s4").glob("*.mp4"))[:6]
    assert len(videos) == 6
    for path in videos:
        with VideoFile(path, need_video=False) as video_file:
            list(video_file)
            audio = video_file.audio.pop(video_file.audio.end)
        assert speech_likeness(audio.astype(np.float32) / 32768) > CLEAR_SPEECH


# -------------------------------------------------------------------------------------------- tracks


def test_the_default_flag_wins_over_the_order(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mkv",
        Video(50), Video(150, DEFAULT), mono(talk(1)), mono(talk(2), flags=DEFAULT),
    )  # fmt: skip
    video_file, audio, grey = measured(path)
    assert chosen(video_file) == {"video": 1, "audio": 1}
    assert abs(grey - 150) <= 9 and alike(audio, talk(2)) > 0.9


@pytest.mark.parametrize(
    "flags",
    [
        *(Disposition.comment, Disposition.visual_impaired, Disposition.hearing_impaired),
        *(Disposition.descriptions, Disposition.karaoke, Disposition.clean_effects),
    ],
)
def test_a_comment_is_never_measured_by_itself(tmp_path: Path, flags: Disposition) -> None:
    path = write(tmp_path / "a.mkv", Video(), mono(talk(1), flags=flags), mono(talk(2)))
    video_file, audio, _ = measured(path)
    if not any(track.dispositions for track in video_file.source.tracks):
        pytest.skip(f"Matroska does not keep the flag {flags}")
    assert chosen(video_file)["audio"] == 1 and alike(audio, talk(2)) > 0.9


def test_a_title_tells_a_comment_too(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mkv",
        Video(),
        mono(talk(1), title="Director's Commentary"),
        mono(talk(2)),
    )
    video_file, _, _ = measured(path)
    assert chosen(video_file)["audio"] == 1
    assert [t.note for t in video_file.source.tracks if t.kind == "audio"] == [
        "not the programme's own",
        "",
    ]


def test_a_comment_alone_is_better_than_nothing(tmp_path: Path) -> None:
    video_file, audio, _ = measured(
        write(tmp_path / "a.mkv", Video(), mono(talk(1), flags=Disposition.comment))
    )
    assert chosen(video_file)["audio"] == 0 and alike(audio, talk(1)) > 0.9


def test_one_frame_and_stills_are_passed_over(tmp_path: Path) -> None:
    for name, first in (
        ("a.mp4", Video(50, seconds=0.04, codec="mjpeg")),
        ("b.mkv", Video(50, seconds=0.04)),
        ("c.mkv", Video(50, Disposition.still_image)),
    ):
        audio = mono(talk(1))
        if name.endswith("mp4"):
            continue_with = tmp_path / "a.mov"  # PCM
        else:
            continue_with = tmp_path / name
        video_file, _, grey = measured(write(continue_with, first, Video(150), audio))
        if first.flags and not video_file.source.tracks[0].dispositions:
            continue  # a container that does not keep the flag
        assert chosen(video_file)["video"] == 1, name
        assert abs(grey - 150) <= 9 and video_file.source.tracks[0].note


def test_a_still_alone_is_shown(tmp_path: Path) -> None:
    video_file, _, grey = measured(
        write(tmp_path / "a.mov", Video(150, seconds=0.04, codec="mjpeg"), mono(talk(1)))
    )
    assert chosen(video_file) == {"video": 0, "audio": 0} and abs(grey - 150) <= 9


def test_empty_tracks_are_passed_over_and_that_is_told(tmp_path: Path) -> None:
    tracks = [mono(hush()), mono(hush()), mono(1e-4 * talk(3)), mono(talk(2)), mono(hush())]
    video_file, audio, _ = measured(write(tmp_path / "a.mov", Video(), *tracks))
    assert chosen(video_file)["audio"] == 3 and alike(audio, talk(2)) > 0.9
    assert video_file.warnings == ["audio track 0 is silent; track 3 is measured"]
    assert video_file.source.tracks[1].note == "is silent"


def test_time_code_gives_way_to_a_voice_but_music_does_not(tmp_path: Path) -> None:
    video_file, audio, _ = measured(
        write(tmp_path / "a.mov", Video(), mono(time_code()), mono(tune()), mono(talk(2)))
    )
    assert chosen(video_file)["audio"] == 2 and alike(audio, talk(2)) > 0.9
    assert "holds no speech" in video_file.warnings[0]


def test_silence_everywhere_keeps_the_first(tmp_path: Path) -> None:
    video_file, _, _ = measured(write(tmp_path / "a.mov", Video(), mono(hush()), mono(hush())))
    assert chosen(video_file)["audio"] == 0 and not video_file.warnings


def test_who_names_a_track_gets_it_silent_or_not(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Video(50), Video(150), mono(hush()), mono(talk(1)))
    video_file, audio, grey = measured(path, audio_track=0, video_track=1)
    assert (
        chosen(video_file) == {"video": 1, "audio": 0} and not audio.any() and abs(grey - 150) <= 9
    )
    for wanted, flag in (
        ({"audio_track": 2}, "--audio-track"),
        ({"video_track": -1}, "--video-track"),
    ):
        with pytest.raises(UsageError, match="has no") as caught:
            VideoFile(path, streams=StreamSelection(**wanted))
        assert f"{flag} 0 to 1" in caught.value.remedy


class FakeBest:
    """A container of which FFmpeg knows that its second programme is the better one."""

    def __init__(self, container: av.container.InputContainer) -> None:
        self._container = container
        self.streams = self

    def __getattr__(self, name: str):
        return getattr(self._container.streams, name, None) or getattr(self._container, name)

    def best(self, kind: str, /, related=None):
        if kind == "video":
            return self._container.streams.video[1]
        return self._container.streams.audio[
            1 if related is self._container.streams.video[1] else 0
        ]


def test_a_programme_is_taken_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Video(50), mono(talk(1)), Video(150), mono(talk(2)))
    with av.open(str(path)) as container:
        both = select(FakeBest(container), StreamSelection(), name="a.mkv")
        other = select(FakeBest(container), StreamSelection(video_track=0), name="a.mkv")
        assert (both.video.index, both.audio.index) == (2, 3)
        assert (other.video.index, other.audio.index) == (0, 1)


def two_programmes(path: Path, *tracks: Audio | Video) -> Path:
    """A transport stream of which the first two tracks are one programme, and the next two another."""
    data = write(path, *tracks).read_bytes()
    kinds = [0x1B if isinstance(track, Video) else 3 for track in tracks]
    streams = [(kind, 0x100 + number) for number, kind in enumerate(kinds)]
    tables = [
        pat({1: PMT_PID, 2: PMT_PID + 1}),
        pmt(PMT_PID, 1, streams[:2]),
        pmt(PMT_PID + 1, 2, streams[2:]),
    ]
    path.write_bytes(with_tables(data, tables, of=[PMT_PID]))
    return path


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 3, 2)])
def test_the_video_is_of_the_programme_whose_audio_speaks(tmp_path: Path, order) -> None:
    tracks = (
        Video(50),
        mono(hush(), codec="mp2"),
        Video(150),
        mono(talk(1), codec="mp2"),
    )
    path = two_programmes(tmp_path / "a.ts", *(tracks[i] for i in order))
    video_file, audio, grey = measured(path)
    assert chosen(video_file) == {"video": 1, "audio": 1}
    assert abs(grey - 150) <= 9 and audio.any()
    assert any("video track 1 is measured" in text for text in video_file.warnings)
    asked, _, grey = measured(path, video_track=0)
    assert chosen(asked)["video"] == 0 and abs(grey - 50) <= 9
    asked, _, grey = measured(path, audio_track=1)
    assert chosen(asked) == {"video": 1, "audio": 1} and abs(grey - 150) <= 9


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no audio track"):
        VideoFile(write(tmp_path / "a.mkv", Video()))
    with pytest.raises(MediaError, match="no video track"):
        VideoFile(write(tmp_path / "b.mkv", mono(talk(1))))


# ------------------------------------------------------------------------------------------ channels


def stereo(left: np.ndarray, right: np.ndarray, layout: str = "stereo") -> Audio:
    return Audio(np.stack([left, right]), layout)


def test_antiphase_stereo_does_not_cancel(tmp_path: Path) -> None:
    video_file, audio, _ = measured(write(tmp_path / "a.mkv", Video(), stereo(talk(1), -talk(1))))
    assert video_file.source.channel == "FL" and alike(audio, talk(1)) > 0.9
    assert "cancel each other" in video_file.warnings[0]


@pytest.mark.parametrize("other", [time_code, tune], ids=["time code", "music"])
def test_a_voice_is_not_drowned_by_the_other_channel(tmp_path: Path, other) -> None:
    for name, sides in (("r.mkv", (2 * other(), talk(1))), ("l.mkv", (talk(1), 2 * other()))):
        video_file, audio, _ = measured(write(tmp_path / name, Video(), stereo(*sides)))
        assert video_file.source.channel == {"r.mkv": "FR", "l.mkv": "FL"}[name]
        assert alike(audio, talk(1)) > 0.9 and video_file.warnings


@pytest.mark.parametrize(
    ("likeness", "said"),
    [(4.45, "its speech is clearer than that of the others"), (1.2, "the others carry no speech")],
)
def test_channels_that_speak_less_clearly_are_not_called_speechless(
    tmp_path: Path, likeness: float, said: str
) -> None:
    """Figures of two people who talk on a channel each, and of noise beside talk."""
    heard = TrackAudio(
        Signal(-26.3, -12.6, 5.39), (Signal(-23.8, -10.6, likeness), Signal(-21.5, -7.8, 5.91))
    )
    path = write(tmp_path / "a.mkv", Video(), stereo(talk(1), talk(2)))
    with av.open(str(path)) as container:
        found = select(container, StreamSelection(), name="a", listen=lambda _: {0: heard})
    assert (found.channel_name, found.notes) == (
        "FR", (f"audio channel FR of 2 is measured: {said}",),
    )  # fmt: skip


@pytest.mark.parametrize(
    "sides",
    [
        (talk(1), talk(1)),
        (talk(1), 0.3 * talk(1)),
        (talk(1) + 0.1 * tune(1), talk(1) + 0.1 * tune(2)),
        tuple(talk(1) * np.repeat(turns, HZ * 2) for turns in ((1, 0), (0, 1))),
        (talk(1), hush()),
        (hush(), hush()),
    ],
    ids=["same", "panned", "music on both sides", "two in turn", "one side", "silence"],
)
def test_ordinary_stereo_is_mixed_as_ever(tmp_path: Path, sides) -> None:
    video_file, audio, _ = measured(write(tmp_path / "a.mkv", Video(), stereo(*sides)))
    assert video_file.source.channel == "mix" and not video_file.warnings
    _, mixed, _ = measured(tmp_path / "a.mkv", channel="mix")
    assert np.array_equal(audio, mixed)
    assert np.abs(audio / 32768).max() <= 1


def test_a_centre_beside_loud_surround_is_heard(tmp_path: Path) -> None:
    loud = [2.5 * tune(i) for i in range(5)]
    video_file, audio, _ = measured(
        write(
            tmp_path / "a.mov",
            Video(),
            Audio(np.stack([*loud[:2], 0.5 * talk(1), *loud[2:]]), "5.1"),
        )
    )
    assert video_file.source.channel == "FC" and alike(audio, talk(1)) > 0.9


@pytest.mark.parametrize("name", ["FR", "fr", "1"])
def test_a_channel_can_be_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.mkv", Video(), stereo(talk(1), talk(2)))
    video_file, audio, _ = measured(path, channel=name)
    assert (
        video_file.source.channel == "FR"
        and alike(audio, talk(2)) > 0.9
        and not video_file.warnings
    )
    for wrong in ("2", "FC", "left", "-1"):
        with pytest.raises(UsageError, match="no audio channel") as caught:
            VideoFile(path, streams=StreamSelection(channel=wrong))
        assert "0 (FL), 1 (FR)" in caught.value.remedy
    lone = write(tmp_path / "b.mkv", Video(), mono(talk(1)))
    measured(lone, channel="0")
    with pytest.raises(UsageError, match="mono"):
        VideoFile(lone, streams=StreamSelection(channel="FR"))


LAYOUTS = (
    *("stereo", "2.1", "3.0", "quad", "4.0", "5.0", "5.1", "6.1", "7.1", "22.2", "hexadecagonal"),
    *("downmix", "binaural", "ambisonic 1", "ambisonic 2", "ambisonic 3"),
    *("2 channels (BL+BR)", "2 channels (FL+FC)", "2 channels (FL+LFE)", "3 channels (FL+FR+TC)"),
    *(f"{n} channels" for n in (2, 3, 5, 9, 10, 11, 12, 13, 15, 16, 18, 20, 24, 32)),
)


@pytest.mark.parametrize("planar", [False, True], ids=["packed", "planar"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_can_be_read(layout: str, planar: bool) -> None:
    try:
        count = av.AudioLayout(layout).nb_channels
    except ValueError:
        pytest.skip(f"this FFmpeg does not know {layout}")
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(HZ) / HZ).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(
        np.repeat(tone[:, None], count, 1).reshape(1, -1), format="flt", layout=layout
    )
    frame.sample_rate = HZ
    if planar:
        (frame,) = av.AudioResampler("fltp", layout, HZ).resample(frame)
    for channel in (None, 0, count - 1):
        mixer = Downmix(channel)
        frame.pts = 0
        audio = np.concatenate([*mixer.add(frame), *mixer.add(None)])
        assert audio.dtype == np.int16 and abs(audio.size - AUDIO_HZ) < 40
        assert np.abs(audio[200:-200]).max() / 32768 == pytest.approx(0.3, abs=0.01)
    names = channel_names(frame.layout.name, count)
    assert len(set(names)) == count


@pytest.mark.parametrize("form", ["u8", "s16", "s32", "flt", "dbl", "s16p", "s32p", "fltp", "dblp"])
def test_every_sample_format_has_the_same_loudness(form: str) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(HZ) / HZ)
    frame = av.AudioFrame.from_ndarray(
        np.stack([0 * tone, tone]).astype(np.float32), format="fltp", layout="stereo"
    )
    frame.sample_rate = HZ
    (frame,) = av.AudioResampler(form, "stereo", HZ).resample(frame)
    mixer = Downmix(1)
    audio = np.concatenate([*mixer.add(frame), *mixer.add(None)])
    assert np.abs(audio).max() / 32768 == pytest.approx(0.3, abs=0.01)


def test_of_ambisonic_audio_the_omnidirectional_channel_is_heard() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(HZ) / HZ).astype(np.float32)
    samples = np.stack([tone, -tone, -tone, -tone])
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="ambisonic 1")
    frame.sample_rate = HZ
    mixer = Downmix()
    audio = np.concatenate([*mixer.add(frame), *mixer.add(None)])
    assert np.abs(audio).max() / 32768 == pytest.approx(0.3, abs=0.01)
    assert channel_names("ambisonic 1", 4) == ["W", "ACN1", "ACN2", "ACN3"]


def test_a_look_costs_little_of_a_long_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speech in the middle of an hour is found, and only seconds are decoded."""
    from synctool.media import listening

    decoded: list[float] = []
    add = listening._Channels.add

    def counted(self, packet) -> None:
        before = self.seconds
        add(self, packet)
        decoded.append(self.seconds - before)

    monkeypatch.setattr(listening._Channels, "add", counted)
    monkeypatch.setattr(listening, "_PIECE_S", 1.0)
    left = np.concatenate([hush(20), talk(1, seconds=20), hush(20)])
    right = np.concatenate([time_code(seconds=60)])
    path = write(tmp_path / "a.mkv", Video(seconds=60), stereo(left, right))
    with VideoFile(path) as video_file:
        assert video_file.source.channel == "FL"
    assert 0 < sum(decoded) < 8


# -------------------------------------------------------------------------------------- what is told


def test_the_choice_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mkv",
        Video(), mono(talk(1), title="Commentary"), stereo(talk(2), 2 * time_code()),
    )  # fmt: skip
    video_file, _, _ = measured(path)
    assert chosen_streams(video_file.source) == "audio track 1 of 2 (pcm_s16le), channel FL"
    assert passed_over(video_file.source) == [
        "audio track 0 (pcm_s16le, Commentary): not the programme's own"
    ]
    plain, _, _ = measured(write(tmp_path / "b.mkv", Video(), mono(talk(1))))
    assert chosen_streams(plain.source) == "" and passed_over(plain.source) == []
