"""What to install when a compiled package does not load for want of a system library."""

from __future__ import annotations

import re

_PACKAGES = {
    "libGL.so.1": ("libgl1", "mesa-libGL"),
    "libEGL.so.1": ("libegl1", "mesa-libEGL"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libgomp.so.1": ("libgomp1", "libgomp"),
    "libsndfile.so": ("libsndfile1", "libsndfile"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++"),
    "libgcc_s.so.1": ("libgcc-s1", "libgcc"),
    "libxcb.so.1": ("libxcb1", "libxcb"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libXext.so.6": ("libxext6", "libXext"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libtbb.so.12": ("libtbb12", "tbb"),
}
"""Package of Debian and Ubuntu, and of Fedora and Red Hat, by library."""
_MISSING = re.compile(r"(lib[\w+.-]+?\.so(?:\.\d+)*): cannot open shared object file")


def remedy_of(error: str, *, package: str) -> str:
    """What to do about a package that cannot be imported.

    Args:
        error: What its import said.
        package: Name of its distribution.
    """
    if match := _MISSING.search(error):
        library = match.group(1)
        return _library(library, package)
    if "sndfile library not found" in error or "libsndfile.so" in error:
        return _library("libsndfile.so", package)
    if re.search(r"GLIBC(XX)?_[\d.]+. not found", error):
        return (
            f"The system is older than {package} is built for: use a newer one, or build it here: "
            f"pip install --no-binary :all: {package}"
        )
    if "DLL load failed" in error:
        return (
            "Install the Visual C++ Redistributable: https://aka.ms/vs/17/release/vc_redist.x64.exe"
        )
    return f"pip install --force-reinstall {package}"


def _library(library: str, package: str) -> str:
    headless = (
        " Or use the build without windows: pip uninstall opencv-python opencv-contrib-python && "
        "pip install opencv-python-headless"
        if package.startswith("opencv") and "headless" not in package
        else ""
    )
    if library not in _PACKAGES:
        return f"Install the system package that has {library}.{headless}"
    debian, fedora = _PACKAGES[library]
    return f"apt-get install {debian} (Debian, Ubuntu) or dnf install {fedora} (Fedora, Red Hat).{headless}"
