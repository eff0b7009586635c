"""Webhooks: signed as the standard says, tried again, never waited for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from synctool.background import BackgroundQueue
from synctool.errors import MissingError, UsageError
from synctool.webhooks import Webhook, check_address, read_secret, signature

SECRET = b"0123456789abcdef0123"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent, and answers as it is told: by default 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int | str] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.woken = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alarm"

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + 10
        while len(self.got) < count and time.monotonic() < until:
            self.woken.wait(0.05)
        assert len(self.got) >= count


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        answer = self.server.answers.pop(0) if self.server.answers else 204
        if answer == "hang":
            self.server.woken.wait(20)
            return
        self.send_response(int(answer))
        if answer == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.woken.set()
    server.shutdown()
    server.server_close()


def test_the_signature_is_the_one_of_the_standard() -> None:
    """The example of the specification of Standard Webhooks."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signature(
        secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_requests_are_signed_and_carry_the_event(receiver: Receiver) -> None:
    webhook = Webhook(receiver.url, secret=SECRET)
    webhook.send({"event": "alarm", "source": "Nachrichten ü"})
    webhook.close()
    (headers, body), *more = receiver.got
    assert not more
    assert json.loads(body) == {"event": "alarm", "source": "Nachrichten ü"}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{right}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert webhook.sent == 1


def test_without_a_secret_there_is_no_signature(receiver: Receiver) -> None:
    webhook = Webhook(receiver.url)
    webhook.send({})
    webhook.close()
    assert "webhook-signature" not in receiver.got[0][0]


@pytest.mark.parametrize("fault", [503, 429, "hang"])
def test_what_may_pass_is_tried_again(receiver: Receiver, fault: int | str) -> None:
    receiver.answers = [fault, fault]
    webhook = Webhook(receiver.url, secret=SECRET, timeout_s=0.2, first_wait_s=0.01)
    webhook.send({"n": 1})
    webhook.send({"n": 2})
    receiver.wait_for(4)
    webhook.close()
    assert [json.loads(body)["n"] for _, body in receiver.got] == [1, 1, 1, 2]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert (webhook.sent, webhook.failed) == (2, 0)


@pytest.mark.parametrize("fault", [404, 302])
def test_what_is_final_is_given_up(
    receiver: Receiver, fault: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [fault]
    webhook = Webhook(receiver.url, first_wait_s=0.01)
    webhook.send({"n": 1})
    webhook.send({"n": 2})
    webhook.close()
    assert [json.loads(body)["n"] for _, body in receiver.got] == [1, 2]
    assert (webhook.sent, webhook.failed) == (1, 1)
    assert str(fault) in caplog.text


def test_a_receiver_that_hangs_keeps_nobody(receiver: Receiver) -> None:
    receiver.answers = ["hang"] * 5
    webhook = Webhook(receiver.url, timeout_s=5.0, most=2)
    began = time.monotonic()
    for n in range(50):
        webhook.send({"n": n})
    assert time.monotonic() - began < 1.0
    webhook.close(wait_s=0.1)
    assert time.monotonic() - began < 2.0
    assert webhook.failed >= 40


def test_nobody_at_the_address_is_tried_for_a_while_only() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as gone:
        url = f"http://127.0.0.1:{gone.server_port}/"
    webhook = Webhook(url, retry_for_s=0.2, first_wait_s=0.02)
    webhook.send({})
    webhook.close()
    assert (webhook.sent, webhook.failed) == (0, 1)


@pytest.mark.parametrize("url", ["ftp://a/b", "localhost", "http://", "http://[", "file:///etc"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        check_address(url)


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a plain secret of some length\n")
    assert read_secret(file) == b"a plain secret of some length"
    file.write_text("whsec_" + base64.b64encode(SECRET).decode())
    assert read_secret(file) == SECRET
    for wrong in ("short", "whsec_!!", ""):
        file.write_text(wrong)
        with pytest.raises(UsageError):
            read_secret(file)
    with pytest.raises(MissingError):
        read_secret(tmp_path / "none")


def test_a_failure_is_told_once_and_the_rest_is_done(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def handle(n: int) -> None:
        if n < 3:
            raise OSError("no space left")
        done.append(n)

    queue: BackgroundQueue[int] = BackgroundQueue(handle, name="history")
    for n in range(5):
        queue.put(n)
    queue.close()
    assert done == [3, 4]
    assert queue.failed == 3
    assert caplog.text.count("no space left") == 1
