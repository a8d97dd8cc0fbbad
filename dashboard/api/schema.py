"""The OpenAPI document: what FastAPI makes of the routes, completed by what all of them have in common.

Errors, headers and the filters of contacts are written here once. So a route says nothing of them, and none forgets
one: what it may answer follows from what it is, and from `responses` on its line where there is more.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from dashboard.api import problems
from dashboard.api.problems import Problem
from models.contacts import quality
from models.contacts.amounts import MONEY_LIMIT, WHOLE_LIMIT
from models.contacts.table import FIELDS
from models.fields import Field, Kind
from models.filters import AS_OF, MAX_TEXT, OPERATORS, SYSTEM
from models.idempotency import LONGEST

TAGS = {
    "sign-in": "A token for a while, by e-mail, password and second factor.",
    "tokens": "Personal tokens for programs.",
    "profile": "One's own name, e-mail address, password, second factor and sessions.",
    "contacts": "Searched, counted, read, created, changed, deleted; their history and the origin of their values.",
    "many contacts": "Changed at once, and put back; copied.",
    "deleted contacts": "Found and restored.",
    "differences": "What became of a view between two moments.",
    "checks": "The quality of the data: rules, runs, report.",
    "duplicates": "Found, decided, merged, taken apart.",
    "industries": "The names that contacts refer to.",
    "views": "Saved filters with their columns and order, and their exports by schedule.",
    "uploads": "Files that come in parts, in any order.",
    "imports": "Files on their way in: uploaded, mapped, planned, committed, undone.",
    "mappings": "Saved mappings of columns.",
    "watched folders": "Places whose new files become imports.",
    "exports": "Files on their way out, with their receipts.",
    "statistics": "The numbers of the overview.",
    "people": "People, their roles, limits and columns.",
    "credits": "The right to take contacts out: what there is, and where it went.",
    "audit": "Who did what, when.",
    "backups": "What is backed up, and whether drills proved it.",
    "performance": "How the database and what is asked of it perform: daily reports.",
    "housekeeping": "Disks, what is kept for how long, and what tables want.",
    "jobs": "What runs by itself: schedules, runs, logs.",
    "payments": "Plans, packs, subscriptions, refunds and invoices.",
    "health": "Whether it answers.",
}
WORDS: dict[int, str] = {
    400: "The body is no JSON, or not in UTF-8.",
    401: "No token, or one that works no more.",
    402: "Not enough credits.",
    403: "The person, or the token, may not do this.",
    404: "There is no such thing, or the person may not see it.",
    409: "What is stored stands against it.",
    410: "It is gone: a contact that was deleted or merged into another one, a link that was used.",
    412: "Somebody changed it since: nothing was written.",
    413: "More than is taken at once.",
    422: "A value does not fit; each field is named.",
    428: "If-Match is missing.",
    429: "Too many requests: Retry-After says when to come back.",
    503: "Something is not there just now, or takes too long: try again.",
}  # fmt: skip
SCHEMAS = "#/components/schemas/"
COUNTED = ("/sessions", "/sessions/code", "/sessions/enrolment/confirm")  # by their failures
CHANGING = ("post", "put", "patch", "delete")
MOMENT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}.*|(import|before):[1-9][0-9]{0,8}|now)$"
NOT_BLANK = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def operation_id(route: APIRoute) -> str:
    """“contacts_read”, by module and function: a program's client has it as a name."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def describe(api: FastAPI) -> None:
    """Let `api` answer with the completed document; it is made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
            api.openapi_schema = completed(made)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def completed(made: dict[str, Any]) -> dict[str, Any]:
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")[1]["$defs"]
    schemas["Filters"] = filters()
    components |= {"parameters": PARAMETERS, "headers": HEADERS, "responses": dict(responses())}
    used = set()
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            used.update(operation.get("tags", ()))
            _complete(path, method, operation)
    made["tags"] = [{"name": name, "description": words} for name, words in TAGS.items() if name in used]
    return _renamed(made)


def _renamed(made: dict[str, Any]) -> dict[str, Any]:
    """Models and enumerations that share a name are told apart by their modules: FastAPI's name for
    models.exports.State is models__exports__State, ours ExportsState."""
    schemas = made["components"]["schemas"]
    names = {name: _short(name) for name in schemas if "__" in name}
    for name, short in names.items():
        schemas[name]["title"] = short  # which generators of clients take for the name
    made["components"]["schemas"] = {names.get(name, name): one for name, one in schemas.items()}
    references = {f"{SCHEMAS}{name}": f"{SCHEMAS}{short}" for name, short in names.items()}

    def told(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: told(one) for name, one in part.items()}
        if isinstance(part, list):
            return [told(one) for one in part]
        return references.get(part, part) if isinstance(part, str) else part

    return dict(told(made))


def _short(name: str) -> str:
    *modules, own = [part for part in name.split("__") if part not in ("models", "dashboard", "api")]
    return "".join(word.capitalize() for module in modules for word in module.split("_")) + own


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    told = operation["responses"]
    told.pop("422", None)
    if method == "post" and operation.get("security"):
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    for parameter in operation.get("parameters", ()):
        if parameter.get("name") == "If-Match":
            parameter["required"] = True  # 428 without it
    for status, answer in told.items():
        if int(status) >= HTTPStatus.BAD_REQUEST:
            answer["content"] = PROBLEM
        answer["headers"] = answer.get("headers", {}) | _headers(path, operation)
    for status in _errors(path, method, operation):
        told.setdefault(str(status), {"$ref": f"#/components/responses/{_name(status)}"})
    operation["responses"] = dict(sorted(told.items()))


def _errors(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    """What such a route may answer."""
    signed, parameters = bool(operation.get("security")), operation.get("parameters", [])
    has_body, named = "requestBody" in operation, {one.get("name") for one in parameters}
    found = set[int]()
    if signed:
        found |= {401, 403, 429, 503}
    elif has_body:
        found |= {401, 403, 404, 409, 429, 503}
    if parameters or has_body:
        found.add(422)
    if "{" in path or (has_body and signed):
        found.add(404)
    if signed and (method in CHANGING or "{" in path):
        found.add(409)
    if "{contact_id}" in path:
        found.add(410)
    if has_body:
        found |= {400, 413}
    if "If-Match" in named:
        found |= {412, 428}
    return found


def _headers(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    names = HEADERS if operation.get("security") or path in COUNTED else ("X-Request-Id",)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _name(status: int) -> str:
    return f"Problem{status}"


PROBLEM = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_NUMBER = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Any] = {
    "X-Request-Id": {"description": "The number of this request, for our log.", "schema": {"type": "string"}},
    "RateLimit-Limit": {
        "description": "Requests that you may make in an hour; of a sign-in the failures of its address.",
        "schema": _NUMBER,
    },
    "RateLimit-Remaining": {"description": "Those that are left of it.", "schema": _NUMBER},
    "RateLimit-Reset": {"description": "Seconds until it begins anew.", "schema": _NUMBER},
}
PARAMETERS: dict[str, Any] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Any word, new for each request. Sent again with the same one within a day, the request is not "
        "carried out again: the answer is that of the first time.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"},
        "example": "2f1c9a7e-0b3d-4a57-9a55-6d0f5e1f4c11",
    },
    "Filters": {
        "name": "filters",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": "Conditions, each a parameter of its own, as in `country=Germany&employees.gte=50`. All of them "
        "must hold. The same one again means any of its values; those that begin with or1., or2. are alternatives.",
        "schema": {"$ref": "#/components/schemas/Filters"},
        "example": {"country": "Germany", "employees.gte": 50},
    },
}


def responses() -> Iterator[tuple[str, dict[str, Any]]]:
    for status, words in WORDS.items():
        headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry-After"] = {"description": "In seconds.", "schema": _NUMBER}  # type: ignore[dict-item]  # the others are references
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            when = "In seconds, where the database is away."
            headers["Retry-After"] = {"description": when, "schema": _NUMBER}  # type: ignore[dict-item]  # the others are references
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = {"schema": {"type": "string"}}  # type: ignore[dict-item]  # the others are references
        yield _name(status), {"description": words, "content": PROBLEM, "headers": headers}


def filters() -> dict[str, Any]:
    """Every field with each of its operators, from their declarations."""
    properties: dict[str, Any] = {
        "q": {**_text(), "description": "Words of name, title, company, e-mail or website."},
        AS_OF: {
            "type": "string",
            "maxLength": 100,
            "description": "Of contacts as they were: a day, moment or import.",
        },
    }
    for name, field in (FIELDS | SYSTEM).items():
        for operator, one in OPERATORS.items():
            if field.kind in one.kinds:
                key = name if operator == "is" else f"{name}.{operator}"
                words = one.sentence.format(label=field.title, value="…")
                properties[key] = _value(field, operator) | {"title": words}
    return {
        "type": "object",
        "description": "What each contact is asked; see the parameter.",
        "properties": properties,
        "additionalProperties": False,
    }


def _value(field: Field, operator: str) -> dict[str, Any]:
    kind = field.kind
    if operator == "empty" or kind is Kind.FLAG:
        return {"type": "string", "enum": ["yes", "no"]}
    if kind is Kind.CHECK:
        return {"type": "string", "enum": [rule.name for rule in quality.rules()]}
    if operator == "between":
        return {"type": "string", "maxLength": MAX_TEXT, "description": "The least and the most, with a comma between."}
    if kind is Kind.WHOLE:
        return {"type": "integer", "minimum": 1 - WHOLE_LIMIT, "maximum": WHOLE_LIMIT - 1}
    if kind is Kind.MONEY:
        digits = len(str(MONEY_LIMIT)) - 1
        return {"type": "string", "pattern": f"^-?[0-9]{{1,{digits}}}([.][0-9]{{1,2}})?$"}
    if kind is Kind.DATE:
        return {"type": "string", "format": "date"}
    return _text()


def _text() -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": NOT_BLANK}
