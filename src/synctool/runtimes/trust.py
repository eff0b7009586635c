"""Which models may run code: those whose checksum the user has trusted, remembered on this machine.

A graph in ONNX or OpenVINO's format is data: what runs it knows a fixed list of operators. TorchScript,
exported programs of PyTorch, TensorRT engines and whatever plugins add are programs, or are read by code
that was not written for untrusted files. They are loaded only if the user has said so for exactly these
bytes: trust covers all graphs of a model together and the format that reads them, so that neither a graph
of another trusted model nor another reader of the same bytes gets in. A checksum in the folder's own
manifest is no such word: it comes from whoever made the folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import platformdirs

from synctool.errors import OutputError, UntrustedError, UsageError
from synctool.files import make_folder, write_text
from synctool.untrusted.documents import parse_json
from synctool.untrusted.regular import read_regular
from synctool.weights.graph_files import GraphFiles, read_graph_files

TRUST_ENV = "SYNCTOOL_TRUST_FILE"
"""Names another file to remember trust in."""
_SCHEMA = "synctool.trust/2"
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_LARGEST_STORE = 1 << 24
_log = logging.getLogger(__name__)


def trust_file() -> Path:
    """Where trust is remembered: the user's own configuration folder, or ``SYNCTOOL_TRUST_FILE``."""
    own = os.environ.get(TRUST_ENV)
    return Path(own) if own else Path(platformdirs.user_config_dir("synctool")) / "trusted.json"


def checksums(given: str | Iterable[str] | None) -> frozenset[str]:
    """Checksums as a user gives them.

    Args:
        given: One, several, or None.

    Raises:
        UsageError: One is no SHA-256.
    """
    words = [given] if isinstance(given, str) else list(given or ())
    found = frozenset(str(word).strip().lower().removeprefix("sha256:") for word in words)
    for word in found:
        if not _CHECKSUM.fullmatch(word):
            raise UsageError(
                f"{word!r} is no SHA-256 checksum to trust",
                remedy="Give the 64 digits that the message named, after --trust.",
            )
    return found


def model_checksum(files: Mapping[str, str], *, format: str) -> str:
    """The checksum of the graphs of one model together, in one format.

    Args:
        files: SHA-256 of each by the name of its file.
        format: Name of the format that reads them.
    """
    lines = [f"format {format}\n", *sorted(f"{name} {found}\n" for name, found in files.items())]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def admit_model(
    graphs: Mapping[str, GraphFiles], *, format: str, trust: Collection[str]
) -> dict[str, GraphFiles]:
    """Let the graphs of a model in a format that can run code pass, if they are trusted.

    Args:
        graphs: By name, of one folder.
        format: Name of the format, for the message.
        trust: Checksums of models that are trusted from now on.

    Returns:
        The same, marked as trusted.

    Raises:
        UntrustedError: They are not; the remedy names the checksum.
    """
    sums = {graph.path.name: graph.sha256 for graph in graphs.values()}
    own = model_checksum(sums, format=format)
    folder = next(iter(graphs.values())).path.parent
    if own in trust:
        remember({own: str(folder)})
    elif own not in remembered():
        wrong = f", and --trust names another checksum: {min(trust)}" if trust else ""
        raise UntrustedError(
            f"{folder} is a model in the format {format}, which can run any code on this machine, "
            f"and it is not trusted here{wrong}",
            remedy="If you made it, or trust whoever did, add: --trust "
            f"{own} (in Python: trust={own!r}). Otherwise ask for it in onnx, which runs no code.",
        )
    return {name: replace(graph, trusted=True) for name, graph in graphs.items()}


def admit(
    source: Path | GraphFiles, *, format: str, trust: str | Iterable[str] | None = None
) -> GraphFiles:
    """Let one graph in a format that can run code pass, if it is trusted.

    Args:
        source: Its file or folder; or its bytes, which may be marked as trusted.
        format: Name of the format, for the message.
        trust: Checksums that are trusted from now on.

    Raises:
        UntrustedError: It is not; the remedy names the checksum.
        MissingError: There is no such file.
        WeightsError: It is too large, or no regular file.
    """
    given = checksums(trust)
    graph = read_graph_files(source) if isinstance(source, Path) else source
    if graph.trusted:
        return graph
    own = model_checksum({"": graph.sha256}, format=format)
    if graph.sha256 in given:
        remember({own: str(graph.path)})
    elif own not in remembered():
        raise UntrustedError(
            f"{graph.path} is a graph in the format {format}, which can run any code on this "
            "machine, and it is not trusted here",
            remedy="If you made it, or trust whoever did, open its folder with --trust and the "
            f"checksum that detect names, or in Python give trust={graph.sha256!r}.",
        )
    return replace(graph, trusted=True)


def remembered() -> frozenset[str]:
    """Checksums, as of ``model_checksum``, that the user has trusted; none where the list is damaged."""
    return frozenset(_read())


def remember(models: Mapping[str, str]) -> None:
    """Trust models from now on. A folder that cannot be written is no reason to fail: it is said.

    Args:
        models: Where each was, by its checksum, as of ``model_checksum``.
    """
    from filelock import FileLock

    if models.keys() <= remembered():
        return
    place = trust_file()
    try:
        if place.exists() and not place.is_file():  # writing into a pipe waits for a reader
            raise OSError("it is no regular file")
        make_folder(place.parent)
        with FileLock(place.with_name(f".{place.name}.lock")):
            known = _read()
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            known |= {key: {"path": path, "since": now} for key, path in models.items()}
            write_text(place, json.dumps({"schema": _SCHEMA, "models": known}, indent=1) + "\n")
    except (OSError, OutputError) as error:
        _log.warning("trust is not remembered, %s cannot be written: %s", place, error)


def _read() -> dict[str, dict[str, str]]:
    place = trust_file()
    try:
        data = parse_json(read_regular(place, most=_LARGEST_STORE))
        if data["schema"] != _SCHEMA:
            raise ValueError(f"its schema is {data['schema']!r}")
        return {
            key: dict(facts) for key, facts in data["models"].items() if _CHECKSUM.fullmatch(key)
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        _log.warning("%s cannot be read, so nothing is trusted: %s", place, error)
        return {}
