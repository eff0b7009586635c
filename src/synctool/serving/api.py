"""The REST API: jobs are sent, followed, fetched and deleted. Its document is /api/openapi.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from synctool.errors import UsageError
from synctool.serving.access import Access, cookie_of
from synctool.serving.api_errors import (
    DeniedError,
    NotReadyError,
    UnknownKindError,
    problems,
)
from synctool.serving.api_models import (
    About,
    Health,
    Job,
    Jobs,
    PathOrder,
    SessionOrder,
)
from synctool.serving.events import Events
from synctool.serving.job_files import FileKind
from synctool.serving.service import NoJobError, Service
from synctool.serving.uploads import Receiver, TooLargeError, Upload

COOKIE = "synctool_session"
_GONE_AWAY = 499
_NO_VIDEO = ("application/x-www-form-urlencoded", "application/xml", "image/", "text/")
"""Media types of bodies that are certainly no video."""
_MOST_JOBS = 100
_SWITCH: dict[str, bool] = dict.fromkeys(("1", "true", "on", "yes"), True)
_SWITCH |= dict.fromkeys(("", "0", "false", "off", "no"), False)
_PAGE_POLICY = "sandbox allow-scripts allow-downloads"
"""The page of a video runs its own script and reaches nothing of the service."""
_bearer = HTTPBearer(auto_error=False, description="A token of the file of --tokens.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="From POST /api/session.")

router = APIRouter(prefix="/api")


def service_of(request: Request) -> Service:
    """The service of an application."""
    return request.app.state.service


def owner_of(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> str:
    """Whose request this is.

    Raises:
        DeniedError: Nobody's.
    """
    access: Access = request.app.state.access
    owner = access.owner(token=given and given.credentials, cookie=cookie)
    if owner is None:
        raise DeniedError("a token is needed", remedy="Send Authorization: Bearer TOKEN.")
    return owner


Owner = Annotated[str, Depends(owner_of)]
Here = Annotated[Service, Depends(service_of)]
_NAME = Query(max_length=1024, description="Name of a video that is the whole body.")
_FIX = Query(description="Whether a repaired file is wanted.")
_SENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "minLength": 1},
                        "fix": {"type": "boolean", "default": False},
                    },
                }
            },
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "minLength": 1}
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/PathOrder"}},
        },
    }
}


@router.get("/health", tags=["service"])
def health() -> Health:
    """Tell that the service answers; needs no token."""
    return Health()


@router.get("/service", tags=["service"], responses=problems())
def about(owner: Owner, service: Here) -> About:
    """Tell the limits, and how much there is to do."""
    return About.of(service)


@router.post("/session", tags=["service"], status_code=204, responses=problems())
def sign_in(request: Request, order: SessionOrder) -> Response:
    """Take a cookie for a token, for pages: they cannot send tokens with links and streams."""
    access: Access = request.app.state.access
    if access.owner(token=order.token, cookie=None) is None:
        raise DeniedError("this token is not known", remedy="Ask who runs the service.")
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        cookie_of(order.token),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.delete("/session", tags=["service"], status_code=204)
def sign_out() -> Response:
    """Give the cookie back."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.post(
    "/jobs",
    tags=["jobs"],
    status_code=201,
    openapi_extra=_SENT,
    responses=problems(404, 408, 413, 415, 503, 507),
    response_model=Job,
)
async def send(
    request: Request,
    owner: Owner,
    service: Here,
    name: Annotated[str, _NAME] = "video",
    fix: Annotated[bool, _FIX] = False,
) -> Response:
    """Send a video, as a form or alone, and get its job. It is written to the disk as it comes.

    JSON names a video in an allowed folder, as in ``POST /api/paths``.
    """
    kind = request.headers.get("content-type", "").lower()
    if _is(kind, "application/json"):
        order = await _path_order(request)
        return await to_thread.run_sync(
            lambda: _created(service.take_path(owner, order.path, fix=fix or order.fix), service)
        )
    if _is(kind, *_NO_VIDEO):
        raise UnknownKindError(
            f"{_type_of(kind)} is no video",
            remedy="Send multipart/form-data with the field 'file', the video alone as "
            "application/octet-stream, or as application/json the path of one in an allowed folder.",
        )
    told = request.headers.get("content-length", "")
    size = int(told) if told.isdigit() and len(told) < 19 else None
    try:
        with service.upload(size) as path:
            receiver = Receiver(request.stream(), path, service.settings, service.check_room)
            try:
                receiver.check_told(size)
                upload: Upload = await (
                    receiver.form(request.headers["content-type"])
                    if _is(kind, "multipart/form-data")
                    else receiver.body(name)
                )
            except TooLargeError:
                await receiver.drain()
                raise
            wanted = _switch("fix", upload.fields.get("fix", "")) or fix
            now = await to_thread.run_sync(
                lambda: service.take_upload(owner, upload.name, path, fix=wanted)
            )
    except ClientDisconnect:
        return Response(status_code=_GONE_AWAY)  # nobody reads it
    return await to_thread.run_sync(lambda: _created(now, service))


@router.post(
    "/paths",
    tags=["jobs"],
    status_code=201,
    responses=problems(404, 503, 507),
    response_model=Job,
)
def send_path(order: PathOrder, owner: Owner, service: Here) -> Response:
    """Name a video in an allowed folder, and get its job."""
    return _created(service.take_path(owner, order.path, fix=order.fix), service)


@router.get("/jobs", tags=["jobs"], responses=problems())
def jobs(
    owner: Owner,
    service: Here,
    limit: Annotated[int, Query(ge=1, le=_MOST_JOBS)] = 50,
    before: Annotated[int | None, Query(ge=1, le=1 << 62)] = None,
) -> Jobs:
    """List the jobs of this token, the latest first."""
    found = service.store.of_owner(owner, most=limit, before=before)
    listed = [Job.of(service.now(record), service) for record in found]
    return Jobs(jobs=listed, next=found[-1].number if len(found) == limit else None)


@router.get("/events", tags=["jobs"], responses=problems(), response_class=StreamingResponse)
async def all_events(request: Request, owner: Owner, service: Here) -> Response:
    """Follow all jobs of this token, as server-sent events: as of one job."""
    return _stream(request, owner, None, service)


@router.get("/jobs/{id}", tags=["jobs"], responses=problems(404))
def job(id: str, owner: Owner, service: Here) -> Job:
    """Tell how far a job is."""
    return Job.of(service.job(owner, id), service)


@router.delete("/jobs/{id}", tags=["jobs"], status_code=204, responses=problems(404))
def delete(id: str, owner: Owner, service: Here) -> Response:
    """Delete a job and its files; one that runs is stopped."""
    service.delete(owner, id)
    return Response(status_code=204)


@router.get(
    "/jobs/{id}/events", tags=["jobs"], responses=problems(404), response_class=StreamingResponse
)
async def events(request: Request, id: str, owner: Owner, service: Here) -> Response:
    """Follow a job, as server-sent events.

    ``event: job`` has the job as ``GET /api/jobs/{id}`` gives it, whenever it has changed; ``event: deleted``
    has its id. The stream ends with the job.
    """
    await to_thread.run_sync(lambda: service.job(owner, id))
    return _stream(request, owner, id, service)


@router.get(
    "/jobs/{id}/result", tags=["files"], responses=problems(404, 409), response_class=JSONResponse
)
def result(id: str, owner: Owner, service: Here) -> Response:
    """Fetch the result, as of ``synctool detect --json``."""
    return FileResponse(_file(service, owner, id, "result"), media_type="application/json")


@router.get(
    "/jobs/{id}/repair", tags=["files"], responses=problems(404, 409), response_class=JSONResponse
)
def repair(id: str, owner: Owner, service: Here) -> Response:
    """Fetch what the repair did, as of ``synctool fix --json``."""
    return FileResponse(_file(service, owner, id, "repair"), media_type="application/json")


@router.get(
    "/jobs/{id}/page",
    tags=["files"],
    responses={**problems(404, 409), 200: {"content": {"text/html": {}}}},
    response_class=FileResponse,
)
def page(id: str, owner: Owner, service: Here) -> Response:
    """Fetch the page with charts and player, as of ``synctool detect --html``."""
    headers = {"Content-Security-Policy": _PAGE_POLICY}
    path = _file(service, owner, id, "page")
    return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)


@router.get(
    "/jobs/{id}/plot",
    tags=["files"],
    responses={**problems(404, 409), 200: {"content": {"image/png": {}}}},
    response_class=FileResponse,
)
def plot(id: str, owner: Owner, service: Here) -> Response:
    """Fetch the plot, where the service has what draws it."""
    return FileResponse(_file(service, owner, id, "plot"), media_type="image/png")


@router.get(
    "/jobs/{id}/repaired",
    tags=["files"],
    responses={**problems(404, 409), 200: {"content": {"application/octet-stream": {}}}},
    response_class=FileResponse,
)
def repaired(id: str, owner: Owner, service: Here) -> Response:
    """Fetch the repaired video."""
    path = _file(service, owner, id, "repaired")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


def _file(service: Service, owner: str, id: str, kind: FileKind) -> Path:
    """A file of a job.

    Raises:
        NotReadyError: The job is not done.
        NoJobError: There is no such job, or it has no such file.
    """
    record = service.job(owner, id).record
    if record.state not in ("done", "failed"):
        raise NotReadyError("the job is not done yet", remedy="Follow its events.")
    path = service.files.written(record).get(kind)
    if path is None:
        said = record.outcome.repair if record.outcome and kind in ("repaired", "repair") else None
        raise NoJobError(f"this job has no {kind}", remedy=said or "See 'files' of the job.")
    return path


async def _path_order(request: Request) -> PathOrder:
    """The order that a request has as JSON.

    Raises:
        RequestValidationError: It has none.
    """
    try:
        return PathOrder.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _type_of(kind: str) -> str:
    return kind.split(";", 1)[0].strip()


def _is(kind: str, *wanted: str) -> bool:
    """Whether a media type is one of those, which may end in a slash for all of that kind."""
    own = _type_of(kind)
    return any(own == one or (one.endswith("/") and own.startswith(one)) for one in wanted)


def _switch(name: str, word: str) -> bool:
    if (told := _SWITCH.get(word.strip().lower())) is None:
        raise UsageError(
            f"{name} is neither true nor false", remedy=f"Send {name}=true, or leave it out."
        )
    return told


def _created(now: Any, service: Service) -> Response:
    shown = Job.of(now, service)
    return JSONResponse(
        shown.model_dump(mode="json"), 201, headers={"Location": f"jobs/{shown.id}"}
    )


def _stream(request: Request, owner: str, id: str | None, service: Service) -> Response:
    listening: Events = request.app.state.events

    def said(job_id: str) -> tuple[str, bool]:
        try:
            shown = Job.of(service.job(owner, job_id), service)
        except NoJobError:
            return _event("deleted", f'{{"id": "{job_id}"}}'), True
        return _event("job", shown.model_dump_json()), shown.state in ("done", "failed")

    headers = {"X-Accel-Buffering": "no"}  # or nginx would hold events back
    return StreamingResponse(
        listening.stream(owner, id, said), media_type="text/event-stream", headers=headers
    )


def _event(kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\n\n"
