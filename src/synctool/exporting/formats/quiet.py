"""Converters talk a lot, to everywhere; none of it is for the user."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Keep what Python code prints, warns of and logs from the user.

    Gives:
        What was printed meanwhile.
    """
    said = io.StringIO()
    before, handlers = logging.root.manager.disable, list(logging.root.handlers)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield said
    finally:
        logging.disable(before)
        logging.root.handlers[:] = handlers  # logging.warning and the like add one
