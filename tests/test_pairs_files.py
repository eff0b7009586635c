"""Pairs files: what is written is read again, in three forms, and what makes no sense is refused."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fake_samples import talking_sample, write_processed
from synctool.data.processed import Processed, ShardReport
from synctool.errors import MissingError, OutputError, SyncToolError, UsageError
from synctool.prepare import pair_files as module
from synctool.prepare.pair_files import Pair, check_form, pairs_writer, read_pairs

FORMS = ("json", "csv", "parquet")
A, B = "shard-00000.tar#a/1", 'shard-00000.tar#b, "é"/2'
PAIRS = [
    Pair(A, A, 0, 1, "positive", "one/ann"),
    Pair(A, A, -7, 0, "offset", "one/ann"),
    Pair(A, A, 2, 0, "hard", "one/ann"),
    Pair(A, B, 0, 0, "other", "one/ann"),
    Pair(B, B, 0, 1, "positive", 'two/"bö", \n'),
]
ROW = {"video_dir": A, "offset": 3, "label": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Processed:
    """Two clips of 40 frames, the first of a speaker."""
    infos = [
        talking_sample("a/1", seed=0, speaker="ann", source="one").info,
        talking_sample(B.split("#")[1], seed=0, source="two").info,
    ]
    made = ShardReport(name="shard-00000", samples=[asdict(i) for i in infos])
    (tmp_path / "shard-00000.json").write_bytes(made.to_json())
    return Processed(tmp_path)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Any rows in any form, without our own code."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.fixture(params=FORMS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"p.{request.param}"


def test_what_is_written_is_read(
    path: Path, folder: Processed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROW_GROUP", 2)
    with pairs_writer(path) as add:
        for pair in PAIRS:
            add(pair)
        assert not path.exists()
    assert read_pairs(path, folder) == PAIRS


def test_other_programs_read_them(path: Path) -> None:
    with pairs_writer(path) as add:
        for pair in PAIRS:
            add(pair)
    rows = [pair._asdict() for pair in PAIRS]
    if path.suffix == ".json":
        assert json.loads(path.read_text("utf-8")) == rows
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            read = list(csv.DictReader(file))
        assert read == [{name: str(value) for name, value in row.items()} for row in rows]
    else:
        from pyarrow import parquet

        assert parquet.read_table(path).to_pylist() == rows


def test_parquet_comes_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(module, "_ROW_GROUP", 2)
    with pairs_writer(tmp_path / "p.parquet") as add:
        for pair in PAIRS:
            add(pair)
    facts = parquet.ParquetFile(tmp_path / "p.parquet").metadata
    assert [facts.row_group(i).num_rows for i in range(facts.num_row_groups)] == [2, 2, 1]


def test_no_pairs_are_a_file_that_says_so(path: Path, folder: Processed) -> None:
    with pairs_writer(path):
        pass
    with pytest.raises(SyncToolError, match="holds no pairs"):
        read_pairs(path, folder)


def test_a_failure_leaves_the_old_file(path: Path) -> None:
    path.write_text("old")
    with pytest.raises(RuntimeError), pairs_writer(path) as add:
        add(PAIRS[0])
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in path.parent.iterdir()] == [path.name]
    with pytest.raises(OutputError), pairs_writer(path / "beyond.json"):
        pass


@pytest.mark.parametrize(
    "name", [A, "a/1", "shard-00007.tar#a/1", "{place}/a/1", "{place}/a/1/", "{address}/a/1"]
)
def test_the_columns_of_the_prototype_are_enough(path: Path, folder: Processed, name: str) -> None:
    name = name.format(place=folder.storage.place, address=folder.storage.address)
    rows = [{"video_dir": name, "offset": n, "label": int(n == 0)} for n in (0, 5)]
    write(path, [{**row, "split": "train"} for row in rows])
    assert read_pairs(path, folder) == [
        Pair(A, A, 0, 1, "positive", "one/ann"),
        Pair(A, A, 5, 0, "offset", "one/ann"),
    ]


def test_a_folder_of_clips_is_named_by_its_keys(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    made = talking_sample("id1/v/c", seed=1, frames=12)
    write_processed(tmp_path / "out", [made], layout="folders")
    path = write(tmp_path / "p.json", [{"video_dir": "id1/v/c", "offset": 0, "label": 1}])
    assert read_pairs(path, Processed(tmp_path / "out"))[0].video_dir == "id1/v/c"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": 2}, "its label is 2, not 0 or 1"),
        ({"label": 1}, "moved or foreign audio with the label 1"),
        ({"offset": 0}, "its own audio, unmoved, with the label 0"),
        ({"offset": 126}, "its offset, 126 frames, is beyond 125"),
        ({"offset": -40}, "its offset is -40 frames, and the clip has 40"),
        ({"offset": None}, "it lacks offset"),
        ({"video_dir": None}, "it lacks video_dir"),
        ({"kind": "positive"}, "its kind is 'positive', and its other columns say offset"),
        ({"kind": "easy"}, "its kind is 'easy'"),
    ],
)
def test_rows_that_make_no_sense(
    path: Path, folder: Processed, change: dict[str, Any], words: str
) -> None:
    write(path, [{"kind": "offset", **ROW}, {"kind": "offset", **ROW, **change}])
    with pytest.raises(SyncToolError, match="row 2 of .* is wrong: .*" + words) as caught:
        read_pairs(path, folder)
    assert caught.value.remedy


@pytest.mark.parametrize("offset", [1.5, 3.0, True, "three", "1_0", "٣", [3], 1e400, "9" * 9999])
def test_offsets_that_are_no_whole_numbers(
    tmp_path: Path, folder: Processed, offset: object
) -> None:
    path = write(tmp_path / "p.json", [{**ROW, "offset": offset}])
    with pytest.raises(SyncToolError, match="its offset is no whole number") as caught:
        read_pairs(path, folder)
    assert len(caught.value.cause) < 500


@pytest.mark.parametrize("digits", [10, 4000, 5000])
def test_huge_numbers(tmp_path: Path, folder: Processed, digits: int) -> None:
    path = tmp_path / "p.json"
    path.write_text(f'[{{"video_dir": "a/1", "label": 0, "offset": {"9" * digits}}}]')
    with pytest.raises(SyncToolError, match=r"is beyond 125|cannot be read as JSON") as caught:
        read_pairs(path, folder)
    assert len(caught.value.cause) < 500


def test_missing_clips_are_counted_and_named(path: Path, folder: Processed) -> None:
    rows = [{**ROW, "video_dir": f"shard-00000.tar#x{n % 5}"} for n in range(9)]
    write(path, [ROW, *rows])
    with pytest.raises(MissingError, match=r"names 5 clips .*#x0, .*#x1, .*#x2, \.\.\.") as caught:
        read_pairs(path, folder)
    assert "synctool pairs" in caught.value.remedy
    write(path, [{**ROW, "audio_dir": A}, {**ROW, "audio_dir": "y"}])
    with pytest.raises(MissingError, match=r"names 1 clips .*: y\. "):
        read_pairs(path, folder)


def test_columns_that_are_not_there(path: Path, folder: Processed) -> None:
    write(path, [{"video_dir": A, "shift": 3}])
    with pytest.raises(SyncToolError, match="it lacks offset, label"):
        read_pairs(path, folder)


@pytest.mark.parametrize("text", ["{}", '{"pairs": []}', "[1, 2]", '[{"a": 1}]', "[[]]", "null"])
def test_json_that_is_no_list_of_pairs(tmp_path: Path, folder: Processed, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(SyncToolError, match="no list of objects"):
        read_pairs(tmp_path / "p.json", folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content", [b"[{", b"\xff\xfe\x00", b"[" * 100_000, b"a,b\n1,2\n", b"\0"])
def test_what_is_another_thing_altogether(
    tmp_path: Path, folder: Processed, form: str, content: bytes
) -> None:
    (tmp_path / f"p.{form}").write_bytes(content)
    with pytest.raises(SyncToolError) as caught:
        read_pairs(tmp_path / f"p.{form}", folder)
    assert caught.value.remedy and f"p.{form}" in caught.value.cause


def test_empty_files_and_none(path: Path, folder: Processed) -> None:
    with pytest.raises(MissingError, match="cannot read"):
        read_pairs(path, folder)
    path.write_bytes(b"")
    with pytest.raises(SyncToolError, match="is empty"):
        read_pairs(path, folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(MissingError, match="cannot read"):
        read_pairs(path, folder)


def test_parquet_under_another_name(tmp_path: Path, folder: Processed) -> None:
    made = write(tmp_path / "p.parquet", [ROW])
    for name in ("p.json", "p.csv"):
        (tmp_path / name).write_bytes(made.read_bytes())
        with pytest.raises(UsageError, match="is a Parquet file by its content"):
            read_pairs(tmp_path / name, folder)
    with pytest.raises(UsageError, match="no name of a pairs file"):
        read_pairs(tmp_path / "p.txt", folder)


def test_parquet_needs_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    check_form(Path("p.json"))
    with pytest.raises(MissingError, match="pyarrow") as caught:
        check_form(Path("p.parquet"))
    assert "pip install 'synctool[parquet]'" in caught.value.remedy
