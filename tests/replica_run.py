"""Short trainings for tests of several processes: ``python replica_run.py OUT COUNT PORT``."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from synctool.data.windows import WindowBatch
from synctool.networks.build import build
from synctool.training import replicas
from synctool.training.devices import make_fabric
from synctool.training.loop import LoopSettings, Schedule, Trainer
from synctool.training.losses.objective import DEFAULT_TERMS, build_objective
from synctool.training.unfreezing import Unfreezing

KINDS = {"whole": 0, "thawing": 2}
"""Names of the trainings, and the epoch in which their encoders thaw."""
STEPS = 4
Shared = Callable[[str, Callable[[Path], None]], Path]
"""The fixture ``shared``."""
_K, _MARGIN, _FRAMES, _CLIPS = 3, 5, 6, 4


class Rows(torch.utils.data.IterableDataset):
    """Reproducible batches, of which each process gets its own rows."""

    def start_at(self, step: int) -> None:
        """Begin with a later batch."""
        self._start = step

    def __iter__(self) -> Iterator[WindowBatch]:
        yield from map(self.batch, itertools.count(self._start))

    def batch(self, step: int) -> WindowBatch:
        """Noise in which video and audio share their loudness."""
        rng = np.random.default_rng(step)
        steps = 4 * (_FRAMES + 2 * (_K + _MARGIN))
        video = rng.integers(0, 255, (_CLIPS, 1, _FRAMES, 72, 72), dtype=np.uint8)
        audio = rng.normal(size=(_CLIPS, 1, 64, steps)).astype(np.float32)
        offsets = rng.uniform(-_K, _K, _CLIPS).astype(np.float32)
        own = slice(replicas.rank(), None, replicas.world_size())
        return WindowBatch(
            torch.from_numpy(video[own]),
            torch.from_numpy(audio[own]),
            torch.from_numpy(offsets[own]),
            _K + _MARGIN,
        )


def run(out: Path, *, unfreeze_epoch: int = 0) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train; gives the losses and the weights."""
    fabric = make_fabric(torch.device("cpu"), precision="float32")
    torch.manual_seed(0)
    spec, model = build("fcn-cls", width=4, embedding=16, max_offset=_K)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # each process drops others, as it should
    objective = build_objective("sync", terms=DEFAULT_TERMS, max_offset=_K, embedding=16)
    losses: list[float] = []
    trainer = Trainer(
        model=model,
        objective=objective,
        schedule=Schedule(epochs=2, steps_per_epoch=STEPS // 2, learning_rate=1e-3),
        output=out,
        facts={"backbone": spec.full_name},
        fabric=fabric,
        settings=LoopSettings(unfreezing=Unfreezing(unfreeze_epoch, every=1, layer_decay=0.5)),
        on_progress=lambda p: losses.append(p.loss) if p.metrics is None else None,
    )
    trainer.resume()
    trainer.fit(Rows(), workers=0)
    return losses, {k: v.detach().clone() for k, v in model.state_dict().items()}


def two(shared: Shared) -> Path:
    """Folder of what two processes found; made once in a run."""
    return shared("two-processes", lambda folder: together(folder, 2))


def together(out: Path, count: int) -> None:
    """Run this script in several processes, and wait for them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, str(out), str(count), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr


def process(rank: int, out: Path, count: int, port: str) -> None:
    """One of them, in the environment that ``torchrun`` makes."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "test",
    }
    torch.set_num_threads(1)
    train(out)
    replicas.leave()


def check_collectives() -> dict[str, list[float]]:
    """What ``gather`` and ``global_mean`` give where processes have unlike shares."""
    rank = replicas.rank()
    own = torch.arange(1.0, rank + 2, requires_grad=True)  # [1] and [1, 2]
    joined = replicas.gather(own)
    (joined * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    weight = torch.tensor(2.0, requires_grad=True)
    total, count = (weight * torch.tensor([3.0, 5.0])[: rank + 1]).sum(), torch.tensor(rank + 1)
    mean = replicas.global_mean(total, count)
    mean.backward()
    return {
        "gathered": joined.tolist(),
        "gathered_gradient": own.grad.tolist(),
        "mean": [float(mean)],
        "mean_gradient": [float(replicas.average(weight.grad))],
        "no_frames": [float(replicas.global_mean(torch.tensor(0.0), torch.tensor(0)))],
    }


def train(out: Path) -> None:
    """Train, and leave what came out of it in the folder."""
    facts: dict[str, object] = {}
    for kind, epoch in KINDS.items():
        (out / kind).mkdir(exist_ok=True)
        facts[kind], weights = run(out / kind, unfreeze_epoch=epoch)
        if replicas.rank() == 0:
            torch.save(weights, out / kind / "weights.pt")
    facts["collectives"] = check_collectives()
    (out / f"rank{replicas.rank()}.json").write_text(json.dumps(facts))
    import test_losses_replicas

    torch.save(test_losses_replicas.of_half(replicas.rank()), out / f"losses{replicas.rank()}.pt")


def main() -> None:
    """Start the processes as copies of this one: each would take as long to import as to train."""
    out, count, port = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    fork = multiprocessing.get_context("fork")
    started = [fork.Process(target=process, args=(i, out, count, port)) for i in range(count)]
    for one in started:
        one.start()
    for one in started:
        one.join()
    sys.exit(max(abs(one.exitcode or 0) for one in started))


if __name__ == "__main__":
    main()
