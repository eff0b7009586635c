"""Videos made for the tests: video and audio both tell their own time, so that nothing is taken on trust.

The frame is a pattern of black and white cells that spells the frame's presentation time in
milliseconds. The audio is silence with short tone bursts at known times. Both survive any codec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from synctool.media.video_file import VideoFile

# --------------------------------------------------------------------------- frames that tell the time

_COLUMNS, _ROWS = 6, 4
_BITS = 20
_MARK = (1, 0, 0, 1)
"""First four cells: tell a pattern that is turned, mirrored or damaged from one that is not."""
DARK, BRIGHT = 40, 210


def time_image(time_ms: int, size: tuple[int, int] = (192, 128)) -> np.ndarray:
    """A frame that spells a time.

    Args:
        time_ms: 0 .. 2**20 - 1.
        size: Width and height in pixels.

    Returns:
        uint8 ``[H, W]``.
    """
    bits = [*_MARK, *((time_ms >> i) & 1 for i in range(_BITS))]
    cells = np.where(np.array(bits).reshape(_ROWS, _COLUMNS), BRIGHT, DARK).astype(np.uint8)
    return cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)


def read_time_ms(luma: np.ndarray | None) -> int | None:
    """The time that a frame spells; None where there is no frame.

    Raises:
        ValueError: The frame is turned, mirrored, or not such a frame at all.
    """
    if luma is None:
        return None
    means = cv2.resize(luma, (_COLUMNS * 6, _ROWS * 6), interpolation=cv2.INTER_AREA)
    cells = means.reshape(_ROWS, 6, _COLUMNS, 6)[:, 2:4, :, 2:4].mean((1, 3)).ravel()
    if np.abs(cells - 125).min() < 25 or tuple(int(c > 125) for c in cells[:4]) != _MARK:
        raise ValueError(f"not a time frame: {np.round(cells).tolist()}")
    return sum(1 << i for i, cell in enumerate(cells[4:]) if cell > 125)


# --------------------------------------------------------------------------- audio that tells the time

CLICKS_S = (0.213, 0.561, 0.947, 1.402, 1.633, 2.118, 2.490)
"""No two distances are alike: a wrong shift cannot pass for a right one."""
_CLICK_HZ = 1000.0
_CLICK_SIGMA_S = 0.0015
_CLICK_REACH_S = 12 * _CLICK_SIGMA_S
"""Beyond it a burst is less than 1e-31."""


def clicks(seconds: float, rate: int, times_s: Sequence[float] = CLICKS_S) -> np.ndarray:
    """Silence with short tone bursts.

    Args:
        seconds: Length.
        rate: Samples per second.
        times_s: Middles of the bursts.

    Returns:
        float32 ``[N]`` in -1..1.
    """
    t = np.arange(round(seconds * rate)) / rate
    audio = np.zeros(len(t), np.float32)
    for at in times_s:
        here = slice(*np.searchsorted(t, (at - _CLICK_REACH_S, at + _CLICK_REACH_S)))
        audio[here] += _burst(t[here] - at)
    return audio


def find_clicks(samples: np.ndarray, rate: int = 16_000) -> list[float]:
    """Times in seconds of the tone bursts in a waveform, by correlation."""
    reach = (
        np.arange(-round(6 * _CLICK_SIGMA_S * rate), round(6 * _CLICK_SIGMA_S * rate) + 1) / rate
    )
    shape = _burst(reach)
    match = np.correlate(samples.astype(np.float32) / 32768.0, shape, mode="same")
    match /= np.dot(shape, shape)
    found = []
    while len(match) and match.max() > 0.12:
        at = int(match.argmax())
        found.append(at / rate)
        match[max(0, at - rate // 40) : at + rate // 40] = 0
    return sorted(found)


def _burst(t: np.ndarray) -> np.ndarray:
    envelope = np.exp(-0.5 * (t / _CLICK_SIGMA_S) ** 2)
    return (0.7 * envelope * np.cos(2 * np.pi * _CLICK_HZ * t)).astype(np.float32)


def murmur(seconds: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """Noise with the rhythm and the spectrum of speech, about: float32 ``[N]`` in -1..1."""
    random = np.random.default_rng(seed)
    count = round(seconds * rate)
    noise = np.convolve(random.standard_normal(count), np.hanning(9) / 4.5, mode="same")
    syllables = np.repeat(random.random(int(seconds * 5) + 2), rate // 5)[:count]
    return (0.2 * noise * np.convolve(syllables, np.hanning(801) / 400, "same")).astype(np.float32)


# --------------------------------------------------------------------------- reading videos


def lead_ms(path: Path) -> float:
    """How far the audio is ahead of the video: both tell their own time."""
    with VideoFile(path) as video_file:
        shown = {}
        for image in video_file:
            spelled = read_time_ms(image.luma)
            if spelled is not None:
                shown.setdefault(spelled, 40 * image.index)
        heard = find_clicks(video_file.audio.pop(video_file.audio.end))
    late_video = float(np.median([at - spelled for spelled, at in shown.items()]))
    assert len(heard) == 7
    late_audio = 1000 * float(np.mean(np.subtract(heard, CLICKS_S)))
    return late_video - late_audio


def packets(path: Path) -> dict[str, list[bytes]]:
    """The coded data of both streams."""
    found: dict[str, list[bytes]] = {}
    with av.open(str(path)) as video_file:
        for packet in video_file.demux():
            if packet.size:
                found.setdefault(packet.stream.type, []).append(bytes(packet))
    return found


# --------------------------------------------------------------------------- making videos


_MADE: dict[str, bytes] = {}
"""Files of this process by what they were made of: many tests begin with the same one."""
_QUICK = {
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "aac": {"aac_coder": "fast"},
}
"""Options of encoders. None has threads: with small frames these cost more than the coding."""


@dataclass(frozen=True)
class Audio:
    """An audio track to be made.

    Attributes:
        codec: Name of the encoder.
        rate: Samples per second.
        layout: Channel layout. With several channels, the reader listens to each for the clearest.
        samples: float32 ``[N]`` at that rate, the same in all channels; None makes clicks.
        start_s: When it starts on the video's timeline.
        lost_s: Stretches, in seconds of the track, whose packets are thrown away.
        retime: Moves timestamps: called with seconds of the track, gives seconds of the video.
    """

    codec: str = "aac"
    rate: int = 48_000
    layout: str = "mono"
    samples: np.ndarray | None = None
    start_s: float = 0.0
    lost_s: Sequence[tuple[float, float]] = ()
    retime: Callable[[float], float] | None = None


@dataclass(frozen=True)
class Video:
    """A video track to be made.

    Attributes:
        codec: Name of the encoder.
        fps: Frames per second.
        size: Width and height.
        pixels: Pixel format.
        times_s: Presentation times of the frames; None takes every ``1 / fps``.
        start_s: Added to all of them.
        images: ``[H, W]`` or ``[H, W, 3]`` (RGB), one per time; None spells the times.
        options: Of the encoder.
        rotation: Counter-clockwise turn in degrees that a player is told to make.
        flips: Whether it is told to mirror left-right and top-bottom after that.
        aspect: Width of a pixel as a player shows it, relative to its height.
        retime: Moves presentation timestamps after the encoder: called with seconds, gives seconds.
    """

    codec: str = "libx264"
    fps: Fraction | float = 25
    size: tuple[int, int] = (192, 128)
    pixels: str = "yuv420p"
    times_s: Sequence[float] | None = None
    start_s: float = 0.0
    images: Iterable[np.ndarray] | None = None
    options: dict[str, str] = field(default_factory=dict)
    rotation: int = 0
    flips: tuple[bool, bool] = (False, False)
    aspect: Fraction = Fraction(1)
    retime: Callable[[float], float] | None = None


def make_video(
    path: Path,
    *,
    seconds: float = 3.0,
    video: Video | None = Video(),
    audio: Sequence[Audio] = (Audio(),),
    cover: bool = False,
    order: str = "interleaved",
    container: str | None = None,
    timecode: str = "",
) -> Path:
    """Write a video.

    Args:
        path: Its name; the ending chooses the container.
        seconds: Length of both streams.
        video: The video track, or None.
        audio: The audio tracks.
        cover: Add a cover picture, as MP4 and Matroska have it.
        order: ``interleaved``, or ``audio last``: all audio after all frames in the file.
        container: Container format, where the ending does not tell.
        timecode: Of the first frame, for MOV and MP4.

    Returns:
        The path.
    """
    own = [None if video is None else (video.images, video.retime)]
    own += [(track.samples, track.retime) for track in audio]
    if any(part is not None for parts in own if parts for part in parts):
        return _made(path, seconds, video, audio, cover, order, container, timecode)
    how = (seconds, video, tuple(audio), cover, order, container, timecode)
    key = repr((Path(path).suffix, *how))
    if key in _MADE:
        Path(path).write_bytes(_MADE[key])
    else:
        _MADE[key] = _made(path, *how).read_bytes()
    return path


def _made(
    path: Path,
    seconds: float,
    video: Video | None,
    audio: Sequence[Audio],
    cover: bool,
    order: str,
    container: str | None,
    timecode: str,
) -> Path:
    options = {"max_interleave_delta": "1"} if order == "audio last" else {}
    with av.open(f"file:{path}", "w", format=container, options=options) as video_file:
        if timecode:
            video_file.metadata["timecode"] = timecode
        tracks = []
        if cover and Path(path).suffix == ".mkv":
            video_file.add_attachment("cover.jpg", "image/jpeg", _jpeg())
        elif cover:
            tracks.append(_cover(video_file))
        if video is not None:
            tracks.append(_video_packets(video_file, video, seconds))
        tracks.extend(_audio_packets(video_file, track, seconds) for track in audio)
        made = [list(track) for track in tracks]
        packets = [packet for track in made for packet in track]
        if order == "interleaved":
            packets.sort(key=lambda p: float((p.dts or 0) * p.time_base))
        for packet in packets:
            video_file.mux(packet)
    return path


def frame_times_s(fps: Fraction | float, seconds: float) -> list[float]:
    """Presentation times of constant-rate frames."""
    return [float(i / Fraction(fps).limit_denominator(1001)) for i in range(round(seconds * fps))]


def _video_packets(
    video_file: av.container.OutputContainer, video: Video, seconds: float
) -> Iterable[av.Packet]:
    rate = Fraction(video.fps).limit_denominator(1001)
    options = {"threads": "1"} | _QUICK.get(video.codec, {}) | video.options
    stream = video_file.add_stream(video.codec, rate=rate, options=options)
    stream.width, stream.height = video.size
    stream.pix_fmt = video.pixels
    constant = video.times_s is None and video.codec in ("mpeg4", "mjpeg", "mpeg2video")
    time_base = 1 / rate if constant else Fraction(1, 90_000)
    stream.codec_context.time_base = time_base
    if video.rotation or any(video.flips):
        stream.set_display_rotation(video.rotation, hflip=video.flips[0], vflip=video.flips[1])
    if video.aspect != 1:
        stream.codec_context.sample_aspect_ratio = video.aspect
    times = frame_times_s(rate, seconds) if video.times_s is None else list(video.times_s)
    images = video.images
    if images is None:
        images = (time_image(round(1000 * (t + video.start_s)), video.size) for t in times)
    later = round(video.start_s / time_base)

    def encoded() -> Iterable[av.Packet]:
        for time_s, image in zip(times, images):
            frame = _as_frame(image, video.pixels)
            frame.pts, frame.time_base = round(time_s / time_base), time_base
            yield from stream.encode(frame)
        yield from stream.encode(None)

    for packet in encoded():
        if video.retime is not None:
            packet.pts = round(
                video.retime(float(packet.pts * packet.time_base)) / packet.time_base
            )
        packet.pts += later
        packet.dts += later
        yield packet


def _as_frame(image: np.ndarray, pixels: str) -> av.VideoFrame:
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, -1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
    return frame.reformat(format=pixels, threads=1)


def _audio_packets(
    video_file: av.container.OutputContainer, audio: Audio, seconds: float
) -> Iterable[av.Packet]:
    quick = _QUICK.get(audio.codec, {}) if audio.samples is None else {}  # noise suffers from it
    stream = video_file.add_stream(audio.codec, rate=audio.rate, layout=audio.layout, options=quick)
    samples = clicks(seconds, audio.rate) if audio.samples is None else audio.samples
    as_int = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    channels = len(stream.codec_context.layout.channels)
    size = stream.codec_context.frame_size or 1024
    time_base = Fraction(1, audio.rate)

    def encoded() -> Iterable[av.Packet]:
        for start in range(0, len(as_int), size):
            part = as_int[None, start : start + size]
            frame = av.AudioFrame.from_ndarray(
                np.repeat(part.T, channels, 1).reshape(1, -1), "s16", audio.layout
            )
            frame.sample_rate, frame.pts, frame.time_base = audio.rate, start, time_base
            yield from stream.encode(frame)
        yield from stream.encode(None)

    for packet in encoded():
        time_s = float(packet.pts * packet.time_base)
        if any(low <= time_s < high for low, high in audio.lost_s):
            continue
        if audio.retime is not None:
            packet.pts = packet.dts = round(audio.retime(time_s) / packet.time_base)
        packet.pts += round(audio.start_s / packet.time_base)
        packet.dts += round(audio.start_s / packet.time_base)
        yield packet


def _jpeg() -> bytes:
    return cv2.imencode(".jpg", np.full((64, 64), 128, np.uint8))[1].tobytes()


def _cover(video_file: av.container.OutputContainer) -> Iterable[av.Packet]:
    stream = video_file.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
    stream.disposition = av.stream.Disposition.attached_pic
    frame = _as_frame(np.full((64, 64), 128, np.uint8), "yuvj420p")
    frame.pts = 0
    yield from stream.encode(frame)
    yield from stream.encode(None)


def with_moved_audio(source: Path, target: Path, *, ahead_ms: float) -> Path:
    """A copy whose audio is that far ahead, and nothing of it left out."""
    with av.open(str(source)) as old, av.open(str(target), "w") as copy:
        streams = {s.index: copy.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            stream = streams[packet.stream_index]
            later_ms = max(-ahead_ms, 0.0) if stream.type == "audio" else max(ahead_ms, 0.0)
            later = round(later_ms / 1000 / packet.time_base)
            packet.pts, packet.dts = packet.pts + later, packet.dts + later
            packet.stream = stream
            copy.mux(packet)
    return target


def with_spoiled_packets(
    source: Path, target: Path, kinds: Sequence[str], spans_s: Sequence[tuple[float, float]]
) -> Path:
    """The same video with packets that no decoder can read.

    Args:
        source: The video.
        target: The new one.
        kinds: Of the streams whose packets are spoiled: ``video``, ``audio``.
        spans_s: From when to when.
    """
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            at_s = float(packet.pts * packet.time_base)
            written = packet
            if packet.stream.type in kinds and any(low <= at_s < high for low, high in spans_s):
                written = av.Packet(b"\xff" * packet.size)
                written.pts, written.dts, written.time_base = (
                    packet.pts,
                    packet.dts,
                    packet.time_base,
                )
                written.duration = packet.duration
            written.stream = streams[packet.stream.index]
            new.mux(written)
    return target


# --------------------------------------------------------------------------- faces

FACE_BOX = np.array([175.2, 48.2, 274.7, 180.1])
"""The astronaut's face in ``skimage.data.astronaut()``: left, top, right, bottom, as CenterFace boxes it."""
FACE_POINTS = np.array(
    [[203.6, 98.0], [250.0, 103.6], [224.3, 126.2], [201.1, 142.5], [241.2, 146.8]]
)
"""Eyes, nose and mouth corners of that face, measured by hand to about 3 px."""
_BUST = (120, 10, 330, 260)
"""The part of that frame that is pasted: head and shoulders."""


@dataclass(frozen=True)
class PlacedFace:
    """A face to be put into a frame.

    Attributes:
        x, y: Middle of the face box.
        height_px: Height of the face box.
        mirrored: Whether it looks the other way.
        turn_deg: Turned counter-clockwise by this.
    """

    x: float
    y: float
    height_px: float
    mirrored: bool = False
    turn_deg: float = 0.0

    @property
    def box(self) -> np.ndarray:
        """Left, top, right, bottom."""
        half_w = (FACE_BOX[2] - FACE_BOX[0]) / (FACE_BOX[3] - FACE_BOX[1]) * self.height_px / 2
        half_h = self.height_px / 2
        return np.array([self.x - half_w, self.y - half_h, self.x + half_w, self.y + half_h])

    @property
    def points(self) -> np.ndarray:
        """``[5, 2]``, the eye on the left of the frame first."""
        points = FACE_POINTS @ self.transform[:, :2].T + self.transform[:, 2]
        return points[[1, 0, 2, 4, 3]] if self.mirrored else points

    @property
    def transform(self) -> np.ndarray:
        """float64 ``[2, 3]``: pixels of the astronaut's frame to pixels of this one."""
        scale = self.height_px / (FACE_BOX[3] - FACE_BOX[1])
        angle = np.deg2rad(self.turn_deg)
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        if self.mirrored:
            turn = turn @ np.diag([-1.0, 1.0])
        middle = (FACE_BOX[:2] + FACE_BOX[2:]) / 2
        return np.concatenate([turn, (np.array([self.x, self.y]) - turn @ middle)[:, None]], 1)


@lru_cache(maxsize=1)
def astronaut() -> np.ndarray:
    """The public-domain portrait that scikit-image carries: uint8 ``[512, 512, 3]``, RGB."""
    from skimage.data import astronaut as image

    return image()


def face_image(
    size: tuple[int, int], *faces: PlacedFace, background: int | np.ndarray = 90
) -> np.ndarray:
    """A frame with real faces in it.

    Args:
        size: Width and height.
        faces: Where; none leaves the background.
        background: Brightness, or uint8 ``[H, W, 3]``.

    Returns:
        uint8 ``[H, W, 3]``, RGB.
    """
    if isinstance(background, int):
        return _plain_face_image(size, faces, background).copy()
    return _face_image(size, faces, background)


@lru_cache(maxsize=32)
def _plain_face_image(
    size: tuple[int, int], faces: tuple[PlacedFace, ...], background: int
) -> np.ndarray:
    """Of the last few: most faces stay where they are."""
    return _face_image(size, faces, background)


def _face_image(
    size: tuple[int, int], faces: Sequence[PlacedFace], background: int | np.ndarray
) -> np.ndarray:
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = background
    left, top, right, bottom = _BUST
    for face in faces:
        scale = face.height_px / (FACE_BOX[3] - FACE_BOX[1])
        source, ratio = astronaut()[top:bottom, left:right], 1.0
        if scale < 0.6:  # by area first, or it would alias
            ratio = scale
            new = (round((right - left) * ratio), round((bottom - top) * ratio))
            source = cv2.resize(source, new, interpolation=cv2.INTER_AREA)
        step = np.array([(right - left) / source.shape[1], (bottom - top) / source.shape[0]])
        placed = face.transform.copy()
        placed[:, 2] += placed[:, :2] @ (np.array([left, top]) + 0.5 * step - 0.5)
        placed[:, :2] = placed[:, :2] * step
        where = cv2.warpAffine(np.full(source.shape[:2], 255, np.uint8), placed, size)
        shown = cv2.warpAffine(source, placed, size)
        image = np.where((where > 127)[..., None], shown, image)
    return image


def face_video(
    path: Path,
    scenes: Sequence[tuple[int, Callable[[int], Sequence[PlacedFace]]]],
    *,
    size: tuple[int, int] = (640, 360),
    backgrounds: Sequence[int | np.ndarray] = (90, 200, 20),
    speech: bool = True,
    video: Video | None = None,
) -> Path:
    """A video with real faces and a waveform.

    Args:
        path: Its name.
        scenes: Per scene the number of frames and a function of the frame that gives the faces.
        size: Width and height.
        backgrounds: One per scene, used in turn; they make the cuts.
        speech: Noise like speech, or silence.
        video: Codec and rate; 25 fps H.264 if None.

    Returns:
        The path.
    """
    frames = sum(count for count, _ in scenes)
    images = (
        face_image(size, *faces(i), background=backgrounds[n % len(backgrounds)])
        for n, (count, faces) in enumerate(scenes)
        for i in range(count)
    )
    video = replace(video or Video(options={"preset": "ultrafast"}), size=size, images=images)
    seconds = float(frames / Fraction(video.fps))
    samples = murmur(seconds) if speech else np.zeros(round(seconds * 16_000), np.float32)
    audio = Audio(codec="aac", rate=16_000, layout="mono", samples=samples)
    return make_video(path, seconds=seconds, video=video, audio=[audio])
