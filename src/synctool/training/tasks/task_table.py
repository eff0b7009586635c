"""Tasks that train both encoders without labels, so that a network need not begin from nothing.

Each is an objective, ``(model, batch) -> (loss, parts)``, with small networks of its own, which are
trained along and thrown away; the weights of the model are for ``--init``. What they draw at random
comes from torch's default generator, whose state is part of a run.

That video and audio of a video belong together is all that ``avc``, ``masked`` and ``retrieval`` are
told; the shift that the stream itself gave to the audio is undone with ``offset_frames``. ``order``,
``simclr`` and ``moco`` do not look at it, and teach each encoder for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from synctool.training.tasks.correspondence import Correspondence
from synctool.training.tasks.masked import MaskedPrediction
from synctool.training.tasks.moco import MomentumContrast
from synctool.training.tasks.retrieval import Retrieval
from synctool.training.tasks.simclr import SimClr
from synctool.training.tasks.temporal_order import TemporalOrder


@dataclass(frozen=True)
class Task:
    """One of the tasks.

    Attributes:
        make: Makes it with ``embedding`` (D) and ``max_offset`` (K).
        compares: Whether it brings video and audio together, so that the validation says anything.
        views: Augmented views of a window that it needs.
        copies: Whether it is made with the network, too, as ``model``.
    """

    make: type[nn.Module]
    compares: bool = True
    views: int = 1
    copies: bool = False


TASKS: dict[str, Task] = {
    "avc": Task(Correspondence),
    "order": Task(TemporalOrder, compares=False),
    "masked": Task(MaskedPrediction),
    "retrieval": Task(Retrieval),
    "simclr": Task(SimClr, compares=False, views=2),
    "moco": Task(MomentumContrast, compares=False, views=2, copies=True),
}
"""Tasks by name."""
