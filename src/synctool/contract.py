"""The former name of :mod:`synctool.testing`, kept for plugins."""

from synctool.testing import *  # noqa: F403
