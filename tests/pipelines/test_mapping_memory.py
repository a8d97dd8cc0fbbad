"""A file whose headers were seen before is mapped as it was then, on every road; what a person says still counts."""

from pathlib import Path
from typing import Any

import pytest

from models import import_orders, import_uploads, imports, mapping_memory, mappings
from models.imports import Import, Keep, MatchRule, Recall, State
from models.permissions import OPERATOR, Role
from pipelines import import_contacts
from pipelines import import_orders as orders
from tests.people import person
from tests.pipelines.importing import contacts, sql, written

ROW = {"Vorname": "Ann", "Nachname": "Archer", "Mail": "ann@x.example", "Firma": "Acme", "Notiz": "hi"}
HOW = {"mapping": {"notes": "Notiz"}, "left_out": ["Firma"], "match": MatchRule.EMAIL, "keep": Keep.OURS}
OTHERWISE = [{"notiz": "ho", "FIRMA": "Acme", "mail": "bob@x.example", "vorname": "Bob", "nachname": "Baker"}]
PLAIN: dict[str, Any] = {"match": MatchRule.AUTO, "keep": Keep.THEIRS}


@pytest.fixture
def first(base: str, tmp_path: Path) -> Import:
    """Committed, with a mapping that nobody would propose."""
    import_id = import_contacts.create(written(tmp_path, [ROW], "first.csv"), **HOW, by=OPERATOR)
    return import_contacts.run(import_id, by=OPERATOR)


def run(path: Path, until: State = State.COMMITTED, recall: Recall | None = Recall(), **how: Any) -> Import:  # noqa: B008
    import_id = import_contacts.create(path, recall=recall, **{**PLAIN, **how}, by=OPERATOR)
    return import_contacts.run(import_id, until=until, by=OPERATOR)


def test_the_next_file_of_its_kind_needs_no_mapping(first: Import, tmp_path: Path) -> None:
    found = run(written(tmp_path, OTHERWISE, "second.csv"))
    assert found.mapping == {"first_name": "vorname", "last_name": "nachname", "email": "mail", "notes": "notiz"}
    assert (found.left_out, found.match, found.keep) == (["FIRMA"], "email", "ours")
    assert mapping_memory.sentence(found.recalled or {}) == "Mapped as last time: first.csv."
    assert [one["notes"] for one in contacts()] == ["hi", "ho"]
    assert all("company" not in one and "extra" not in one for one in contacts())
    [kept] = mappings.listed(by=OPERATOR)
    assert [one.file_name for one in mappings.uses(kept.id, by=OPERATOR)] == ["second.csv", "first.csv"]


def test_what_is_said_counts_and_is_the_next_ones(first: Import, tmp_path: Path) -> None:
    path = written(tmp_path, OTHERWISE, "second.csv")
    found = run(path, mapping={"notes": "", "title": "notiz"}, left_out=["vorname"], recall=Recall(fixed=("keep",)))
    assert found.mapping == {"last_name": "nachname", "email": "mail", "title": "notiz"}
    assert (found.left_out, found.match, found.keep) == (["FIRMA", "vorname"], "email", "theirs")
    after = run(path, State.PLANNED)
    assert (after.mapping, after.keep) == (found.mapping, "theirs")


def test_nothing_is_recalled_where_nobody_asks_for_it(first: Import, tmp_path: Path) -> None:
    found = run(written(tmp_path, OTHERWISE), State.OPENED, recall=None)
    assert (found.recalled, found.keep, found.left_out) == (None, "theirs", [])


def test_a_file_that_is_opened_again_stays_as_it_was_mapped(first: Import, tmp_path: Path) -> None:
    """Its opened cells were lost; what is remembered has changed since."""
    before = run(written(tmp_path, OTHERWISE), State.OPENED)
    run(written(tmp_path, OTHERWISE), mapping={"notes": ""})
    sql("UPDATE imports SET state = 'new' WHERE id = %s", before.id)
    after = import_contacts.run(before.id, until=State.OPENED, by=OPERATOR)
    assert (after.mapping, after.left_out, after.keep) == (before.mapping, before.left_out, before.keep)


def test_a_file_from_a_browser_goes_straight_to_its_plan_where_its_kind_is_known(base: str, tmp_path: Path) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.MANAGER).actor()

    def uploaded(name: str, rows: list[dict[str, str]]) -> Import:
        data = written(tmp_path, rows, name).read_bytes()
        upload = import_uploads.begin(name=name, size=len(data), modified=1, by=ann)
        with import_uploads.Part(upload.import_id, 0, by=ann) as part:
            part.write(data)
        orders.carry_out(upload.import_id, import_uploads.complete(upload.import_id, by=ann))
        return imports.get(upload.import_id, by=ann)

    first = uploaded("first.csv", [ROW])
    assert (first.state, first.recalled, first.wanted) == (State.OPENED, None, None)
    chosen = {"Mail": "email", "Notiz": "notes"}
    order = import_orders.remap(
        first.id, chosen, left_out=["Firma"], match=MatchRule.EMAIL, keep=Keep.OURS, by=ann
    )  # fmt: skip
    orders.carry_out(first.id, order)

    second = uploaded("second.csv", OTHERWISE)
    assert (second.state, second.wanted, second.error) == (State.PLANNED, None, None)
    assert (second.mapping, second.created) == ({"email": "mail", "notes": "notiz"}, 1)
    like = uploaded("third.csv", [{**ROW, "Land": "Germany"}])
    assert (like.state, like.mapping) == (
        State.OPENED, {"email": "Mail", "notes": "Notiz", "country": "Land"},
    )  # fmt: skip
    assert mapping_memory.sentence(like.recalled or {}) == (
        "Nearly the columns of first.csv: new is “Land”. Look at the mapping."
    )
    # What a person then chooses themselves was not recalled.
    order = import_orders.remap(second.id, {"mail": "email"}, match=MatchRule.AUTO, keep=Keep.OURS, by=ann)
    assert imports.get(second.id, by=ann).recalled is None
    import_orders.cancel(second.id, by=ann)


def test_a_process_that_dies_between_file_and_plan_goes_on_to_the_plan(first: Import, tmp_path: Path) -> None:
    found = run(written(tmp_path, OTHERWISE), State.OPENED)
    sql("UPDATE imports SET wanted = 'opened', wanted_at = now(), orders = 1 WHERE id = %s", found.id)
    orders.carry_out(found.id, 1)
    after = imports.get(found.id, by=OPERATOR)
    assert (after.state, after.wanted) == (State.PLANNED, None)


def test_a_deleted_one_is_not_missed(first: Import, tmp_path: Path) -> None:
    kept = mappings.save(first.id, mappings.listed(by=OPERATOR)[0].chosen, "CRM", by=OPERATOR)
    import_id = import_contacts.create(written(tmp_path, OTHERWISE), recall=Recall(kept), **PLAIN, by=OPERATOR)
    mappings.remove(kept, by=OPERATOR)
    found = import_contacts.run(import_id, until=State.PLANNED, by=OPERATOR)
    assert (found.recalled, (found.mapping or {})["company"]) == (None, "FIRMA")
