"""Asks a server for a file or a part of it, and tells what may be tried again from what may not."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from synctool._version import __version__
from synctool.downloads.access import Credentials, is_safe
from synctool.downloads.failures import Interrupted, RangeRefused, Refused

MOST_REDIRECTS = 10
LONGEST_WAIT_S = 300.0
"""A server that asks to wait longer than this counts as one that does not give the file."""
_MOMENTARY = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_PAGE = re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE)
_PAGE_SUFFIXES = (".html", ".htm")
_IS_PAGE = "gives a web page in place of the file; it may be a page to log in"


@dataclass(frozen=True)
class Answer:
    """What a server sends, before its content is read.

    Attributes:
        start: Position of the first byte in the file.
        stop: Position behind the last byte that it promises, None if it promises nothing.
        total: Bytes of the whole file, None if it does not say.
        partial: Whether it is the part that was asked for, and not the whole file.
        etag: Mark of this version of the file.
        last_modified: The date of it.
        chunks: The content.
    """

    start: int
    stop: int | None
    total: int | None
    partial: bool
    etag: str | None
    last_modified: str | None
    chunks: Iterator[bytes]


class Http:
    """A set of connections; safe to share among threads.

    Args:
        timeout_s: Longest silence of a server, in seconds.
        credentials: Gives what to send to an address, or None.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        credentials: Callable[[str], Credentials | None] = lambda url: None,
    ) -> None:
        self._timeout_s = timeout_s
        self._credentials = credentials
        self._client = httpx.Client(
            follow_redirects=True,  # which drops the password on the way to another host
            max_redirects=MOST_REDIRECTS,
            timeout=timeout_s,
            # Compressed on the way, a file could neither be resumed nor checked against its length.
            headers={"User-Agent": f"synctool/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Http:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    @contextmanager
    def open(
        self, url: str, span: tuple[int, int] | None = None, *, if_range: str | None = None
    ) -> Iterator[Answer]:
        """Ask for a file.

        Args:
            url: Its address.
            span: First position and the one behind the last; None asks for the whole file.
            if_range: Mark or date of the version whose part is wanted.

        Yields:
            The answer. A server that ignores ``span``, or has another version, gives the whole file.

        Raises:
            Interrupted: Here or while reading: the line dropped, or the server is busy.
            Refused: The address will not give the file.
            RangeRefused: The file has no such part.
        """
        headers = {}
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[1] - 1}"
            if if_range is not None:
                headers["If-Range"] = if_range
        try:
            with self._client.stream("GET", url, headers=headers, auth=self._auth(url)) as response:
                yield self._answer(response)
        except httpx.TimeoutException as error:
            raise Interrupted(f"no answer within {self._timeout_s:g} s") from error
        except httpx.TooManyRedirects as error:
            raise Refused(f"more than {MOST_REDIRECTS} redirects") from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Refused("redirects to something that is no web address") from error
        except httpx.TransportError as error:
            if _untrusted(error):
                raise Refused("its certificate is not trusted") from error
            raise Interrupted(_told(error)) from error

    def _auth(self, url: str) -> httpx.BasicAuth | None:
        credentials = self._credentials(url)
        if credentials is None:
            return None
        if not is_safe(url):
            raise Refused("wants a password over a line that is not encrypted")
        return httpx.BasicAuth(credentials.user, credentials.password)

    def _answer(self, response: httpx.Response) -> Answer:
        _judge(response)
        headers = response.headers
        length = headers.get("Content-Length", "")
        start, stop, total = 0, None, None
        ranged = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if response.status_code == 206:
            if ranged is not None:
                start, stop = int(ranged[1]), int(ranged[2]) + 1
                total = None if ranged[3] == "*" else int(ranged[3])
            if ranged is None or length not in ("", str(int(ranged[2]) + 1 - start)):
                start = -1  # a part, but nobody knows which
        elif length.isdecimal():
            stop = total = int(length)
        return Answer(
            start=start,
            stop=stop,
            total=total,
            partial=response.status_code == 206,
            etag=headers.get("ETag"),
            last_modified=headers.get("Last-Modified"),
            chunks=_content(response),
        )


def _content(response: httpx.Response) -> Iterator[bytes]:
    """The bytes as they come; some servers give a web page and call it a file."""
    first = not _asked_path(response).endswith(_PAGE_SUFFIXES)
    for chunk in response.iter_raw():
        if first and _PAGE.match(chunk):
            raise Refused(_IS_PAGE)
        first = False
        yield chunk


def _asked_path(response: httpx.Response) -> str:
    """The path of the address that was asked, before any redirect, in lower case."""
    asked = response.history[0] if response.history else response
    return urlsplit(str(asked.url)).path.lower()


def _judge(response: httpx.Response) -> None:
    """Raise what an answer means that does not bring the file."""
    status = response.status_code
    if status in (200, 206):
        kind = response.headers.get("Content-Type", "").lower()
        if kind.startswith("text/html") and not _asked_path(response).endswith(_PAGE_SUFFIXES):
            raise Refused(_IS_PAGE)
        # Some servers say "gzip" of a file that is a .gz itself; its bytes are right all the same.
        coding = response.headers.get("Content-Encoding", "identity").lower()
        if coding != "identity" and not _asked_path(response).endswith((".gz", ".tgz")):
            raise Refused("compresses the file on the way, though asked not to")
        return
    words = f"{status} {response.reason_phrase}".strip()
    if status == 416:
        raise RangeRefused(words)
    if status in (401, 403):
        sent = "Authorization" in response.request.headers
        refused = "the user name or the password was not accepted" if sent else "access denied"
        raise Refused(f"{refused} ({words})", denied=True)
    if status in (404, 410):
        raise Refused(f"not there ({words})")
    if status not in _MOMENTARY:
        raise Refused(f"unexpected answer ({words})")
    wait_s = _retry_after_s(response.headers.get("Retry-After", ""))
    if wait_s > LONGEST_WAIT_S:
        raise Refused(f"busy ({words}), asks to come back in {wait_s:.0f} s", momentary=True)
    raise Interrupted(f"busy ({words})", retry_after_s=wait_s)


def _retry_after_s(value: str) -> float:
    """Seconds of a Retry-After header, which holds a number or a date (RFC 9110, 10.2.3)."""
    value = value.strip()
    if value.isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _told(error: Exception) -> str:
    """Words for a failure of the line."""
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({error})"
    return f"the line dropped ({' '.join(str(error).split()) or type(error).__name__})"
