"""User names and passwords: from the environment, from netrc, or asked for; never stored.

They go only to addresses of entries that want them, and only over an encrypted line (or to this very
machine). Nothing here is ever printed, logged or written.
"""

from __future__ import annotations

import ipaddress
import netrc
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from synctool.errors import MissingError, UsageError
from synctool.plugins.specs import CatalogueEntry

USER_ENV = "SYNCTOOL_USER"
PASSWORD_ENV = "SYNCTOOL_PASSWORD"


@dataclass(frozen=True)
class Credentials:
    """A user name and a password."""

    user: str
    password: str = field(repr=False)


Ask = Callable[[CatalogueEntry, "str | None"], Credentials]
"""Asks a person for the credentials of an entry; the user name is given where it is known."""


class Access:
    """Finds out who we are for the addresses of one entry.

    Args:
        entry: What is to be fetched.
        user: Name given by the user, None takes ``SYNCTOOL_USER``.
        ask: Asks for what is missing, None where nobody can be asked.

    Raises:
        MissingError: The entry wants credentials and there are none; the remedy says how they are
            granted and how to give them.
        UsageError: The netrc file cannot be read.
    """

    def __init__(
        self, entry: CatalogueEntry, *, user: str | None = None, ask: Ask | None = None
    ) -> None:
        self._wanted = entry.access == "credentials"
        self._given: Credentials | None = None
        self._by_host: dict[str, Credentials] = {}
        if not self._wanted:
            return
        user = user or os.environ.get(USER_ENV) or None
        password = os.environ.get(PASSWORD_ENV)
        if user and password:
            self._given = Credentials(user, password)
            return
        hosts = {urlsplit(url).hostname or "" for file in entry.files for url in file.urls}
        self._by_host = _from_netrc(hosts, user)
        if self._by_host:
            return
        if ask is None:
            raise no_credentials(entry)
        self._given = ask(entry, user)

    def credentials(self, url: str) -> Credentials | None:
        """What to send to an address, None to send nothing."""
        if not self._wanted:
            return None
        return self._given or self._by_host.get(urlsplit(url).hostname or "")


def no_credentials(entry: CatalogueEntry) -> MissingError:
    """The error of an entry that wants credentials which are not there."""
    return MissingError(
        f"{entry.name} is given out with a user name and a password, and none were given",
        remedy=f"{entry.access_note} Then run it again on a terminal with --user NAME, "
        f"or set {USER_ENV} and {PASSWORD_ENV}, or put them into ~/.netrc.",
    )


def is_safe(url: str) -> bool:
    """Whether a password may travel to an address: encrypted, or not leaving this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return parts.scheme == "https" or local


def _from_netrc(hosts: set[str], user: str | None) -> dict[str, Credentials]:
    """The entries of the netrc file for some hosts; with ``user`` only those of that name."""
    named = os.environ.get("NETRC")
    names = [named] if named else ["~/.netrc", "~/_netrc"]
    path = next((p for p in (Path(name).expanduser() for name in names) if p.is_file()), None)
    if path is None:
        return {}
    try:
        table = netrc.netrc(str(path))
    except (OSError, ValueError, netrc.NetrcParseError) as error:
        # The error quotes the file, and the quoted word may be a password.
        line = getattr(error, "lineno", None)
        raise UsageError(
            f"{path} cannot be read" + (f": see line {line}" if line else ""),
            remedy="Fix it, and let nobody but you read it (chmod 600).",
        ) from None
    found: dict[str, Credentials] = {}
    for host in hosts:
        login, _, password = table.authenticators(host) or ("", None, None)
        if password and (user is None or login == user):
            found[host] = Credentials(login, password)
    return found
