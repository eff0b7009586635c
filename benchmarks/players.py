"""Repaired videos as players show them: how far a click lies from the flash that belongs to it.

A video whose frames flash where its audio clicks is written in several containers, once in sync and once
with the audio moved; the moved one is repaired. Each player shows both: Chromium's video element (audio
recorded by Web Audio, frames by their media time), ffmpeg (which reads as ffplay does), mpv and VLC (these
decode into a file with their own synchronisation). ffmpeg and mpv know how late the audio is; of Chromium and
VLC, which have delays of their own, the difference between repaired and in sync is taken.

    python benchmarks/players.py [--docs]

Players that are not installed are left out. With ``--docs`` it writes the second table of docs/repair.md.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from rich.console import Console
from tables import Table, write_section

from synctool import repair
from videos import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from browser import found, opened

SCRIPT = "benchmarks/players.py"
PAGE = ROOT / "docs" / "repair.md"
RATE, FPS, SECONDS = 48_000, 25, 6.0
FLASHES_S = tuple(0.8 + 0.56 * i for i in range(9))
OFFSETS_MS = (200.0, -160.0, 93.3)
KINDS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".mkv": ("libx264", "aac"),
    ".ts": ("libx264", "aac"),
    ".avi": ("mpeg4", "pcm_s16le"),
}
VLC_RUNS = 9
IN_BROWSER = (".mp4", ".mov", ".webm", ".mkv")

RECORD = """
(async () => {
  const video = document.createElement('video');
  video.src = URL_OF_VIDEO;
  document.body.append(video);
  const context = new AudioContext({sampleRate: 48000});
  await context.resume();
  const listen = context.createScriptProcessor(1024, 1, 1);
  const source = context.createMediaElementSource(video);
  source.connect(listen); listen.connect(context.destination);
  const heard = [], shown = [], canvas = document.createElement('canvas');
  canvas.width = canvas.height = 4;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  listen.onaudioprocess = event => {
    const data = event.inputBuffer.getChannelData(0);
    let at = -1, most = 0.2;
    for (let i = 0; i < data.length; i++) if (Math.abs(data[i]) > most) { most = Math.abs(data[i]); at = i; }
    heard.push([event.playbackTime, video.currentTime, at, most, video.paused ? 0 : 1]);
  };
  const look = (now, told) => {
    pen.drawImage(video, 0, 0, 4, 4);
    shown.push([told.mediaTime, pen.getImageData(1, 1, 1, 1).data[0]]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const ended = new Promise((done, failed) => {
    video.onended = done; video.onerror = () => failed(video.error.message);
  });
  await video.play();
  await ended;
  await context.close();
  return {heard, shown, duration: video.duration, at: video.currentTime};
})()
"""


def write(path: Path, *, ahead_ms: float = 0.0) -> Path:
    """A video that flashes and clicks."""
    video_codec, audio_codec = KINDS[path.suffix]
    audio_s = np.arange(round(SECONDS * RATE)) / RATE + ahead_ms / 1000
    samples = sum(np.exp(-0.5 * ((audio_s - t) / 0.0015) ** 2) for t in FLASHES_S)
    samples = (0.8 * samples * np.cos(2 * np.pi * 1000 * (audio_s % 0.56))).astype(np.float32)
    with av.open(str(path), "w") as made:
        video = made.add_stream(video_codec, rate=FPS)
        video.width = video.height = 96
        video.pix_fmt = "yuv420p"
        audio = made.add_stream(audio_codec, rate=RATE, layout="mono")
        packets = []
        for number in range(round(SECONDS * FPS)):
            bright = any(abs(number / FPS - t) < 0.001 for t in FLASHES_S)
            image = np.full((96, 96, 3), 235 if bright else 20, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += video.encode(frame)
        packets += video.encode(None)
        for start in range(0, len(samples), 4800):
            part = (samples[start : start + 4800] * 32767).astype(np.int16)
            heard = av.AudioFrame.from_ndarray(part[None], "s16", "mono")
            heard.sample_rate, heard.pts, heard.time_base = RATE, start, Fraction(1, RATE)
            packets += audio.encode(heard)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            made.mux(packet)
    return path


def apart_ms(flashes_s: list[float], clicks_s: list[float]) -> float:
    """How much later clicks come than their flashes: the median over those that have one."""
    late = [min((c - f for c in clicks_s), key=abs) for f in flashes_s]
    late = [1000 * x for x in late if abs(x) < 0.28]
    if len(late) < 5:
        raise ValueError(f"{len(flashes_s)} flashes and {len(clicks_s)} clicks")
    return float(np.median(late))


def edges(times: list[float], levels: list[float]) -> list[float]:
    """Times of the bright frames that follow dark ones."""
    bright = np.array(levels) > 128
    return [t for t, now, before in zip(times, bright, [False, *bright[:-1]]) if now and not before]


def peaks(samples: np.ndarray, start_s: float, rate: int) -> list[float]:
    """Times of the clicks in samples in -1..1."""
    loud, found_s = np.abs(samples), []
    while loud.size and loud.max() > 0.2:
        at = int(loud.argmax())
        found_s.append(start_s + at / rate)
        loud[max(0, at - rate // 10) : at + rate // 10] = 0
    return sorted(found_s)


def by_file(path: Path) -> float:
    """The figure of a file that a player has decoded: all frames and samples, at their own times."""
    with av.open(str(path)) as video_file:
        times, levels, pieces = [], [], []
        for frame in video_file.decode():
            at = float(frame.pts * frame.time_base)
            if isinstance(frame, av.VideoFrame):
                times.append(at)
                levels.append(float(frame.to_ndarray(format="gray").mean()))
            else:
                samples = frame.to_ndarray().astype(np.float32)
                samples = (
                    samples if frame.format.name.startswith("f") else samples / 32768
                ).reshape(-1)
                pieces.append((at, samples, frame.sample_rate))
    start, rate = pieces[0][0], pieces[0][2]
    whole = np.zeros(round((pieces[-1][0] - start + 2) * rate), np.float32)
    for at, samples, _ in pieces:
        low = round((at - start) * rate)
        whole[low : low + len(samples)] = samples
    return apart_ms(edges(times, levels), peaks(whole, start, rate))


def by_ffmpeg(path: Path, place: Path) -> float:
    """As ffmpeg decodes it."""
    out = place / "ffmpeg.nut"
    subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-copyts",
            "-i",
            path,
            "-c:v",
            "rawvideo",
            "-c:a",
            "pcm_s16le",
            out,
        ],
        check=True,
    )
    return by_file(out)


def by_mpv(path: Path, place: Path) -> float:
    """As mpv plays it into a file."""
    out = place / "mpv.nut"
    subprocess.run(
        [
            "mpv", path, "--no-config", "--really-quiet", f"--o={out}", "--of=nut",
            "--ovc=rawvideo", "--oac=pcm_s16le",
        ],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return by_file(out)


def by_vlc(path: Path, place: Path) -> float:
    """As VLC plays it into a file: the median of several runs, which begin up to 30 ms apart."""
    return float(np.median([_by_vlc_once(path, place) for _ in range(VLC_RUNS)]))


def _by_vlc_once(path: Path, place: Path) -> float:
    """VLC does not run as the superuser."""
    out = place / "vlc.mkv"
    out.unlink(missing_ok=True)
    as_nobody = (
        ["runuser", "-u", "nobody", "--", "env", f"HOME={place}"] if os.geteuid() == 0 else []
    )
    chain = (
        "#transcode{vcodec=mp4v,vb=2000,acodec=s16l,samplerate=48000,channels=1}"
        f":std{{access=file,mux=avformat{{mux=matroska}},dst={out}}}"
    )
    subprocess.run(
        [*as_nobody, "cvlc", "-I", "dummy", "--play-and-exit", path, "--sout", chain],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return by_file(out)


def in_chromium(page, address: str) -> float:
    """As Chromium's video element plays it."""
    code = RECORD.replace("URL_OF_VIDEO", repr(address))
    done = page.send(
        "Runtime.evaluate",
        expression=code, returnByValue=True, awaitPromise=True, userGesture=True,
    )  # fmt: skip
    if "exceptionDetails" in done:
        raise ValueError(str(done["exceptionDetails"].get("exception", done["exceptionDetails"])))
    told = done["result"]["value"]
    playing = [h for h in told["heard"] if h[4] and 0.5 < h[1] < SECONDS - 0.5]
    media = float(np.median([current - at for at, current, *_ in playing]))
    clicks: dict[float, float] = {}
    for at, _, index, height, _ in told["heard"]:
        if index >= 0:
            clicks[at + index / RATE + media] = height
    clicks_s = [
        t for t in clicks if all(clicks[t] >= h for u, h in clicks.items() if abs(u - t) < 0.1)
    ]
    shown = sorted(told["shown"])
    return apart_ms(edges([t for t, _ in shown], [x for _, x in shown]), clicks_s)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path: str) -> str:
        kinds = {".html": "text/html", ".webm": "video/webm", ".mkv": "video/x-matroska"}
        return kinds.get(Path(path).suffix, "video/mp4")

    def log_message(self, *_: object) -> None:
        pass


def figures(place: Path) -> Table:
    """Make, repair and play all."""
    made = Table(
        "Repaired videos in players",
        ("container, offset", "method", "Chromium", "ffmpeg", "mpv", "VLC"),
        note=f"`{SCRIPT} --docs`. How late the audio is, in milliseconds; in Chromium and VLC, which have "
        "delays of their own, against a video that was in sync from the start. VLC begins its output up to "
        f"30 ms apart from run to run: the median of {VLC_RUNS}.",
    )
    players: dict[str, Callable[[Path], float]] = {}
    if shutil.which("ffmpeg"):
        players["ffmpeg"] = lambda path: by_ffmpeg(path, place)
    if shutil.which("mpv"):
        players["mpv"] = lambda path: by_mpv(path, place)
    if shutil.which("cvlc"):
        place.chmod(0o777)
        players["VLC"] = lambda path: by_vlc(path, place)
    handler = functools.partial(_Quiet, directory=str(place))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (place / "page.html").write_text("<!doctype html><body></body>")
    root = f"http://127.0.0.1:{server.server_port}/"
    rows: dict[tuple[str, float], list[str]] = {}
    files: dict[tuple[str, float], Path] = {}
    for suffix in KINDS:
        files[suffix, 0.0] = write(place / f"sync{suffix}")
        for offset in OFFSETS_MS:
            wrong = write(place / f"wrong{suffix}", ahead_ms=offset)
            files[suffix, offset] = place / f"fixed{offset:g}{suffix}"
            report = repair(wrong, files[suffix, offset], offset)
            rows[suffix, offset] = [f"{suffix[1:]} {offset:+g}", report.method]
    if found():
        with opened(place / "profile") as page:
            page.open(root + "page.html")

            def chromium(path: Path) -> float:
                return in_chromium(page, root + path.name)

            _play(chromium, "Chromium", files, rows, IN_BROWSER)
    for name in ("ffmpeg", "mpv", "VLC"):
        if name in players:
            _play(players[name], name, files, rows, tuple(KINDS))
        else:
            for row in rows.values():
                row.append("-")
    server.shutdown()
    made.rows += list(rows.values())
    return made


def _play(play, name, files, rows, suffixes) -> None:
    for suffix in KINDS:
        zero = 0.0
        for offset in (0.0, *OFFSETS_MS):
            if suffix in suffixes:
                try:
                    late = play(files[suffix, offset])
                    zero = late if offset == 0.0 and name in ("Chromium", "VLC") else zero
                    shown = f"{late - zero:+.1f}"
                except (OSError, ValueError, subprocess.SubprocessError) as error:
                    print(name, suffix, offset, error, file=sys.stderr)
                    shown = "failed"
            else:
                shown = "-"
            if offset:
                rows[suffix, offset].append(shown)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="synctool-players-") as place:
        made = figures(Path(place))
    made.show(Console(width=120))
    if given.docs:
        write_section(PAGE, made.markdown(), script=SCRIPT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
