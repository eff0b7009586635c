"""How far audio and images of a page's player are apart, end to end in Chromium: as they are, and repaired.

A video flashes every two seconds and clicks 120 ms earlier. While its page plays, Web Audio's output is
recorded with the time at which it is heard, and each frame with the time at which it is shown.
A busy computer shows frames late, and may leave out a flash.

    python benchmarks/page_sync.py

docs/detect-page.md has the figures.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from synctool.report.html.pages import detect_page, write_html
from synctool.report.html.player import copies
from synctool.settings.detect import DetectSettings
from synctool.types import Segment, Source

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from browser import opened
from fake_results import made_result, series
from videos import Audio, Video, clicks, make_video

SECONDS, EVERY_S, AHEAD_S = 24, 2, 0.12
WATCHED_S = 20.0
SETTLED = 2
"""Flashes at the beginning that do not count: the page has just begun to play."""
RECORD = """
window.heard = [];
window.shown = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to instanceof AudioDestinationNode && !(this instanceof ScriptProcessorNode)) {
    const context = this.context;
    if (!context.tap) {
      context.tap = context.createScriptProcessor(1024, 1, 1);
      context.tap.onaudioprocess = (event) => {
        const samples = event.inputBuffer.getChannelData(0);
        let peak = 0;
        for (let i = 1; i < samples.length; i++) if (Math.abs(samples[i]) > Math.abs(samples[peak])) peak = i;
        if (Math.abs(samples[peak]) < 0.2) return;
        const at = event.playbackTime + (peak - samples.length) / context.sampleRate;
        const { contextTime, performanceTime } = context.getOutputTimestamp();
        heard.push(performanceTime + 1000 * (at - contextTime));
      };
      connect.call(context.tap, context.destination);
    }
    connect.call(this, context.tap);
  }
  return connect.call(this, to, ...more);
};
"""
WATCH = """
(() => {
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(8, 8).getContext("2d");
  const see = (_, frame) => {
    canvas.drawImage(video, 0, 0, 8, 8);
    if (canvas.getImageData(4, 4, 1, 1).data[0] > 128) shown.push(frame.expectedDisplayTime);
    video.requestVideoFrameCallback(see);
  };
  video.requestVideoFrameCallback(see);
})()
"""


def main() -> None:
    """Print how much later clicks are heard than flashes are seen."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        page = folder / "page.html"
        write_html(_page(folder), page)
        with opened(folder / "profile") as tab:
            tab.send("Page.addScriptToEvaluateOnNewDocument", source=RECORD)
            tab.look()
            for name, choice in (("as it is", "no"), ("repaired", "yes")):
                tab.open(page)
                tab.run(WATCH)
                tab.click(f"[data-repaired={choice}]")
                tab.click("[data-play]")
                time.sleep(WATCHED_S)
                heard, shown = np.array(tab.run("heard")), tab.run("shown")[SETTLED:]
                late = [float(heard[np.abs(heard - at).argmin()] - at) for at in shown]
                late = [x for x in late if abs(x) < 500 * EVERY_S]
                print(
                    f"{name}: {', '.join(f'{x:+.0f}' for x in late)} ms, median {np.median(late):+.1f}"
                )


def _page(folder: Path) -> str:
    flashes = range(EVERY_S, SECONDS, EVERY_S)
    images = [
        np.full((128, 192), 235 if index % 25 == 0 and index // 25 in flashes else 20, np.uint8)
        for index in range(25 * SECONDS)
    ]
    audio = Audio(samples=clicks(SECONDS, 48_000, [at - AHEAD_S for at in flashes]))
    video = make_video(
        folder / "clip.mp4", seconds=SECONDS, video=Video(images=images), audio=(audio,)
    )
    result = made_result(
        str(video),
        source=Source(SECONDS, 25.0, 0.0, 0.0, 192, 128, 48_000),
        frames=series(*[AHEAD_S * 25] * 25 * SECONDS),
        segments=(Segment(0.0, SECONDS, AHEAD_S * 25, 0.9),),
    )
    return detect_page([result], command="", copies=partial(copies, settings=DetectSettings()))


if __name__ == "__main__":
    main()
