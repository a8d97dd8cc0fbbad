"""The OpenAPI document: as it was when programs were last told, and whole."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dashboard.api import api, schema
from models.contacts.table import FIELDS
from models.filters import OPERATORS, SYSTEM
from models.permissions import SCOPES
from tests import openapi
from tests.dashboard.api.conftest import Client

MADE: dict[str, Any] = api.openapi()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in MADE["paths"].items():
        for method, one in methods.items():
            yield f"{method.upper()} {path}", one


def test_programs_meet_the_schema_that_they_were_told_of() -> None:
    assert openapi.digest(MADE) == openapi.SAMPLE.read_text(), "Run `python -m tests.openapi`, and look at what differs"


def test_it_is_served_as_it_is_made(client: Client) -> None:
    assert client(None).get("/openapi.json").json()["paths"].keys() == MADE["paths"].keys()


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_described_by_its_declaration(name: str) -> None:
    declared = FIELDS[name]
    for model in ("Contact", "ContactValues", "WholeContact", "SeenValues"):
        described = MADE["components"]["schemas"][model]["properties"][name]
        assert (described["title"], described["examples"]) == (declared.title, [declared.shown_example])
        if declared.longest and declared.is_text:
            assert described["anyOf"][0]["maxLength"] == declared.longest


def test_each_filter_is_described_by_its_field_and_operator() -> None:
    listed = MADE["components"]["schemas"]["Filters"]["properties"]
    fitting = sum(field.kind in one.kinds for field in (FIELDS | SYSTEM).values() for one in OPERATORS.values())
    assert len(listed) == fitting + 2  # q and as_of
    assert listed["employees.gte"]["title"] == "Employees at least …"


def test_every_example_of_a_contact_is_one_that_is_taken(client: Client) -> None:
    """But of what refers to industries and people that are not there."""
    from dashboard.api.contact_shapes import ContactValues, texts
    from models.contacts import records
    from models.fields import REFERENCES
    from models.permissions import OPERATOR

    client(None)
    examples = {name: one.shown_example for name, one in FIELDS.items() if one.kind not in REFERENCES}
    made = records.create(texts(ContactValues(**examples)), by=OPERATOR)
    stored = records.get(made, by=OPERATOR)
    assert [name for name in examples if stored.values[name] is None] == []


def test_every_operation_is_named_described_and_says_what_it_may_answer() -> None:
    for name, one in operations():
        assert one["summary"], name
        assert re.fullmatch("[a-z_]+", one["operationId"]), name
        assert set(one["tags"]) <= schema.TAGS.keys(), name
        scopes = [scope for way in one.get("security", []) for names in way.values() for scope in names]
        assert set(scopes) <= SCOPES.keys(), name
        if scopes:
            assert {"401", "403", "429", "503"} <= one["responses"].keys(), name
        if name.startswith("POST") and scopes:
            assert {"$ref": "#/components/parameters/IdempotencyKey"} in one["parameters"], name
    assert len({one["operationId"] for _, one in operations()}) == len(list(operations()))
    assert {tag["name"] for tag in MADE["tags"]} == {tag for _, one in operations() for tag in one["tags"]}
    assert not [name for name in MADE["components"]["schemas"] if "__" in name], "two models have one name"


def test_every_error_is_a_problem() -> None:
    shared = MADE["components"]["responses"]
    for name, one in operations():
        for status, answer in one["responses"].items():
            told = shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
            if int(status) >= 400:
                assert list(told["content"]) == ["application/problem+json"], (name, status)


def nodes(of: Any) -> Iterator[dict[str, Any]]:
    if isinstance(of, dict):
        yield of
    for one in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        yield from nodes(one)


def test_every_bound_is_told_in_the_words_of_json_schema() -> None:
    """Pydantic writes a bound that stands outside of a validator as `ge`, which no program reads."""
    pythons = {"ge", "gt", "le", "lt", "min_length", "max_length", "multiple_of"}
    numbers = [one for one in nodes(MADE["components"]["schemas"]) if one.get("type") == "integer"]
    assert not [one for one in numbers if pythons & one.keys()]
    assert sum("minimum" in one for one in numbers) > 50


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for one in part.values():
                yield from references(one)
        elif isinstance(part, list):
            for one in part:
                yield from references(one)

    for reference in set(references(MADE)):
        found: Any = MADE
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
