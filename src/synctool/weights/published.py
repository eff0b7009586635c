"""Weights as other projects publish them: read without running anything, put into a network strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from synctool.errors import WeightsError
from synctool.untrusted.origin import Origin
from synctool.untrusted.tensors import check_kinds, check_tensors
from synctool.weights.files import listed, read_tensors
from synctool.weights.state_dicts import plain_state


def read_published(path: Path) -> dict[str, Tensor]:
    """The tensors of a published file, by the names that its authors gave them.

    Args:
        path: ``.safetensors``, or a PyTorch file; a state dict, or one inside ``model_state``
            (PyTorchVideo), ``state_dict`` or ``model``.

    Raises:
        MissingError: No such file.
        WeightsError: It is damaged, no weights, or would have to run code.
    """
    state = plain_state(read_tensors(path)[0])
    if state is None:
        raise WeightsError(
            f"{path.name} holds no plain set of tensors", remedy="Get the published file again."
        )
    with _origin(path.name).checked():
        check_tensors(state)
    return state


def _origin(name: str) -> Origin:
    return Origin(name, "Get it again with synctool download.", error=WeightsError)


def fit_published(
    module: nn.Module, state: Mapping[str, Tensor], *, name: str, ignored: Sequence[str] = ()
) -> None:
    """Put published tensors into a network.

    Args:
        module: The network.
        state: Tensors by the network's names.
        name: What they are, for the message.
        ignored: Beginnings of names that the network need not have, such as a classifier's.

    Raises:
        WeightsError: A tensor is missing, has another shape, or belongs to nothing.
    """
    own = module.state_dict()
    # Counters of batch normalisation play no part in inference and older files lack them.
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    foreign = [k for k in state if k not in own and not k.startswith(tuple(ignored))]
    if missing or shapes or foreign:
        what = listed(missing=missing, foreign=foreign, shapes=shapes)
        raise WeightsError(
            f"this is not the published file of {name}, or only a part of it ({what})",
            remedy="Get it again with synctool download, or choose the backbone and the options "
            "that it belongs to.",
        )
    with _origin(f"the published file of {name}").checked():
        check_kinds(state, own)
    module.load_state_dict({k: state[k] for k in own if k in state}, strict=False)
