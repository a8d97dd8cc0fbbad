import pytest

from models import exports, users
from models.errors import InvalidInput, NotAllowed, NotFound
from models.exports import State
from models.fields import Group
from models.filters import Filters, parse
from models.permissions import Actor, Role


def _person(name: str, role: Role, operator: Actor, columns: tuple[str, ...] | None = None) -> Actor:
    return users.add(
        email=f"{name}@example.com", name=name, role=role, password="long enough", column_allowed=columns, by=operator
    )[0].actor()


@pytest.fixture
def analyst(db: str, operator: Actor) -> Actor:
    return _person("ann", Role.ANALYST, operator)


def test_a_request_waits_with_its_filter_in_words(analyst: Actor) -> None:
    wanted = parse(["country=Germany", "employees.gte=50"], by=analyst)
    export_id = exports.request(filters=wanted, columns=["email"], format="csv", by=analyst)
    found = exports.get(export_id, by=analyst)
    assert (found.state, found.columns, found.created_by) == (State.WAITING, ["email"], analyst.id)
    assert found.filter_sentence == "Country is Germany and Employees at least 50"
    assert found.filter_query == "country=Germany&employees.gte=50"
    assert not found.raw_formulas


def test_ones_own_exports_are_ones_own(analyst: Actor, operator: Actor) -> None:
    manager = _person("max", Role.MANAGER, operator)
    admin = _person("ada", Role.ADMIN, operator)
    first = exports.request(filters=Filters(), columns=["email"], format="csv", by=analyst)
    second = exports.request(filters=Filters(), columns=["email"], format="xlsx", by=manager)
    assert [one.id for one in exports.mine(by=analyst)] == [first]
    assert [one.id for one in exports.mine(by=manager)] == [second]
    assert [one.id for one in exports.mine(by=admin)] == [second, first]
    assert exports.get(first, by=admin).id == first
    with pytest.raises(NotFound, match=f"no export {first}, or it is not yours"):
        exports.get(first, by=manager)


def test_hidden_columns_cannot_be_asked_for(db: str, operator: Actor) -> None:
    limited = _person("lea", Role.ANALYST, operator, (Group.PERSON.value,))
    with pytest.raises(NotAllowed, match="may not see the field “email”"):
        exports.request(filters=Filters(), columns=["first_name", "email"], format="csv", by=limited)
    with pytest.raises(NotAllowed, match="column “extra”"):
        exports.request(filters=Filters(), columns=["first_name", "extra"], format="csv", by=limited)
    with pytest.raises(InvalidInput, match="no field “country” to filter by"):
        exports.request(filters=parse(["country=Chad"], by=operator), columns=None, format="csv", by=limited)
    export_id = exports.request(filters=Filters(), columns=None, format="csv", by=limited)
    seen = exports.get(export_id, by=limited).columns
    assert seen == ["first_name", "last_name", "title", "seniority", "departments"]


@pytest.mark.parametrize(
    ("columns", "file_format", "sentence"),
    [
        (["salary"], "csv", "no field “salary”"),
        ([], "csv", "at least one column"),
        (["email"], "docx", "“docx” is no format of exports. Formats are: csv, xlsx, parquet, jsonl"),
    ],
)
def test_what_does_not_fit_is_named(analyst: Actor, columns: list[str], file_format: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        exports.request(filters=Filters(), columns=columns, format=file_format, by=analyst)
    assert exports.mine(by=analyst) == []


def test_an_export_whose_process_died_does_not_run_for_ever(analyst: Actor) -> None:
    export_id = exports.request(filters=Filters(), columns=["email"], format="csv", by=analyst)
    exports.begin(export_id, total=7, path="somewhere.csv", by=analyst)
    assert exports.fail_interrupted() == [export_id]
    found = exports.get(export_id, by=analyst)
    assert (found.state, found.path) == (State.FAILED, "")
    assert found.error is not None
    assert "interrupted in the middle" in found.error
    assert exports.fail_interrupted() == []
