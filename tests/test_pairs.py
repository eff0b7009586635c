"""``pairs``: which pairs there are, whose, and what is said about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from fake_samples import talking_sample, write_processed
from synctool.cli.app import main
from synctool.data.processed import Processed, ShardReport, report_name
from synctool.data.samples import SampleInfo
from synctool.errors import (
    EXIT_MISSING,
    EXIT_OK,
    EXIT_USAGE,
    MissingError,
    OutputError,
    SyncToolError,
    UsageError,
)
from synctool.prepare import pairs as module
from synctool.prepare import people
from synctool.prepare.pairs import PairsSettings, pairs, read_split

NAMES = ("pairs_train.json", "pairs_val.json", "pairs_test.json", "pairs_stats.json", "split.json")
EVERYTHING = PairsSettings(
    val_fraction=0.2, test_fraction=0.1, hard_negatives=2, other_speaker=3, negatives_per_clip=5
)


def info(number: int, **facts: Any) -> SampleInfo:
    plain = talking_sample(f"k{number:03d}", seed=0, frames=3).info
    return replace(plain, **{"num_frames": 40, "speaker": f"s{number % 10}", **facts})


def report(folder: Path, infos: list[SampleInfo], number: int = 0) -> None:
    """A finished group whose shard nobody may open: there is none."""
    name = report_name(number)
    made = ShardReport(name=name, films=len(infos), samples=[asdict(i) for i in infos])
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_bytes(made.to_json())


@pytest.fixture
def processed(tmp_path: Path) -> Path:
    """100 clips of ten named people in two collections, in two groups."""
    infos = [info(n, source="one" if n % 10 < 6 else "two") for n in range(100)]
    report(tmp_path / "processed", infos[:50])
    report(tmp_path / "processed", infos[50:], number=1)
    return tmp_path / "processed"


def rows_of(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    return json.loads((folder / f"pairs_{split}.json").read_text())


def test_each_clip_has_the_pairs_that_were_asked_for(processed: Path) -> None:
    stats = pairs(processed, settings=EVERYTHING)
    assert sorted(os.listdir(processed)) == sorted([*NAMES, "shard-00000.json", "shard-00001.json"])
    split = read_split(processed / "split.json")
    for name, clips in (("train", 70), ("val", 20), ("test", 10)):
        rows = rows_of(processed, name)
        assert len(rows) == len({tuple(row.values()) for row in rows})
        counts = stats["splits"][name]
        assert (counts["clips"], counts["pairs"]) == (clips, len(rows))
        assert Counter(row["kind"] for row in rows) == Counter(
            {kind: counts[kind] for kind in ("positive", "offset", "hard", "other")}
        )
        offsets: dict[str, list[int]] = {}
        for row in rows:
            person = split[row["video_dir"].split("#")[1]]
            assert (person.split, person.person) == (name, row["speaker"])
            assert row["label"] == (row["kind"] == "positive")
            if row["kind"] == "other":
                other = split[row["audio_dir"].split("#")[1]]
                assert other.split == name and other.person != person.person
                continue
            assert row["audio_dir"] == row["video_dir"] and abs(row["offset"]) <= 15
            assert row["kind"] != "hard" or abs(row["offset"]) in (1, 2)
            offsets.setdefault(row["video_dir"], []).append(row["offset"])
        assert len(offsets) == clips
        for found in offsets.values():
            assert len(found) == len(set(found)) == 8 and found.count(0) == 1
    assert stats["splits"]["train"]["other"] == 70 * 3
    assert stats["unnamed_by"] is None


def test_the_audio_of_others_is_of_the_same_collection_where_that_has_others(
    processed: Path,
) -> None:
    pairs(processed, settings=replace(EVERYTHING, val_fraction=0, test_fraction=0))
    source = {i.key: i.source for _, i in Processed(processed).infos()}
    others = [row for row in rows_of(processed) if row["kind"] == "other"]
    assert others
    for row in others:
        assert len({source[row[end].split("#")[1]] for end in ("video_dir", "audio_dir")}) == 1


def test_the_audio_of_others_comes_from_other_videos(tmp_path: Path) -> None:
    infos = [info(n, speaker=f"s{n % 4}", film="talk" if n % 4 < 2 else f"f{n}") for n in range(24)]
    report(tmp_path, infos)
    settings = PairsSettings(val_fraction=0, test_fraction=0, other_speaker=12)
    stats = pairs(tmp_path, settings=settings)
    film = {i.key: i.film for i in infos}
    for row in rows_of(tmp_path):
        if row["kind"] == "other":
            assert len({film[row[end].split("#")[1]] for end in ("video_dir", "audio_dir")}) == 2
    # Those in the talk have the 12 clips of the two others; each of these has 18.
    assert stats["splits"]["train"]["other"] == 24 * 12
    assert not [note for note in stats["notes"] if "fewer" in note]


def test_fixed_offsets_are_exactly_those(processed: Path) -> None:
    settings = PairsSettings(offsets="10, -5,5,5,-1", hard_negatives=4)
    stats = pairs(processed, settings=settings)
    moved = [row for row in rows_of(processed) if row["kind"] == "offset"]
    assert Counter(row["offset"] for row in moved) == dict.fromkeys([-5, -1, 5, 10], 80)
    hard = {row["offset"] for row in rows_of(processed) if row["kind"] == "hard"}
    assert hard == {-2, 1, 2}
    assert "80 clips of train have fewer pairs of the kind hard" in " ".join(stats["notes"])


def test_short_clips_get_no_offset_beyond_their_end(tmp_path: Path) -> None:
    report(tmp_path, [info(n, num_frames=3 + n) for n in range(10)])
    settings = PairsSettings(val_fraction=0, test_fraction=0, negatives_per_clip=20)
    stats = pairs(tmp_path, settings=settings)
    for row in rows_of(tmp_path):
        assert abs(row["offset"]) < 3 + int(row["video_dir"][-3:])
    assert stats["splits"]["train"]["offset"] == sum(min(20, 2 * (2 + n)) for n in range(10))
    assert stats["notes"] == [
        "8 clips of train have fewer pairs of the kind offset than asked for: the clips are too "
        "short for these offsets, or all offsets are taken"
    ]


def test_one_person_in_a_split_has_no_other(processed: Path) -> None:
    stats = pairs(processed, settings=PairsSettings(other_speaker=1))
    assert [stats["splits"][s]["other"] for s in ("train", "val", "test")] == [80, 0, 0]
    assert (
        "10 clips of val have fewer pairs of the kind other than asked for: people in it: 1"
        in (stats["notes"])
    )


def test_a_seed_gives_the_same_bytes_whatever_the_hashes(processed: Path, tmp_path: Path) -> None:
    made = []
    for number, hashes in enumerate("01"):
        out = tmp_path / str(number) / "pairs.json"
        words = ["pairs", str(processed), "--out", str(out), "--seed", "3"]
        words += ["--hard-negatives", "2", "--other-speaker", "2", "--quiet"]
        subprocess.run(
            [sys.executable, "-m", "synctool.cli.app", *words],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            check=True,
        )
        made.append({name: (out.parent / name).read_bytes() for name in NAMES})
    assert made[0] == made[1]
    pairs(processed, tmp_path / "2" / "pairs.json", replace(EVERYTHING, seed=4))
    assert made[0]["split.json"] != (tmp_path / "2" / "split.json").read_bytes()


def test_no_sample_is_opened_where_all_are_named(processed: Path, tmp_path: Path) -> None:
    pairs(processed)
    assert not list(processed.glob("*.tar"))
    report(processed, [info(n, key=f"u{n}", speaker="") for n in range(3)], number=2)
    assert pairs(processed, settings=PairsSettings(unnamed="video"))["unnamed_by"] == "film"
    assert PairsSettings(unnamed="film").unnamed == "video", "its earlier name"
    with pytest.raises(MissingError, match=r"shard-00002\.tar"):
        pairs(processed)


def test_many_unnamed_are_told_apart_by_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [talking_sample(f"k{n}", seed=n, frames=12) for n in range(12)]
    write_processed(tmp_path, [replace(s, info=replace(s.info, film=s.info.key)) for s in made])
    told: list[str] = []
    stats = pairs(tmp_path, on_progress=lambda what, done, total: told.append(what))
    assert stats["unnamed_by"] == "face" and "reading faces" in told
    monkeypatch.setattr(module, "GROUPED_AT_ONCE", 11)
    stats = pairs(tmp_path)
    assert stats["unnamed_by"] == "film"
    assert "12 clips have no speaker, too many to group them by face" in stats["notes"][0]
    monkeypatch.setattr(module, "MOST_FACES", 11)
    with pytest.raises(UsageError, match="12 clips are too many") as caught:
        pairs(tmp_path, settings=PairsSettings(unnamed="face"))
    assert "--unnamed video" in caught.value.remedy
    assert people.GROUPED_AT_ONCE < people.MOST_FACES


def test_samples_that_a_shard_lacks_are_told(tmp_path: Path) -> None:
    made = [talking_sample(f"k{n}", seed=n, frames=12) for n in range(3)]
    write_processed(tmp_path, made)
    report(tmp_path, [s.info for s in made] + [replace(made[0].info, key="gone")])
    with pytest.raises(SyncToolError, match="lacks 1 samples that its report lists, such as gone"):
        pairs(tmp_path)


@pytest.mark.parametrize(("speakers", "note"), [(1, "all clips are of one person"), (2, "nobody")])
def test_an_empty_split_is_told(tmp_path: Path, speakers: int, note: str) -> None:
    report(tmp_path, [info(n, speaker=f"s{n % speakers}") for n in range(10)])
    stats = pairs(tmp_path, settings=PairsSettings(test_fraction=0))
    assert len(stats["notes"]) == 1 and stats["notes"][0].startswith("val is empty: " + note)
    assert rows_of(tmp_path, "val") == rows_of(tmp_path, "test") == []


def test_one_sample_trains(tmp_path: Path) -> None:
    report(tmp_path, [info(0)])
    assert pairs(tmp_path)["splits"]["train"]["pairs"] == 3


def test_a_collection_with_its_own_split_keeps_it(tmp_path: Path) -> None:
    report(tmp_path, [info(n, split="test" if n % 2 else "dev") for n in range(10)])
    stats = pairs(tmp_path)
    assert [stats["splits"][s]["clips"] for s in ("train", "val", "test")] == [0, 5, 5]
    assert stats["notes"] == ["train is empty: the collection's own split is kept, which has none"]
    report(tmp_path, [info(9, key="again", film="x", split="train")], number=1)
    stats = pairs(tmp_path)
    assert stats["splits"]["left out"]["clips"] == 1
    assert "1 clips are left out: the collection's own split" in stats["notes"][0]


def test_a_dry_run_says_the_same_and_writes_nothing(processed: Path, tmp_path: Path) -> None:
    before = sorted(os.listdir(processed))
    stats = pairs(processed, tmp_path / "new" / "p.csv", EVERYTHING, dry_run=True)
    assert sorted(os.listdir(processed)) == before and not (tmp_path / "new").exists()
    assert stats == pairs(processed, settings=EVERYTHING)


def test_an_earlier_split_does_not_stay_beside_a_new_one(processed: Path) -> None:
    pairs(processed)
    assert rows_of(processed, "test")
    pairs(processed, settings=PairsSettings(test_fraction=0))
    assert rows_of(processed, "test") == []


def test_what_goes_wrong_leaves_the_old_files(
    processed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs(processed)
    before = {name: (processed / name).read_bytes() for name in NAMES}
    monkeypatch.setattr(module, "_write_stats", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pairs(processed, settings=replace(EVERYTHING, seed=9))
    assert before == {name: (processed / name).read_bytes() for name in NAMES}
    assert not [name for name in os.listdir(processed) if name.startswith(".synctool")]


def test_samples_from_an_address_make_files_here(tmp_path: Path, processed: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for path in processed.glob("*.json"):
        store.pipe_file(f"/pairs-test/{path.name}", path.read_bytes())
    with pytest.raises(UsageError, match="is an address") as caught:
        pairs("memory://pairs-test")
    assert "--out" in caught.value.remedy
    with pytest.raises(UsageError, match="on this machine only"):
        pairs("memory://pairs-test", "memory://pairs-test/p.json")
    assert pairs("memory://pairs-test", tmp_path / "p.json") == pairs(processed)


def test_a_folder_without_samples_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no processed videos"):
        pairs(tmp_path)
    report(tmp_path, [])
    with pytest.raises(MissingError, match="holds no samples"):
        pairs(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"key": None},
        {"key": ""},
        {"num_frames": "40"},
        {"num_frames": 0},
        {"speaker": None},
        {"split": "holdout"},
        {"film": 3},
    ],
)
def test_a_damaged_report_is_told(processed: Path, change: dict[str, Any]) -> None:
    path = processed / "shard-00001.json"
    facts = json.loads(path.read_text())
    facts["samples"][4] |= change
    path.write_text(json.dumps(facts))
    with pytest.raises(SyncToolError, match=r"shard-00001\.json in .* is damaged") as caught:
        pairs(processed)
    assert "preprocess" in caught.value.remedy
    assert not (processed / "pairs_train.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"samples": null}', '{"samples": [{}]}', "{"])
def test_what_is_no_report_is_told(processed: Path, text: str) -> None:
    (processed / "shard-00001.json").write_text(text)
    with pytest.raises(SyncToolError, match="damaged"):
        pairs(processed)


def test_a_sample_in_two_shards_is_told(processed: Path) -> None:
    report(processed, [info(7)], number=2)
    with pytest.raises(SyncToolError, match="lists the sample k007 2 times"):
        pairs(processed)


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ("0", "0 shifts nothing"),
        ("5,16", "16 is beyond --max-offset 15"),
        ("-16", "-16 is beyond"),
        ("5,,6", "'' is no whole number"),
        ("5;6", "'5;6' is no whole number"),
        ("1.5", "'1.5' is no whole number"),
        ("9" * 5000, "is no whole number"),
    ],
)
def test_offsets_that_make_no_sense(offsets: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PairsSettings(offsets=offsets)


def test_outputs_that_cannot_be(processed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        pairs(processed, tmp_path)
    with pytest.raises(UsageError, match="no name of a pairs file"):
        pairs(processed, tmp_path / "pairs.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        pairs(processed, tmp_path / "file" / "p.json")
    (tmp_path / "p_val.json").mkdir()
    with pytest.raises(OutputError, match="p_val"):
        pairs(processed, tmp_path / "p.json")
    assert not (tmp_path / "p_train.json").exists()


def test_the_command_shows_a_table(
    processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pairs", str(processed), "--offsets", "-5,5,10", "--val-fraction", "0"]
    assert main([*words, "--dry-run"]) == EXIT_OK
    shown = capsys.readouterr()
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0][:6] == ["SPLIT", "CLIPS", "PEOPLE", "VIDEOS", "HOURS", "PAIRS"]
    assert lines[1] == ["train", "90", "9", "90", "0.04", "360", "90", "270", "0", "0"]
    assert "nothing is written" in shown.err
    out = tmp_path / "lists" / "p.json"
    assert main([*words, "--out", str(out), "--json", "-"]) == EXIT_OK
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads((out.parent / "p_stats.json").read_text())
    assert main([*words, "--quiet"]) == EXIT_OK
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--offsets", "5", "--negatives-per-clip", "3"], EXIT_USAGE),
        (["--offsets", "20"], EXIT_USAGE),
        (["--hard-negatives", "5"], EXIT_USAGE),
        (["--unnamed", "voice"], EXIT_USAGE),
        (["--val-fraction", "0.5", "--test-fraction", "0.5"], EXIT_USAGE),
        (["--out", "pairs.xlsx"], EXIT_USAGE),
    ],
)
def test_the_command_refuses(processed: Path, words: list[str], code: int) -> None:
    assert main(["pairs", str(processed), *words]) == code
    assert not (processed / "split.json").exists()


def test_the_command_without_samples(tmp_path: Path) -> None:
    assert main(["pairs", str(tmp_path / "nothing")]) == EXIT_MISSING
