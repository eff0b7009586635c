"""Degraded videos: the offset stays what it was, and each degradation does what it says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fake_plugins import run_python
from synctool.comparison.degradations import (
    DEGRADATIONS,
    changes_audio_only,
    degraded_audio,
    offset_factor,
    parse_degradations,
    write_degraded,
)
from synctool.comparison.degradations.audio_codecs import AUDIO_CODECS, through_codec
from synctool.comparison.degradations.audio_degradations import speech_power
from synctool.errors import MediaError, MissingError, UsageError
from synctool.faces.detector import Face, points_from_box
from synctool.media import rewrite
from synctool.media.frames import Frame, VideoFrames
from synctool.media.video_file import VideoFile
from videos import CLICKS_S, Audio, Video, clicks, make_video, murmur, read_time_ms, time_image

pytestmark = pytest.mark.integration

SECONDS = 2.4
WIDTH, HEIGHT = 96, 128
BOX = np.float32([20, 70, 70, 124])
"""Of the face, in the lower half of the frame; the upper half spells the time."""
CLICKS = [t for t in CLICKS_S if t < SECONDS - 0.1]
AUDIO_ONLY = [name for name, row in DEGRADATIONS.items() if row.changes == "sound"]
EXTREMES = [
    # At the last step of resolution the pattern is too small to be read.
    (name, 4 if name == "resolution" else 5)
    for name in DEGRADATIONS
]


class OneFace:
    """A face that is always in the same place."""

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        return [Face(BOX, points_from_box(BOX), 0.9)]


class NoFace:
    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        return []


def image(time_s: float) -> np.ndarray:
    """Spells the time above, and below shows stripes that move."""
    lower = 120 + 60 * np.sin(np.arange(WIDTH) / 5 + 9 * time_s) * np.ones((HEIGHT // 2, 1))
    return np.concatenate([time_image(round(1000 * time_s), (WIDTH, HEIGHT // 2)), lower]).astype(
        np.uint8
    )


@pytest.fixture(scope="session")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose video and audio both tell the time."""
    times = np.arange(round(25 * SECONDS)) / 25
    return make_video(
        tmp_path_factory.mktemp("film") / "film.mkv",
        seconds=SECONDS,
        video=Video(
            size=(WIDTH, HEIGHT),
            images=[image(t) for t in times],
            options={"crf": "10", "preset": "ultrafast"},
        ),
        audio=[Audio("pcm_s16le", 16_000, "mono")],
    )


@pytest.fixture(scope="session")
def copies(video_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """Copies by name and level, each made once."""
    folder = tmp_path_factory.mktemp("copies")

    @cache
    def copy(name: str, level: int) -> Path:
        out = folder / f"{name}-{level}.mkv"
        return write_degraded(video_file, out, name, level, seed=3, detector=OneFace())

    return copy


def frames_of(path: Path) -> tuple[list[Frame], np.ndarray]:
    with VideoFrames(path) as opened:
        frames = list(opened)
        return frames, opened.audio.pop(opened.audio.end)


def frame_indices_of(path: Path) -> list[np.ndarray | None]:
    with VideoFile(path) as opened:
        return [image.luma for image in opened]


def spelled_s(luma: np.ndarray) -> float | None:
    """The time that a frame spells, None where that cannot be read."""
    upper = luma[: luma.shape[0] // 2].astype(np.float32)
    low, high = np.percentile(upper, (15, 85))
    if high - low < 4:
        return None
    stretched = np.clip(40 + (upper - low) * (170 / (high - low)), 0, 255).astype(np.uint8)
    try:
        return read_time_ms(stretched) / 1000
    except ValueError:
        return None


def click_delays_s(audio: np.ndarray, factor: float) -> np.ndarray:
    """How late each click comes, found by correlation within 15 ms."""
    burst = clicks(0.02, 16_000, [0.01])
    match = np.correlate(audio.astype(np.float32), burst, "same")
    reach = np.arange(-240, 241)
    places = [round(at * factor * 16_000) for at in CLICKS]
    return np.array([reach[match[p + reach].argmax()] for p in places]) / 16_000


def delay_samples(heard: np.ndarray, audio: np.ndarray) -> int:
    scores = np.correlate(heard[400:8400].astype(float), audio.astype(float)[: 8400 + 400], "valid")
    return int(scores.size) - 1 - int(scores.argmax()) - 400


@pytest.mark.parametrize(("name", "level"), EXTREMES)
def test_the_offset_stays_what_it_was(copies, name: str, level: int) -> None:
    frames, audio = frames_of(copies(name, level))
    factor = offset_factor(name, level)
    if name == "head":  # while the camera is at rest
        frames = [f for f in frames if f.time_s % 2.0 < 0.6]
    read = [(f.time_s, spelled_s(f.planes[0])) for f in frames]
    late_s = np.array([time_s - at * factor for time_s, at in read if at is not None])
    assert late_s.size >= 0.6 * len(frames)
    if (
        name == "fps"
    ):  # each frame shows the nearest of 25 a second: on average neither early nor late
        assert np.abs(late_s[:-1]).max() < 0.0215  # the last one stays
        assert abs(late_s.mean()) < 0.002
    elif name == "duplicated":  # repeated frames are older; all others are shown at their times
        assert late_s.min() > -0.001
        repeated = DEGRADATIONS[name].levels[level - 1] / 100
        assert (late_s > 0.039).mean() == pytest.approx(repeated, abs=0.15)
        assert (np.abs(late_s) < 0.001).mean() == pytest.approx(1 - repeated, abs=0.15)
    else:
        assert np.abs(late_s).max() < 0.0011  # Matroska counts in milliseconds
    assert np.abs(click_delays_s(audio, factor)).max() < 0.002


@pytest.mark.parametrize(
    "name", [n for n in DEGRADATIONS if n not in ("faster", "slower", "resolution", "fps")]
)
def test_every_frame_of_the_timeline_is_there(video_file: Path, copies, name: str) -> None:
    with VideoFile(copies(name, 5)) as opened, VideoFile(video_file) as original:
        assert sum(1 for _ in opened) == sum(1 for _ in original) == 25 * SECONDS
        assert opened.audio.end == original.audio.end
        assert opened.source.video_start_s == opened.source.audio_start_s == 0.0


# --------------------------------------------------------------------------- audio


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return np.round(murmur(4.0) * 32_767).astype(np.int16)


@pytest.mark.parametrize("name", ["noise", "pink-noise", "babble", "music"])
@pytest.mark.parametrize("level", [1, 3, 5])
def test_the_ratio_of_speech_to_noise_is_as_told(speech, name: str, level: int) -> None:
    made, clean = degraded_audio(speech, name, level, seed=1).astype(float), speech.astype(float)
    # What is added has nothing to do with the speech, so that its share can be told by projection.
    gain = made @ clean / (clean @ clean)
    added = made - gain * clean
    ratio_db = 10 * np.log10(speech_power(gain * clean) / np.mean(added**2))
    assert ratio_db == pytest.approx(DEGRADATIONS[name].levels[level - 1], abs=0.6)


def test_pauses_do_not_count_for_the_level_of_speech(speech) -> None:
    with_pause = np.concatenate([speech, np.zeros_like(speech)])
    assert speech_power(with_pause) == pytest.approx(speech_power(speech), rel=0.05)
    assert speech_power(speech) > np.mean(speech.astype(float) ** 2)


def test_noise_is_white_and_pink(speech) -> None:
    def fall_db(name: str) -> float:
        made, clean = degraded_audio(speech, name, 5, seed=1).astype(float), speech.astype(float)
        power = np.abs(np.fft.rfft(made - made @ clean / (clean @ clean) * clean)) ** 2
        band = made.size // 16_000
        low, high = power[200 * band : 400 * band].mean(), power[3200 * band : 6400 * band].mean()
        return 10 * np.log10(low / high)

    assert abs(fall_db("noise")) < 1
    assert fall_db("pink-noise") == pytest.approx(12, abs=1)  # four octaves


@pytest.mark.parametrize("level", [1, 3, 5])
def test_a_room_decays_in_the_time_told(level: int) -> None:
    click = np.zeros(4 * 16_000, np.int16)
    click[1600] = 20_000
    tail = degraded_audio(click, "reverb", level).astype(float)
    assert np.abs(tail[:1590]).max() < 2  # nothing comes before the direct sound
    assert np.abs(tail).argmax() == 1600
    left = np.cumsum(tail[:1600:-1] ** 2)[::-1]
    down_db = 10 * np.log10(left / left[0] + 1e-12)
    twenty_db_s = ((down_db > -25).sum() - (down_db > -5).sum()) / 16_000
    assert 3 * twenty_db_s == pytest.approx(DEGRADATIONS["reverb"].levels[level - 1], rel=0.15)


def test_more_is_clipped_at_every_level(speech) -> None:
    shares = []
    for level in range(1, 6):
        made = np.abs(degraded_audio(speech, "clipping", level).astype(int))
        shares.append((made >= made.max() - 1).mean())
    assert shares == sorted(shares)
    assert shares[0] < 0.1 < 0.5 < shares[-1]


@pytest.mark.parametrize("name", AUDIO_CODECS)
def test_codecs_take_the_rate_told_and_delay_nothing(speech, name: str) -> None:
    clean = speech / np.float32(32_767)
    sizes, like = [], []
    for kbit_s in DEGRADATIONS[name].levels:
        heard, size = through_codec(AUDIO_CODECS[name], clean, kbit_s)
        assert heard.shape == clean.shape
        assert abs(delay_samples(heard, clean)) <= 3
        sizes.append(size)
        like.append(float(heard @ clean / np.linalg.norm(heard) / np.linalg.norm(clean)))
        assert size * 8 / 4200 == pytest.approx(kbit_s, rel=0.35)
    assert sizes == sorted(sizes, reverse=True)
    assert like[0] > 0.95 > like[-1] > 0.4


@pytest.mark.parametrize("name", AUDIO_ONLY)
def test_audio_in_memory_is_the_audio_of_the_copy(video_file: Path, copies, name: str) -> None:
    assert changes_audio_only(name)
    _, audio = frames_of(video_file)
    made = degraded_audio(audio, name, 5, seed=3)
    assert made.dtype == np.int16
    assert np.array_equal(made, frames_of(copies(name, 5))[1])
    assert not np.array_equal(made, audio)


def test_silence_and_nothing_stay_as_good_as_silent() -> None:
    for name in AUDIO_ONLY:
        assert np.abs(degraded_audio(np.zeros(16_000, np.int16), name, 5)).max() < 10
        assert degraded_audio(np.zeros(0, np.int16), name, 5).size == 0


# --------------------------------------------------------------------------- frame


@pytest.fixture(scope="module")
def textured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with something to code."""
    rng = np.random.default_rng(0)
    grain = cv2.GaussianBlur(rng.integers(0, 256, (96, 96), np.uint8), (0, 0), 1)
    video = Video(size=(96, 96), images=[np.roll(grain, (3 * i, i), (0, 1)) for i in range(20)])
    return make_video(tmp_path_factory.mktemp("grain") / "film.mkv", seconds=0.8, video=video)


@pytest.mark.parametrize(("name", "codec"), [("h264", "h264"), ("h265", "hevc")])
def test_coded_frames_get_smaller(textured: Path, tmp_path, name: str, codec: str) -> None:
    sizes = []
    for level in range(1, 6):
        with av.open(str(write_degraded(textured, tmp_path / "copy.mkv", name, level))) as opened:
            assert opened.streams.video[0].codec_context.name == codec
            sizes.append(sum(p.size for p in opened.demux(video=0)))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 4 * sizes[-1]


@pytest.mark.parametrize("level", [1, 3, 5])
def test_the_resolution_is_as_told(copies, level: int) -> None:
    with VideoFile(copies("resolution", level)) as opened:
        share = DEGRADATIONS["resolution"].levels[level - 1] / 100
        assert abs(opened.source.height_px - share * HEIGHT) <= 1
        assert abs(opened.source.width_px - max(16, share * WIDTH)) <= 1


def test_blurred_frames_lose_their_edges(copies) -> None:
    edges = [
        np.abs(np.diff(frame_indices_of(copies("blur", n))[5].astype(int))).max() for n in (1, 3, 5)
    ]
    assert edges[0] > edges[1] > edges[2]
    assert edges[2] < 0.6 * edges[0]


@pytest.mark.parametrize("level", [1, 3, 5])
def test_low_light_is_so_many_stops_darker(video_file: Path, copies, level: int) -> None:
    before, after = (
        frame_indices_of(p)[10].astype(float) - 16 for p in (video_file, copies("low-light", level))
    )
    stops = DEGRADATIONS["low-light"].levels[level - 1]
    bright = before > 150
    in_light = np.mean(after[bright]) / np.mean(before[bright])
    assert -2.2 * np.log2(in_light) == pytest.approx(stops, abs=0.25)
    noise = np.std(after[bright] - before[bright] * in_light)
    assert noise == pytest.approx(2 * stops, rel=0.5)


@pytest.mark.parametrize("level", [1, 3, 5])
def test_the_box_over_the_mouth_is_as_wide_as_told(video_file: Path, copies, level: int) -> None:
    before, after = (
        np.stack(frame_indices_of(p)).astype(int) for p in (video_file, copies("mouth", level))
    )
    covered = (np.abs(before - after) > 6).any(0)
    rows, columns = np.where(covered)
    width = DEGRADATIONS["mouth"].levels[level - 1] / 100 * (BOX[2] - BOX[0])
    assert np.ptp(columns) + 1 == pytest.approx(width, abs=3)
    assert np.ptp(rows) + 1 == pytest.approx(width * 2 / 3, abs=3)
    middle = points_from_box(BOX)[3:].mean(0)
    assert np.allclose([columns.mean(), rows.mean()], middle, atol=2)


@pytest.mark.parametrize("level", [1, 5])
def test_the_head_leaves_the_frame_for_a_part_of_the_video(
    video_file: Path, copies, level: int
) -> None:
    before, after = frame_indices_of(video_file), frame_indices_of(copies("head", level))
    assert np.abs(before[5].astype(int) - after[5]).mean() < 2  # at rest
    # Out, at 1.2 s: black comes in from one side, so wide as the frame has moved.
    black = (after[30][90] < 22).sum()
    share = DEGRADATIONS["head"].levels[level - 1] / 100
    width = BOX[2] - BOX[0]
    edges = (WIDTH - BOX[2] + share * width, BOX[0] + share * width)
    assert min(abs(black - edge) for edge in edges) <= 3


# --------------------------------------------------------------------------- time


@pytest.mark.parametrize("level", [1, 5])
def test_frames_are_dropped_and_repeated_as_often_as_told(
    video_file: Path, level: int, tmp_path
) -> None:
    for name in ("dropped", "duplicated"):
        seen = total = 0
        for seed in range(4):
            out = write_degraded(video_file, tmp_path / "copy.mkv", name, level, seed=seed)
            frames, _ = frames_of(out)
            seen += len({spelled_s(f.planes[0]) for f in frames})
            total += 60
            assert (len(frames) == 60) == (name == "duplicated")
        share = DEGRADATIONS[name].levels[level - 1] / 100
        assert 1 - seen / total == pytest.approx(share, abs=0.09)


@pytest.mark.parametrize("level", range(1, 6))
def test_the_frame_rate_is_as_told(copies, level: int) -> None:
    frames, audio = frames_of(copies("fps", level))
    fps = DEGRADATIONS["fps"].levels[level - 1]
    steps = np.diff([f.time_s for f in frames])
    assert np.abs(steps - 1 / fps).max() < 0.0011
    assert len(frames) == pytest.approx(fps * SECONDS, abs=1)
    assert audio.size == round(16_000 * SECONDS)


@pytest.mark.parametrize(("name", "level"), [("faster", 5), ("slower", 5)])
def test_speed_changes_frame_and_audio_alike(copies, name: str, level: int) -> None:
    frames, audio = frames_of(copies(name, level))
    factor = offset_factor(name, level)
    assert factor == pytest.approx({"faster": 1 / 1.1, "slower": 1 / 0.9}[name])
    assert audio.size == pytest.approx(16_000 * SECONDS * factor, abs=2)
    assert len(frames) == 25 * SECONDS
    assert frames[-1].time_s == pytest.approx((SECONDS - 0.04) * factor, abs=0.001)


# --------------------------------------------------------------------------- asking for them


def test_every_row_of_the_table_is_whole() -> None:
    for name, row in DEGRADATIONS.items():
        assert name == row.name
        assert len(row.levels) == len(set(row.levels)) == 5
        assert row.levels in (tuple(sorted(row.levels)), tuple(sorted(row.levels, reverse=True)))
        assert row.unit and row.summary and row.source
        assert [offset_factor(name, n) == 1 for n in range(1, 6)] == [row.changes != "both"] * 5


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("noise", [("noise", n) for n in range(1, 6)]),
        ("aac:5, noise:1-3", [*(("noise", n) for n in (1, 2, 3)), ("aac", 5)]),
        ("noise:2,NOISE:2", [("noise", 2)]),
        ("time:5+1", [(n, k) for n in DEGRADATIONS for k in (1, 5) if DEGRADATIONS[n].kind == "time"]),
        ("all", [(n, k) for n in DEGRADATIONS for k in range(1, 6)]),
    ],
)  # fmt: skip
def test_wanted_perturbations_are_read(text: str, wanted: list[tuple[str, int]]) -> None:
    assert parse_degradations(text) == wanted


@pytest.mark.parametrize("text", ["", " , ", "noise:0", "noise:6", "noise:3-1", "blur:x", "blur:"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_degradations(text)
    assert "noise:3" in caught.value.remedy


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(UsageError, match="did you mean 'reverb'") as caught:
        parse_degradations("rever,blur:9")
    assert "blur has no level '9'" in caught.value.cause


def test_wrong_names_and_levels_are_refused(video_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy.mkv"
    with pytest.raises(UsageError, match="did you mean 'clipping'"):
        write_degraded(video_file, out, "cliping", 1)
    with pytest.raises(UsageError, match="noise has no level 6"):
        write_degraded(video_file, out, "noise", 6)
    with pytest.raises(UsageError, match="does not change the audio alone"):
        degraded_audio(np.zeros(9, np.int16), "blur", 1)
    with pytest.raises(UsageError, match="Matroska"):
        write_degraded(video_file, tmp_path / "copy.avi", "noise", 1)
    assert not list(tmp_path.iterdir())


def test_videos_that_cannot_be_degraded_say_why(video_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy.mkv"
    with pytest.raises(MissingError, match="no such file"):
        write_degraded(tmp_path / "none.mp4", out, "noise", 1)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(MediaError, match="cannot be read"):
        write_degraded(tmp_path / "text.mp4", out, "blur", 1)
    mute = make_video(tmp_path / "mute.mkv", seconds=0.4, audio=[])
    with pytest.raises(MediaError, match="no audio track"):
        write_degraded(mute, out, "blur", 1)
    with pytest.raises(MediaError, match=r"no face was found.*mouth"):
        write_degraded(video_file, out, "mouth", 1, detector=NoFace())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mute.mkv", "text.mp4"]


@pytest.mark.parametrize(("name", "encoder"), [("h265", "libx265"), ("opus", "libopus")])
def test_an_encoder_that_is_not_there_is_named(
    video_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, encoder: str
) -> None:
    known = av.codec.Codec

    def without(asked: str, mode: str = "r"):
        return known("no-such-encoder" if asked == encoder else asked, mode)

    monkeypatch.setattr(rewrite, "Codec", without)
    with pytest.raises(MissingError, match=encoder):
        write_degraded(video_file, tmp_path / "copy.mkv", name, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["noise", "babble", "low-light", "dropped", "h264", "h265"])
def test_the_same_seed_writes_the_same_file(
    video_file: Path, copies, tmp_path: Path, name: str
) -> None:
    again = write_degraded(video_file, tmp_path / "again.mkv", name, 5, seed=3)
    assert again.read_bytes() == copies(name, 5).read_bytes()
    other = write_degraded(video_file, tmp_path / "other.mkv", name, 5, seed=4)
    assert (other.read_bytes() == again.read_bytes()) == name.startswith("h26")


def test_importing_the_table_is_light() -> None:
    code = (
        "import sys; from synctool.comparison import degradations as p; p.parse_degradations('all')\n"
        "assert not {'numpy', 'av', 'cv2', 'torch', 'scipy'} & set(sys.modules)"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parent.parent / "docs" / "robustness.md").read_text("utf-8")
    for row in DEGRADATIONS.values():
        levels = ", ".join(f"{value:g}" for value in row.levels)
        cells = (f"`{row.name}`", row.kind, row.unit, levels, row.summary, row.source)
        assert f"| {' | '.join(cells)} |" in page
