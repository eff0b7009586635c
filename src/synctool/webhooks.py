"""Events sent to a web address: signed, tried again, and never waited for.

Requests are signed as by Standard Webhooks 1.0 (https://www.standardwebhooks.com), so that receivers can
check them with the libraries of that standard:

    webhook-id: evt_5f0c...          the same at every attempt, to tell a repetition
    webhook-timestamp: 1700000000    seconds since 1970, of this attempt
    webhook-signature: v1,K5oZ...    base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY"
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from synctool._version import __version__
from synctool.background import BackgroundQueue
from synctool.errors import MissingError, UsageError

SECRET_PREFIX = "whsec_"
"""Begins a secret that is given in base64, as by the standard; any other text is the key as it is."""
RETRY_FOR_S = 3600.0
"""An event is tried again for so long."""
TIMEOUT_S = 10.0
"""Longest wait for one answer."""
LEAST_SECRET_BYTES = 16
_LONGEST_WAIT_S = 60.0
_MOMENTARY = {408, 425, 429}
_log = logging.getLogger(__name__)


def check_address(url: str) -> None:
    """See that a text is the address of a webhook.

    Raises:
        ValueError: It is not.
    """
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"{url!r} is not an address with http:// or https://")


def read_secret(path: Path) -> bytes:
    """The key of a file, without blank space round it.

    Raises:
        MissingError: There is no such file, or it cannot be read.
        UsageError: It holds no key, or one that is too short or damaged.
    """
    try:
        text = path.read_bytes()[: 1 << 16].decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} holds no text", remedy="Write the secret as text.") from error
    except OSError as error:
        raise MissingError(
            f"cannot read {path}: {error.strerror}", remedy="Check its name and its permissions."
        ) from error
    try:
        key = (
            base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
            if text.startswith(SECRET_PREFIX)
            else text.encode("utf-8")
        )
    except ValueError as error:
        raise UsageError(
            f"{path}: what follows {SECRET_PREFIX} is not base64", remedy="Write the secret anew."
        ) from error
    if len(key) < LEAST_SECRET_BYTES:
        raise UsageError(
            f"{path}: a secret of {len(key)} bytes is too short",
            remedy=f"Take at least {LEAST_SECRET_BYTES}: openssl rand -hex 32 > {path}",
        )
    return key


def signature(secret: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


@dataclass(frozen=True)
class _Message:
    id: str
    body: bytes


class _Momentary(Exception):
    """An attempt that failed, and may succeed the next time."""


class Webhook:
    """Sends events to one address from a thread, in their order.

    An attempt that fails (no connection, no answer in time, 408, 425, 429, 5xx) is repeated after 1, 2, 4 ...
    seconds, up to a minute between two, for ``retry_for_s``. Other answers than 2xx are final. Redirections
    are not followed.

    Args:
        url: The address.
        secret: Signs the requests; None sends them without a signature.
        timeout_s: Longest wait for one answer, all in all.
        retry_for_s: Longest time that one event is tried.
        most: At most so many events wait.
        first_wait_s: Time before the second attempt.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
        retry_for_s: float = RETRY_FOR_S,
        most: int = 1000,
        first_wait_s: float = 1.0,
    ) -> None:
        import httpx

        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._retry_for_s = retry_for_s
        self._first_wait_s = first_wait_s
        self._client = httpx.Client(
            timeout=timeout_s, headers={"User-Agent": f"synctool/{__version__}"}
        )
        self._host = urlsplit(url).hostname or ""
        self.sent = 0
        self._queue: BackgroundQueue[_Message] = BackgroundQueue(
            self._deliver, name=f"webhook to {self._host}", most=most
        )

    @property
    def failed(self) -> int:
        """Events that were given up or dropped."""
        return self._queue.failed + self._queue.dropped

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event as JSON, later; never waits."""
        body = json.dumps(event, ensure_ascii=False, allow_nan=False).encode("utf-8")
        self._queue.put(_Message(f"evt_{secrets.token_hex(16)}", body))

    def close(self, *, wait_s: float = 5.0) -> None:
        """Let what waits be sent for a while, and give up the rest."""
        self._queue.close(wait_s=wait_s)
        self._client.close()

    def _deliver(self, message: _Message) -> None:
        import tenacity

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Momentary),
            wait=self._wait_s,
            stop=tenacity.stop_any(
                tenacity.stop_after_delay(self._retry_for_s),
                tenacity.stop_when_event_set(self._queue.closing),
            ),
            sleep=tenacity.sleep_using_event(self._queue.closing),
            before_sleep=self._tell,
            reraise=True,
        )
        attempts(self._attempt, message)
        self.sent += 1

    def _wait_s(self, state: Any) -> float:
        """Twice as long after every attempt, and not the same for everybody."""
        usual_s = self._first_wait_s * 2 ** min(state.attempt_number - 1, 20)
        return min(usual_s, _LONGEST_WAIT_S) * random.uniform(0.75, 1.25)

    def _tell(self, state: Any) -> None:
        if state.attempt_number == 1:
            _log.warning(
                "webhook to %s: %s; it is tried again", self._host, state.outcome.exception()
            )

    def _attempt(self, message: _Message) -> None:
        import httpx

        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(now),
        }
        if self._secret is not None:
            headers["webhook-signature"] = signature(
                self._secret, message_id=message.id, timestamp=now, body=message.body
            )
        until = time.monotonic() + self._timeout_s
        try:
            with self._client.stream(
                "POST", self._url, content=message.body, headers=headers
            ) as answer:
                status = answer.status_code
                for _ in answer.iter_raw():  # a server may send for ever, a little at a time
                    if time.monotonic() > until:
                        break
        except httpx.HTTPError as error:
            raise _Momentary(" ".join(str(error).split()) or type(error).__name__) from error
        if status in _MOMENTARY or status >= 500:
            raise _Momentary(f"it answers with {status}")
        if not 200 <= status < 300:
            raise RuntimeError(f"it answers with {status}, and the event is given up")
