"""Downloads: files streamed from disk by a route, never through Streamlit, which would hold them in memory."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from dashboard import edge, file_answers
from models import audit_log as lines_of_log
from models import check_report, exports, import_changes, import_finding_rows, import_kept, import_rejects, imports
from models.contacts import difference_file
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound, Unavailable
from models.import_changes import Kind
from models.performance import pages, reports

FILES_OF_ROWS = {"rejects.csv": "rejected", "duplicates.csv": "duplicate"}
KEPT = "kept.csv"
STANDING_OUT = "finding-"
CHANGES, MOVED = "changes.csv", "moved.csv"


async def export_file(request: Request) -> Response:
    """The file of a finished export, for whoever made it and for administrators, or where the store gives it to them;
    401, 403, 404 or 503 (the store is away) else.

    A download that broke goes on where it stopped: `Range` is answered.
    """
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    try:
        export_id, noted = request.path_params["export_id"], request.method == "GET"
        continued = not request.headers.get("range", "bytes=0-").startswith("bytes=0-")
        export = await run_in_threadpool(exports.downloaded, export_id, noted=noted, continued=continued, by=actor)
        return await run_in_threadpool(file_answers.of_export, export, request, may_lead_away=True)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    except (NotFound, InvalidInput) as error:  # the latter of an older version's fields
        return PlainTextResponse(error.sentence, 404)
    except Unavailable as error:
        return PlainTextResponse(error.sentence, 503)


async def import_rows(request: Request) -> Response:
    """Rows of an import: those that did not come in, as one of FILES_OF_ROWS; with `kind` and `field` as in the models
    those behind its other numbers as CHANGES, and where its plan held no longer as MOVED; what its undo left; those
    that a finding is about, as STANDING_OUT with its name. 401, 403 or 404 else."""
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    import_id, file = request.path_params["import_id"], request.path_params["file"]
    made = _rows_of(import_id, file, request.query_params)
    if made is None:
        return PlainTextResponse("Not found.", 404)
    try:
        found = await run_in_threadpool(imports.get, import_id, by=actor)
        noted = request.method == "GET"  # there are no later parts: it answers no `Range`
        lines = await run_in_threadpool(made, by=actor, noted=noted)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    except (NotFound, InvalidInput, Conflict) as error:
        return PlainTextResponse(error.sentence, 404)
    return file_answers.csv(lines, f"{Path(found.file_name).stem} {file}")


def _rows_of(import_id: int, file: str, asked: Mapping[str, str]) -> Callable[..., Iterable[str]] | None:
    """What makes the lines of that file; None where there is no such."""
    if file in FILES_OF_ROWS:
        return partial(import_rejects.as_csv, import_id, kind=FILES_OF_ROWS[file])
    if file == KEPT:
        return partial(import_kept.as_csv, import_id)
    if file.startswith(STANDING_OUT):
        name = file.removeprefix(STANDING_OUT).removesuffix(".csv")
        return partial(import_finding_rows.as_csv, import_id, name)
    if file == MOVED:
        return partial(import_changes.moved_as_csv, import_id)
    kind = asked.get("kind", Kind.UPDATED)
    if file == CHANGES and kind in set(Kind):
        return partial(import_changes.as_csv, import_id, kind=Kind(kind), changing=asked.get("field"))
    return None


async def audit_log(request: Request) -> Response:
    """The lines that the address asks for, as the screen's address does; 400, 401 or 403 else."""
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    try:
        wanted = lines_of_log.parse(request.query_params.multi_items())
        noted = request.method == "GET"
        lines = await run_in_threadpool(lines_of_log.as_csv, wanted, noted=noted, by=actor)
    except InvalidInput as error:
        return PlainTextResponse(error.sentence, 400)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    return file_answers.csv(lines, "audit log.csv")


async def difference(request: Request) -> Response:
    """What became of the view that the address names between `from` and `to`; 400, 401 or 403 else."""
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    try:
        asked = difference_file.parse(request.query_params.multi_items(), by=actor)
        noted = request.method == "GET"
        lines = await run_in_threadpool(difference_file.as_csv, asked, noted=noted, by=actor)
    except InvalidInput as error:
        return PlainTextResponse(error.sentence, 400)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    return file_answers.csv(lines, "difference.csv")


async def performance_report(request: Request) -> Response:
    """The latest report as a page that opens offline; 401, 403 or 404 else."""
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    try:
        made = await run_in_threadpool(reports.latest, by=actor)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    if made is None:
        return PlainTextResponse("No report was made yet.", 404)
    name = f"performance {made.made_at:%Y-%m-%d}.html"
    return HTMLResponse(pages.page(made), headers={"content-disposition": f'attachment; filename="{name}"'})


async def quality_report(request: Request) -> Response:
    """The quality of the data, as html or csv; 401, 403 or 404 else."""
    actor = await edge.signed_in(request.scope)
    if actor is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    kind = request.path_params["kind"]
    try:
        name = await run_in_threadpool(check_report.name, kind, by=actor)
        if kind == "csv":
            return file_answers.csv(await run_in_threadpool(check_report.csv, by=actor), name)
        if kind == "html":
            named = {"content-disposition": f'attachment; filename="{name}"'}
            return HTMLResponse(await run_in_threadpool(check_report.html, by=actor), headers=named)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    return PlainTextResponse("Not found.", 404)
