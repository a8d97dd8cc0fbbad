"""Every operation against the table of who may what, found by looking for them: none is without its permission."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from deploy.embedded_postgres import Server
from models import credits, database, exports, migrations, permissions, preferences
from models.contacts import bulk
from models.contacts.bulk import Batch
from models.database import engine
from models.errors import InvalidInput, NotAllowed, NotFound
from models.filters import Filters
from models.imports import State
from models.permissions import DEEDS, OPERATOR, Actor, Permission, Role
from tests import who_may_what
from tests.people import person
from tests.who_may_what import ACCOUNT, OPERATIONS, README, RELIES_ON, WITHIN

ACTING = dict(who_may_what.acting())
NEEDED = {name: permission for deed, names in OPERATIONS.items() for name in names if (permission := DEEDS[deed])}
GIVEN = {
    "models.import_orders.ask (undone)": {"wanted": State.UNDONE},
    "models.credits.balance (of another)": {"of": 10**6},
    "models.credits.entries (of another)": {"of": 10**6},
}


class Touched(Exception):
    """An argument was looked at."""


def _touched(*_: object, **__: object) -> Any:
    raise Touched


# What an allowed one is called with, where it would begin something before it looks at anything it was given.
NOWHERE = {
    name: {"import_id": 10**6}
    for name in (
        "pipelines.import_contacts.go_on", "pipelines.import_contacts.run", "pipelines.import_contacts.undo",
        "pipelines.import_contacts.redo", "pipelines.import_contacts.take_back",
        "pipelines.import_contacts.bring_back",
    )
} | {
    "models.payments.reconciliations.ask": {"days": 10**6},
    "pipelines.validate_contacts.check": {"say": _touched},
}  # fmt: skip


Untouched = type("Untouched", (), {
    f"__{name}__": _touched
    for name in (
        "getattribute", "eq", "ne", "lt", "le", "gt", "ge", "bool", "iter", "len", "contains", "getitem", "int",
        "index", "str", "repr", "format", "add", "radd", "call", "enter", "hash", "truediv", "fspath", "float",
    )
})  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def people(postgres: Server) -> Iterator[dict[Role, Actor]]:
    """One of each role, in a database of this module's."""
    url = postgres.url("who_may_what")
    postgres.ensure_database("who_may_what")
    migrations.upgrade(url)
    database.bind(url)
    yield {role: person(email=f"{role}@example.com", name=role.label, role=role).actor() for role in Role}
    database.engine().dispose()


def call(name: str, by: Actor, **given: Any) -> None:
    """The operation with arguments that may not be looked at, `given` ones aside."""
    function = ACTING[name.partition(" ")[0]]
    arguments = {
        parameter.name: Untouched()
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.name not in ("self", "by")
    }
    done = function(**{**arguments, **GIVEN.get(name, {}), **given}, by=by)
    if inspect.iscoroutine(done):
        asyncio.run(done)
    if isinstance(done, AbstractContextManager):
        with done:
            return
    if isinstance(done, Iterator):
        next(done, None)


def everything() -> list[Any]:
    """What all tables and sequences hold, as far as a change shows."""
    with engine().connect() as connection:
        tables = connection.scalars(
            text("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'staging')")
        ).all()
        counted = [f"SELECT '{name}', count(*), sum(hashtextextended(t::text, 0)) FROM {name} t" for name in tables]
        numbered = connection.execute(text("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")).all()
        return sorted(connection.execute(text(" UNION ALL ".join(counted))).all()) + list(numbered)


def test_every_operation_has_its_row() -> None:
    named = [name.partition(" ")[0] for names in OPERATIONS.values() for name in names]
    missing = sorted(ACTING.keys() - set(named) - RELIES_ON.keys())
    assert not missing, f"Add to OPERATIONS or RELIES_ON in tests/who_may_what.py: {', '.join(missing)}"
    gone = sorted({*named, *RELIES_ON} - ACTING.keys())
    assert not gone, f"Take out of OPERATIONS and RELIES_ON in tests/who_may_what.py: {', '.join(gone)}"
    assert not set(named) & RELIES_ON.keys()


def test_every_row_has_its_operations() -> None:
    without = [deed for deed in DEEDS if deed not in OPERATIONS and deed not in WITHIN]
    assert not without, f"Name their operations in tests/who_may_what.py: {without}"


def test_the_readme_has_the_table() -> None:
    told = f"{who_may_what.BEGIN}\n{who_may_what.table()}\n{who_may_what.END}"
    assert told in README.read_text(), "Run `python -m tests.who_may_what`"


@pytest.mark.parametrize("name", NEEDED)
def test_who_lacks_the_permission_is_refused_before_anything_happens(
    name: str, people: dict[Role, Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything()
    refused = [people[role] for role in Role if NEEDED[name] not in role.permissions]
    for by in refused:
        with pytest.raises(NotAllowed, match=f"You may not {NEEDED[name].value}: that needs the role"):
            call(name, by)
    # And somebody who has every other one: it is just this that it takes.
    monkeypatch.setitem(permissions.PERMISSIONS, Role.ADMIN, frozenset(Permission) - {NEEDED[name]})
    with pytest.raises(NotAllowed, match=f"You may not {NEEDED[name].value}"):
        call(name, people[Role.ADMIN])
    assert everything() == before


@pytest.mark.parametrize("name", NEEDED)
def test_who_has_the_permission_is_not_refused(name: str, people: dict[Role, Actor]) -> None:
    for by in [people[role] for role in Role if NEEDED[name] in role.permissions]:
        try:
            call(name, by, **NOWHERE.get(name, {}))
        except (Touched, NotFound, InvalidInput):
            continue
        except TypeError as error:  # what is written in C does not look, it refuses
            assert "Untouched" in str(error)  # noqa: PT017  # other errors are none


def test_a_token_without_the_scope_is_refused_before_anything_happens(people: dict[Role, Actor]) -> None:
    """Of an administrator, with every other scope."""
    before = everything()
    for name in (*NEEDED, *OPERATIONS[ACCOUNT], "models.credits.balance", "models.credits.entries"):
        scope = NEEDED[name].scope if name in NEEDED else permissions.ACCOUNT
        by = replace(people[Role.ADMIN], scopes=frozenset(permissions.SCOPES) - {scope})
        with pytest.raises(NotAllowed, match=f"it lacks the scope “{scope}”|A token may not do this"):
            call(name, by)
    assert everything() == before


@pytest.mark.parametrize("name", OPERATIONS[ACCOUNT])
def test_an_account_is_changed_by_its_own_person_alone(name: str) -> None:
    """The operations take no other person: who is none has no account."""
    before = everything()
    with pytest.raises(NotAllowed, match="Only a signed-in person can do this, for themselves"):
        call(name, OPERATOR)
    assert everything() == before
    assert not {"of", "email", "user_id"} & set(inspect.signature(ACTING[name]).parameters)


def test_what_everybody_may_is_ones_own(people: dict[Role, Actor]) -> None:
    for by in people.values():
        preferences.put("columns", [by.name], by=by)
    for by in people.values():
        assert preferences.get("columns", by=by) == [by.name]
        assert preferences.under("col", by=by) == {"columns": [by.name]}
        preferences.forget("columns", by=by)
        assert credits.balance(by=by).used == 0
        assert credits.entries(by=by)


def test_only_who_looks_after_others_sees_their_exports(people: dict[Role, Actor]) -> None:
    asked = {
        role: exports.request(filters=Filters(), columns=["email"], format="csv", by=by) for role, by in people.items()
    }
    for role, by in people.items():
        seen = {one.id for one in exports.mine(by=by)} & set(asked.values())
        others = by.may(Permission.OTHERS_OVERSEE)
        assert seen == (set(asked.values()) if others else {asked[role]})
        for export_id in asked.values():
            for operation in operations_on(export_id, by):
                if others or export_id == asked[role]:
                    operation()
                else:
                    with pytest.raises(NotFound, match="or it is not yours"):
                        operation()


def operations_on(export_id: int, by: Actor) -> list[Callable[[], Any]]:
    return [lambda: exports.get(export_id, by=by), lambda: exports.again(export_id, by=by)]


def test_only_who_looks_after_others_undoes_what_they_did(people: dict[Role, Actor]) -> None:
    theirs = Batch("deleted", None, 0, 1, 1, "2026-01-01", by_id=10**6)
    with pytest.raises(NotAllowed, match="only what you changed yourself"):
        bulk.put_back(theirs, by=people[Role.MANAGER])
    assert bulk.put_back(theirs, by=people[Role.ADMIN]).restored == 0


def test_a_role_says_what_it_may() -> None:
    assert Role.ADMIN.deeds == list(DEEDS)
    assert "Import a file, and cancel an import" in Role.MANAGER.deeds
    assert "Import a file, and cancel an import" not in Role.ANALYST.deeds
