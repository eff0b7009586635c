"""Whether a network is being written down, not used.

What is written down must hold for any length. Work that is otherwise done in so many pieces as there are
frames, to keep memory small, is then done in one.
"""

from __future__ import annotations

import torch


def exporting() -> bool:
    """Whether the operations that run now are recorded for another program to repeat."""
    # Older releases of PyTorch know exporting as one case of compiling.
    compiler = torch.compiler
    recording = getattr(compiler, "is_exporting", None) or compiler.is_compiling
    return torch.jit.is_tracing() or recording()  # pyright: ignore[reportPrivateImportUsage]
