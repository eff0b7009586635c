"""Fetching from servers that drop, stall, lie, refuse, redirect, change and damage files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_catalogue import NOTE, catalogue, entry_of, file_of, leftovers, settings, some_bytes
from fault_server import Fault, FaultServer, serving
from synctool.downloads import partial, range_workers
from synctool.downloads import run as download
from synctool.downloads.failures import DownloadError
from synctool.errors import MissingError, OutputError, SyncToolError
from synctool.plugins.specs import CatalogueEntry, CatalogueFile

pytestmark = pytest.mark.integration

SIZE = 300_000
CONTENT = some_bytes(SIZE)
PIECE = 64 << 10


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder; small pieces, and nothing of the user's own surroundings."""
    for name in [n for n in os.environ if n.startswith(("SYNCTOOL_", "NETRC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(range_workers, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(range_workers, "_ENOUGH_BYTES", 1000)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with serving() as server:
        yield server


def fetch(*files: CatalogueFile, entry: CatalogueEntry | None = None, **options: object) -> Path:
    """Fetch an entry, and return the folder that it is in."""
    flags = {
        k: options.pop(k) for k in ("parallel", "retries", "timeout_s", "wait_s") if k in options
    }
    entry = entry or entry_of(*files)
    with catalogue(entry):
        return download.download(entry.name, settings=settings(**flags), **options).folder


def refused(*files: CatalogueFile, **options: object) -> SyncToolError:
    with pytest.raises(SyncToolError) as caught:
        fetch(*files, **options)
    assert caught.value.remedy
    return caught.value


def good(folder: Path, name: str = "a.bin", content: bytes = CONTENT) -> bool:
    return (folder / name).read_bytes() == content and not leftovers(folder)


# ------------------------------------------------------------------------------------ what is meant


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("known", [True, False])
def test_a_file_comes_in_parts(
    server: FaultServer, place: Path, parallel: int, known: bool
) -> None:
    more = {} if known else {"size": None, "sha256": None}
    folder = fetch(
        file_of("a.bin", CONTENT, server.serve("/a", CONTENT), **more), parallel=parallel
    )
    assert folder == place / "thing"
    assert good(folder)
    starts = sorted(span[0] for span in server.spans())
    assert starts == list(range(0, SIZE, PIECE))
    assert server.sent == SIZE
    assert all(asked.headers["accept-encoding"] == "identity" for asked in server.asked)


def test_parts_come_side_by_side(server: FaultServer) -> None:
    server.serve("/a", CONTENT, chunk_s=0.05)
    started = time.monotonic()
    assert good(fetch(file_of("a.bin", CONTENT, server.url("/a")), parallel=4))
    assert time.monotonic() - started < 0.75 * 0.05 * SIZE / (16 << 10)


def test_what_is_here_is_not_fetched_again(server: FaultServer) -> None:
    entry = entry_of(file_of("a.bin", CONTENT, server.serve("/a", CONTENT)))
    with catalogue(entry):
        first = download.download("thing", settings=settings())
        asked = len(server.asked)
        again = download.download("thing", settings=settings())
        assert (first.files, again.files) == (("a.bin",), ())
        assert len(server.asked) == asked
        forced = download.download("thing", settings=settings(), force=True)
    assert forced.files == ("a.bin",)
    assert len(server.asked) == 2 * asked


def test_files_in_folders_and_empty_ones(server: FaultServer) -> None:
    urls = [server.serve("/a", CONTENT), server.serve("/b", b""), server.serve("/c", b"")]
    folder = fetch(
        file_of("x/a.bin", CONTENT, urls[0]),
        file_of("x/b.bin", b"", urls[1]),
        file_of("c.bin", b"", urls[2], size=None, sha256=None),
    )
    assert (folder / "x" / "a.bin").read_bytes() == CONTENT
    assert (folder / "x" / "b.bin").read_bytes() == (folder / "c.bin").read_bytes() == b""
    assert not leftovers(folder)


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_server_without_ranges(server: FaultServer, parallel: int) -> None:
    url = server.serve("/a", CONTENT, ranges=False)
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=parallel))
    assert server.spans()[-1] is None, "asked for the whole file in the end"


def test_no_length_at_all(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, ranges=False, always=Fault(length=-1))
    assert good(fetch(file_of("a.bin", CONTENT, url, size=None)))


def test_md5_and_first_digits_are_checked(server: FaultServer) -> None:
    url, digest = server.serve("/a", CONTENT), hashlib.sha256(CONTENT).hexdigest()
    md5 = hashlib.md5(CONTENT).hexdigest()
    only = {"size": None, "sha256": None}
    assert good(fetch(file_of("a.bin", CONTENT, url, md5=md5, **only)))
    assert good(fetch(file_of("a.bin", CONTENT, url, sha256_prefix=digest[:8], **only), force=True))
    wrong = file_of("b.bin", CONTENT, url, md5=md5[::-1], **only)
    assert "its MD5 is" in refused(wrong).cause
    wrong = file_of("b.bin", CONTENT, url, sha256_prefix="0" * 8, **only)
    assert "its SHA-256 is" in refused(wrong).cause


def test_progress_is_told(server: FaultServer) -> None:
    server.serve("/a", CONTENT, chunk_s=0.02)
    steps: list[download.Step] = []
    fetch(
        file_of("a.bin", CONTENT, server.url("/a")),
        parallel=1,
        on_progress=lambda name, step: steps.append(step),
    )
    assert {"fetching", "checking"} == {step.doing for step in steps}
    done = [step.bytes_done for step in steps if step.doing == "fetching"]
    assert done == sorted(done) and len(done) > 2
    assert steps[1].bytes_total == SIZE


def test_what_progress_raises_ends_the_work(server: FaultServer, place: Path) -> None:
    server.serve("/a", CONTENT, always=Fault(stall_after=40_000))

    def stop(name: str, step: download.Step) -> None:
        if step.bytes_done >= 40_000:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch(file_of("a.bin", CONTENT, server.url("/a")), on_progress=stop, timeout_s=20.0)
    assert time.monotonic() - started < 3
    assert leftovers(place) == ["thing/.a.bin.part", "thing/.a.bin.part.json"]


# --------------------------------------------------------------------------------- a line that drops


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_line_that_drops_again_and_again(server: FaultServer, parallel: int) -> None:
    url = server.serve("/a", CONTENT, always=Fault(drop_after=20_000))
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=parallel, retries=0))
    assert server.sent == SIZE, "nothing comes twice"


def test_a_line_that_brings_nothing(server: FaultServer, place: Path) -> None:
    url = server.serve("/a", CONTENT, always=Fault(drop_after=0))
    error = refused(file_of("a.bin", CONTENT, url), retries=2, parallel=1)
    assert "the line dropped" in error.cause and url in error.cause
    assert len(server.asked) == 3
    assert error.exit_code == 1


def test_a_stream_that_drops_starts_anew(server: FaultServer) -> None:
    drop = Fault(drop_after=100_000)
    url = server.serve("/a", CONTENT, ranges=False, faults=[Fault(), drop, drop])
    assert good(fetch(file_of("a.bin", CONTENT, url)))


def test_a_server_that_falls_silent(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, faults=[Fault(stall_after=30_000)])
    assert good(fetch(file_of("a.bin", CONTENT, url), timeout_s=1.0))


def test_nobody_listens(place: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a"
    error = refused(file_of("a.bin", CONTENT, url), retries=1)
    assert "cannot be reached" in error.cause
    assert "--from" in error.remedy


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_given_time(server: FaultServer, status: int) -> None:
    busy = Fault(status, headers=(("Retry-After", "1"),))
    url = server.serve("/a", CONTENT, faults=[busy])
    notes = []
    assert good(
        fetch(
            file_of("a.bin", CONTENT, url),
            parallel=1,
            on_progress=lambda name, step: notes.append(step.note),
        )
    )
    assert 1.0 <= server.asked[1].at_s - server.asked[0].at_s < 2.0
    assert any(note and f"busy ({status}" in note and "again in 1 s" in note for note in notes)


def test_a_date_to_come_back_at(server: FaultServer) -> None:
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    url = server.serve("/a", CONTENT, faults=[Fault(503, headers=(("Retry-After", soon),))])
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=1))
    assert server.asked[1].at_s - server.asked[0].at_s >= 0.9


def test_a_server_that_asks_for_an_hour(server: FaultServer) -> None:
    later = Fault(503, headers=(("Retry-After", "3600"),))
    busy = server.serve("/busy", CONTENT, always=later)
    assert "come back in 3600 s" in refused(file_of("a.bin", CONTENT, busy)).cause
    assert len(server.asked) == 1
    assert good(fetch(file_of("a.bin", CONTENT, busy, server.serve("/a", CONTENT))))


def test_each_wait_is_twice_as_long() -> None:
    job = SimpleNamespace(partial=SimpleNamespace(total=1, gaps=lambda total: []))
    own = range_workers.RangeWorkers(job, ranges=True, workers=1, retries=9, wait_s=1.0)
    outcome = SimpleNamespace(exception=lambda: None)
    waits = [
        own._backoff_s(SimpleNamespace(attempt_number=n, outcome=outcome)) for n in range(1, 12)
    ]
    assert all(2.0**n <= wait <= 2.0**n + 1 for n, wait in enumerate(waits[:6]))
    assert max(waits) <= 61


def test_a_server_that_allows_one_connection(server: FaultServer) -> None:
    """The other threads leave their pieces to the one that gets on."""
    url = server.serve("/a", CONTENT, most=1, chunk_s=0.01)
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=4, retries=3, wait_s=0.02))
    assert 503 in {asked.status for asked in server.asked}
    assert server.sent == SIZE


# ------------------------------------------------------------------------------------------- lies


def test_a_length_that_is_too_long(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, ranges=False, always=Fault(length=SIZE + 500))
    error = refused(file_of("a.bin", CONTENT, url, size=None), retries=1)
    assert "dropped" in error.cause


def test_a_length_that_is_too_short(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, ranges=False, always=Fault(length=SIZE - 500))
    error = refused(file_of("a.bin", CONTENT, url, size=None))
    assert "damaged" in error.cause


def test_a_part_of_another_length_than_it_says(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, faults=[Fault(length=30_000)])
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=1))


def test_more_bytes_than_promised(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, always=Fault(length=-1, extra=b"more"))
    assert "more bytes than" in refused(file_of("a.bin", CONTENT, url)).cause
    url = server.serve("/b", CONTENT, ranges=False, always=Fault(length=-1, extra=b"more"))
    assert "more bytes than" in refused(file_of("a.bin", CONTENT, url)).cause


def test_another_size_than_the_catalogue_says(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT + b"x")
    error = refused(file_of("a.bin", CONTENT, url))
    assert f"{SIZE + 1} bytes in place of {SIZE}" in error.cause
    assert server.sent <= PIECE, "told by the first answer"


@pytest.mark.parametrize(
    "lie", ["bytes 0-9/300000", "bytes 5-65540/300000", "chairs 0-9", "", "bytes 0-65535/*"]
)
def test_parts_that_are_not_what_they_say(server: FaultServer, lie: str) -> None:
    url = server.serve("/a", CONTENT, faults=[Fault(content_range=lie)])
    assert good(fetch(file_of("a.bin", CONTENT, url, size=None), parallel=1))
    assert server.spans()[-1] is None, "asked for the whole file in the end"


def test_ranges_that_end_in_the_middle(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, faults=[Fault(), Fault(), Fault(ignore_range=True)])
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=1))


def test_a_part_that_the_server_does_not_have(server: FaultServer) -> None:
    url = server.serve("/a", CONTENT, faults=[Fault(), Fault(416)])
    assert good(fetch(file_of("a.bin", CONTENT, url), parallel=1))
    url = server.serve("/b", CONTENT, always=Fault(416))
    assert "416" in refused(file_of("b.bin", CONTENT, url)).cause
    assert len([a for a in server.asked if a.path == "/b"]) <= 8


def test_compressed_on_the_way(server: FaultServer) -> None:
    zipped = {"Content-Encoding": "gzip"}
    url = server.serve("/a", CONTENT, headers=zipped)
    assert "compresses" in refused(file_of("a.bin", CONTENT, url)).cause
    url = server.serve("/a.tar.gz", CONTENT, headers={"Content-Encoding": "x-gzip"})
    assert good(fetch(file_of("a.bin", CONTENT, url)))


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_in_place_of_the_file(server: FaultServer, kind: str) -> None:
    page = b"\n<!DOCTYPE HTML><title>Please log in</title>" + b" " * 1000
    url = server.serve("/a", page, headers={"Content-Type": kind})
    error = refused(file_of("a.bin", CONTENT, url, size=None))
    assert "web page" in error.cause
    url = server.serve("/a.html", page, headers={"Content-Type": kind})
    assert good(fetch(file_of("a.html", page, url)), "a.html", page)


# --------------------------------------------------------------------------- mirrors and damage


def test_the_next_mirror_is_tried(server: FaultServer) -> None:
    urls = [
        server.url("/none"),
        server.serve("/bad", some_bytes(SIZE, seed=2)),
        server.serve("/good", CONTENT),
    ]
    assert good(fetch(file_of("a.bin", CONTENT, *urls)))


def test_all_mirrors_are_named_in_the_end(server: FaultServer, place: Path) -> None:
    urls = [
        server.url("/none"),
        server.serve("/bad", some_bytes(SIZE, seed=2)),
        server.serve("/broken", CONTENT, always=Fault(500)),
        server.serve("/odd", CONTENT, always=Fault(418)),
    ]
    error = refused(file_of("a.bin", CONTENT, *urls), retries=1)
    assert isinstance(error, DownloadError)
    for url, why in zip(urls, ["not there (404", "damaged", "busy (500", "(418"], strict=True):
        assert f"{url}: " in error.cause
        assert why in error.cause
    assert "--from" in error.remedy
    assert not (place / "thing" / "a.bin").exists()
    assert not leftovers(place)


def test_a_file_that_is_nowhere_does_not_cost_the_others(server: FaultServer, place: Path) -> None:
    urls = [server.url("/none"), server.serve("/b", CONTENT), server.url("/gone")]
    files = [file_of(f"{n}.bin", CONTENT, url) for n, url in zip("abc", urls, strict=True)]
    error = refused(*files)
    assert "cannot fetch a.bin" in error.cause and "cannot fetch c.bin" in error.cause
    assert "https://example.org/thing" in error.remedy
    assert good(place / "thing", "b.bin")
    server.serve("/none", CONTENT)
    assert "c.bin" in refused(*files).cause
    assert len([asked for asked in server.asked if asked.path == "/b"]) == 5


def test_a_damaged_file_does_not_replace_a_good_one(server: FaultServer, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    fetch(file)
    server.serve("/a", some_bytes(SIZE, seed=2))
    refused(file, force=True)
    assert good(place / "thing")


def test_a_damaged_file_that_is_here_is_replaced(server: FaultServer, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    (place / "thing").mkdir(parents=True)
    (place / "thing" / "a.bin").write_bytes(some_bytes(SIZE, seed=2))
    assert good(fetch(file))


def test_a_new_version_in_the_catalogue_replaces_the_old_one(server: FaultServer) -> None:
    new = some_bytes(SIZE, seed=2)
    fetch(file_of("a.bin", CONTENT, server.serve("/a", CONTENT)))
    assert good(fetch(file_of("a.bin", new, server.serve("/b", new))), content=new)


def test_a_mirror_goes_on_where_another_stopped(server: FaultServer) -> None:
    urls = [
        server.serve("/one", CONTENT, faults=[Fault(), Fault()], always=Fault(500)),
        server.serve("/two", CONTENT, etag='"another"'),
    ]
    assert good(fetch(file_of("a.bin", CONTENT, *urls), parallel=1, retries=1))
    assert server.spans("/two")[0] == (2 * PIECE, 3 * PIECE - 1)
    assert server.sent == SIZE


def test_mirrors_are_not_mixed_without_a_checksum(server: FaultServer) -> None:
    urls = [
        server.serve("/one", some_bytes(SIZE, 2), faults=[Fault(), Fault()], always=Fault(500)),
        server.serve("/two", CONTENT, etag='"another"'),
    ]
    file = file_of("a.bin", CONTENT, *urls, sha256=None)
    assert good(fetch(file, parallel=1, retries=1))
    assert server.spans("/two")[0] == (0, PIECE - 1)


def test_a_mixture_that_does_not_fit_is_fetched_anew(server: FaultServer) -> None:
    urls = [
        server.serve("/one", some_bytes(SIZE, 2), faults=[Fault(), Fault()], always=Fault(500)),
        server.serve("/two", CONTENT),
    ]
    assert good(fetch(file_of("a.bin", CONTENT, *urls), parallel=1, retries=1))
    assert [span for span in server.spans("/two") if span[0] == 0] == [(0, PIECE - 1)]


# ------------------------------------------------------------------------------------- resuming


def interrupt(server: FaultServer, file: CatalogueFile, after: int) -> None:
    """Begin, and stop when so many bytes are here."""

    def stop(name: str, step: download.Step) -> None:
        if step.bytes_done >= after:
            raise KeyboardInterrupt

    server.pages["/a"].chunk_s = 0.02
    with pytest.raises(KeyboardInterrupt):
        fetch(file, on_progress=stop, parallel=1)
    server.pages["/a"].chunk_s = 0
    server.asked.clear()


def test_an_interrupted_file_is_continued(server: FaultServer, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    interrupt(server, file, after=100_000)
    held = json.loads((place / "thing" / ".a.bin.part.json").read_text())["spans"][0][1]
    assert held >= 100_000
    assert good(fetch(file))
    assert min(span[0] for span in server.spans()) == held
    assert server.sent == SIZE - held
    assert server.asked[0].headers["if-range"] == '"v1"'


def test_stopped_while_the_note_is_written(server: FaultServer, place: Path, monkeypatch) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT, chunk_s=0.02))
    write, calls = partial.write_text, []

    def stop(*given: object) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise KeyboardInterrupt
        write(*given)

    monkeypatch.setattr(range_workers, "SAVE_S", 0.1)
    monkeypatch.setattr(partial, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch(file, parallel=1)
    assert (place / "thing" / ".a.bin.part.json").exists()


@pytest.mark.parametrize(
    ("marks", "sent"),
    [
        ({"etag": 'W/"v1"', "last_modified": "Sat, 01 Jan 2022 00:00:00 GMT"}, None),
        (
            {"etag": None, "last_modified": "Sat, 01 Jan 2022 00:00:00 GMT"},
            "Sat, 01 Jan 2022 00:00:00 GMT",
        ),
    ],
)
def test_marks_other_than_strong_ones(server: FaultServer, marks: dict, sent: str | None) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT, **marks))
    interrupt(server, file, after=100_000)
    assert good(fetch(file))
    assert server.asked[0].headers.get("if-range") == sent
    assert server.sent < SIZE


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_changed_in_between_starts_anew(
    server: FaultServer, checked: bool, etag: bool
) -> None:
    """Not one byte of the old version may be in the new one."""
    old, new = some_bytes(SIZE, 2), CONTENT
    file = file_of("a.bin", new, server.url("/a"), **({} if checked else {"sha256": None}))
    marks = [{"etag": f'"{n}"'} if etag else {"etag": None} for n in "12"]
    dates = [{"last_modified": f"Sat, 0{n} Jan 2022 00:00:00 GMT"} for n in "12"]
    server.serve("/a", old, **marks[0], **dates[0])
    interrupt(server, file, after=100_000)
    server.serve("/a", new, **marks[1], **dates[1])
    assert good(fetch(file))


def test_a_file_that_changes_while_it_comes(server: FaultServer) -> None:
    def change(page: object) -> None:
        page.content, page.etag = CONTENT, '"v2"'

    faults = [Fault(), Fault(), Fault(then=change)]
    url = server.serve("/a", some_bytes(SIZE, 2), faults=faults)
    assert good(fetch(file_of("a.bin", CONTENT, url, sha256=None), parallel=1))


def test_a_file_with_another_mark_each_time(server: FaultServer) -> None:
    """Servers that share a name may mark one file differently; one stream works nevertheless."""

    def change(page: object) -> None:
        page.etag = f'"{time.monotonic_ns()}"'

    url = server.serve("/a", CONTENT, always=Fault(then=change))
    assert good(fetch(file_of("a.bin", CONTENT, url)))


def test_without_any_mark_only_a_checksum_allows_to_continue(server: FaultServer) -> None:
    for checked in (True, False):
        more = {} if checked else {"sha256": None}
        file = file_of(f"{checked}.bin", CONTENT, server.serve("/a", CONTENT, etag=None), **more)
        interrupt(server, file, after=100_000)
        folder = fetch(file)
        assert good(folder, f"{checked}.bin")
        assert (server.sent < SIZE) is checked


@pytest.mark.parametrize(
    "note",
    ["", "{", "[]", '{"schema": "other"}', '{"schema": "synctool.partial/1", "spans": [[0]]}'],
)
def test_a_damaged_note_costs_no_more_than_time(
    server: FaultServer, place: Path, note: str
) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    interrupt(server, file, after=100_000)
    (place / "thing" / ".a.bin.part.json").write_text(note)
    assert good(fetch(file))


def test_bytes_that_are_gone_are_fetched(server: FaultServer, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    interrupt(server, file, after=100_000)
    os.truncate(place / "thing" / ".a.bin.part", 1000)
    assert good(fetch(file))


def test_bytes_that_were_damaged_on_the_disk(server: FaultServer, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    interrupt(server, file, after=100_000)
    with (place / "thing" / ".a.bin.part").open("r+b") as part:
        part.write(bytes(1000))
    assert good(fetch(file))


# --------------------------------------------------------------------------------------- access


@pytest.mark.parametrize("status", [401, 403])
def test_an_address_that_says_no(server: FaultServer, status: int) -> None:
    url = server.serve("/a", CONTENT, always=Fault(status))
    error = refused(file_of("a.bin", CONTENT, url))
    assert isinstance(error, MissingError)
    assert error.exit_code == 5
    assert f"({status}" in error.cause
    assert NOTE in error.remedy
    assert len(server.asked) == 1, "asked once, and never again"


def test_another_mirror_may_say_yes(server: FaultServer) -> None:
    urls = [server.serve("/no", CONTENT, always=Fault(403)), server.serve("/a", CONTENT)]
    assert good(fetch(file_of("a.bin", CONTENT, *urls)))


def locked_entry(*urls: str) -> CatalogueEntry:
    return entry_of(file_of("a.bin", CONTENT, *urls), access="credentials")


def test_a_name_and_a_password_from_the_environment(server: FaultServer, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_USER", "ann")
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "s3cret")
    url = server.serve("/a", CONTENT, user=("ann", "s3cret"))
    assert good(fetch(entry=locked_entry(url)))


def test_a_wrong_password(server: FaultServer, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "wr0ng")
    url = server.serve("/a", CONTENT, user=("ann", "s3cret"))
    error = refused(entry=locked_entry(url), user="ann")
    assert "not accepted" in error.cause
    assert error.exit_code == 5
    assert "wr0ng" not in str(error)


def test_no_password_is_told_before_anything_is_asked(server: FaultServer) -> None:
    error = refused(entry=locked_entry(server.serve("/a", CONTENT)), user="ann")
    assert error.exit_code == 5
    assert NOTE in error.remedy
    assert "SYNCTOOL_PASSWORD" in error.remedy
    assert not server.asked


@pytest.mark.parametrize("user", [None, "ann", "bob"])
def test_netrc(server: FaultServer, tmp_path: Path, monkeypatch, user: str | None) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login ann password s3cret\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    url = server.serve("/a", CONTENT, user=("ann", "s3cret"))
    if user == "bob":
        assert refused(entry=locked_entry(url), user=user).exit_code == 5
    else:
        assert good(fetch(entry=locked_entry(url), user=user))


def test_a_broken_netrc_keeps_its_secrets(server: FaultServer, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login ann pasword s3cret\n")
    monkeypatch.setenv("NETRC", str(path))
    error = refused(entry=locked_entry(server.serve("/a", CONTENT)))
    assert "netrc cannot be read" in error.cause
    assert "s3cret" not in str(error) + str(error.__cause__)


def test_a_person_is_asked_once(server: FaultServer) -> None:
    asked = []

    def ask(entry: CatalogueEntry, user: str | None) -> download.Credentials:
        asked.append((entry.name, user))
        return download.Credentials(user or "ann", "s3cret")

    urls = [server.serve(path, CONTENT, user=("ann", "s3cret")) for path in ("/a", "/b")]
    entry = entry_of(
        *(file_of(f"{n}.bin", CONTENT, url) for n, url in enumerate(urls)), access="credentials"
    )
    fetch(entry=entry, ask=ask)
    assert asked == [("thing", None)]
    assert "s3cret" not in repr(download.Credentials("ann", "s3cret"))


def test_an_open_entry_gets_no_password(server: FaultServer, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_USER", "ann")
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "s3cret")
    fetch(file_of("a.bin", CONTENT, server.serve("/a", CONTENT)))
    assert not any("authorization" in asked.headers for asked in server.asked)


def test_no_password_over_an_open_line(monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_USER", "ann")
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "s3cret")
    error = refused(entry=locked_entry("http://example.invalid/a"))
    assert "not encrypted" in error.cause


# ------------------------------------------------------------------------------------- redirects


def test_redirects_are_followed(server: FaultServer) -> None:
    server.serve("/b", CONTENT)
    url = server.serve("/a", always=Fault(302, headers=(("Location", "/b"),)))
    assert good(fetch(file_of("a.bin", CONTENT, url)))


def test_a_password_does_not_follow_to_another_host(server: FaultServer, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_USER", "ann")
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "s3cret")
    server.serve("/b", CONTENT)
    there = server.url("/b", host="localhost")
    url = server.serve("/a", always=Fault(302, headers=(("Location", there),)))
    assert good(fetch(entry=locked_entry(url)))
    sent = {asked.path: "authorization" in asked.headers for asked in server.asked}
    assert sent == {"/a": True, "/b": False}


@pytest.mark.parametrize("target", ["/a", "file:///etc/passwd", "ftp://example.invalid/a"])
def test_redirects_to_nowhere(server: FaultServer, target: str) -> None:
    url = server.serve("/a", always=Fault(302, headers=(("Location", target),)))
    error = refused(file_of("a.bin", CONTENT, url))
    assert "redirects" in error.cause
    assert len(server.asked) <= 12


# ------------------------------------------------------------------------------------------ disks


def test_no_room_is_told_before_anything_is_asked(
    server: FaultServer, place: Path, monkeypatch
) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    usage = SimpleNamespace(total=10**9, used=0, free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    error = refused(file)
    assert isinstance(error, OutputError)
    assert "300 kB" in error.cause
    assert not server.asked
    usage.free = SIZE
    assert good(fetch(file))


def test_room_for_what_is_unpacked_counts(server: FaultServer, monkeypatch) -> None:
    entry = entry_of(
        file_of("a.zip", CONTENT, server.serve("/a", CONTENT)), unpack=True, unpacked_bytes=10**6
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    assert "1.3 MB" in refused(entry=entry).cause


def test_a_size_that_only_the_server_knows(server: FaultServer, monkeypatch) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT), size=None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=SIZE - 1))
    error = refused(file)
    assert isinstance(error, OutputError)
    assert "are free" in error.cause


def test_a_disk_that_fills_up(server: FaultServer, place: Path, monkeypatch) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    write = partial.Partial.write

    def full(self, handle, position: int, chunk: bytes) -> None:
        if self.held > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, handle, position, chunk)

    monkeypatch.setattr(partial.Partial, "write", full)
    error = refused(file)
    assert isinstance(error, OutputError)
    assert "a.bin" in error.cause
    assert "is kept" in error.remedy
    monkeypatch.setattr(partial.Partial, "write", write)
    before = server.sent
    assert good(fetch(file))
    assert server.sent - before <= SIZE - 100_000


def test_a_folder_that_cannot_be_written(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    error = refused(file, dest=tmp_path / "file" / "below")
    assert isinstance(error, OutputError)


# ------------------------------------------------------------------------- other processes, places


def test_two_at_once(server: FaultServer) -> None:
    """The second waits, and finds everything here."""
    server.serve("/a", CONTENT, chunk_s=0.1)
    entry = entry_of(file_of("a.bin", CONTENT, server.url("/a")))
    notes: list[str | None] = []
    results: list[download.Downloaded] = []

    def run() -> None:
        results.append(
            download.download(
                "thing",
                settings=settings(),
                on_progress=lambda name, step: notes.append(step.note),
            )
        )

    with catalogue(entry):
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(len(result.files) for result in results) == [0, 1]
    assert server.sent == SIZE
    assert any(note and "another synctool" in note for note in notes)
    assert good(results[0].folder)


def test_a_chosen_place_is_remembered(server: FaultServer, tmp_path: Path, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    chosen = tmp_path / "chosen"
    assert fetch(file, dest=chosen) == chosen
    server.asked.clear()
    assert fetch(file) == chosen.resolve()
    assert not server.asked
    (place / "places.json").write_text("{")
    assert fetch(file) == place / "thing"


def test_data_sets_go_below_the_current_folder(server: FaultServer, tmp_path: Path) -> None:
    entry = entry_of(file_of("a.bin", CONTENT, server.serve("/a", CONTENT)), kind="dataset")
    assert fetch(entry=entry) == tmp_path / "thing"
    other = tmp_path / "elsewhere"
    other.mkdir()
    os.chdir(other)
    assert fetch(entry=entry) == tmp_path / "thing", "not fetched twice"


def test_offline(server: FaultServer, place: Path) -> None:
    file = file_of("a.bin", CONTENT, server.serve("/a", CONTENT))
    error = refused(file, offline=True)
    assert isinstance(error, MissingError)
    assert "--from" in error.remedy
    interrupt(server, file, after=100_000)
    assert "in part" in refused(file, offline=True).cause
    assert not server.asked
    fetch(file)
    server.asked.clear()
    assert good(fetch(file, offline=True))
    (place / "thing" / "a.bin").write_bytes(some_bytes(SIZE, 2))
    assert refused(file, offline=True).exit_code == 5
    assert not server.asked


def test_offline_in_a_folder_that_cannot_be_written(
    server: FaultServer, place: Path, monkeypatch
) -> None:
    file = file_of("a.bin", CONTENT, server.url("/a"))
    (place / "thing").mkdir(parents=True)
    (place / "thing" / "a.bin").write_bytes(CONTENT)
    real = os.open

    def read_only(path, flags: int, *more: object, **kw: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *more, **kw)

    monkeypatch.setattr(os, "open", read_only)
    assert fetch(file, offline=True) == place / "thing"


# ------------------------------------------------------------------------------------- importing


def test_a_copy_is_imported(server: FaultServer, tmp_path: Path, place: Path) -> None:
    copy = tmp_path / "copy of it.bin"
    copy.write_bytes(CONTENT)
    file = file_of("x/a.bin", CONTENT, server.url("/a"))
    folder = fetch(file, source=copy, offline=True)
    assert good(folder, "x/a.bin")
    assert copy.read_bytes() == CONTENT
    assert not server.asked


@pytest.mark.parametrize("wrong", [CONTENT[:-1], some_bytes(SIZE, 2), b""])
def test_a_wrong_copy_changes_nothing(tmp_path: Path, place: Path, wrong: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(wrong)
    error = refused(
        file_of("a.bin", CONTENT, "https://example.invalid/a"), source=tmp_path / "a.bin"
    )
    assert isinstance(error, DownloadError)
    assert "a.bin is not the published file" in error.cause
    assert not (place / "thing" / "a.bin").exists()
    assert not leftovers(place)


def test_a_folder_is_imported(tmp_path: Path, place: Path) -> None:
    files = [file_of(f"x/{n}.bin", CONTENT, "https://example.invalid/a") for n in "abc"]
    source = tmp_path / "usb"
    (source / "x").mkdir(parents=True)
    (source / "x" / "a.bin").write_bytes(CONTENT)
    (source / "b.bin").write_bytes(CONTENT)
    error = refused(*files, source=source)
    assert isinstance(error, MissingError)
    assert "1 of 3 files are missing (x/c.bin)" in error.cause
    assert (place / "thing" / "x" / "a.bin").exists()
    one = tmp_path / "c.bin"
    one.write_bytes(CONTENT)
    folder = fetch(*files, source=one)
    assert all(good(folder, f"x/{n}.bin") for n in "abc")


def test_files_that_cannot_be_imported(tmp_path: Path) -> None:
    files = [file_of(f"{n}.bin", CONTENT, "https://example.invalid/a") for n in "ab"]
    assert "no such file" in refused(*files, source=tmp_path / "none").cause
    (tmp_path / "other.bin").write_bytes(CONTENT)
    error = refused(*files, source=tmp_path / "other.bin")
    assert "a.bin, b.bin" in error.remedy
    assert error.exit_code == 2
