"""The tensors in a folder of the Hugging Face Hub, read by this package alone.

A folder comes from anybody. The library's own reader follows what stands in it: names of shards, of an
adapter's base network, of modules with code. Here the tensors are read from files of the folder itself, as
safetensors or restricted to tensors, and the library gets nothing but these.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from synctool.errors import MissingError, WeightsError
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB
from synctool.untrusted.tensors import check_tensors
from synctool.weights.files import read_tensors

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_INDEX = ".index.json"
_ADAPTER = "adapter_config.json"
_LARGEST_INDEX = 16 * MIB
_MOST_SHARDS = 1000
_AGAIN = "Get it again with synctool download."


def hub_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a network by the names in the files; safetensors come first.

    Args:
        folder: As the Hub gives it.

    Raises:
        MissingError: There are no tensors, or a file of them is not there.
        WeightsError: A file is damaged, lies elsewhere, or would have to run code.
    """
    state: dict[str, Tensor] = {}
    for path in _files(folder):
        saved = read_tensors(_inside(folder, path))[0]
        found = _tensors(saved)
        if not found:
            raise WeightsError(f"{path} holds no plain set of tensors", remedy=_AGAIN)
        if twice := next((name for name in found if name in state), None):
            raise WeightsError(f"{path} holds {twice[:80]} a second time", remedy=_AGAIN)
        state |= found
    with Origin(f"the network in {folder}", _AGAIN, error=WeightsError).checked():
        check_tensors(state)
    return state


def _tensors(saved: Any) -> dict[str, Tensor]:
    if not isinstance(saved, Mapping):
        return {}
    return {k: v for k, v in saved.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _files(folder: Path) -> list[Path]:
    for whole in _WHOLE:
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / f"{whole}{_INDEX}").is_file():
            return [folder / name for name in _shards(folder, f"{whole}{_INDEX}")]
    if (folder / _ADAPTER).is_file():
        raise MissingError(
            f"{folder} holds an adapter, and not the network that it changes",
            remedy="Merge the two first, and give the folder of the result.",
        )
    raise MissingError(
        f"no {' or '.join(_WHOLE)} in {folder}",
        remedy="Give the folder of the published network, with its configuration and its tensors.",
    )


def _shards(folder: Path, index: str) -> list[str]:
    """Names of files in the folder, of the same format as the index says."""
    suffix = Path(index.removesuffix(_INDEX)).suffix
    with Origin(str(folder / index), _AGAIN, error=WeightsError).checked():
        try:
            data = read_json(_inside(folder, folder / index), most=_LARGEST_INDEX)
        except OSError as error:
            raise MalformedError(str(error.strerror)) from error
        places = typed(data.get("weight_map") if isinstance(data, dict) else None, dict[str, str])
        names = sorted(set(places.values()))
        for name in names:
            if any(c in name for c in "/\\:\0") or not name.endswith(suffix) or name == suffix:
                raise MalformedError(f"{name[:80]!r} is no name of a {suffix} file beside it")
        if not 0 < len(names) <= _MOST_SHARDS:
            raise MalformedError(f"it names {len(names)} files")
    return names


def _inside(folder: Path, path: Path) -> Path:
    """A file of the folder, after all links; the Hub's own cache keeps contents in ``blobs``.

    Raises:
        WeightsError: It lies elsewhere.
    """
    own, real = folder.resolve(), path.resolve()
    blobs = own.parent.parent / "blobs" if own.parent.name == "snapshots" else own
    if not (real.is_relative_to(own) or real.is_relative_to(blobs)):
        raise WeightsError(
            f"{path} is a link out of its folder, which is not followed",
            remedy="Put the file itself there.",
        )
    return path
