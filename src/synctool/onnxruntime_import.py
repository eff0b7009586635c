"""The one place where onnxruntime is imported."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

_SWITCH = "ORT_DISABLE_TELEMETRY"


def onnxruntime_module(part: str = "") -> ModuleType:
    """The package ``onnxruntime``, or a module of it, without its telemetry.

    Since 1.29 its official builds report sessions, models and hardware to their makers over the network, and
    keep an identifier of the machine in the user's cache folder. On Linux and macOS the environment is asked
    once, when the package is loaded: switching it off afterwards comes too late. A variable that the user has
    set stays as it is.

    Args:
        part: Name of the module within the package, such as ``quantization``; empty for the package.

    Raises:
        ImportError: It is not installed.
    """
    os.environ.setdefault(_SWITCH, "1")
    package = import_module("onnxruntime")
    if os.environ[_SWITCH] == "1":
        package.disable_telemetry_events()  # Windows has this in place of the variable
    return import_module(f"onnxruntime.{part}") if part else package
