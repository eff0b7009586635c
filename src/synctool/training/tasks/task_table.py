"""Tasks that train both encoders without labels, so that a network need not begin from nothing.

Each is an objective, ``(model, batch) -> (loss, parts)``, with small networks of its own, which are
trained along and thrown away; the weights of the model are for ``--init``. What they draw at random
comes from torch's default generator, whose state is part of a run.

That video and audio of a video belong together is all that ``avc``, ``masked`` and ``retrieval`` are
told; the shift that the stream itself gave to the audio is undone with ``offset_frames``. ``order``
does not look at it.
"""

from __future__ import annotations

from torch import nn

from synctool.training.tasks.correspondence import Correspondence
from synctool.training.tasks.masked import MaskedPrediction
from synctool.training.tasks.retrieval import Retrieval
from synctool.training.tasks.temporal_order import TemporalOrder

TASKS: dict[str, type[nn.Module]] = {
    "avc": Correspondence,
    "order": TemporalOrder,
    "masked": MaskedPrediction,
    "retrieval": Retrieval,
}
"""Tasks by name; each is made with ``embedding`` (D) and ``max_offset`` (K)."""
