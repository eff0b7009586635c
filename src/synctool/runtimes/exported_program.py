"""Exported programs of ``torch.export`` in PyTorch.

The archive holds a graph of PyTorch's operators as JSON and tensors as plain bytes. The format also has
places for pickled objects, which ``torch.export.load`` would unpickle without asking, and so run code of
whoever made the file. None of them occurs in what this package writes: an archive that has one, or that is in
one of the older layouts that are pickled throughout, is refused before PyTorch sees it.
"""

from __future__ import annotations

import json
import logging
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from synctool.errors import MissingError, WeightsError
from synctool.runtimes.torch_arrays import arrays, tensors, with_threads

_AGAIN = "Export the model again."
_PLAIN = ("weight_", "tensor_")
"""How the names of files with the bytes of tensors begin."""


class ProgramGraph:
    """One exported program.

    Args:
        path: The file.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, no exported program, or holds pickled objects.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        if not path.is_file():
            raise MissingError(f"{path} is not there", remedy=_AGAIN)
        check_unpickled(path)
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.load(path)
                self._module = program.module()
        except Exception as error:  # a damaged graph fails in any way
            raise WeightsError(
                f"{path} cannot be read as an exported program: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                remedy=_AGAIN,
            ) from error
        finally:
            logging.disable(before)
        self._threads = threads

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``synctool.runtimes.protocol.Graph``."""
        with torch.inference_mode(), with_threads(self._threads):
            return arrays(self._module(*tensors(inputs)))


def read(path: Path, *, threads: int = 1) -> ProgramGraph:
    """Load a graph.

    Args:
        path: The file.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, no exported program, or holds pickled objects.
    """
    return ProgramGraph(path, threads=threads)


def check_unpickled(path: Path) -> None:
    """Refuse an archive that PyTorch would have to unpickle something of.

    Raises:
        WeightsError: It is one, or no archive of an exported program.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.namelist()]
            root = archive.namelist()[0].split("/", 1)[0]
            if archive.read(f"{root}/archive_format") != b"pt2":
                raise WeightsError(f"{path} is not an exported program", remedy=_AGAIN)
            pickled = [name for name in names if _may_be_pickled(name)]
            for name in names:
                if name.name.endswith("_config.json"):
                    entries = json.loads(archive.read(f"{root}/{name}"))["config"]
                    pickled += [n for n, entry in entries.items() if entry["use_pickle"]]
                    pickled += [
                        n
                        for n, entry in entries.items()
                        if not entry["path_name"].startswith(_PLAIN)
                    ]
            samples = [n for n in names if n.parts[:2] == ("data", "sample_inputs")]
            pickled += [n for n in samples if not _loads_plainly(archive.read(f"{root}/{n}"))]
    except (OSError, zipfile.BadZipFile, KeyError, IndexError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged, or not an exported program: {error}", remedy=_AGAIN
        ) from error
    if pickled:
        raise WeightsError(
            f"{path} holds {pickled[0]}, which would have to be unpickled and could run any code",
            remedy="Use a file that synctool export has written.",
        )


def _may_be_pickled(name: PurePosixPath) -> bool:
    return name.suffix in (".pt", ".pkl", ".pickle") and name.parts[:2] != ("data", "sample_inputs")


def _loads_plainly(data: bytes) -> bool:
    """Whether example inputs are tensors and plain values, which need no code to be read."""
    import io

    if not data:
        return True
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # the answer to anything but plain values
        return False
    return True
