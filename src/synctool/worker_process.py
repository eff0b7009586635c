"""How a worker process of this machine behaves, whatever its work is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

KILLED = "a worker died while reading it (out of memory, or a crash in the decoder)"
"""Said of a film that took its worker with it."""


def settle() -> None:
    """A worker leaves Ctrl-C to the program, and ends when the program is gone."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
