"""The catalogue: read from a file, checked before anything of it is used, and audio as shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import synctool
from fake_catalogue import entry_of, file_of
from fake_plugins import FakePlugin
from synctool.disk_space import amount
from synctool.downloads.catalogue import read_catalogue
from synctool.plugins import checks as spec_checks
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.specs import CatalogueEntry, CatalogueFile, HubSource

SHIPPED = Path(synctool.__file__).parent / "downloads" / "catalogue.toml"
URL = "https://example.org/a"
TEXT = """
[net]
kind = "weights"
summary = "made up"
homepage = "https://example.org"
licence = "MIT"

[[net.files]]
path = "a/net.zip"
urls = ["https://example.org/a", "https://example.net/a"]
size = 5
sha256_prefix = "0123abcd"

[corpus]
kind = "dataset"
summary = "made up"
homepage = "https://example.org"
licence = "CC BY 4.0"
licence_url = "https://example.org/licence"
access = "credentials"
access_note = "Ask."
unpack = true
unpacked_bytes = 7
files = [{ path = "b1", urls = ["https://example.org/b1"], parts_of = "b.tar" }]

[hubbed]
kind = "weights"
summary = "made up"
homepage = "https://example.org"
licence = "MIT"
hub = { repo = "made/up", revision = "v1", patterns = ["*.safetensors"] }
"""


def read(tmp_path: Path, text: str) -> list[CatalogueEntry]:
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    return read_catalogue(tmp_path / "own.toml")


def test_a_catalogue_is_read(tmp_path: Path) -> None:
    net, corpus, hubbed = spec_checks.specs("synctool_catalogue", read(tmp_path, TEXT))
    urls = ("https://example.org/a", "https://example.net/a")
    assert net.files == (CatalogueFile("a/net.zip", urls, 5, sha256_prefix="0123abcd"),)
    assert (net.access, net.unpack, net.size_bytes, net.archives) == ("open", False, 5, {})
    assert net.files[0].has_checksum
    assert (corpus.access, corpus.unpacked_bytes, corpus.size_bytes) == ("credentials", 7, None)
    assert corpus.archives == {"b.tar": corpus.files}
    assert not corpus.files[0].has_checksum
    assert hubbed.hub == HubSource("made/up", "v1", ("*.safetensors",))
    assert hubbed.size_bytes is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[net", "TOML|Expected|expected"),
        ("net = 3", "net: 3 in place of a table"),
        ("[net]\nkind = 'weights'", "net: .*missing"),
        (TEXT.replace("summary", "sumary", 1), "unknown key 'sumary'"),
        (TEXT.replace("size = 5", "bytes = 5"), "net.files: unknown key 'bytes'"),
        (TEXT.replace("revision", "version"), "hubbed.hub: unknown key 'version'"),
        ("[net]\nfiles = 'a'", r"\[\[net.files\]\]"),
        ("[net]\nfiles = ['a']", "net.files: 'a' in place of a table"),
        ("[net]\nhub = 'a'", "net.hub: 'a' in place of a table"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read(tmp_path, text)


GOOD = file_of("a.zip", b"", URL)
HUB = HubSource("made/up", patterns=("*",))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (entry_of(GOOD, name="A"), "the name 'A'"),
        (entry_of(GOOD, kind="film"), "kind 'film'"),
        (entry_of(GOOD, access="closed"), "access 'closed'"),
        (entry_of(GOOD, licence=" "), "no licence"),
        (entry_of(GOOD, summary=""), "no summary"),
        (entry_of(GOOD, access="credentials", access_note=""), "no access_note"),
        (entry_of(GOOD, homepage="example.org"), "the address 'example.org'"),
        (entry_of(GOOD, licence_url="ftp://example.org"), "the address 'ftp"),
        (entry_of(), "either files or a hub"),
        (entry_of(GOOD, hub=HUB), "either files or a hub"),
        (entry_of(hub=HubSource("made up", patterns=("*",))), "the repository 'made up'"),
        (entry_of(hub=HubSource("made/up")), "no patterns"),
        (entry_of(GOOD, file_of("A.ZIP", b"", URL)), "the file 'A.ZIP' twice"),
        (entry_of(file_of("a.bin", b"", URL), unpack=True), "nothing to unpack"),
        (entry_of(file_of("a", b"")), "a has no urls"),
        (entry_of(file_of("a", b"", "file:///etc/passwd")), "the address 'file:"),
        (entry_of(file_of("a", b"", "https://ann:s3cret@example.org/a")), "a user name in it"),
        (entry_of(file_of("a", b"", URL, size=-1)), "the size -1"),
        (entry_of(file_of("a", b"", URL, sha256="0" * 63)), "the sha256"),
        (entry_of(file_of("a", b"", URL, sha256="A" * 64)), "the sha256"),
        (entry_of(file_of("a", b"", URL, sha256_prefix="0123")), "the sha256_prefix"),
        (entry_of(file_of("a", b"", URL, md5="0")), "the md5"),
        (entry_of(file_of("a", b"", URL, parts_of="../b.zip")), "the path '../b.zip'"),
    ],
)
def test_mistakes_in_an_entry(entry: CatalogueEntry, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        spec_checks.specs("synctool_catalogue", [entry])
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "../a",
        "a/../b",
        "a//b",
        "./a",
        "a\\b",
        "C:a",
        ".synctool/receipt.json",
        "a\0b",
    ],
)
def test_paths_stay_below_the_folder(path: str) -> None:
    entry = entry_of(replace(GOOD, path=path))
    with pytest.raises(ValueError, match="the path"):
        spec_checks.specs("synctool_catalogue", [entry])


def test_an_unsound_plugin_harms_no_other() -> None:
    with plugins.use() as own:
        own.register(FakePlugin(synctool_catalogue=[entry_of(GOOD)]), name="good")
        own.register(FakePlugin(synctool_catalogue=[entry_of(name="bad")]), name="bad")
        assert [entry.name for entry in registry.catalogue.all()] == ["thing"]
        assert {r.name: r.status for r in own.records()} == {"good": "ok", "bad": "broken"}


def test_the_shipped_catalogue_is_sound() -> None:
    entries = spec_checks.specs("synctool_catalogue", read_catalogue(SHIPPED))
    known = {entry.name for entry in registry.catalogue.all()}  # with those of installed plugins
    assert {entry.name for entry in entries} <= known
    by_name = {entry.name: entry for entry in entries}
    syncnet = by_name["syncnet"]
    assert syncnet.files[0].path == "syncnet_v2.model"
    assert syncnet.files[0].size == 54_573_114
    assert syncnet.files[0].has_checksum
    for entry in entries:
        for file in entry.files:
            hosts = [url for url in file.urls if not url.startswith("https://")]
            assert not (entry.access == "credentials" and hosts), "a password needs encryption"
    for backbone in registry.backbones.all():
        name = backbone.weights.catalogue if backbone.weights else None
        assert name is None or name in known, "a backbone names an entry that is not there"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (54_573_114, "54.6 MB"),
        (999_900, "1 MB"),
        (3 * 10**11, "300 GB"),
        (5 * 10**15, "5 PB"),
    ],
)
def test_amounts(count: int, words: str) -> None:
    assert amount(count) == words
