"""Options that would change nothing beside the others are refused in a plain sentence, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctool.cli.app import main
from synctool.measure.detect import Detector

IDLE = {
    "detect a.mp4 --jobs 2": "--jobs has no effect on a single video",
    "detect a.mp4 --fresh": "--fresh has no effect on a single video",
    "detect a.mp4 --overwrite": "--overwrite has no effect without --fix",
    "detect a.mp4 --trust 00": "--trust has no effect without --weights",
    "detect a.mp4 --ensemble graph-cls,fcn-cls": "fcn-cls is in the ensemble twice",
    "fix a.mp4 -o b.mp4 --dry-run --no-check": "--no-check has no effect with --dry-run",
    "fix a.mp4 -o b.mp4 --offset-ms 80 --force": "--force has no effect with --offset-ms",
    "fix a.mp4 -o b.mp4 --offset-ms 80 --no-check -k 25": "--max-offset has no effect with --offset-ms",
    "fix a.mp4 -o b.mp4 --offset-ms 80 --dry-run --tolerance 9": "--tolerance has no effect with --offset-ms",
    "watch . --report r --tolerance 80": "--tolerance has no effect without --fix",
    "live - --fast": "--fast has no effect on what is no file",
    "live a.mp4 --give-up 5": "--give-up has no effect on a source that ends by itself",
    "demo --no-open": "--no-open has no effect without --html",
    "compare a.mp4 --jobs 2": "--jobs has no effect on a single video",
    "compare a.mp4 --limit 2": "--limit has no effect without --dataset",
    "compare a.mp4 --shift 5 --seed 3": "--seed has no effect without --pieces, --perturb or --shift random",
    "compare a.mp4 --trust 00": "--trust has no effect without an exported model",
    "bench --only offsets --dataset .": "--dataset has no effect with --only offsets",
    "pairs . --dry-run --out a.json": "--out has no effect with --dry-run",
    "units . -o u.safetensors --weights w": "--weights has no effect on --features mfcc",
    "train --print-config --check": "--check has no effect with --print-config",
    "train --augment 0 --augmentations noise=1": "--augmentations has no effect with --augment 0",
    "export --out o --fine-tune .": "--fine-tune has no effect without --prune",
    "export --out o --detector whole": "--detector has no effect without --clips",
    "backbones --device cpu": "--device has no effect without --profile",
    "download get syncnet --dry-run --from .": "--from has no effect with --dry-run",
    "download get syncnet --dry-run --retries 2": "--retries has no effect with --dry-run",
    "config init --out - --force": "--force has no effect on the standard output",
}
"""Command -> what it says."""


@pytest.mark.parametrize("words", IDLE)
def test_what_would_change_nothing_is_refused(
    words: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_text("no video")
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and IDLE[words] in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"], "before any work"


ADDED = {
    "watch . --report r --tolerance 80": "--fix DIR",
    "demo --no-open": "--html FILE",
    "backbones --device cpu": "--profile",
    "detect a.mp4 --overwrite": "--fix DIR",
    "detect a.mp4 --no-player": "--html FILE",
    "bench --answer-key offset": "--command COMMAND",
    "compare a.mp4 --limit 2": "--dataset PATH",
}
"""Command -> what would give its option an effect."""


@pytest.mark.parametrize("words", ADDED)
def test_what_would_give_it_an_effect_is_named(
    words: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_text("no video")
    flag = next(word for word in reversed(words.split()) if word.startswith("--"))
    assert main(words.split()) == 2
    assert f"Add {ADDED[words]}, or leave {flag} out." in capsys.readouterr().err


def test_a_coverage_needs_a_model_that_makes_sets(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_text("no video")
    monkeypatch.setattr(Detector, "makes_sets", False)
    assert main(["detect", "a.mp4", "--set-coverage", "0.95"]) == 2
    assert "--set-coverage has no effect on fcn-cls" in capsys.readouterr().err
