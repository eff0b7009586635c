"""``backbones --profile``: what networks cost, each measured in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from synctool.errors import described
from synctool.networks.names import spec_of
from synctool.networks.profile import Profile, licence
from synctool.plugins.specs import BackboneSpec
from synctool.weights.locate import whereabouts


def profiles(names: Iterable[str], *, device: str = "cpu") -> Iterator[Profile]:
    """Measure networks one after the other.

    Args:
        names: ``NAME[.TAG]`` of encoders and joint models, ``VIDEO+AUDIO`` of pairs.
        device: ``cpu`` or ``cuda``.

    Yields:
        One profile for each, in order; one that cannot be built or run says why.

    Raises:
        UsageError: There is no such network; before anything is measured.
        MissingError: There is no such device.
    """
    if device != "cpu":
        from synctool.networks.load_torch import choose_device

        choose_device(device)
    for spec in [spec_of(name) for name in names]:
        # A new interpreter for each: memory of one must not count for the next, and a network that
        # takes all of it must end alone.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                yield pool.submit(_measured, spec.full_name, device).result()
            except BrokenProcessPool:
                yield _unmeasured(spec, "its process was killed (out of memory?)")
            except Exception as error:  # a plugin's network may fail in any way, or be killed
                yield _unmeasured(spec, described(error))


def _measured(name: str, device: str) -> Profile:
    """Measure in the new interpreter: this one does without PyTorch."""
    spec_of(name)  # what is not there for it fails at once
    from synctool.networks.profiling import measured

    return measured(name, device)


def _unmeasured(spec: BackboneSpec, reason: str) -> Profile:
    return Profile(
        name=spec.full_name, role=spec.role, weights=whereabouts(spec.weights),
        licence=licence(spec), error=reason,
    )  # fmt: skip
