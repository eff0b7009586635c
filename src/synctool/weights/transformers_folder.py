"""Networks of the ``transformers`` library from the folders that their publishers give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctool.errors import MissingError, WeightsError
from synctool.untrusted.documents import read_json
from synctool.untrusted.origin import MalformedError
from synctool.untrusted.regular import MIB
from synctool.weights.files import listed
from synctool.weights.hub_tensors import hub_tensors
from synctool.weights.published import fit_published

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_CONFIG = "config.json"
_PREPROCESSOR = "preprocessor_config.json"


def load_transformers(
    model: PreTrainedModel,
    folder: Path,
    *,
    name: str,
    same: Sequence[str] = (),
    expected: Mapping[str, Any] | None = None,
    whole: type[PreTrainedModel] | None = None,
    part: str = "",
) -> None:
    """Put a published network into one that was built here.

    The library's own ``from_pretrained`` puts the tensors in, so checkpoints that carry a prefix, a head on
    top or the old names of weight normalisation fit. It gets the tensors that ``hub_tensors`` has read and
    the model's own configuration, and never sees the folder: nothing in it (``auto_map``, adapters, other
    files' names) can lead it anywhere.

    Args:
        model: The network, built from a configuration of its own. It may have fewer layers than the
            published one; what it does not have is left out.
        folder: Holds ``config.json`` and the tensors, as safetensors or PyTorch's ``.bin``.
        name: What it is, for messages.
        same: Fields of the configuration that must be equal. Those that give shapes are checked by
            their tensors anyway; name them all the same, the message is clearer.
        expected: Fields of the folder's configuration that differ from the model's, and what they
            must be, such as ``num_hidden_layers`` where layers were left out.
        whole: Class that reads the folder, where ``model`` is a part of it; None takes the model's.
        part: Name of ``model`` inside ``whole``, with dots: ``encoder``.

    Raises:
        MissingError: No such folder, or no network in it.
        WeightsError: It is another network, damaged, incomplete, or would have to run code.
    """
    folder = _folder(folder)
    wanted = {field: getattr(model.config, field, None) for field in same} | dict(expected or {})
    _compare(_read_json(folder / _CONFIG), wanted, own=model.config, name=name)
    reader: Any = whole or type(model)
    tensors = hub_tensors(folder)
    try:
        with _quiet():
            loaded, info = reader.from_pretrained(
                None,
                config=model.config,
                state_dict=tensors,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # so that they are named below
                output_loading_info=True,
            )
    except Exception as error:
        raise WeightsError(
            f"the network in {folder} cannot be read ({type(error).__name__})",
            remedy="It is damaged or incomplete, or holds more than tensors, which is never "
            "loaded. Get it again with synctool download.",
        ) from error
    own = model.state_dict()
    prefix = f"{part}." if part else ""
    trunk = f"{reader.base_model_prefix}."  # ``wav2vec2.``; the library's reports may put it first

    def ours(keys: Iterable[Any]) -> list[str]:
        names = (key if isinstance(key, str) else key[0] for key in keys)
        names = {full for name in names for full in (name, name.removeprefix(trunk))}
        return sorted(prefix + key for key in own if prefix + key in names)

    missing, shapes = ours(info["missing_keys"]), ours(info["mismatched_keys"])
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or shapes:
        raise WeightsError(
            f"the network in {folder} is not {name}, or only a part of it "
            f"({listed(missing=missing, foreign=[], shapes=shapes)})",
            remedy="Get it again with synctool download, or choose the backbone and the options "
            "that it belongs to.",
        )
    found = loaded.state_dict()
    model.load_state_dict({key: found[prefix + key] for key in own})


def load_part(
    model: PreTrainedModel,
    folder: Path,
    *,
    name: str,
    section: str,
    mark: str,
    same: Sequence[str] = (),
) -> None:
    """Put one part of a published network into one that was built here, by the names of its tensors.

    For parts of networks that are too large to be built for it, as ``load_transformers`` does.

    Args:
        model: The part, built from a configuration of its own.
        folder: As for ``load_transformers``.
        name: What it is, for messages.
        section: Name of the part's own table in ``config.json``, on any level.
        mark: Name of one of its tensors: what stands before it in the file is left out of all names. A
            part that is there twice is taken where its names are shortest.
        same: Fields of that table that must be equal.

    Raises:
        MissingError: No such folder, or no network in it.
        WeightsError: It is another network, damaged, incomplete, or would have to run code.
    """
    folder = _folder(folder)
    fields = _section(_read_json(folder / _CONFIG), section)
    tensors = hub_tensors(folder)
    before = sorted((key.removesuffix(mark) for key in tensors if key.endswith(mark)), key=len)
    if fields is None or not before:
        raise WeightsError(
            f"the network in {folder} has no {name}, or only a part of it",
            remedy="Choose the backbone that it belongs to.",
        )
    wanted = {field: getattr(model.config, field, None) for field in same}
    _compare({**fields, "model_type": model.config.model_type}, wanted, own=model.config, name=name)
    own = {k.removeprefix(before[0]): v for k, v in tensors.items() if k.startswith(before[0])}
    fit_published(model, own, name=name)


def _section(fields: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A table of a configuration, on the highest level where there is one of that name."""
    found = fields.get(name)
    if isinstance(found, dict):
        return found
    tables = [value for value in fields.values() if isinstance(value, dict)]
    return next((hit for table in tables if (hit := _section(table, name)) is not None), None)


def read_preprocessor(folder: Path) -> dict[str, Any]:
    """What the publisher does with the input before the network: ``preprocessor_config.json``.

    Args:
        folder: As for ``load_transformers``.

    Returns:
        Its fields; empty where the folder has no such file.

    Raises:
        WeightsError: It is damaged.
    """
    path = _folder(folder) / _PREPROCESSOR
    return _read_json(path) if path.is_file() else {}


def _folder(path: Path) -> Path:
    folder = path.parent if path.name == _CONFIG else path
    if not (folder / _CONFIG).is_file():
        raise MissingError(
            f"no {_CONFIG} in {folder}",
            remedy="Give the folder of the published network, with its configuration and its tensors.",
        )
    return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = read_json(path, most=MIB)
    except (OSError, MalformedError) as error:
        raise WeightsError(
            f"{path} cannot be read ({type(error).__name__})",
            remedy="Get it again with synctool download.",
        ) from error
    if not isinstance(fields, dict):
        raise WeightsError(
            f"{path} holds no configuration", remedy="Get it again with synctool download."
        )
    return fields


def _compare(
    fields: Mapping[str, Any], wanted: Mapping[str, Any], *, own: PretrainedConfig, name: str
) -> None:
    """Refuse a folder of another network."""
    kind = fields.get("model_type", own.model_type)
    if kind != own.model_type:
        raise WeightsError(
            f"the folder holds a {kind} network; {name} is a {own.model_type} network",
            remedy="Choose the backbone that it belongs to.",
        )
    usual = type(own)()  # a configuration may leave out what is as usual
    for field, value in wanted.items():
        theirs, mine = _plain(fields.get(field, getattr(usual, field, None))), _plain(value)
        if theirs != mine:
            raise WeightsError(
                f"the network in the folder is not {name}: its {field} is {theirs!r}, not {mine!r}",
                remedy="Choose the backbone and the options that it belongs to.",
            )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars and reports from the terminal: what matters is raised."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_bars = not are_progress_bars_disabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
            if not hub_bars:
                disable_progress_bars()
