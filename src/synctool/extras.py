"""Optional packages: whether they are installed, and which extra of this package brings them.

The base installation measures. What it does not carry is asked for here before the work begins, so that
the error names the command that brings it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from synctool.errors import MissingError

EXTRAS: dict[str, tuple[str, ...]] = {
    "train": (
        *("torch", "torchvision", "transformers", "torchvggish", "resampy", "pytorchvideo"),
        "lightning_fabric",
    ),
    "export": ("onnxscript",),
    "plot": ("matplotlib",),
    "explain": ("captum",),
    "notebook": ("pandas",),
    "serve": ("fastapi", "starlette", "uvicorn", "python_multipart"),
    "hub": ("huggingface_hub", "tqdm"),
    "ray": ("ray",),
    "parquet": ("pyarrow",),
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "live": ("prometheus_client",),
}
"""Modules that each extra brings, beyond the base and the extras that it includes."""


def missing_modules(names: Iterable[str]) -> tuple[str, ...]:
    """Those of some modules that are not installed; none of them is imported."""
    return tuple(name for name in names if not is_installed(name))


def is_installed(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a package above it is missing, or was half made
        return False


def installing(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'synctool[{extra}]'"


def require(extra: str, what: str, *modules: str) -> None:
    """Make sure that optional packages are here, before any work.

    Args:
        extra: The extra that brings them.
        what: What needs them, as the beginning of a sentence.
        modules: The modules; by default all that the extra brings.

    Raises:
        MissingError: One is not installed.
    """
    lacking = missing_modules(modules or EXTRAS[extra])
    if lacking:
        raise lacks(extra, what, *lacking)


def lacks(extra: str, what: str, *modules: str) -> MissingError:
    """The error for optional packages that are not installed."""
    verb = "is" if len(modules) == 1 else "are"
    return MissingError(
        f"{what} needs {', '.join(modules)}, which {verb} not installed",
        remedy=f"Install with: {installing(extra)}",
    )


def explained(error: Exception, what: str) -> Exception:
    """The error for an import that failed because an extra is missing; any other error as it is.

    Args:
        error: What was raised.
        what: What needs the module, as the beginning of a sentence.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return error
    module = error.name.split(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return lacks(extra, what, module)
    return error
