"""Every error of the API as problem+json (RFC 9457): the sentence that a screen shows, and the fields it is about."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from models import outages
from models.disk_space import NoRoom
from models.errors import (
    AlreadyThere,
    AppError,
    ChangedMeanwhile,
    Conflict,
    Gone,
    InvalidInput,
    InvalidValues,
    NotAllowed,
    NotEnoughCredits,
    NotFound,
    RefusedItems,
    TooMany,
    TooSlow,
    Unavailable,
)
from models.idempotency import UnderWay
from models.import_parts import PartsMissing
from models.import_uploads import TooLarge, WrongPlace
from models.industries import NameTaken
from models.link_tokens import LinkRefused
from models.sign_in_failures import SignInPaused, SignInRefused
from models.upload_files import Held

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
ACTOR = "appointment360.api_actor"  # where a request's scope keeps who asks
LOGGED = "appointment360.logged"  # in a request's scope: what it failed with is in the log
NO_OBJECT = ("model_attributes_type", "model_type", "dict_type")
WHOLE = ""  # the field's name where a sentence is about all of a request

# The first line that fits counts.
STATUS: tuple[tuple[type[AppError], HTTPStatus], ...] = (
    (SignInPaused, HTTPStatus.TOO_MANY_REQUESTS),
    (SignInRefused, HTTPStatus.UNAUTHORIZED),
    (LinkRefused, HTTPStatus.GONE),
    (NotEnoughCredits, HTTPStatus.PAYMENT_REQUIRED),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (Gone, HTTPStatus.GONE),
    (NotFound, HTTPStatus.NOT_FOUND),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ChangedMeanwhile, HTTPStatus.PRECONDITION_FAILED),
    (Held, HTTPStatus.LOCKED),
    (Conflict, HTTPStatus.CONFLICT),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (NoRoom, HTTPStatus.INSUFFICIENT_STORAGE),
    (TooSlow, HTTPStatus.SERVICE_UNAVAILABLE),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


class FieldProblem(BaseModel):
    field: str = Field(
        description="Of a body its part, else the parameter, column, filter or header by the name that you gave it; "
        "empty where the sentence is about the whole request.",
        examples=["employees.gte"],
    )
    message: str


class ItemProblem(BaseModel):
    """Of one of many things that were asked for at once: what its own request would have been answered."""

    index: int = Field(description="Its place, from 0.")
    status: int = Field(examples=[410])
    detail: str
    errors: list[FieldProblem] | None = None


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it; `errors` names each field that does not fit, `items` each of many things.

    Beside these stand, where they say something: `contact_id` of the contact that is there already, `industry_id` of
    the industry, `into` of the contact that one was merged into; `version`, `changed`, `by` and `at` of what somebody
    else wrote; `offset` of where an upload goes on.
    """

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no contact 12."])
    instance: str = Field(examples=["/api/v1/contacts/12"])
    request_id: str = Field(examples=["9f2c41d7aa01be33"])
    errors: list[FieldProblem] | None = None
    items: list[ItemProblem] | None = None


class Problems(Exception):
    """A refusal that belongs to HTTP alone, such as a missing header."""

    def __init__(self, status: HTTPStatus, sentence: str, *, headers: dict[str, str] | None = None) -> None:
        self.status, self.sentence, self.headers = status, sentence, headers or {}
        super().__init__(sentence)


def add_to(api: FastAPI) -> None:
    """Let `api` answer every error as a problem."""
    api.add_exception_handler(AppError, of_operation)
    api.add_exception_handler(Problems, _of_http)
    api.add_exception_handler(RequestValidationError, _of_request)
    api.add_exception_handler(HTTPException, _of_route)
    for kind in outages.KINDS:
        api.add_exception_handler(kind, _of_database)
    api.add_exception_handler(Exception, _unexpected)


def answer(
    request: Request,
    status: HTTPStatus,
    sentence: str,
    *,
    errors: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """`errors` are (field, sentence); `more` are members beside the standard's."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": sentence,
        "instance": request.scope.get("root_path", "")
        + request.scope["path"].removeprefix(request.scope.get("root_path", "")),
        "request_id": request.scope.get("appointment360.request_id", ""),
        **more,
    }
    if errors:
        told["errors"] = _listed(errors)
    return Response(to_json(told), status, media_type=MEDIA_TYPE, headers=headers)


def away(request: Request, error: BaseException) -> Response:
    """The answer while the database is away, which is one line of the log."""
    request_id = request.scope.get("appointment360.request_id", "")
    log.warning("request %s: the database does not answer: %s", request_id, error)
    told = {"retry-after": str(outages.AGAIN)}
    return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, outages.SENTENCE, headers=told)


def told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: errors that it may answer besides those that follow from what it is (schema.py)."""
    return {status: {"description": HTTPStatus(status).phrase} for status in statuses}


def status_of(error: AppError) -> HTTPStatus:
    return next((status for kind, status in STATUS if isinstance(error, kind)), HTTPStatus.CONFLICT)


def of_operation(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    headers: dict[str, str] = {}
    match error:
        case Held():
            headers = {"retry-after": "1"}
        case TooMany() | SignInPaused():
            headers = {"retry-after": str(error.seconds)}
        case UnderWay():
            headers = {"retry-after": "1"}
        case SignInRefused() if ACTOR in request.scope:  # a wrong password beside a token that works
            return answer(request, HTTPStatus.FORBIDDEN, error.sentence)
        case SignInRefused():
            headers = {"www-authenticate": "Bearer"}
    return answer(request, status_of(error), error.sentence, headers=headers, **_more(error))


def _more(error: AppError) -> dict[str, Any]:
    """The members that say more than the sentence."""
    named = {"errors": [(error.field, error.sentence.removeprefix(f"{error.field}: "))]} if error.field else {}
    return named | _members(error)


def _members(error: AppError) -> dict[str, Any]:
    match error:
        case InvalidValues():
            return {"errors": list(error.problems.items())}
        case RefusedItems():
            return {"items": [_item(place, one) for place, one in error.problems.items()]}
        case AlreadyThere():
            return {"contact_id": error.contact_id}
        case NameTaken():
            return {"industry_id": error.other_id}
        case ChangedMeanwhile():
            return {"version": error.version, "changed": error.fields, "by": error.by_name, "at": error.at}
        case Gone() if error.into is not None:
            return {"into": error.into}
        case PartsMissing():
            return {"missing": error.missing}
        case WrongPlace():
            return {"offset": error.offset}
    return {}


def _item(place: int, error: AppError) -> dict[str, Any]:
    more = _more(error)
    if errors := more.pop("errors", None):
        more["errors"] = _listed(errors)
    return {"index": place, "status": int(status_of(error)), "detail": error.sentence, **more}


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problems)
    return answer(request, error.status, error.sentence, headers=error.headers)


def _of_request(request: Request, error: Exception) -> Response:
    """What does not fit the schema: each place by its name, in the words of the validator."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        reason = f"The body is no JSON, at its character {found[0]['loc'][-1]}: {found[0]['ctx']['error']}."
        return answer(request, HTTPStatus.BAD_REQUEST, reason)
    kind = request.headers.get("content-type", "")
    if found and found[0]["loc"] == ("body",) and found[0]["type"] in NO_OBJECT and "json" not in kind:
        said = "Send a JSON object, with the header Content-Type: application/json."
        return answer(request, HTTPStatus.BAD_REQUEST, said)
    errors = [(_place(one["loc"]), one["msg"].removeprefix("Value error, ")) for one in found]
    told = "; ".join(f"{place or 'The request'}: {message}" for place, message in errors[:5])
    return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, told, errors=errors)


def _of_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    said = error.detail if error.detail != status.phrase else ""
    if status is HTTPStatus.BAD_REQUEST:  # FastAPI's own, of bytes that are no text
        said = "The body is no JSON in UTF-8: send it so."
    default = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address: /api/v1/docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here.",
    }
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"allow": ", ".join(_methods(request))}
    return answer(request, status, said or default.get(status, status.phrase), headers=headers)


def _methods(request: Request) -> list[str]:
    """What is possible at the address: Starlette names what the first of its routes takes."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    routes = [one for one in iter_route_contexts(request.app.routes) if hasattr(one, "path_regex")]
    found = {method for one in routes if one.path_regex.match(path) for method in one.methods or ()}
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _of_database(request: Request, error: Exception) -> Response:
    if outages.is_away(error):
        return away(request, error)
    raise error


def _unexpected(request: Request, error: Exception) -> Response:
    request_id = request.scope.get("appointment360.request_id", "")
    log.error("request %s failed", request_id, exc_info=error)
    request.scope[LOGGED] = True
    sentence = f"Something went wrong on our side. Reference {request_id}."
    # What else answers have is not put on this one, which is made outside of everything.
    return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, sentence, headers={"x-request-id": request_id})


def _listed(errors: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"field": name, "message": message} for name, message in errors]


def _place(location: tuple[int | str, ...]) -> str:
    """Without where in the request it stands: “values.email”, “size”, “If-Match”."""
    return ".".join(str(part) for part in location if part not in ("body", "query", "path", "header"))
