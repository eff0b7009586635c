"""Which rows and columns of a network's weights belong to one channel, so that it can be taken out whole.

A channel that one layer makes is normalised, added to others and read by further layers; taking it out
takes something out of all of them. Such dependencies (Fang et al. 2023, "DepGraph: Towards any structural
pruning") are found here by trying: a channel is marked as not-a-number where it is made, and whoever gets
such numbers reads it. So whatever happens on the way counts, be it attention, reshaping or a graph.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Inseparable(Exception):
    """Channels of a layer that cannot be taken out one by one; the text says where and why."""


@dataclass(frozen=True, order=True)
class Axis:
    """The channels of a layer.

    Attributes:
        layer: Name of a module, or of a parameter that is none of a layer's.
        end: ``out`` and ``in`` of a layer that mixes channels, ``norm``, or ``free`` for a parameter.
    """

    layer: str
    end: str


Channel = Mapping[Axis, tuple[int, ...]]
"""Where one channel is: its places on every axis that it is on, ascending."""


@dataclass(frozen=True)
class ChannelSet:
    """Channels of which any may be taken out.

    Attributes:
        channels: They, in the order of their layers.
        kept: How many the smaller network has.
    """

    channels: tuple[Channel, ...]
    kept: int


class Channels:
    """The channels of a network that a smaller one has fewer of.

    Args:
        network: A network in evaluation mode; only its widths may differ from the smaller one.
        smaller: The same with fewer channels.
        runs: By the beginning of the names of the layers it runs, what runs a part of the network on
            an example; the layers of no part cannot be made smaller.

    Raises:
        Inseparable: Its channels cannot be taken out one by one.
    """

    def __init__(
        self, network: nn.Module, smaller: nn.Module, runs: Mapping[str, Callable[[], Any]]
    ) -> None:
        self._network = network
        self._runs = runs
        self._modules = dict(network.named_modules())
        self._dims = _differing(network, smaller)
        self._sizes = self._axes(smaller)
        self.sets = self._found()

    def state(self, taken: list[Channel]) -> dict[str, Tensor]:
        """The network's tensors by name without some channels.

        Args:
            taken: The channels to leave out.
        """
        out = _places(taken)
        state = {}
        for name, tensor in self._network.state_dict().items():
            for dim in self._dims.get(name, ()):
                lost = out[self._axis(name, dim)]
                left = [i for i in range(tensor.shape[dim]) if i not in lost]
                tensor = tensor.index_select(dim, torch.tensor(left, dtype=torch.long))
            state[name] = tensor.clone()
        return state

    @contextmanager
    def silenced(self, taken: list[Channel]) -> Iterator[None]:
        """The network with some channels silent, as long as it lasts: nobody hears what is not there.

        Args:
            taken: The channels.
        """
        before = {k: v.clone() for k, v in self._network.state_dict().items() if k in self._dims}
        try:
            with torch.no_grad():
                for axis, lost in _places(taken).items():
                    if axis.end != "in":
                        for tensor, dim in self._made_by(axis):
                            tensor.index_fill_(dim, torch.tensor(sorted(lost)), 0.0)
            yield
        finally:
            self._network.load_state_dict(before, strict=False)

    def energy(self, axis: Axis) -> Tensor:
        """Sum of the squares of the weights at each place of an axis; of ``free``, their mean."""
        dim = 1 if axis.end == "in" else None
        total: Tensor | float = 0.0
        for tensor, out in self._made_by(axis):
            squares = tensor.detach().double() ** 2
            at = out if dim is None else dim
            if at >= squares.ndim:
                continue  # a bias reads nothing
            rest = [d for d in range(squares.ndim) if d != at]
            if rest:
                squares = squares.mean(rest) if axis.end == "free" else squares.sum(rest)
            total = total + squares
        return torch.as_tensor(total)

    def _made_by(self, axis: Axis) -> Iterator[tuple[Tensor, int]]:
        """The parameters of an axis, and which of their dimensions its channels are."""
        if axis.end == "free":
            yield self._network.get_parameter(axis.layer), self._dims[axis.layer][0]
            return
        for parameter in self._modules[axis.layer].parameters(recurse=False):
            yield parameter, 0

    def _axes(self, smaller: nn.Module) -> dict[Axis, tuple[int, int]]:
        """Size of every axis that gets smaller, here and there."""
        here, there = self._network.state_dict(), smaller.state_dict()
        return {
            self._axis(name, dim): (here[name].shape[dim], there[name].shape[dim])
            for name, dims in self._dims.items()
            for dim in dims
        }

    def _axis(self, name: str, dim: int) -> Axis:
        """What a dimension of a tensor counts."""
        layer, _, last = name.rpartition(".")
        module = self._modules[layer]
        if isinstance(module, _LAYERS) and getattr(module, "groups", 1) == 1 and dim < 2:
            return Axis(layer, "in" if dim else "out")
        if isinstance(module, _NORMS):
            return Axis(layer, "norm")
        if last in dict(module.named_parameters(recurse=False)) and len(self._dims[name]) == 1:
            return Axis(name, "free")
        raise Inseparable(
            f"{layer} ({type(module).__name__}) has channels that are not independent"
        )

    def _found(self) -> tuple[ChannelSet, ...]:
        joined = _Joined()
        seen: dict[Axis, set[int]] = defaultdict(set)
        for maker in sorted(axis for axis in self._sizes if axis.end in ("out", "free")):
            for reader, place, channel in self._readers(maker):
                joined.join((maker, channel), (reader, place))
                seen[reader].add(place)
        for axis, (size, _) in self._sizes.items():
            if axis.end in ("in", "norm") and len(seen[axis]) < size:
                raise Inseparable(f"what {axis.layer} reads comes from no layer that is known")
        groups: dict[frozenset[Axis], list[Channel]] = defaultdict(list)
        for atoms in joined.classes():
            places: dict[Axis, list[int]] = defaultdict(list)
            for axis, place in sorted(atoms):
                places[axis].append(place)
            groups[frozenset(places)].append({k: tuple(v) for k, v in places.items()})
        return tuple(self._set(channels) for channels in groups.values())

    def _set(self, channels: list[Channel]) -> ChannelSet:
        """The channels on the same axes, and how many of them stay."""
        kept = set()
        for axis in channels[0]:
            size, smaller = self._sizes[axis]
            if sum(len(channel[axis]) for channel in channels) == size:  # it has no others
                kept.add(len(channels) * smaller / size)
        if len(kept) != 1 or not (number := kept.pop()).is_integer():
            raise Inseparable(f"the channels of {min(channels[0]).layer} hang together otherwise")
        return ChannelSet(tuple(sorted(channels, key=lambda c: sorted(c.items()))), int(number))

    def _readers(self, maker: Axis) -> set[tuple[Axis, int, int]]:
        """Who reads what a maker makes: axis and place of the reader, channel of the maker."""
        parts = [run for start, run in self._runs.items() if maker.layer.startswith(start)]
        if not parts:
            raise Inseparable(f"{maker.layer} belongs to no encoder")
        size = self._sizes[maker][0]
        bits = range(max(1, math.ceil(math.log2(size))))
        coded = [torch.tensor([i >> bit & 1 for i in range(size)]).bool() for bit in bits]
        pairs = [[self._marked(maker, rows, parts[0]) for rows in (x, ~x)] for x in coded]
        links: set[tuple[Axis, int, int]] = set()
        for reader in pairs[0][0]:
            one, zero = (torch.stack([side[reader] for side in sides]) for sides in zip(*pairs))
            if (
                one & zero
            ).any():  # of places that read several channels, the bits do not tell which
                return self._readers_one_by_one(maker, parts[0])
            for place in (one | zero).all(0).nonzero().flatten().tolist():
                links.add((reader, place, sum(int(one[bit, place]) << bit for bit in bits)))
        return links

    def _readers_one_by_one(
        self, maker: Axis, run: Callable[[], Any]
    ) -> set[tuple[Axis, int, int]]:
        """The same for a maker of whose channels several are added up."""
        links: set[tuple[Axis, int, int]] = set()
        for channel, row in enumerate(torch.eye(self._sizes[maker][0]).bool()):
            for reader, places in self._marked(maker, row, run).items():
                links |= {(reader, place, channel) for place in places.nonzero().flatten().tolist()}
        return links

    def _marked(self, maker: Axis, rows: Tensor, run: Callable[[], Any]) -> dict[Axis, Tensor]:
        """Which places of every reader get a number that is none, when these rows of a maker are none."""
        marks: dict[Axis, Tensor] = {}

        def read(axis: Axis, dim: int) -> Callable[..., None]:
            def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                x = inputs[0]
                nowhere = torch.isnan(x).transpose(dim, -1).flatten(0, -2).any(0)
                marks[axis] = marks.get(axis, torch.zeros_like(nowhere)) | nowhere

            return hook

        def mend(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
            output = output.nan_to_num()  # what is read is mixed with all the rest
            if layer is self._modules.get(maker.layer):
                where = rows if isinstance(layer, nn.Linear) else rows.view(-1, *_ones(layer))
                output = output.masked_fill(where, torch.nan)
            return output

        with torch.no_grad(), ExitStack() as stack:
            for name, module in self._modules.items():
                if isinstance(module, _LAYERS):
                    stack.callback(module.register_forward_hook(mend).remove)
                dim = -1 if isinstance(module, nn.Linear) else 1
                for axis in (Axis(name, "in"), Axis(name, "norm")):
                    if axis in self._sizes:
                        hook = module.register_forward_pre_hook(read(axis, dim))
                        stack.callback(hook.remove)
            if maker.end == "free":
                parameter, dim = next(self._made_by(maker))
                stack.callback(parameter.copy_, parameter.clone())
                parameter.index_fill_(dim, rows.nonzero().flatten(), torch.nan)
            run()
        return marks


class _Joined:
    """Things in classes of those that belong together (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Any, Any] = {}

    def _top(self, thing: Any) -> Any:
        above = self._above.setdefault(thing, thing)
        while above != self._above[above]:
            above = self._above[above]
        self._above[thing] = above
        return above

    def join(self, a: Any, b: Any) -> None:
        """They belong together."""
        self._above[self._top(a)] = self._top(b)

    def classes(self) -> list[list[Any]]:
        """All things."""
        found = defaultdict(list)
        for thing in list(self._above):
            found[self._top(thing)].append(thing)
        return list(found.values())


def _differing(network: nn.Module, smaller: nn.Module) -> dict[str, tuple[int, ...]]:
    """The dimensions of tensors that are larger than in the smaller network, by name."""
    there = smaller.state_dict()
    dims = {}
    for name, tensor in network.state_dict().items():
        other = there.pop(name, None)
        if other is None or other.ndim != tensor.ndim:
            raise Inseparable(f"a smaller one has no {name}")
        if unlike := tuple(d for d in range(tensor.ndim) if tensor.shape[d] != other.shape[d]):
            dims[name] = unlike
    if there:
        raise Inseparable(f"a smaller one has {next(iter(there))} as well")
    return dims


def _places(channels: list[Channel]) -> dict[Axis, set[int]]:
    out: dict[Axis, set[int]] = defaultdict(set)
    for channel in channels:
        for axis, places in channel.items():
            out[axis].update(places)
    return out


def _ones(layer: nn.Module) -> tuple[int, ...]:
    """Shape of one channel in the output of a convolution, for broadcasting."""
    return (1,) * len(cast("tuple[int, ...]", layer.kernel_size))
