"""Who speaks, told by where a video lies."""

from __future__ import annotations

import pytest

from fake_plugins import FakePlugin
from synctool.data.storage import storage
from synctool.errors import UsageError
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.specs import DatasetSpec
from synctool.prepare.layouts import Identity, known
from synctool.prepare.videos import duplicates, keys_of


@pytest.mark.parametrize(
    ("path", "speaker", "video", "split"),
    [
        ("id00012/21Uxsk56VDQ/00001.mp4", "id00012", "id00012/21Uxsk56VDQ", ""),
        ("dev/mp4/id00012/21Uxsk56VDQ/00001.mp4", "id00012", "id00012/21Uxsk56VDQ", ""),
        ("test/mp4/id00017/x/00002.mp4", "id00017", "id00017/x", "test"),
        ("s1/bbaf2n.mpg", "s1", "s1/bbaf2n", ""),
        ("s34/video/mpg_6000/bbaf2n.mpg", "s34", "s34/bbaf2n", ""),
        ("pretrain/0Fi83BHQsMA/00002.mp4", "0Fi83BHQsMA", "0Fi83BHQsMA", "train"),
        ("mvlrs_v1/main/5535415699068794046/00001.mp4", *["5535415699068794046"] * 2, ""),
        ("ABOUT/val/ABOUT_00001.mp4", "", "ABOUT/val/ABOUT_00001", "dev"),
        ("ann/monday/take 1.mov", "ann", "ann/monday", ""),
        ("ann/take 1.mov", "ann", "ann/take 1", ""),
        ("films/ann/take.mov", "ann", "ann/take", ""),
        ("take.mov", "", "take", ""),
        ("videos/take.mov", "", "videos/take", ""),
    ],
)
def test_layouts_are_known_by_their_names(path: str, speaker: str, video: str, split: str) -> None:
    assert known(tuple(path.split("/"))) == Identity(speaker, video, split)


def test_every_layout_is_registered_and_answers_for_any_path() -> None:
    specs = registry.layouts.all()
    assert {s.name for s in specs} >= {"auto", "voxceleb", "grid", "lrs", "lrw", "folders", "flat"}
    for spec in specs:
        identify = registry.imported(spec.factory)
        for path in ("a.mp4", "a/b.mp4", "a/b/c.mp4", "a/b/c/d/e.mp4", "ü/'x y'.mkv"):
            assert isinstance(identify(tuple(path.split("/"))), Identity)


def test_keys_are_plain_and_unique() -> None:
    names = ["a b.mp4", "a_b.mp4", "A_B.avi", "ä/ö.mp4", "x/1.mp4", "x/1.mkv", "n" * 300 + ".mp4"]
    keys = keys_of(names)
    assert len({k.lower() for k in keys}) == len(names)
    assert keys[4] != "x/1" and keys[4].startswith("x/1-")
    for key in keys:
        assert "." not in key and " " not in key and key.isascii() and len(key) < 120
    assert keys_of(["id1/v/c.mp4"]) == ["id1/v/c"]
    assert keys_of(list(reversed(names))) == list(reversed(keys))


def test_only_the_same_content_is_a_duplicate(tmp_path) -> None:
    from synctool.prepare.videos import collection

    head = bytes(1 << 16)
    for name, content in {
        "a.mp4": head + b"1",
        "b.mp4": head + b"2",  # same size and beginning
        "c.mp4": head + b"1",
        "d.mp4": b"x" * len(head + b"1"),
        "e.mp4": b"",
        "f.mp4": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    folder = storage(tmp_path)
    assert duplicates(folder, collection(folder).videos) == {"c.mp4": "a.mp4"}


def by_file_name(parts: tuple[str, ...]) -> Identity:
    """The speaker is what stands before the first dash."""
    return Identity(parts[-1].split("-")[0], parts[-1])


def test_a_plugin_adds_a_layout() -> None:
    spec = DatasetSpec("dashes", "test_trees:by_file_name", "speaker-film.mp4")
    with plugins.use() as own:
        own.register(FakePlugin(synctool_datasets=[spec]), name="fake")
        identify = registry.imported(registry.layouts.get("dashes").factory)
        assert identify(("x", "ann-1.mp4")).speaker == "ann"
        with pytest.raises(UsageError, match="no folder layout 'dash'"):
            registry.layouts.get("dash")


@pytest.mark.parametrize("wrong", [["dashes"], [DatasetSpec("dashes", "no factory", "x")]])
def test_rubbish_of_a_plugin_is_no_layout(wrong: list) -> None:
    with plugins.use() as own:
        own.register(FakePlugin(synctool_datasets=wrong), name="fake")
        with pytest.raises(UsageError, match="no folder layout"):
            registry.layouts.get("dashes")
        (record,) = own.records()
        assert record.status == "broken"
