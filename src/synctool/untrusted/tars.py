"""Members of tar files: plain files, as large as they say and as their archive can hold."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from synctool.untrusted.origin import MalformedError
from synctool.untrusted.regular import check_size


@contextmanager
def tar_errors() -> Iterator[None]:
    """Turn what reading a tar file may raise into one error.

    Raises:
        MalformedError: It is damaged.
    """
    try:
        yield
    except MalformedError:
        raise
    except RecursionError as error:  # header upon header
        raise MalformedError("it has too many headers in a row") from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise MalformedError(str(error) or type(error).__name__) from error


def check_member(member: tarfile.TarInfo, *, most: int) -> None:
    """Refuse a member that is not simply so many bytes of the archive.

    Args:
        member: As tarfile gives it.
        most: Most bytes that it may have.

    Raises:
        MalformedError: It is a folder, a link or a device, sparse, or larger.
    """
    # A sparse member needs no bytes of the archive for the zeros that it says it has.
    if not member.isreg() or member.issparse():
        raise MalformedError(f"{member.name[:80]} in it is no plain file")
    try:
        check_size(member.size, most)
    except MalformedError as error:
        raise MalformedError(f"{member.name[:80]} in it: {error}") from error


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, *, most: int) -> bytes:
    """The content of a member.

    Raises:
        MalformedError: As of :func:`check_member`, or the archive ends before it.
    """
    check_member(member, most=most)
    with tar_errors():
        file = tar.extractfile(member)
        data = b"" if file is None else file.read()
    if len(data) != member.size:
        raise MalformedError(f"it ends within {member.name[:80]}")
    return data
