"""Text of files, with the byte order marks that editors on Windows put before it."""

from __future__ import annotations

import codecs

from synctool.untrusted.origin import MalformedError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # The mark of UTF-32 begins with that of UTF-16, so it is looked for first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes) -> str:
    """Text in UTF-8, or in what its byte order mark says; the ends of lines become plain ones.

    Raises:
        MalformedError: It is in another encoding, or no text.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedError(f"line {line} is not in {error.encoding.upper()}") from error
    if "\0" in text:
        raise MalformedError("it is no text file: it has NUL characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")
