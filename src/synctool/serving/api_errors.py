"""What the API answers where something is wrong: a status, the cause and the remedy."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from synctool.errors import MissingError, OutputError, SyncToolError, UsageError
from synctool.serving.api_models import Problem
from synctool.serving.job_files import OutsideError
from synctool.serving.service import BusyServiceError, FullDiskError, NoJobError
from synctool.serving.uploads import TooLargeError, TooSlowError

RETRY_S = 30
"""After which one may try again who was turned away since there is too much to do."""


class DeniedError(SyncToolError):
    """No token, or none that is known."""


class NotReadyError(SyncToolError):
    """The job is not done yet."""


class UnknownKindError(UsageError):
    """The body is of a media type that is not taken."""


_STATUS: dict[type[SyncToolError], int] = {
    DeniedError: 401,
    OutsideError: 403,
    NoJobError: 404,
    MissingError: 404,
    TooSlowError: 408,
    NotReadyError: 409,
    TooLargeError: 413,
    UnknownKindError: 415,
    UsageError: 422,
    BusyServiceError: 503,
    FullDiskError: 507,
    OutputError: 507,
    SyncToolError: 500,
}
_MEANING = {
    401: "No token, or none that is known.",
    403: "The path lies outside the allowed folders, or the request comes from a page elsewhere.",
    404: "There is no such job, file or path.",
    408: "Nothing has come for too long.",
    409: "The job is not done yet.",
    413: "The body is larger than is allowed.",
    415: "The body is of a media type that is not taken.",
    422: "The request is wrong.",
    503: "Too much is waiting or coming; try again after the time in Retry-After.",
    507: "The disk is full.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses for the OpenAPI document."""
    return {
        status: {"model": Problem, "description": _MEANING[status]}
        for status in sorted({401, 403, 422, *statuses})
    }


def answer(status: int, error: str, remedy: str | None = None) -> JSONResponse:
    """A problem as a response."""
    headers = {
        401: {"WWW-Authenticate": "Bearer"},
        408: {"Connection": "close"},  # the rest of the body may yet come, and is no request
        503: {"Retry-After": str(RETRY_S)},
    }
    content = Problem(error=error, remedy=remedy).model_dump()
    return JSONResponse(content, status, headers.get(status))


def _allowed(request: Request) -> set[str]:
    """The methods that the path of a request is there for, as the OpenAPI document says."""
    return {
        method.upper()
        for path, operations in request.app.openapi()["paths"].items()
        if compile_path(path)[0].match(request.scope["path"])
        for method in operations
    }


def add_answers(app: FastAPI) -> None:
    """Let an application answer so whatever goes wrong."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SyncToolError)
        kinds = type(error).__mro__
        status = next(_STATUS[kind] for kind in kinds if kind in _STATUS)
        return answer(status, error.cause, error.remedy)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"]) or "body"
        return answer(422, f"{where}: {first['msg']}", "See /api/openapi.json.")

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status = 422 if error.status_code == 400 else error.status_code  # a body that is no JSON
        made = answer(status, str(error.detail), "See /api/openapi.json.")
        made.headers.update(error.headers or {})
        if error.status_code == 405 and (allowed := _allowed(request)):
            # The router tells those of one operation only.
            made.headers["Allow"] = ", ".join(sorted(allowed))
        return made

    app.add_exception_handler(SyncToolError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
