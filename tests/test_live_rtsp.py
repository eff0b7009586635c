"""A server of RTSP that is not there yet, serves, is killed, and comes back."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import loopback
import rtsp_server
from flicker import flicker_video
from synctool.live import rolling
from test_live_measuring import Spoken
from test_live_streams import Watched, offset_near


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("way", ["TCP", "UDP"])
def test_a_server_of_rtsp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if rtsp_server.python() is None:
        pytest.skip("no Python with GStreamer's server of RTSP (gir1.2-gst-rtsp-server-1.0)")
    monkeypatch.setattr(rolling, "VoiceActivity", Spoken)
    port = loopback.free_port(socket.SOCK_STREAM)
    video = flicker_video(tmp_path / "a.mp4", seconds=20, ahead_frames=3)
    with Watched(f"rtsp://127.0.0.1:{port}/live", silent_s=5.0) as watched:
        number = watched.wait_for(lambda e: e.kind == "lost" and "refused" in e.detail)
        for _ in range(2):
            with rtsp_server.serving(video, port, way=way):
                number = watched.wait_for(lambda e: e.kind == "part", after=number)
                number = watched.wait_for(offset_near(120), after=number)
            number = watched.wait_for(lambda e: e.kind == "lost", after=number)
