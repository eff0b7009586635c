"""``synctool bench``: fixed contents, right scores, and commands that do anything but answer."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synctool.bench.answers import Answer, Reply
from synctool.bench.card import Card, PartInputs, read_card
from synctool.bench.comparing import compare_cards
from synctool.bench.contents import DEGRADED_OFFSETS_MS, OFFSETS_MS, generated
from synctool.bench.dataset import MOVES, dataset_items, moved_audio
from synctool.bench.items import MAX_OFFSET, PARTS, VERSION, Item, batches, checksum
from synctool.bench.metrics import BENCH_METRICS, summarise
from synctool.bench.outside_command import CommandSubject
from synctool.bench.printed_answers import AnswerForm, UnreadableError
from synctool.bench.rendering import rendered, signature
from synctool.bench.run import BenchProgress, Contents, run_bench
from synctool.cli.app import main
from synctool.errors import MissingError, UsageError
from synctool.report.html.bench import bench_page, compared_page
from synctool.settings.bench import BENCH_PARTS, BenchSettings
from synctool.synthetic.scene import OffsetAt, Scene
from videos import make_video

CONTENTS = {
    "SyncBench 1": (
        "sha256:40b8b10071c339a6e82480b0a3f5c7339668b60d22591ac0107b1e336ef00c88",
        "sha256:385f297a970eeb679313018b26b20d915af9435bcac7f3038b2aca08b555b077",
    ),
}
"""Checksums of the whole bench and of ``--quick`` by version: other contents need another version."""
SIGNATURE = {
    "brightness": [
        121.61,
        115.35,
        128.87,
        128.62,
        110.8,
        116.54,
        109.16,
        109.99,
        103.45,
        98.83,
        93.49,
        93.55,
        97.94,
        74.41,
        77.85,
        80.04,
        121.63,
        115.29,
        128.74,
        128.63,
        110.81,
        115.97,
        109.48,
        109.98,
        103.44,
        99.64,
        93.33,
        93.56,
        97.93,
        77.13,
        76.88,
        80.04,
    ],
    "level_db": [-26.91, -24.51, -31.39, -24.48, -18.55, -27.05, -24.62, -23.72],
}


def small(name: str, offset_ms: float | None, seed: int = 7, **more) -> Item:
    scene = Scene(3.0, (OffsetAt(0.0, offset_ms or 0.0),), seed=seed, size_px=(320, 240))
    part = "foreign" if offset_ms is None else "offsets"
    return Item(name, part, "", scene, truth_ms=offset_ms, **more)


def contents_of(*items: Item) -> Contents:
    parts = dict.fromkeys(item.part for item in items)
    own = {part: [item for item in items if item.part == part] for part in parts}
    inputs = tuple(PartInputs(part, checksum(own[part]), len(own[part])) for part in parts)
    return Contents(tuple(batches(items)), inputs, len(items))


TWO = contents_of(small("a", 0.0), small("b", 200.0, seed=8))


def python(code: str) -> str:
    """A command that runs a piece of Python; ``sys.argv[1]`` is the video."""
    return f"{shlex.quote(sys.executable)} -S -E -c {shlex.quote(code)} {{video}}"


def said(code: str, form: AnswerForm | None = None, timeout_s: float = 20.0) -> Reply:
    subject = CommandSubject(python(code), form or AnswerForm(), timeout_s=timeout_s)
    return subject.measure(Path("video.mp4"), None)


def card_of(right: list[bool], name: str = "one", **changes) -> Card:
    answers = [
        Answer(f"{i}", "offsets", "", f"face {i}", 0.0, None, 3.0, offset_ms=0.0 if good else 500.0)
        for i, good in enumerate(right)
    ]
    inputs = [PartInputs("offsets", "sha256:0", len(right))]
    card = Card.of({"kind": "command", "name": name}, inputs, answers, quick=False, signature={})
    return replace(card, **changes)


def test_contents_belong_to_the_version() -> None:
    assert (checksum(generated()), checksum(generated(quick=True))) == CONTENTS[VERSION]


def test_what_is_generated_can_be_asked() -> None:
    items = generated()
    assert len({item.id for item in items}) == len(items)
    assert {item.part for item in items} == set(PARTS) - {"dataset"}
    truths = [item.truth_ms for item in items if item.truth_ms is not None]
    assert max(map(abs, truths)) <= (MAX_OFFSET - 15) * 40
    assert len(OFFSETS_MS) == len(set(OFFSETS_MS)) == 32
    assert abs(sum(OFFSETS_MS)) < 1000 < sum(map(abs, OFFSETS_MS)) and len(DEGRADED_OFFSETS_MS) == 4
    quick = generated(quick=True)
    assert {item.part for item in quick} == {item.part for item in items}
    assert {i.id for i in quick if i.part != "speed"} < {i.id for i in items}


def test_the_checksum_sees_every_change() -> None:
    item = small("a", 0.0)
    assert checksum([item]) == checksum([small("a", 0.0)])
    for other in (replace(item, silent=True), replace(item, truth_ms=1.0), small("a", 0.0, seed=9)):
        assert checksum([item]) != checksum([other])


def test_rendering_is_that_of_the_version() -> None:
    """Where this fails, the renderer has changed: the bench needs a new version."""
    found = signature(generated()[0].scene)
    assert np.allclose(found["brightness"], SIGNATURE["brightness"], atol=1.0)
    assert np.allclose(found["level_db"], SIGNATURE["level_db"], atol=0.5)


def test_a_video_is_rendered_the_same_twice_and_its_name_tells_nothing(tmp_path: Path) -> None:
    item = small("offsets/truth+200", 200.0)
    made = []
    for _ in range(2):
        with rendered([item], tmp_path) as files:
            for _, video in files:
                assert "200" not in video.name
                made.append(video.read_bytes())
    assert made[0] == made[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("printed", "form", "offset_ms"),
    [
        ("120", AnswerForm(), 120.0),
        ("model v2\noffset: -3 frames\n", AnswerForm(unit="frames"), -120.0),
        ("0.04 s", AnswerForm(unit="s"), 40.0),
        ("-1.5e2ms.", AnswerForm(), -150.0),
        ("\N{MINUS SIGN}80", AnswerForm(), -80.0),
        ("80", AnswerForm(sign="audio-behind"), -80.0),
        ("offset: None", AnswerForm(), None),
        ("nan", AnswerForm(), None),
        ('{"a": {"b": 2}}', AnswerForm("a.b", "frames"), 80.0),
        ('log 7\n{"o": "12"}\n', AnswerForm("o"), 12.0),
        ('{\n "o": null\n}', AnswerForm("o"), None),
        ('{"o": NaN}', AnswerForm("o"), None),
    ],
)
def test_an_answer_is_read(printed: str, form: AnswerForm, offset_ms: float | None) -> None:
    assert form.read(printed) == (None if offset_ms is None else pytest.approx(offset_ms))


@pytest.mark.parametrize(
    ("printed", "form"),
    [
        ("", AnswerForm()),
        ("no idea", AnswerForm()),
        ("1e300", AnswerForm()),
        ("12", AnswerForm("o")),
        ('{"p": 1}', AnswerForm("o")),
        ('{"o": true}', AnswerForm("o")),
        ('{"o": "ten"}', AnswerForm("o")),
        ('{"o": 1' + "0" * 400 + "}", AnswerForm("o")),
        ("{" * 100_000, AnswerForm("o")),
    ],
)
def test_rubbish_is_no_answer(printed: str, form: AnswerForm) -> None:
    with pytest.raises(UnreadableError):
        form.read(printed)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('no such\\nmodel')", "ended with 1: model"),
        ("print(5); raise SystemExit(3)", "ended with 3"),
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("import os; os.write(1, bytes(range(128, 256)) * 9)", "no number"),
        ("while True: print('x' * 100000)", "more than 1 MiB"),
        ("import sys; sys.stderr.write('e' * 5000000); print('x')", "no number"),
    ],
)
def test_what_a_command_does_wrong_is_a_reason(code: str, reason: str) -> None:
    reply = said(code)
    assert reply.offset_ms is None
    assert reply.error is not None and reason in reply.error


def test_a_command_may_refuse_with_an_exit_code() -> None:
    assert said("print('null'); raise SystemExit(3)") == Reply()


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "late"
    child = f"import time; time.sleep(1.5); open({str(mark)!r}, 'w')"
    start = f"subprocess.Popen([sys.executable, '-c', {child!r}])"
    code = f"import subprocess, sys, time; {start}; time.sleep(60)"
    began = time.monotonic()
    reply = said(code, timeout_s=0.7)
    assert reply.error == "it took longer than 0.7 s"
    assert time.monotonic() - began < 10
    time.sleep(1.5)
    assert not mark.exists()


def test_a_command_gets_the_video_and_no_input() -> None:
    code = "import sys; assert sys.stdin.read() == ''; print(len(sys.argv[1]))"
    assert said(code).offset_ms == len("video.mp4")


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("python", UsageError),
        ("'{video}", UsageError),
        ("", UsageError),
        ("no-such-program {video}", MissingError),
    ],
)
def test_a_command_that_cannot_be_run_is_told_first(command: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        CommandSubject(command, AnswerForm(), timeout_s=1.0)


def test_scores_are_means_over_parts() -> None:
    def answer(name: str, part: str, truth: float | None, said: float | None, **more) -> Answer:
        return Answer(name, part, "", name, truth, None, 3.0, offset_ms=said, **more)

    found = summarise(
        [
            answer("a", "offsets", 100.0, 140.0),
            answer("b", "offsets", 100.0, 141.0),
            answer("c", "offsets", -100.0, None),
            answer("d", "offsets", 0.0, None, error="crash"),
            answer("e", "foreign", None, None),
            answer("f", "foreign", None, 0.0),
            answer("g", "foreign", None, None, error="crash"),
            answer("h", "foreign", None, None),
            answer("i", "dataset", 0.0, None, error="unread", usable=False),
        ],
        subject="s",
    )
    values = {(m.group, m.name): m.value for m in found}
    assert values["offsets", "right"] == 1 / 4
    assert values["offsets", "answered"] == 2 / 4
    assert values["offsets", "wrong_answers"] == 1 / 4
    assert values["offsets", "failed"] == 1 / 4
    assert values["offsets", "mean_error_ms"] == pytest.approx(40.5)
    assert values["foreign", "right"] == 2 / 4
    assert values["foreign", "false_answers"] == 1 / 4
    assert values["all", "score"] == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert not any(group == "dataset" for group, _ in values)


def test_windows_and_drift_are_scored() -> None:
    rows = [
        Answer(
            "a", "drift", "", "p", 0.0, 200.0, 3.0, 0.0, drift_ms_per_min=150.0, windows={5: (1, 2)}
        ),
        Answer("b", "drift", "", "q", 0.0, -100.0, 3.0, 0.0, windows={5: (4, 4)}),
    ]
    values = {m.name: m.value for m in summarise(rows, subject="s") if m.group == "drift"}
    assert values["drift_error"] == pytest.approx((50 + 100) / 2)
    assert values["windows@5"] == pytest.approx(0.75)
    assert set(values) <= set(BENCH_METRICS)


def test_a_run_with_a_command_counts_and_goes_on_after_ctrl_c(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    command = python(f"open({str(calls)!r}, 'a').write('x'); print(0)")
    settings, journal = BenchSettings(command=command), tmp_path / "run.jsonl"

    def interrupt(progress: BenchProgress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bench(settings, contents=TWO, journal=journal, on_progress=interrupt)
    assert calls.read_text() == "xx"
    told: list[BenchProgress] = []
    card = run_bench(settings, contents=TWO, journal=journal, on_progress=told.append)
    assert calls.read_text() == "xxx"
    assert (told[0].resumed, told[-1].done, told[-1].wrong) == (1, 2, 1)
    assert [(a.id, a.right, a.offset_ms) for a in card.answers] == [("a", True, 0), ("b", False, 0)]
    assert card.inputs == TWO.inputs
    again = Card.from_dict(json.loads(json.dumps(card.to_dict())))
    assert again == card
    with pytest.raises(UsageError, match="another run"):
        run_bench(replace(settings, timeout=5.0), contents=TWO, journal=journal)


def test_a_crash_of_a_command_never_stops_a_run() -> None:
    items = contents_of(small("a", None), small("b", None, seed=8, silent=True))
    card = run_bench(BenchSettings(command=python("raise SystemExit(1)")), contents=items)
    assert card.failures == {"it ended with 1": 2}
    assert [m.value for m in card.metrics if m.name == "right"] == [0.0]


@pytest.mark.integration
def test_a_backbone_is_measured_by_two_processes(tmp_path: Path) -> None:
    foreign = small("c", None, voice=Scene(3.0, seed=12, size_px=(320, 240)))
    items = contents_of(small("a", 80.0), foreign)
    card = run_bench(BenchSettings(jobs=2), contents=items)
    assert [a.id for a in card.answers] == ["a", "c"]
    assert all(a.error is None for a in card.answers)
    right, of = card.answers[0].windows[15]
    assert 0 <= right <= of and of > 20
    assert card.answers[1].windows == {}
    assert card.subject["kind"] == "backbone" and "fcn-cls" in card.subject["weights"]


def test_audio_is_moved_by_whole_frames() -> None:
    samples = np.arange(1, 2001, dtype=np.int16)
    assert moved_audio(samples, 1)[:3].tolist() == [641, 642, 643]
    assert moved_audio(samples, -1)[638:642].tolist() == [0, 0, 1, 2]
    assert len(moved_audio(samples, 10)) == len(samples) and not moved_audio(samples, 10).any()


def test_a_folder_of_videos_is_a_data_set(tmp_path: Path) -> None:
    for name in ("s1/a.mkv", "s2/b.mkv"):
        (tmp_path / name).parent.mkdir()
        make_video(tmp_path / name, seconds=1.0)
    (tmp_path / "s2/c.mkv").write_bytes(b"no video")
    clips = dataset_items(str(tmp_path))
    assert [clip.id for clip in clips] == [
        "dataset/s1/a.mkv",
        "dataset/s2/b.mkv",
        "dataset/s2/c.mkv",
    ]
    assert [Path(clip.person).name for clip in clips] == ["s1", "s2", "s2"]
    assert all(clip.truth_ms / 40 in MOVES for clip in clips)
    inputs = (PartInputs("dataset", checksum(clips), len(clips)),)
    contents = Contents(tuple((clip,) for clip in clips), inputs, len(clips))
    card = run_bench(BenchSettings(command=python("print(0)")), contents=contents)
    assert [(a.answered, a.right, a.usable) for a in card.answers] == [
        (True, False, True),
        (True, False, True),
        (False, False, False),
    ]
    before = checksum(clips)
    (tmp_path / "s2/c.mkv").write_bytes(b"another")
    assert checksum(dataset_items(str(tmp_path))) != before


def test_cards_are_compared_on_the_same_videos() -> None:
    found = compare_cards(card_of([True, False, False, True]), card_of([True, True, False, True]))
    (right,) = [m for m in found.metrics if m.name == "right"]
    assert right.first is not None and right.second is not None and right.difference is not None
    assert (right.first.value, right.second.value, right.difference.value) == (0.5, 0.75, 0.25)


@pytest.mark.parametrize(
    "changes",
    [{"bench": "SyncBench 0"}, {"inputs": (PartInputs("offsets", "sha256:1", 4),)}],
)
def test_cards_of_other_inputs_are_refused(changes: dict) -> None:
    with pytest.raises(UsageError):
        compare_cards(card_of([True] * 4), card_of([True] * 4, **changes))


def test_the_command_compares_files(tmp_path: Path, capsys) -> None:
    for name, right in (("a", [True, False]), ("b", [True, True])):
        (tmp_path / name).write_text(json.dumps(card_of(right, name).to_dict()))
    pair = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(["bench", "--compare", *pair, "--html", str(tmp_path / "p.html")]) == 0
    assert "+50" in capsys.readouterr().out
    assert "SyncBench 1" in (tmp_path / "p.html").read_text("utf-8")
    assert main(["bench", "--quick", "--compare", *pair]) == 2
    (tmp_path / "b").write_text("{}")
    assert main(["bench", "--compare", *pair]) == 2
    assert main(["bench", "--compare", pair[0], str(tmp_path / "none")]) == 5
    with pytest.raises(UsageError, match="no score card"):
        read_card(tmp_path / "b")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--command", "python"], 2),
        (["--command", "no-such-program {video}"], 5),
        (["--command", "python {video}", "--backbone", "syncnet"], 2),
        (["--command", "python {video}", "--device", "cpu"], 2),
        (["--answer-unit", "s"], 2),
        (["--only", "offset"], 2),
        (["--only", "dataset"], 2),
        (["--limit", "3"], 2),
        (["--dataset", "no/such/folder"], 5),
    ],
)
def test_wrong_words_are_told_before_the_work(words: list[str], code: int) -> None:
    assert main(["bench", "-q", *words]) == code


def test_pages_show_names_as_text() -> None:
    card = card_of([True, False], name="<script>alert(1)</script>")
    for page in (
        bench_page(card, command="c"),
        compared_page(compare_cards(card, card), command="c"),
    ):
        assert "<script>alert" not in page
        assert "Share of videos whose answer is within 40 ms" in page


def test_an_interval_stands_smaller_beside_its_figure() -> None:
    page = bench_page(card_of([True] * 6), command="c")
    assert '<span class="value">100 %</span> <span class="unit">(' in page


def test_the_settings_know_the_parts() -> None:
    assert tuple(PARTS) == BENCH_PARTS
