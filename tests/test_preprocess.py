"""Videos to samples: faces, failures, resume, workers that die, clusters, full disks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synctool.data.processed import Processed
from synctool.data.storage import storage
from synctool.errors import MediaError, MissingError, OutputError, SyncToolError, UsageError
from synctool.media.video_file import VideoFile
from synctool.prepare import preprocess as preprocessing
from synctool.prepare import shards
from synctool.prepare.clips import SyncSettings
from synctool.prepare.preprocess import PreprocessProgress, preprocess
from synctool.prepare.shards import ShardJob, make_shard
from synctool.settings.preprocess import PreprocessSettings
from synctool.types import SAMPLES_PER_FRAME
from synctool.workers import KILLED
from videos import PlacedFace, face_video

pytestmark = pytest.mark.integration

SETTINGS = PreprocessSettings(jobs=1, shard_videos=2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for speaker in ("ann", "bo"):
        (folder / speaker).mkdir()
    face = PlacedFace(160, 100, 90)
    for name, frames in (("ann/1 'talk'.mp4", 30), ("ann/2.mp4", 31), ("bo/3.mp4", 32)):
        face_video(folder / name, [(frames, lambda i: [face])], size=(320, 200))
    (folder / "bo" / "4.mp4").write_text("no video")
    face_video(folder / "bo" / "5.mp4", [(20, lambda i: [])], size=(320, 200))
    return folder


def failures(out: Path) -> dict[str, str]:
    return {f["film"]: f["reason"] for f in json.loads((out / "failures.json").read_text())}


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a processed folder; locks and the like do not count."""
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for p in sorted(out.rglob("*"))
        if p.is_file() and not p.name.startswith(".")
    }


# --------------------------------------------------------------------------- what comes out


def test_videos_become_samples_and_failures_have_reasons(videos: Path, tmp_path: Path) -> None:
    told: list[PreprocessProgress] = []
    done = preprocess(videos, tmp_path / "out", SETTINGS, on_progress=told.append)
    assert (done.films_done, done.samples, done.failures) == (5, 3, 2)
    assert told[0].films_done == 0 and told[-1] == done
    assert [t.films_done for t in told] == sorted(t.films_done for t in told)
    why = failures(tmp_path / "out")
    assert "cannot be read" in why["bo/4.mp4"]
    assert "no face" in why["bo/5.mp4"]
    samples = list(Processed(tmp_path / "out").samples())
    assert [s.info.speaker for s in samples] == ["ann", "ann", "bo"]
    assert samples[0].info.video_path == "ann/1 'talk'.mp4"
    for sample, frames in zip(samples, (30, 31, 32), strict=True):
        assert sample.crops.shape == (frames, 96, 96)
        assert abs(sample.audio.size - frames * SAMPLES_PER_FRAME) <= SAMPLES_PER_FRAME
        assert sample.crops.std() > 10


def test_the_manifest_counts(videos: Path, tmp_path: Path) -> None:
    preprocess(videos, tmp_path / "out", SETTINGS)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (manifest["films"], manifest["samples"], manifest["failures"]) == (5, 3, 2)
    assert manifest["hours"] == pytest.approx((30 + 31 + 32) / 25 / 3600, abs=1e-4)
    (source,) = manifest["sources"].values()
    assert source["speakers"] == 2
    sizes = [(tmp_path / "out" / f"{s['name']}.tar").stat().st_size for s in manifest["shards"]]
    assert sizes == [s["size_bytes"] for s in manifest["shards"]]
    assert sum(sizes) == manifest["size_bytes"]


def test_faces_in_colour_as_folders(videos: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, crop="face", size=112, layout="folders")
    done = preprocess(videos, tmp_path / "out", settings)
    assert done.samples == 3
    clips = sorted(p.parent for p in (tmp_path / "out").rglob("info.json"))
    assert [c.relative_to(tmp_path / "out").as_posix() for c in clips] == [
        "ann/1_talk_-00-000000",
        "ann/2-00-000000",
        "bo/3-00-000000",
    ]
    for sample in Processed(tmp_path / "out").samples():
        assert sample.crops.shape[1:] == (112, 112, 3)
        assert sample.audio.size == sample.info.num_frames * SAMPLES_PER_FRAME


def test_long_videos_become_several_samples(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("synctool.data.samples._LONGEST_FRAMES", 40)
    (tmp_path / "in").mkdir()
    face = PlacedFace(160, 100, 90)
    face_video(tmp_path / "in/a.mp4", [(100, lambda i: [face])], size=(320, 200))
    preprocess(tmp_path / "in", tmp_path / "out", SETTINGS)
    samples = list(Processed(tmp_path / "out").samples())
    assert [(s.info.first_tick, s.info.num_frames) for s in samples] == [
        (0, 40),
        (40, 40),
        (80, 20),
    ]
    whole = np.zeros(200 * SAMPLES_PER_FRAME, np.int16)
    for sample in samples:  # the audio of neighbours overlaps, and is the same there
        begin = sample.info.first_tick * SAMPLES_PER_FRAME - sample.info.sound_lead
        known = whole[begin : begin + sample.audio.size]
        assert np.array_equal(known[known != 0], sample.audio[: known.size][known != 0])
        whole[begin : begin + sample.audio.size] = sample.audio
    assert samples[1].info.sound_lead == 25 * SAMPLES_PER_FRAME


def test_small_faces_are_passed_over(videos: Path, tmp_path: Path) -> None:
    preprocess(videos, tmp_path / "out", replace(SETTINGS, min_face=150))
    assert failures(tmp_path / "out")["bo/3.mp4"] == "no face was found"


# --------------------------------------------------------------------------- hostile trees


def test_the_same_video_twice_is_packed_once(videos: Path, tmp_path: Path) -> None:
    tree = tmp_path / "in"
    shutil.copytree(videos, tree)
    shutil.copy(tree / "ann/2.mp4", tree / "bo/again.mp4")
    done = preprocess(tree, tmp_path / "out", SETTINGS)
    assert (done.films_done, done.samples) == (6, 3)
    assert failures(tmp_path / "out")["bo/again.mp4"] == "the same content as ann/2.mp4"


def test_names_that_collide_are_told_apart(videos: Path, tmp_path: Path) -> None:
    tree = tmp_path / "in"
    tree.mkdir()
    for source, name in (
        ("ann/2.mp4", "a b.mp4"),
        ("bo/3.mp4", "a_b.mp4"),
        ("ann/1 'talk'.mp4", "A_B.avi"),
    ):
        shutil.copy(videos / source, tree / name)
    preprocess(tree, tmp_path / "out", replace(SETTINGS, layout="folders"))
    infos = [info for _, info in Processed(tmp_path / "out").infos()]
    assert sorted(i.video_path for i in infos) == ["A_B.avi", "a b.mp4", "a_b.mp4"]
    assert len({i.key.lower() for i in infos}) == 3


def test_silence_is_no_speech(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    face = PlacedFace(160, 100, 90)
    face_video(tmp_path / "in/a.mp4", [(30, lambda i: [face])], size=(320, 200), speech=False)
    preprocess(tmp_path / "in", tmp_path / "out", SETTINGS)
    assert failures(tmp_path / "out") == {"a.mp4": "the audio is silent"}


def test_unreadable_folders_are_said(videos: Path, tmp_path: Path, monkeypatch) -> None:
    real = os.scandir

    def refuses(path):
        if os.fspath(path).endswith("/bo"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuses)
    done = preprocess(videos, tmp_path / "out", SETTINGS)
    assert done.samples == 2
    assert failures(tmp_path / "out") == {"bo/": "the folder cannot be read: Permission denied"}


def test_a_decoder_that_hangs_is_given_up(videos: Path, tmp_path: Path, monkeypatch) -> None:
    real = VideoFile._demux

    def hangs(video: VideoFile) -> None:
        if video.path.name == "3.mp4":
            video._stop.wait()
        real(video)

    monkeypatch.setattr(VideoFile, "_demux", hangs)
    done = preprocess(videos, tmp_path / "out", replace(SETTINGS, stall_timeout=0.5))
    assert done.samples == 2
    assert (
        failures(tmp_path / "out")["bo/3.mp4"]
        == "3.mp4: the decoder has hung: nothing came for 0.5 s"
    )


def test_an_unexpected_error_costs_one_video(videos: Path, tmp_path: Path, monkeypatch) -> None:
    real = shards.VideoClips

    def stumbles(video, entry, *rest):
        if entry.name == "bo/3.mp4":
            raise IndexError("list index\nout of range")
        return real(video, entry, *rest)

    monkeypatch.setattr(shards, "VideoClips", stumbles)
    done = preprocess(videos, tmp_path / "out", SETTINGS)
    assert done.samples == 2
    why = failures(tmp_path / "out")["bo/3.mp4"]
    assert why == "unexpected IndexError: list index out of range"


def test_a_video_that_breaks_off_keeps_what_was_whole(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("synctool.data.samples._LONGEST_FRAMES", 30)
    (tmp_path / "in").mkdir()
    face = PlacedFace(160, 100, 90)
    face_video(tmp_path / "in/a.mp4", [(150, lambda i: [face])], size=(320, 200))
    real = shards.VideoClips

    def breaks(*given):
        for n, sample in enumerate(real(*given)):
            if n == 2:
                raise MediaError("the video cannot be decoded")
            yield sample

    monkeypatch.setattr(shards, "VideoClips", breaks)
    preprocess(tmp_path / "in", tmp_path / "out", SETTINGS)
    assert len(list(Processed(tmp_path / "out").samples())) == 2
    why = failures(tmp_path / "out")["a.mp4"]
    assert why == "the video cannot be decoded (its first 2 samples are kept)"


def test_a_damaged_plan_is_said(videos: Path, tmp_path: Path) -> None:
    preprocess(videos, tmp_path / "out", SETTINGS)
    for rubbish in ("{", "[]", "{}", "3"):
        (tmp_path / "out/plan.json").write_text(rubbish)
        with pytest.raises(SyncToolError, match="damaged"):
            preprocess(videos, tmp_path / "out", SETTINGS)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        preprocess(tmp_path / "none", tmp_path / "out", SETTINGS)


def test_an_unknown_layout_of_folders_is_said(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder layout"):
        preprocess(videos, tmp_path / "out", replace(SETTINGS, tree="voxcelebs"))


# --------------------------------------------------------------------------- stopping and going on


@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_an_interrupted_run_goes_on(videos: Path, tmp_path: Path, monkeypatch, layout: str) -> None:
    settings = replace(SETTINGS, layout=layout)
    whole = preprocess(videos, tmp_path / "whole", settings)
    real, made = shards.VideoClips, []

    def dies(video, entry, *rest):
        made.append(entry.name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(video, entry, *rest)

    monkeypatch.setattr(shards, "VideoClips", dies)
    with pytest.raises(KeyboardInterrupt):
        preprocess(videos, tmp_path / "out", settings)
    assert len(Processed(tmp_path / "out").names) == 1
    if layout == "packed":
        assert not list((tmp_path / "out").glob("*.part*"))
    made.clear()
    monkeypatch.setattr(
        shards,
        "VideoClips",
        lambda video, entry, *rest: made.append(entry.name) or real(video, entry, *rest),
    )
    done = preprocess(videos, tmp_path / "out", settings)
    assert replace(done, film_s=0, resumed_films=0) == replace(whole, film_s=0, resumed_films=0)
    assert done.resumed_films == 2
    assert "ann/2.mp4" not in made  # the finished group was not made again
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_videos_or_settings_are_refused(videos: Path, tmp_path: Path) -> None:
    tree = tmp_path / "in"
    shutil.copytree(videos, tree)
    preprocess(tree, tmp_path / "out", SETTINGS)
    with pytest.raises(UsageError, match=r"other settings \(min_frames\)"):
        preprocess(tree, tmp_path / "out", replace(SETTINGS, min_frames=20))
    (tree / "bo/5.mp4").unlink()
    with pytest.raises(UsageError, match="other videos"):
        preprocess(tree, tmp_path / "out", SETTINGS)
    preprocess(videos, tmp_path / "other", replace(SETTINGS, jobs=2))


def test_workers_make_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    told: list[PreprocessProgress] = []
    preprocess(videos, tmp_path / "one", SETTINGS)
    preprocess(videos, tmp_path / "two", replace(SETTINGS, jobs=2), on_progress=told.append)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert told[-1].films_done == 5


def test_a_full_disk_stops_cleanly_and_the_run_goes_on(
    videos: Path, tmp_path: Path, monkeypatch
) -> None:
    real = shards.WRITERS["packed"]

    class Full:
        def __init__(self, writer) -> None:
            self._writer = writer

        def add(self, sample):
            if sample.info.speaker == "bo":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._writer.add(sample)

        def __getattr__(self, name):
            return getattr(self._writer, name)

    class Opened:
        def __init__(self, *given) -> None:
            self._manager = real(*given)

        def __enter__(self):
            return Full(self._manager.__enter__())

        def __exit__(self, *error):
            return self._manager.__exit__(*error)

    monkeypatch.setitem(shards.WRITERS, "packed", Opened)
    with pytest.raises(OutputError, match="No space left") as caught:
        preprocess(videos, tmp_path / "out", SETTINGS)
    assert "disk is full" in caught.value.remedy
    monkeypatch.setitem(shards.WRITERS, "packed", real)
    done = preprocess(videos, tmp_path / "out", SETTINGS)
    assert (done.samples, done.resumed_films) == (3, 2)
    assert not list((tmp_path / "out").glob("*.part*"))


RUN = """
import sys
from synctool.prepare.preprocess import preprocess
from synctool.settings.preprocess import PreprocessSettings
if __name__ == "__main__":
    settings = PreprocessSettings(jobs=2, shard_videos=1)
    preprocess(sys.argv[1], sys.argv[2], settings, on_progress=lambda p: print(p.films_done, flush=True))
"""


def run_in_another_process(videos: Path, out: Path, script: Path) -> subprocess.Popen:
    script.write_text(RUN)
    words = [sys.executable, str(script), str(videos), str(out)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def workers_of(pid: int) -> list[int]:
    """Worker processes that run Python code of ours, by the list of all processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == pid and b"spawn_main" in words:
            found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find the workers in")
def test_a_killed_run_leaves_no_worker_and_ends_with_the_same_bytes(
    videos: Path, tmp_path: Path
) -> None:
    preprocess(videos, tmp_path / "whole", replace(SETTINGS, shard_videos=1))
    run = run_in_another_process(videos, tmp_path / "out", tmp_path / "run.py")
    while run.poll() is None and not list((tmp_path / "out").glob("shard-*.json")):
        time.sleep(0.01)
    orphans = workers_of(run.pid)
    run.kill()
    run.wait()
    run.stdout.close()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in orphans) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
    assert 1 <= len(Processed(tmp_path / "out").names) < 5
    preprocess(videos, tmp_path / "out", replace(SETTINGS, shard_videos=1))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find the workers in")
def test_a_killed_worker_costs_no_video(videos: Path, tmp_path: Path) -> None:
    preprocess(videos, tmp_path / "whole", replace(SETTINGS, shard_videos=1))
    run = run_in_another_process(videos, tmp_path / "out", tmp_path / "run.py")
    while int(run.stdout.readline() or 9) < 1:
        pass
    os.kill(workers_of(run.pid)[0], signal.SIGKILL)
    run.communicate(timeout=120)
    assert run.returncode == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def deadly(job: ShardJob, on_video=None):
    """Packs videos as ever, but one of them kills the process."""
    real = shards._pack

    def pack(job, entry, *rest):
        if entry.name == "ann/2.mp4":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(job, entry, *rest)

    shards._pack = pack
    return make_shard(job, on_video)


@pytest.mark.parametrize("shard_films", [2, 64])
def test_a_video_that_kills_workers_is_left_out(
    videos: Path, tmp_path: Path, monkeypatch, shard_films: int
) -> None:
    monkeypatch.setattr(preprocessing, "shard_maker", deadly_maker)
    settings = replace(SETTINGS, jobs=2, shard_videos=shard_films)  # several groups, or one
    done = preprocess(videos, tmp_path / "out", settings)
    assert (done.films_done, done.samples, done.failures) == (5, 2, 3)
    assert failures(tmp_path / "out")["ann/2.mp4"] == KILLED
    assert not list((tmp_path / "out").glob("*.now"))


def deadly_maker():
    return deadly


def test_two_runs_do_not_share_a_folder(videos: Path, tmp_path: Path) -> None:
    preprocess(videos, tmp_path / "out", SETTINGS)
    started, refused = threading.Event(), []

    def wait(progress: PreprocessProgress) -> None:
        started.set()
        try:
            preprocess(videos, tmp_path / "out", SETTINGS)
        except SyncToolError as error:
            refused.append(error.cause)

    preprocess(videos, tmp_path / "out", SETTINGS, on_progress=wait)
    assert refused and "another run" in refused[0]


# --------------------------------------------------------------------------- elsewhere


def test_videos_and_samples_in_an_object_store(videos: Path, tmp_path: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    videos_at = f"memory://bucket/{videos.name}"  # the name of the source is the folder's
    store.put(f"{videos}/", f"/bucket/{videos.name}/", recursive=True)
    done = preprocess(videos_at, "memory://bucket/out", SETTINGS)
    assert done.samples == 3
    preprocess(videos, tmp_path / "out", SETTINGS)
    here = contents(tmp_path / "out")
    there = {p.removeprefix("/bucket/out/"): store.cat(p) for p in store.find("/bucket/out")}
    assert there == here
    again = preprocess(videos_at, "memory://bucket/out", SETTINGS)
    assert again.resumed_films == 5
    assert [s.info.key for s in Processed("memory://bucket/out").samples()] == [
        s.info.key for s in Processed(tmp_path / "out").samples()
    ]
    preprocess(videos_at, "memory://bucket/folders", replace(SETTINGS, layout="folders"))
    assert len(list(Processed("memory://bucket/folders").samples())) == 3


def test_addresses_that_lead_nowhere_are_said() -> None:
    with pytest.raises(MissingError, match="cannot be reached"):
        storage("nosuchstore://bucket")
    with pytest.raises(MissingError, match="no such folder"):
        preprocess("memory://nothing/here", "memory://bucket/out", SETTINGS)
    assert storage("file:///tmp/a%20b").address == "/tmp/a b"


# --------------------------------------------------------------------------- in sync


def test_clips_are_brought_into_sync() -> None:
    from fake_samples import talking_sample
    from synctool.prepare.resync import moved

    sample = talking_sample("a", seed=1, frames=60)
    for frames in (3.0, -2.5, 0.0, 0.4):
        late = round(frames * SAMPLES_PER_FRAME)
        ahead = np.roll(sample.audio, -late)
        for lead in (0, 10 * SAMPLES_PER_FRAME):
            shifted = replace(
                sample,
                info=replace(sample.info, sound_lead=lead),
                audio=np.concatenate([np.zeros(lead, np.int16), ahead]),
            )
            mended = moved(shifted, frames)
            begin = mended.info.sound_lead + 10 * SAMPLES_PER_FRAME
            length = 40 * SAMPLES_PER_FRAME
            wanted = sample.audio[10 * SAMPLES_PER_FRAME :][:length]
            assert np.array_equal(mended.audio[begin : begin + length], wanted)


def test_sync_correct_needs_crops_that_the_network_takes(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes mouth crops"):
        preprocess(videos, tmp_path / "out", SETTINGS, crop="face", sync_correct=True)


def test_noise_does_not_sync_and_is_dropped(videos: Path, tmp_path: Path) -> None:
    done = preprocess(videos, tmp_path / "out", SETTINGS, sync_correct=True, sync_confidence=0.9)
    assert done.samples == 0
    assert "no confident offset" in failures(tmp_path / "out")["ann/2.mp4"]


def test_sync_correct_takes_real_delays_out(clips: Path, tmp_path: Path) -> None:
    tree = tmp_path / "in"
    tree.mkdir()
    for name in ("example.avi", "test_offset_12.avi"):
        shutil.copy(clips / name, tree / name)
    settings = replace(SETTINGS, detector="whole", min_face=0)
    preprocess(tree, tmp_path / "out", settings, sync_correct=True)
    first, second = Processed(tmp_path / "out").samples()
    assert first.info.offset_frames - second.info.offset_frames == pytest.approx(12, abs=1.0)
    again = shards._resync(SyncSettings("fcn-cls", None, 0.5))
    for sample in (first, second):
        assert sample.info.confidence > 0.5
        assert again.measure(sample)[0] == pytest.approx(0, abs=0.3)
