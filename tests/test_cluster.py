"""``preprocess`` on a real Ray cluster of this machine, whose workers are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from synctool.data.processed import Processed
from synctool.errors import MissingError
from synctool.prepare import ray_cluster as cluster
from synctool.prepare import shards
from synctool.prepare.preprocess import PreprocessProgress, preprocess
from synctool.prepare.shards import ShardJob, make_shard
from synctool.settings.preprocess import PreprocessSettings
from synctool.workers import KILLED
from videos import PlacedFace, face_video

pytestmark = pytest.mark.integration

pytest.importorskip("ray", reason="Ray is not installed: pip install 'synctool[ray]'")

LOCAL = PreprocessSettings(jobs=1, shard_videos=2)
ON_RAY = replace(LOCAL, engine="ray", jobs=2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    face = PlacedFace(160, 100, 90)
    for i in range(12):
        path = folder / f"s{i % 3}" / f"{i}.mp4"
        path.parent.mkdir(exist_ok=True)
        face_video(path, [(26 + i, lambda _: [face])], size=(320, 200))
    (folder / "s1" / "broken.mp4").write_text("no video")
    return folder


def contents(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(".")}


def kill_one_worker() -> int | None:
    """Kill a process of Ray that makes a shard right now."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::make_shard"):
            os.kill(int(entry.name), signal.SIGKILL)
            return int(entry.name)
    return None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to find workers in")
def test_every_video_is_packed_once_though_a_worker_is_killed(videos: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(progress: PreprocessProgress) -> None:
        if progress.films_done and not killed:
            pid = kill_one_worker()
            if pid is not None:
                killed.append(pid)

    done = preprocess(videos, tmp_path / "ray", ON_RAY, on_progress=kill)
    assert len(killed) == 1
    assert (done.films_done, done.samples, done.failures) == (13, 12, 1)
    seen = [info.video_path for _, info in Processed(tmp_path / "ray").infos()]
    assert sorted(seen) == sorted(
        p.relative_to(videos).as_posix() for p in videos.rglob("*.mp4") if p.stem != "broken"
    )
    preprocess(videos, tmp_path / "local", LOCAL)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def deadly(job: ShardJob) -> object:
    """Packs videos as ever, but one of them kills the process."""
    real = shards._pack

    def pack(given, entry, *rest):
        if entry.name == "s2/5.mp4":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(given, entry, *rest)

    shards._pack = pack
    return make_shard(job)


def test_a_video_that_kills_workers_is_left_out(videos: Path, tmp_path: Path, monkeypatch) -> None:
    tree = tmp_path / "in"
    for name in ("s0/0.mp4", "s2/5.mp4", "s2/8.mp4"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(videos / name, tree / name)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the workers find it
    monkeypatch.setattr(cluster, "make_shard", deadly)
    monkeypatch.setattr(cluster, "RETRIES", 1)
    done = preprocess(tree, tmp_path / "out", ON_RAY)
    assert (done.samples, done.failures) == (2, 1)
    (failure,) = json.loads((tmp_path / "out/failures.json").read_text())
    assert failure["film"] == "s2/5.mp4" and failure["reason"] == KILLED


def test_a_cluster_that_does_not_answer_is_said(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no Ray cluster answers at 127\.0\.0\.1:1") as caught:
        preprocess(videos, tmp_path / "out", ON_RAY, address="127.0.0.1:1")
    assert "ray start" in caught.value.remedy
