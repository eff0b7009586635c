"""Who may use the service: tokens, the cookie of the page, and by which names it may be called."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from synctool.errors import UsageError
from synctool.settings.serve import ServeSettings
from synctool.untrusted.origin import Origin

SHORTEST_TOKEN = 16
_LINE = re.compile(r"(?:(?P<name>[\w.@-]{1,64})\s+)?(?P<token>[\x21-\x7e]+)\Z")
_LARGEST = 1 << 20
ANYBODY = ""
"""The owner of all jobs where there are no tokens."""


@dataclass(frozen=True)
class Access:
    """Who may use the service.

    Attributes:
        tokens: Owner by the digest of a token; empty where everybody may.
        cookies: Owner by the digest of a cookie, which the page has in place of a token.
        hosts: Names by which the service may be called; empty for any.
    """

    tokens: Mapping[bytes, str]
    cookies: Mapping[bytes, str]
    hosts: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return not self.tokens

    def owner(self, *, token: str | None, cookie: str | None) -> str | None:
        """Whose request this is; None if it is nobody's."""
        if self.open:
            return ANYBODY
        if token is not None:
            return _known(self.tokens, token)
        return None if cookie is None else _known(self.cookies, cookie)

    def host_is_known(self, host: str) -> bool:
        """Whether the service may be called by a name.

        A page elsewhere can make a browser call this machine by a name of its own; without tokens that
        would be enough.
        """
        return not self.hosts or _host_name(host) in self.hosts


def cookie_of(token: str) -> str:
    """What the page keeps in place of a token."""
    return hashlib.sha256(b"synctool serve " + token.encode("utf-8", "replace")).hexdigest()


def is_foreign(origin: str | None, host: str) -> bool:
    """Whether a request comes from a page of another server, as browsers tell."""
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def access_of(settings: ServeSettings) -> Access:
    """Who may use a service with these settings.

    Raises:
        UsageError: Everybody could, and nobody said so; or the tokens are no good.
        MissingError: The file of the tokens cannot be read.
    """
    if settings.tokens is not None:
        if settings.open:
            raise UsageError("--open and --tokens contradict each other", remedy="Give one.")
        owners = _read_tokens(settings.tokens)
        return Access(
            {_digest(token): owner for token, owner in owners.items()},
            {_digest(cookie_of(token)): owner for token, owner in owners.items()},
        )
    if settings.open:
        return Access({}, {})
    if not is_loopback(settings.host):
        raise UsageError(
            f"everybody who reaches {settings.host} could use the service",
            remedy="Give --tokens FILE, or --open if that is meant.",
        )
    return Access({}, {}, frozenset({"localhost", "127.0.0.1", "::1", _host_name(settings.host)}))


def _read_tokens(path: Path) -> dict[str, str]:
    remedy = "Write NAME TOKEN on each line; openssl rand -hex 24 makes a token."
    origin = Origin(str(path), remedy)
    with origin.reading("file of tokens", str(path), missing="Check the path of --tokens."):
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8", "replace")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if match is None or len(match["token"]) < SHORTEST_TOKEN:
            raise UsageError(
                f"{path}, line {number}: no token of at least {SHORTEST_TOKEN} characters",
                remedy=remedy,
            )
        if match["token"] in found:
            raise UsageError(f"{path}, line {number}: this token is there twice", remedy=remedy)
        found[match["token"]] = match["name"] or "token"
    if not found:
        raise UsageError(f"{path} holds no token", remedy=remedy)
    return found


def _known(owners: Mapping[bytes, str], secret: str) -> str | None:
    """The owner of a secret, found in a time that tells nothing of it."""
    digest, owner = _digest(secret), None
    for known, name in owners.items():
        if hmac.compare_digest(known, digest):
            owner = name
    return owner


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _host_name(host: str) -> str:
    """The name in a ``Host`` header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
