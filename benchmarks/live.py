"""What ``synctool live`` does with streams: how soon it sees a move, how often it is wrong, what it costs.

Every case is an MPEG transport stream made by FFmpeg in a temporary folder and read as a stream of
the network is, but as fast as it is measured: seconds are those of the stream. Times of answers are
those at which a viewer would have them, so the usual delay of an answer behind the newest frame is
measured on a stream at its own speed, and added.

    python benchmarks/live.py move                  # a move of 200 ms in the middle: how soon it is reported
    python benchmarks/live.py quiet [--minutes 30] [--skip 0]   # false alarms over ordinary talk, and ...
    python benchmarks/live.py quiet --kinds music silence faceless foreign   # ... where nothing can be told
    python benchmarks/live.py quiet --kinds bed     # and over talk with music under it
    python benchmarks/live.py drift                 # clocks that differ by 600 ms in an hour
    python benchmarks/live.py cost                  # CPU seconds for each second of stream, by size
    python benchmarks/live.py docs                  # all that --json has collected, into docs/live.md

Talk is that of people in the wild, one clip after the other, and then of GRID; wild clips whose own
offset is not within a frame and a half by their manifest are left out. Figures are collected in the
file of ``--json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from tables import Table, write_section

from synctool.cores import usable_cores
from synctool.live.addresses import live_address
from synctool.live.alarms import Alarm, Limits
from synctool.live.events import Event
from synctool.live.measuring import Measuring
from synctool.live.reader import Reading
from synctool.live.watching import Watching, watch
from synctool.measure.detect import Detector
from synctool.measure.tracks import build_detector
from synctool.media.video_file import VideoFile
from synctool.networks.load import load_model
from videos import ROOT, shared

SCRIPT = "benchmarks/live.py"
PAGE = ROOT / "docs" / "live.md"
MOVED_MS = 200
PROMISED_S = 4.0
BED_LU = 5
LIMITS = ("100", "detectable")
FOR_S = 5.0
LARGEST_OWN_FRAMES = 1.5
DRIFT_MS_PER_HOUR = 600.0
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
_TALK = "scale=640:360:force_original_aspect_ratio=decrease,pad=640:360:-1:-1,fps=25,format=yuv420p"
_CODED = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-g", "25"),
    *("-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"),
)


def ffmpeg(*words: str) -> None:
    """Run FFmpeg."""
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *words], check=True)


def measuring() -> Measuring:
    """The default model and detector."""
    return Measuring(load_model(threads=max(1, usable_cores() // 2)), build_detector("centerface"))


def watched(stream: Path, with_: Measuring, *, limits: str, paced: bool = False) -> list[Event]:
    """All events of a stream."""
    events: list[Event] = []
    how = Watching(with_, Reading(paced=paced), limits=Limits.of(limits), for_s=FOR_S)
    (outcome,) = watch([live_address(str(stream))], how, events.append)
    if outcome.error is not None:
        raise outcome.error
    return events


def talk_clips() -> list[Path]:
    """Clips of ordinary talk whose own offset is small, in an order that mixes their sources."""
    corpus = shared("corpus")
    with open(corpus / "wild" / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["offset_frames"]
            and abs(float(row["offset_frames"])) <= LARGEST_OWN_FRAMES
            and float(row["duration_s"]) >= 3
        ]
    rows.sort(key=lambda row: Path(row["path"]).name)
    wild = [corpus / row["path"] for row in rows]
    return wild + sorted((corpus / "grid").glob("*/*.mp4"), key=lambda path: path.name)


def joined(clips: Sequence[Path], target: Path, work: Path) -> Path:
    """Clips one after the other in one stream."""
    parts = []
    for number, clip in enumerate(clips):
        part = work / f"part{number}.ts"
        ffmpeg("-i", str(clip), "-vf", _TALK, *_CODED, "-shortest", str(part))
        parts.append(part)
    listed = work / "parts.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    ffmpeg("-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(target))
    for part in parts:
        part.unlink()
    return target


def minutes_of_talk(minutes: float, skip: float) -> list[Path]:
    """So many minutes of clips after the first ones."""
    chosen, at_s = [], 0.0
    for clip in talk_clips():
        lasts_s = duration_s(clip)
        if at_s >= (skip + minutes) * 60:
            break
        if at_s >= skip * 60:
            chosen.append(clip)
        at_s += lasts_s
    return chosen


def duration_s(video: Path) -> float:
    """Its length as FFmpeg tells it."""
    import av

    with av.open(str(video)) as file:
        return float((file.duration or 0) / av.time_base)


# ---------------------------------------------------------------------- the cases


def move(work: Path, _: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A move of 200 ms in the middle of single videos: when an answer says so, and when the alarm rings."""
    with_ = measuring()
    delay_s = usual_delay_s(work, with_)
    clips = sorted(shared("clips").glob("*.*"))
    videos = [c for c in clips if c.suffix in (".avi", ".mp4") and "test_" not in c.name]
    videos += [c for c in talk_clips() if "grid" not in c.parts and duration_s(c) >= 10]
    for video in videos:
        for moved_ms in (MOVED_MS, -MOVED_MS):
            row = _moved(video, moved_ms, work, with_, delay_s=delay_s)
            if row is not None:
                yield row


def _moved(
    video: Path, moved_ms: int, work: Path, with_: Measuring, *, delay_s: float
) -> dict[str, Any] | None:
    """What is said of a video whose audio moves in the middle; None where nothing is said before."""
    half_s = duration_s(video) / 2
    stream = work / "moved.ts"
    cut = f"[0:a]atrim=0:{half_s},asetpts=N/SR/TB[a];[0:a]atrim={half_s + moved_ms / 1000}"
    sound = f"{cut},asetpts=N/SR/TB[b];[a][b]concat=n=2:v=0:a=1[s]"
    ffmpeg(
        *("-i", str(video), "-filter_complex", f"{sound};[0:v]{_TALK}[v]"),
        *("-map", "[v]", "-map", "[s]", *_CODED, "-shortest", str(stream)),
    )
    events = watched(stream, with_, limits="100")
    answers = [e for e in events if e.kind == "answer"]
    known = [
        (e.t_s, e.answer.offset_ms)
        for e in answers
        if e.answer is not None and e.answer.offset_ms is not None
    ]
    before = sorted(ms for at_s, ms in known if at_s <= half_s)
    if not before:
        return None
    wanted_ms = before[len(before) // 2] + moved_ms
    seen = [at_s for at_s, ms in known if at_s > half_s and abs(ms - wanted_ms) <= 60]
    return {
        "case": "move",
        "video": video.name,
        "moved_ms": moved_ms,
        "before_ms": wanted_ms - moved_ms,
        "first_answer_s": known[0][0] + delay_s,
        "reported_after_s": seen[0] - half_s + delay_s if seen else None,
        "left_s": duration_s(video) - half_s,
        "delay_s": delay_s,
    }


def usual_delay_s(work: Path, with_: Measuring) -> float:
    """The median of ``delay_s`` over a stream at its own speed."""
    stream = work / "paced.ts"
    ffmpeg("-i", str(shared("clips") / "example.avi"), *_CODED, str(stream))
    events = watched(stream, with_, limits="100", paced=True)
    delays = sorted(e.delay_s for e in events if e.delay_s is not None)
    return delays[len(delays) // 2]


def quiet(work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """False alarms: in talk that is in sync, and where there is nothing to be told."""
    with_ = measuring()
    for kind in given.kinds:
        stream = work / f"{kind}.ts"
        make(kind, stream, work, given.minutes, given.skip)
        events = [e for e in watched(stream, with_, limits="100") if e.kind == "answer"]
        answers = [(e.t_s, e.answer.offset_ms) for e in events if e.answer is not None]
        for limits in LIMITS:
            alarm = Alarm(Limits.of(limits), for_s=FOR_S)
            rung = [at_s for at_s, ms in answers if alarm.add(ms, at_s) == "alarm"]
            offsets = [ms for _, ms in answers if ms is not None]
            yield {
                "case": "quiet",
                "kind": kind,
                "limits": limits,
                "for_s": FOR_S,
                "skip": given.skip,
                "seconds": len(answers),
                "answers": len(offsets),
                "outside_100_ms": sum(abs(ms) > 100 for ms in offsets),
                "alarms": len(rung),
                "at_s": rung,
            }
        if given.answers:
            given.answers.write_text(json.dumps([e.to_dict() for e in events], indent=0))


def make(kind: str, target: Path, work: Path, minutes: float, skip: float) -> None:
    """A stream of one kind."""
    if kind == "faceless":  # a moving picture without a face, and somebody who speaks
        talk = joined(minutes_of_talk(minutes, skip), work / "talk.ts", work)
        picture = ("-f", "lavfi", "-i", "mandelbrot=size=640x360:rate=25")
        ffmpeg(
            *picture,
            "-i",
            str(talk),
            "-map",
            "0:v",
            "-map",
            "1:a",
            *_CODED,
            "-shortest",
            str(target),
        )
        return
    talk = joined(minutes_of_talk(minutes, skip), work / "talk.ts", work)
    lasts = ("-t", f"{minutes * 60}")
    if kind == "talk":
        os.replace(talk, target)
    elif kind == "silence":
        sound = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo")
        _heard_over(talk, sound, target, lasts)
    elif kind == "music":
        listed = work / "music.txt"
        listed.write_text("".join(f"file '{file}'\n" for file in background_music()))
        sound = ("-f", "concat", "-safe", "0", "-i", str(listed))
        _heard_over(talk, sound, target, lasts)
    elif kind == "bed":
        words = work / "music.txt"
        words.write_text("".join(f"file '{file}'\n" for file in background_music()))
        chain = (
            "[0:a]loudnorm=I=-20,aresample=48000[talk];"
            f"[1:a]loudnorm=I={-20 - BED_LU},aresample=48000[bed];"
            "[talk][bed]amix=inputs=2:normalize=0:duration=first[s]"
        )
        ffmpeg(
            *("-i", str(talk), "-f", "concat", "-safe", "0", "-i", str(words)),
            *("-filter_complex", chain, "-map", "0:v", "-map", "[s]", "-c:v", "copy"),
            *("-c:a", "aac", "-ac", "2", *lasts, str(target)),
        )
    elif kind == "foreign":  # the audio of what was said a minute and a half before
        # Not by -itsoffset: with copied packets FFmpeg takes it back, and the audio is the video's own.
        taken = ("-map", "0:v", "-map", "1:a", "-c", "copy", "-shortest")
        ffmpeg("-ss", "91", "-i", str(talk), "-i", str(talk), *taken, str(target))
    else:
        raise ValueError(kind)


def background_music() -> list[Path]:
    """Pieces of music without voices."""
    return sorted((shared("corpus") / "background" / "music").glob("*.flac"))


def _heard_over(talk: Path, sound: tuple[str, ...], target: Path, lasts: tuple[str, ...]) -> None:
    """The images of a video with other audio."""
    taken = ("-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac")
    ffmpeg("-i", str(talk), *sound, *taken, *lasts, "-shortest", str(target))


def drift(work: Path, _: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Audio whose clock runs slower than that of the video by 600 ms in an hour."""
    stream = work / "drift.ts"
    rate = 48_000 * (1 - DRIFT_MS_PER_HOUR / 3_600_000)
    sound = f"aresample=48000,asetrate={rate:.0f},aresample=48000"
    ffmpeg(
        *("-stream_loop", "33", "-i", str(shared("clips") / "example.avi")),
        *("-af", sound, *_CODED, "-t", "420", str(stream)),
    )
    true = (48_000 - round(rate)) / 48_000 * 3_600_000
    found = [e.drift for e in watched(stream, measuring(), limits="100") if e.drift]
    last = found[-1]
    yield {
        "case": "drift",
        "true_ms_per_hour": -true,
        "ms_per_hour": last.ms_per_hour,
        "low": last.low,
        "high": last.high,
        "minutes": last.hours * 60,
    }


def cost(work: Path, _: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """CPU seconds for each second of a stream of one face, decoding included."""
    with_ = measuring()
    for name, (width, height) in SIZES.items():
        stream = work / f"{name}.ts"
        video = shared("clips") / "example.avi"
        placed = f"scale=-2:{height},pad={width}:{height}:-1:-1,fps=25,format=yuv420p"
        ffmpeg(
            *("-stream_loop", "1", "-i", str(video), "-vf", placed),
            *("-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M", "-g", "50"),
            *("-c:a", "aac", "-t", "25", str(stream)),
        )
        began = time.process_time()
        with VideoFile(stream) as decoded:
            for _ in decoded:
                pass
        decoding = time.process_time() - began
        detector = Detector(model=with_.model)
        began = time.process_time()
        detector.detect(stream)
        detecting = time.process_time() - began
        began = time.process_time()
        watched(stream, with_, limits="100")
        live = time.process_time() - began
        yield {
            "case": "cost",
            "size": name,
            "decode_s_per_s": decoding / 25,
            "detect_s_per_s": detecting / 25,
            "cpu_s_per_s": live / 25,
        }


CASES = {"move": move, "quiet": quiet, "drift": drift, "cost": cost}


def tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """The figures as tables."""
    made = []
    moves = [r for r in rows if r["case"] == "move"]
    if moves:
        reported = sorted(r["reported_after_s"] for r in moves if r["reported_after_s"] is not None)
        table = Table(
            "A move of 200 ms",
            [
                "moves",
                "first answer (median, most)",
                "reported after (median)",
                "within 4 s",
                "most",
                "not reported",
            ],
            note=f"`python {SCRIPT} move`: of {len({r['video'] for r in moves})} videos, each with its audio "
            f"{MOVED_MS} ms earlier and later from the middle on. Seconds of the stream, with the delay of "
            f"answers ({moves[0]['delay_s']:.2f} s).",
        )
        first = sorted(r["first_answer_s"] for r in moves)
        table.rows.append(
            (
                str(len(moves)),
                f"{first[len(first) // 2]:.1f} s, {first[-1]:.1f} s",
                f"{reported[len(reported) // 2]:.1f} s",
                str(sum(after_s <= PROMISED_S for after_s in reported)),
                f"{reported[-1]:.1f} s",
                str(len(moves) - len(reported)),
            )
        )
        made.append(table)
    quiets = [r for r in rows if r["case"] == "quiet"]
    if quiets:
        table = Table(
            "False alarms",
            [
                "stream",
                "limit",
                "minutes",
                "seconds with an answer",
                "of these beyond 100 ms",
                "alarms",
            ],
            note=f"`python {SCRIPT} quiet --kinds ...`, `--for {FOR_S:g}`. Talk of people in the wild, "
            "cut from clip to clip, with own offsets of up to 60 ms; music and silence in place of its "
            "audio; its audio beside a picture without a face; its audio of 91 s before (foreign); music "
            f"under it, {BED_LU} LU softer (bed).",
        )
        for kind, limits in dict.fromkeys((r["kind"], r["limits"]) for r in quiets):
            own = [r for r in quiets if (r["kind"], r["limits"]) == (kind, limits)]
            seconds, answers, outside, alarms = (
                sum(r[key] for r in own)
                for key in ("seconds", "answers", "outside_100_ms", "alarms")
            )
            table.rows.append(
                (
                    *(kind, f"{limits} ms" if limits.isdigit() else limits, f"{seconds / 60:.0f}"),
                    *(f"{answers / seconds:.0%}", str(outside), str(alarms)),
                )
            )
        made.append(table)
    drifts = [r for r in rows if r["case"] == "drift"]
    if drifts:
        table = Table(
            "Drift of clocks",
            ["true", "measured", "95 % interval", "over"],
            note=f"`python {SCRIPT} drift`: a loop of one clip with audio of another rate.",
        )
        for r in drifts:
            table.rows.append(
                (
                    *(f"{r['true_ms_per_hour']:+.0f} ms/h", f"{r['ms_per_hour']:+.0f} ms/h"),
                    *(f"{r['low']:+.0f} to {r['high']:+.0f}", f"{r['minutes']:.0f} min"),
                )
            )
        made.append(table)
    costs = [r for r in rows if r["case"] == "cost"]
    if costs:
        table = Table(
            "Cost of a stream",
            ["stream", "decoding", "detect", "live", "streams on two cores"],
            note=f"`python {SCRIPT} cost`: H.264 at up to 6 Mbit/s with one face that speaks all the time; "
            "CPU seconds for each second of stream, decoding included, and how many such streams two "
            "cores hold at 80 % load.",
        )
        for r in costs:
            shown = (f"{r[key]:.2f}" for key in ("decode_s_per_s", "detect_s_per_s", "cpu_s_per_s"))
            table.rows.append((r["size"], *shown, f"{int(1.6 / r['cpu_s_per_s'])}"))
        made.append(table)
    return made


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=[*CASES, "docs"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--skip", type=float, default=0, help="minutes of talk to leave out before")
    parser.add_argument("--kinds", nargs="+", default=["talk"])
    parser.add_argument("--answers", type=Path, help="write the answers of quiet here")
    parser.add_argument("--json", type=Path, help="figures are added to this file")
    given = parser.parse_args()
    rows = json.loads(given.json.read_text()) if given.json and given.json.exists() else []
    if given.case == "docs":
        made = tables(rows)
        write_section(PAGE, "\n".join(table.markdown() for table in made), script=SCRIPT)
    else:
        fresh = []
        with tempfile.TemporaryDirectory() as work:
            for row in CASES[given.case](Path(work), given):
                print(json.dumps(row), flush=True)
                fresh.append(row)
                if given.json:
                    given.json.write_text(json.dumps([*rows, *fresh], indent=1))
        made = tables(fresh)
    for table in made:
        table.show(Console(width=140))


if __name__ == "__main__":
    main()
