"""The score card: what was tested by which inputs, every answer, and what they add up to."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synctool._version import __version__
from synctool.bench.answers import Answer
from synctool.bench.items import VERSION
from synctool.bench.metrics import summarise
from synctool.cores import usable_cores
from synctool.errors import UsageError
from synctool.evaluation.metric_specs import Metric
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError, Origin

CARD_SCHEMA = "synctool.bench/1"


@dataclass(frozen=True)
class PartInputs:
    """What a part was made of.

    Attributes:
        name: One of ``PARTS``.
        hash: Checksum of the specification of its items.
        items: How many.
    """

    name: str
    hash: str
    items: int


@dataclass(frozen=True)
class Card:
    """What one run of the bench found.

    Attributes:
        bench: Version of the bench.
        quick: Whether it is the sample of ``--quick``.
        subject: What was tested: ``kind``, ``name``, and more.
        inputs: Parts with their checksums.
        answers: One of each item.
        metrics: What they add up to.
        signature: Coarse figures of the first rendering, to compare machines by.
        synctool: Version of the program.
        machine: System, architecture, cores.
    """

    bench: str
    quick: bool
    subject: Mapping[str, Any]
    inputs: tuple[PartInputs, ...]
    answers: tuple[Answer, ...]
    metrics: tuple[Metric, ...]
    signature: Mapping[str, Sequence[float]] = field(default_factory=dict)
    synctool: str = __version__
    machine: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        subject: Mapping[str, Any],
        inputs: Sequence[PartInputs],
        answers: Sequence[Answer],
        *,
        quick: bool,
        signature: Mapping[str, Sequence[float]],
    ) -> Card:
        """The card of a run on this machine."""
        return cls(
            bench=VERSION,
            quick=quick,
            subject=dict(subject),
            inputs=tuple(inputs),
            answers=tuple(answers),
            metrics=tuple(summarise(answers, subject=str(subject["name"]))),
            signature=dict(signature),
            machine={
                "system": platform.system(),
                "architecture": platform.machine(),
                "python": platform.python_version(),
                "cores": usable_cores(),
            },
        )

    @property
    def name(self) -> str:
        """What was tested."""
        return str(self.subject.get("name", ""))

    @property
    def failures(self) -> dict[str, int]:
        """Reasons of failures and how often each came."""
        return dict(Counter(a.error for a in self.answers if a.error is not None).most_common())

    def metric(self, name: str, group: str = "all") -> Metric | None:
        """One figure; None where it is not defined."""
        return next((m for m in self.metrics if (m.name, m.group) == (name, group)), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": CARD_SCHEMA,
            "bench": self.bench,
            "quick": self.quick,
            "subject": dict(self.subject),
            "synctool": self.synctool,
            "machine": dict(self.machine),
            "inputs": [asdict(part) for part in self.inputs],
            "signature": {name: list(values) for name, values in self.signature.items()},
            "metrics": [metric.to_dict() for metric in self.metrics],
            "failures": self.failures,
            "answers": [answer.to_dict() for answer in self.answers],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Card:
        """A card from what ``to_dict`` gave, also after a way through JSON.

        Raises:
            ValueError: It is no card of this schema, or something is missing.
        """
        if data.get("schema") != CARD_SCHEMA:
            raise ValueError(f"no {CARD_SCHEMA}")
        try:
            card = cls(
                bench=str(data["bench"]),
                quick=bool(data["quick"]),
                subject=dict(data["subject"]),
                inputs=tuple(PartInputs(**part) for part in data["inputs"]),
                answers=tuple(Answer.from_dict(row) for row in data["answers"]),
                metrics=tuple(Metric.from_dict(row) for row in data["metrics"]),
                signature=dict(data.get("signature", {})),
                synctool=str(data["synctool"]),
                machine=dict(data.get("machine", {})),
            )
            typed(asdict(card), cls)
            return card
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks something: {error}") from error


def read_card(path: str | os.PathLike[str]) -> Card:
    """A card that ``bench --json`` wrote.

    Raises:
        MissingError: There is none.
        UsageError: It is another file.
    """
    remedy = "Give a file that synctool bench --json wrote."
    origin = Origin(os.fspath(path), remedy, words="is no score card", error=UsageError)
    with origin.reading("score card", path, missing=remedy):
        data = read_json(Path(path))
        if not isinstance(data, dict):
            raise MalformedError("it is no JSON object")
        try:
            return Card.from_dict(data)
        except ValueError as error:
            raise MalformedError(str(error)) from error
