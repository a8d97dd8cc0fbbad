"""The wrong file comes in over a million contacts, others edit fifty, and one click brings all of it back."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from models import import_kept, import_orders, imports
from models.contacts import bulk, records
from models.contacts.bulk import Selection
from models.contacts.table import Contact
from models.filters import Filters
from models.import_undos import Why
from models.imports import Import, State
from models.permissions import OPERATOR, Actor, Role
from pipelines import import_orders as orders
from tests.people import person
from tests.pipelines.importing import imported, sql

MANY, NEW = 1_000_000, 10_000  # contacts that are here, all of which the file changes; those that only the file has
COLUMNS = ", ".join(column.name for column in Contact.__table__.columns if column.name != "updated_at")
BEN = {"name": "Ben", "role": Role.MANAGER}


@pytest.fixture
def ben(base: str) -> Actor:
    return Actor(person(email="ben@example.com", **BEN).id, **BEN)


@pytest.fixture
def million(base: str) -> None:
    """There are contacts as the first import of a file leaves them."""
    sql(
        f"""INSERT INTO contacts (contact_id, first_name, last_name, email, title, city, status, is_active)
        SELECT 'c' || n, 'P' || n, 'L' || n % 9999, 'p' || n || '@example.com', 'VP', 'Ulm', 'active', true
        FROM generate_series(1, {MANY}) AS n"""
    )
    sql("ANALYZE contacts")


@pytest.fixture
def wrong(million: None, tmp_path: Path) -> Iterator[Path]:
    """Its titles and cities changed places, and some of its people are nobody's contacts."""
    path = tmp_path / "wrong.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("Apollo Contact Id,First Name,Email,Title,City,Shoe\n")
        file.writelines(f"c{n},P{n},p{n}@example.com,Ulm,VP,{n % 50}\n" for n in range(1, MANY + NEW + 1))
    yield path
    path.unlink()


@pytest.mark.timeout(3600)
def test_the_wrong_file_is_taken_back_with_fifty_edits_intact(wrong: Path, ben: Actor) -> None:
    sql("CREATE TABLE expected AS TABLE contacts")
    sql("ANALYZE expected")
    done = imported(wrong)
    assert (done.created, done.updated) == (NEW, MANY)
    edited = edit_fifty(done, ben)
    assert len(edited) == 50

    undone = one_click(done.id)

    kept = [*edited[:22], *edited[40:45], *edited[45:48]]
    removed = NEW - 5 - 1
    assert undone.undone == {"removed": removed, "restored": MANY + NEW - removed - len(kept), "kept": len(kept)}
    listed, total = import_kept.page(done.id, number=1, size=100, by=OPERATOR)
    assert (total, [one.contact_id for one in listed]) == (len(kept), sorted(kept))
    assert {(one.since.by_name, one.since.import_id) for one in listed} == {("Ben", None)}
    told = {one.contact_id: (one.why, [field.name for field in one.fields], one.rest) for one in listed}
    assert told[edited[0]] == (Why.CHANGED, ["title"], True)
    assert told[edited[40]] == (Why.CREATED, ["title"], False)
    assert told[edited[45]] == (Why.DELETED, [], False)
    assert differences() == []
    sql("DROP TABLE expected")


def one_click(import_id: int) -> Import:
    """What the screen's button does, and then its flow."""
    orders.carry_out(import_id, import_orders.ask(import_id, State.UNDONE, by=OPERATOR))
    return imports.get(import_id, by=OPERATOR)


def edit_fifty(done: Import, ben: Actor) -> list[int]:
    """Fifty contacts that Ben edits, and what should become of them in `expected`."""
    old = [number for (number,) in sql("SELECT id FROM expected ORDER BY hashint8(id) LIMIT 42")]
    of_file = "SELECT id FROM contacts WHERE id > (SELECT max(id) FROM expected) ORDER BY id LIMIT 6"
    new = [number for (number,) in sql(of_file)]
    changed, others, tagged, deleted = old[:22], old[22:32], old[32:40], [*old[40:], new[5]]
    for number, contact in enumerate(changed):  # what the file changed, and twice something else besides
        edit(contact, ben, title="by hand", **({"country": "Italy"} if number >= 20 else {}))
    for contact in others:  # what it did not change
        edit(contact, ben, notes="called")
    bulk.tag(Selection(Filters(), tuple(tagged)), add=["fair"], by=ben)
    for contact in new[:5]:
        edit(contact, ben, title="by hand")
    bulk.delete(Selection(Filters(), tuple(deleted)), by=ben)
    made = [records.create({"last_name": name, "email": f"{name}@new.example"}, by=ben) for name in ("Xia", "Yan")]

    sql("UPDATE expected SET title = 'by hand' WHERE id = ANY (%s)", changed)
    sql("UPDATE expected SET country = 'Italy' WHERE id = ANY (%s)", changed[20:])
    sql("UPDATE expected SET notes = 'called' WHERE id = ANY (%s)", others)
    sql("UPDATE expected SET tags = '{fair}' WHERE id = ANY (%s)", tagged)
    sql("DELETE FROM expected WHERE id = ANY (%s)", deleted)
    sql("INSERT INTO expected SELECT * FROM contacts WHERE id = ANY (%s)", [*new[:5], *made])
    return [*changed, *others, *tagged, *new[:5], *deleted, *made]


def edit(contact: int, by: Actor, **values: str) -> None:
    records.update(contact, values, version=records.get(contact, by=by).version, by=by)


def differences() -> Sequence[tuple[object, ...]]:
    """The first contacts that are not in every column, but for when they were changed, as they should be."""
    rows = {name: ", ".join(f"{name}.{column}" for column in COLUMNS.split(", ")) for name in ("c", "e")}
    return sql(
        f"""SELECT c.id, e.id, to_jsonb(c), to_jsonb(e) FROM contacts c FULL JOIN expected e USING (id)
        WHERE ({rows["c"]}) IS DISTINCT FROM ({rows["e"]}) LIMIT 5"""
    )
