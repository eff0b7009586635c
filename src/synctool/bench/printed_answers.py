"""What an outside command says of a video, read from what it prints."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from synctool.types import FRAME_MS

Unit = Literal["ms", "s", "frames"]
Sign = Literal["audio-ahead", "audio-behind"]
UNIT_MS = {"ms": 1.0, "s": 1000.0, "frames": FRAME_MS}
FARTHEST_MS = 3_600_000.0
"""A larger answer is taken for rubbish."""
NO_ANSWER = ("none", "null", "nan", "inconclusive")
"""Last words that mean: no answer."""
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\d.])")


class UnreadableError(ValueError):
    """What was printed holds no answer; says why."""


@dataclass(frozen=True)
class AnswerForm:
    """Where an answer stands in what a command prints.

    Attributes:
        key: Key of the JSON object that is printed, with dots between levels; None for the last number.
        unit: Of the number; frames are those of 25 a second.
        sign: What a number above 0 means.
    """

    key: str | None = None
    unit: Unit = "ms"
    sign: Sign = "audio-ahead"

    def read(self, printed: str) -> float | None:
        """The offset in milliseconds, audio ahead positive; None where the command gives no answer.

        Raises:
            UnreadableError: Neither can be read.
        """
        value = _last_number(printed) if self.key is None else _number_at(printed, self.key)
        if value is None or math.isnan(value):
            return None
        offset_ms = value * UNIT_MS[self.unit] * (1 if self.sign == "audio-ahead" else -1)
        if not abs(offset_ms) <= FARTHEST_MS:
            raise UnreadableError(f"{value:g} {self.unit} is no offset of a video")
        return offset_ms + 0.0


def _last_number(printed: str) -> float | None:
    words = printed.split()
    if not words:
        raise UnreadableError("it printed nothing")
    if words[-1].strip(".,;:()[]\"'").lower() in NO_ANSWER:
        return None
    found = _NUMBER.findall(printed.replace("\N{MINUS SIGN}", "-"))
    if not found:
        raise UnreadableError("it printed no number")
    return float(found[-1])


def _number_at(printed: str, key: str) -> float | None:
    value: Any = _object(printed)
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            raise UnreadableError(f"its JSON has no key {key}")
        value = value[name]
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise UnreadableError(f"{key} in its JSON is no number") from None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError(f"{key} in its JSON is no number")
    try:
        return float(value)
    except OverflowError:
        raise UnreadableError(f"{key} in its JSON is no number") from None


def _object(printed: str) -> dict[str, Any]:
    """All that was printed, or else its last line that is a JSON object."""
    for text in (printed, *reversed(printed.splitlines())):
        if not text.lstrip().startswith("{"):
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    raise UnreadableError("it printed no JSON object")
