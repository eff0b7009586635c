"""A server of RTSP for the tests: GStreamer's, run by whichever Python has its bindings.

On Debian: apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{good,bad}
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_IMPORTS = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
Gst.init(None)
for name in ("qtdemux", "h264parse", "aacparse", "rtph264pay", "rtpmp4gpay"):
    assert Gst.ElementFactory.find(name), name
"""
_SERVE = """
import sys
video, port, way = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( filesrc location="{video}" ! qtdemux name=d '
    "d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 "
    "d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)
factory.set_shared(True)
factory.set_protocols(getattr(GstRtsp.RTSPLowerTrans, way))
server.get_mount_points().add_factory("/live", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


@cache
def python() -> str | None:
    """A Python that has the bindings; None where there is none."""
    for candidate in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        try:
            done = subprocess.run(
                [candidate, "-c", _IMPORTS], capture_output=True, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return candidate
    return None


@contextmanager
def serving(video: Path, port: int, *, way: str) -> Iterator[str]:
    """Serve an MP4 with H.264 and AAC, from its beginning for the first who asks; killed behind the block.

    Args:
        video: The file.
        port: Of the loopback.
        way: How the server sends: ``TCP`` or ``UDP``.

    Yields:
        The address.
    """
    server = python()
    assert server is not None
    process = subprocess.Popen(
        [server, "-c", _IMPORTS + _SERVE, str(video), str(port), way],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield f"rtsp://127.0.0.1:{port}/live"
    finally:
        process.kill()
        process.wait()
