"""A real Chromium without a window, driven over a pipe by the DevTools protocol; no driver needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_PATIENCE_S = 60.0


def found() -> str | None:
    """The browser of this computer, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. Keeps what the page complains about, and what it asks the network for."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def attach(self) -> None:
        """Take over a tab of its own."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command, and what came back."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, page: Path | str, *, anchor: str = "") -> None:
        """Open a file, or an address, and wait until it is there."""
        self._loaded = False
        self.complaints, self.requests = [], []
        address = page if isinstance(page, str) else page.resolve().as_uri()
        self.send("Page.navigate", url=address + anchor)
        while not self._loaded:
            self._next()

    def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        done = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(json.dumps(done["exceptionDetails"]))
        return done["result"].get("value")

    def settled(self, code: str, value: Any) -> Any:
        """The value of an expression once it is the one given, or the last one when patience ends.

        For what the page does in a turn of its own, as it follows a link.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while (now := self.run(code)) != value and time.monotonic() < deadline:
            time.sleep(0.05)
        return now

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "End": 35}
        codes |= {"r": 82, ",": 188, ".": 190}
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        given = {
            "key": key,
            "windowsVirtualKeyCode": codes[key],
            "modifiers": 8 if shift else 0,
        }
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
        self.send("Input.dispatchKeyEvent", type="keyUp", **given)

    def click(self, selector: str) -> None:
        """Click in the middle of an element, with the mouse."""
        where = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.point(*where, press=True)

    def point(self, x: float, y: float, *, press: bool = False) -> None:
        """Move the pointer, and press it."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if press else ():
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def look(
        self, *, dark: bool = False, width: int = 1200, height: int = 800, paper: bool = False
    ):
        """Set what the page sees of its reader."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send(
            "Emulation.setEmulatedMedia", media="print" if paper else "screen", features=[scheme]
        )
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def image(self, path: Path) -> None:
        """Save an image of the whole page."""
        done = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(done["data"]))

    def paper(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def _next(self) -> dict[str, Any]:
        """The next message; events are noted on the way."""
        deadline = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError("the browser has gone")
            self._buffer += data
        raw, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(raw)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(told["args"]))
        elif event == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])


@contextmanager
def opened(profile: Path) -> Iterator[Page]:
    """A browser with an empty tab; ends with the block.

    Args:
        profile: Folder for what it keeps.
    """
    its_read, our_write = os.pipe()
    our_read, its_write = os.pipe()
    command = [found(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    # DevTools speaks on the descriptors 3 and 4; a shell puts ours there.
    line = f'exec "$@" 3<&{its_read} 4>&{its_write}'
    browser = subprocess.Popen(
        ["bash", "-c", line, "bash", *map(str, command)],
        pass_fds=(its_read, its_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_read)
    os.close(its_write)
    try:
        page = Page(our_read, our_write)
        page.attach()
        yield page
    finally:
        with suppress(OSError):
            os.write(our_write, b'{"id": 0, "method": "Browser.close"}\0')
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        os.close(our_write)
        os.close(our_read)
