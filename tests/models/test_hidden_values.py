"""No answer depends on what a person may not see: two databases that differ in hidden values alone answer the same.

That is stronger than to look for the values in answers: neither an order, a number, a facet, a refusal nor an undo may
tell anything of them. Whether a search takes longer than another is not looked at.

All of it is asked of the database, and of a mirror, whose texts are in dictionaries or stand as they are: the values
that other contacts had before are in these still.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw
from sqlalchemy import insert, text

from dashboard import cached
from models import filters, industries
from models.contacts import (
    autocomplete,
    bulk,
    deleted,
    difference,
    difference_file,
    editing,
    history,
    likeness,
    many,
    mirror,
    mirror_source,
    own_mirror,
    provenance,
    quality,
    records,
    search,
)
from models.contacts.bulk import Selection
from models.contacts.difference import Asked, Way
from models.contacts.feed import FeedEntry
from models.contacts.history import ContactVersion
from models.contacts.moments import When
from models.contacts.own_mirror import Phase
from models.contacts.table import FIELDS, SEARCHED, Contact
from models.database import writing
from models.errors import AppError
from models.fields import Field, Group, Kind
from models.filters import OPERATORS, SYSTEM, Filters, visible_fields
from models.industries import Industry
from models.kept import ContactMove
from models.permissions import OPERATOR, Actor, Role
from pipelines import export_contacts
from tests.mirrors import viewed
from tests.people import person

CONTACTS, GONE = 12, 3  # the last ones are deleted
FIXED = datetime(2001, 1, 1, tzinfo=UTC)
THEN = When(FIXED + timedelta(minutes=90))  # between the first older version of each and the next
NOW = re.compile(r"datetime\.datetime\(20[2-9].*?\)+|20[2-9]\d-\d\d-\d\d[ T][\d:.+]*|contacts-\d+")
NUMBERS = count(1)
SIDES = ("left", "right")  # of variants, in words of which one can be meant
Question = Callable[[Actor], Any]


@pytest.fixture
def answering(
    request: pytest.FixtureRequest, db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """What answers questions about contacts: the database where the test says nothing."""
    answering = getattr(request, "param", "database")
    if answering == "database":
        yield answering
        return
    if answering == "texts":
        monkeypatch.setattr(mirror_source, "coded", lambda *_: frozenset())
    with mirror.held(tmp_path / "mirror", threads=1, memory="200MB") as made:
        assert made.wait(60)
        yield answering


@pytest.fixture
def narrow(answering: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Actor:
    """A manager, who may do the most of those who see few columns; whose columns each example draws."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with writing(OPERATOR) as session:
        session.execute(insert(Industry), [{"name": f"zqxj industry {number}"} for number in range(4)])
    made = [
        person(email=f"{name}@example.com", name=name, role=Role.MANAGER, download_limit=None)
        for name in ("max", "mia")
    ]
    return made[0].actor()


def value(field: Field, number: int, variant: int) -> Any:
    """What the contact has in the field in that variant; more or less often nothing. Some are shared by contacts."""
    if (number + len(field.name)) % (4 - variant) == 0:
        return None
    word = f"zqxj-{field.name}-{number % 5}-{SIDES[variant]}"
    match field.kind:
        case Kind.EMAIL:
            return f"zqxj{number % 5}.{variant}@hidden.example"
        case Kind.PHONE:
            return f"+49 30 12345{variant}{number % 5}"
        case Kind.WHOLE:
            return 10 + 1000 * variant + number % 5
        case Kind.MONEY:
            return Decimal(100_000 * (1 + variant) + number)
        case Kind.DATE:
            return date(2001 + variant, 1, 1 + number % 5)
        case Kind.URL:
            return f"https://zqxj{number % 5}{variant}.example/{field.name}"
        case Kind.FLAG:
            return (number + variant) % 2 == 0
        case Kind.LIST:
            return [word, f"zqxj-{variant}"]
        case Kind.INDUSTRY:
            return 1 + (number + variant) % 4
        case Kind.OWNER:
            return 1 + (number + variant) % 2
        case Kind.CHOICE:
            return field.choices[(number + variant) % len(field.choices)]
    return word


def row(number: int, hidden: set[str], variant: int, shift: int = 0) -> dict[str, Any]:
    """`shift` makes another version of the contact of it."""
    values = {
        field.column: value(field, number + shift, variant if name in hidden else 0) for name, field in FIELDS.items()
    }
    extra = {"zqxj": str(variant)} if hidden else {"zqxj": "0"}
    moments = {"created_at": FIXED, "updated_at": FIXED + timedelta(days=number)}
    return {"id": number, **values, "extra": extra, **moments, "created_by": 1, "import_id": None, "import_line": None}


def fill(hidden: set[str], variant: int, *, analysed: bool = False) -> None:
    """The contacts, with two older versions of each: one that differs in all fields, and one in the hidden ones."""
    versions = []
    for number in range(1, CONTACTS + 1):
        for place, (shift, older) in enumerate(((1, 0), (0, 0), (0, variant))):
            is_gone = number > CONTACTS - GONE
            how = "delete" if is_gone and place == 2 else "update"
            if place == 2 and not is_gone:
                continue
            at = FIXED + timedelta(hours=place + 1)
            kept = {"version_id": len(versions) + 1, "replaced_at": at, "replaced_how": how, "replaced_by": 2}
            versions.append({**kept, "replaced_import": None, **row(number, hidden, older, shift)})
    with writing(OPERATOR) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers: quicker than TRUNCATE
        session.execute(text("DELETE FROM contacts"))
        session.execute(text("DELETE FROM contact_history"))
        session.execute(insert(ContactVersion), versions)
        session.execute(insert(Contact.__table__), [row(n, hidden, variant) for n in range(1, CONTACTS - GONE + 1)])
        session.execute(
            text(
                """SELECT setval('contacts_id_seq', 1000), setval('contact_history_version_id_seq', 1000),
                nextval('contacts_clock')"""
            )
        )
        session.execute(insert(ContactMove))  # in place of the triggers
        session.execute(insert(FeedEntry).values(ids=text("'{[1,2000)}'")))
        if analysed:
            session.execute(text("ANALYZE contacts"))  # what forms suggest comes from there
    if own_mirror.progress().phase is not Phase.OFF:
        with viewed():
            pass  # it has them, and answers


def texts_of(name: str) -> list[str]:
    """Texts that contacts have in the field in one variant or the other, as people write them, and parts of such."""
    field = (FIELDS | SYSTEM)[name]
    if field.kind is Kind.INDUSTRY:
        return [f"zqxj industry {number}" for number in range(4)] + ["zqxj"]
    if field.kind is Kind.OWNER:
        return ["max@example.com", "mia@example.com", "m"]
    if field.kind is Kind.CHECK:
        return [rule.name for rule in quality.rules()]
    if name in SYSTEM:
        return ["1", "3", "2001-01-01", "2001-01-06"]
    stored = [value(field, number, variant) for number in range(8) for variant in (0, 1)]
    found = {one for each in stored for one in (each if isinstance(each, list) else [each])} - {None}
    texts = [editing.as_text(name, one) for one in sorted(found, key=str)]
    return texts + sorted({text[: len(text) // 2 + 2] for text in texts if field.is_text}) + ["zqxj"]


RANGED = [name for name, field in FIELDS.items() if field.kind in (Kind.WHOLE, Kind.MONEY)]
TEXTS = {name: texts_of(name) for name in (*FIELDS, *SYSTEM)}
# What identifies a contact, and what is known of its address, more often: there one field decides about another.
names = draw.sampled_from([*FIELDS, *4 * (*editing.IDENTIFYING, "email_status", "primary_email_catch_all_status")])
entered = draw.dictionaries(names, draw.just(""), min_size=1, max_size=3).flatmap(
    lambda chosen: draw.fixed_dictionaries({name: draw.sampled_from(["", *TEXTS[name]]) for name in chosen})
)
sight = draw.one_of(
    draw.sets(draw.sampled_from([*editing.IDENTIFYING, "email_status", "title"]), max_size=4),
    draw.sets(draw.sampled_from([group.value for group in Group]), max_size=8),
    draw.sets(draw.sampled_from([*FIELDS, *(group.value for group in Group)]), max_size=25),
).map(frozenset)


@draw.composite
def pairs(drawn: draw.DrawFn) -> list[tuple[str, str]]:
    """Up to three conditions of the filter syntax, joined in either way, and words to search for."""
    found = []
    for _ in range(drawn(draw.sampled_from([0, 0, 1, 1, 1, 2, 3]))):
        name = drawn(draw.sampled_from(list(TEXTS)))
        field = (FIELDS | SYSTEM)[name]
        operator = drawn(draw.sampled_from([word for word, one in OPERATORS.items() if field.kind in one.kinds]))
        words = draw.sampled_from(TEXTS[name])
        wanted = drawn(draw.sampled_from(["yes", "no"])) if operator == "empty" else drawn(words)
        wanted = ",".join(sorted([wanted, drawn(words)])) if operator == "between" else wanted
        found.append((drawn(draw.sampled_from(["", "", "or1.", "or2."])) + f"{name}.{operator}", wanted))
    if drawn(draw.booleans()):
        found.append(("q", drawn(draw.sampled_from(SEARCHED).flatmap(lambda name: draw.sampled_from(TEXTS[name])))))
    return found


@draw.composite
def questions(drawn: draw.DrawFn) -> list[Question]:
    """What can be asked, with a filter that the person made, or that somebody made who sees everything."""
    asked, maker = drawn(pairs()), drawn(draw.sampled_from([None, OPERATOR]))
    name, sort = drawn(names), drawn(draw.sampled_from(["", "-"])) + drawn(draw.sampled_from(["id", *FIELDS]))
    counted, ranged = drawn(draw.lists(names, max_size=4, unique=True)), drawn(draw.sampled_from(RANGED))
    columns = drawn(draw.none() | draw.lists(names, min_size=1, max_size=4))
    number, contact_id = drawn(draw.integers(1, 3)), drawn(draw.integers(1, CONTACTS))
    typed, word = drawn(entered), drawn(names.flatmap(lambda one: draw.sampled_from(TEXTS[one])))
    way = drawn(draw.sampled_from(Way))

    def made(by: Actor) -> Filters:
        return filters.parse_pairs(asked, by=maker or by)

    def past(by: Actor) -> Filters:
        return replace(made(by), as_of=THEN)

    def between(by: Actor) -> Asked:
        return Asked(made(by), THEN, None)

    def searched(by: Actor, word: str) -> Any:
        return search.page(filters.parse([f"q={word}"], by=by), by=by).total, deleted.page(word, by=by)

    return [
        *(partial(searched, word=word) for one in SEARCHED for word in drawn(draw.permutations(TEXTS[one]))[:3]),
        lambda by: search.page(made(by), columns=columns, sort=sort, number=number, size=3, by=by),
        lambda by: search.page(made(by), by=by),
        lambda by: search.count(made(by), by=by),
        lambda by: search.count_by(made(by), name, by=by),
        lambda by: search.count_by_each(made(by), counted, by=by),
        lambda by: search.count_by_each(made(by), [], ranges={ranged: [(1, 12), (13, 150_000), (1, None)]}, by=by),
        lambda by: search.counts([made(by), Filters()], by=by),
        lambda by: search.known_counts([made(by), Filters()], by=by),
        *(partial(meant, wrong) for wrong in ("lfet", "rihgt")),
        lambda by: search.following(made(by), columns=columns, sort=sort, size=4, counted=True, by=by),
        lambda by: search.statistics_of(made(by), by=by),
        lambda by: search.neighbours(made(by), sort=sort, contact_id=contact_id, by=by),
        lambda by: search.those_of(made(by), range(CONTACTS), by=by),
        lambda by: records.get(contact_id, by=by),
        lambda by: records.deleted(contact_id, by=by),
        lambda by: records.suggestions(by=by),
        lambda by: history.of_contact(contact_id, by=by),
        lambda by: likeness.alike(typed, by=by),
        lambda by: likeness.alike(typed, besides=contact_id, by=by),
        *(partial(completed, name, word[:length]) for length in (0, 3, 9)),
        lambda by: deleted.page(word, by=by),
        lambda by: deleted.page(by=by),
        lambda by: [(one.name, count) for one, count in industries.listed(with_inactive=True, by=by)],
        lambda by: industries.contacts_without(by=by),
        lambda by: industries.out_of_use(by=by),
        lambda by: cached.facet(made(by), name, by=by),
        *(partial(begun, made, name, word[:length]) for length in (1, 4)),
        lambda by: cached.sizes(made(by), by=by),
        lambda by: cached.values(name, by=by),
        lambda by: cached.statistics(made(by), by=by),
        lambda by: cached.everything(by=by),
        lambda by: exported(made(by), columns, by),
        lambda by: search.page(past(by), columns=columns, sort=sort, size=3, by=by),
        lambda by: (
            search.count(past(by), by=by),
            search.count_by(past(by), name, by=by),
            cached.facet(past(by), name, by=by),
        ),
        lambda by: records.as_it_was(contact_id, THEN, by=by),
        lambda by: provenance.of_changes(history.of_contact(contact_id, by=by)),
        lambda by: history.of_contact(contact_id, until=THEN.named, by=by),
        lambda by: difference.numbers(between(by), by=by),
        lambda by: difference.page(between(by), way, by=by),
        lambda by: list(difference_file.as_csv(between(by), by=by)),
    ]


def meant(wrong: str, by: Actor) -> Filters | None:
    return search.meant(Filters(q=wrong), by=by)


def begun(made: Callable[[Actor], Filters], name: str, typed: str, by: Actor) -> dict[Any, int]:
    return cached.beginning(made(by), name, typed, by=by)


def completed(name: str, typed: str, by: Actor) -> list[str]:
    return autocomplete.values(name, typed, by=by)


def exported(chosen: Filters, columns: list[str] | None, by: Actor) -> bytes:
    target = Path(os.environ["TMPDIR"]) / f"contacts-{next(NUMBERS)}.jsonl"
    export_contacts.export(target, filters=chosen, columns=columns, by=by)
    return target.read_bytes()


@draw.composite
def deeds(drawn: draw.DrawFn) -> list[Question]:
    """What can be done, each to be done to contacts as they were filled."""
    asked, contact_id = drawn(pairs()), drawn(draw.integers(1, CONTACTS))
    typed, name = drawn(entered), drawn(names)
    word, version = drawn(draw.sampled_from(["", *TEXTS[name]])), drawn(draw.integers(1, 26))
    seen_at, anyway = drawn(draw.integers(0, 26)), drawn(draw.booleans())

    def chosen(by: Actor) -> Selection:
        return Selection(filters.parse_pairs(asked, by=by))

    def put_back(by: Actor, *, meanwhile: bool) -> Any:
        batch = bulk.change(Selection(Filters()), name, word, by=by)
        if meanwhile:  # whoever sees less by now knows more of the address
            with writing(by) as session:
                session.execute(text("UPDATE contacts SET email_status = 'Verified' WHERE id < 4"))
        return batch, bulk.put_back(batch, by=by)

    return [
        lambda by: records.create(typed, anyway=anyway, by=by),
        lambda by: records.update(contact_id, typed, version=seen_at, by=by),
        lambda by: many.write([many.Create(typed, anyway), many.Change(contact_id, typed, seen_at)], by=by),
        lambda by: many.write([many.Change(number, typed, None) for number in range(1, 6)], by=by),
        lambda by: records.update(contact_id, dict.fromkeys(typed, ""), version=1000, by=by),
        lambda by: records.update(contact_id, emptied(by), version=1000, by=by),
        lambda by: records.undo(contact_id, version, by=by),
        lambda by: records.restore(contact_id, by=by),
        lambda by: bulk.change(chosen(by), name, word, by=by),
        lambda by: bulk.change(Selection(Filters()), name, "", by=by),
        lambda by: bulk.tag(Selection(Filters()), add=["new"], remove=["zqxj-1"], by=by),
        partial(put_back, meanwhile=False),
        partial(put_back, meanwhile=True),
    ]


def emptied(by: Actor) -> dict[str, str]:
    return {name: "" for name in editing.IDENTIFYING if name in visible_fields(by)}


def answer(question: Question, by: Actor) -> str:
    """As it can be told from another: values, or the error's sentence and what it carries; moments of today aside."""
    try:
        told = repr(question(by))
    except AppError as error:
        told = f"{type(error).__name__}: {error.sentence} {sorted(vars(error).items())}"
    return NOW.sub("now", told)


def eyes(by: Actor, columns: frozenset[str]) -> tuple[Actor, set[str]]:
    """The person with these columns, and what is hidden then."""
    seer = Actor(by.id, by.name, by.role, columns)
    return seer, FIELDS.keys() - set(visible_fields(seer))


CALMLY = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.parametrize("answering", ["database", "dictionaries", "texts"], indirect=True)
@settings(max_examples=12, **CALMLY)
@given(columns=sight, asked=questions(), is_kept=draw.booleans())
def test_no_answer_tells_anything_of_hidden_values(
    narrow: Actor, columns: frozenset[str], asked: list[Question], is_kept: bool
) -> None:
    """`is_kept`: somebody who sees everything has asked the same just before."""
    by, hidden = eyes(narrow, columns)
    told = []
    for variant in (0, 1):
        fill(hidden, variant, analysed=True)
        if is_kept:
            for question in asked:
                answer(question, OPERATOR)
        told.append([answer(question, by) for question in asked])
    assert told[0] == told[1]


@pytest.mark.parametrize("answering", ["database", "dictionaries"], indirect=True)
@settings(max_examples=10, **CALMLY)
@given(columns=sight, done=deeds())
def test_nothing_that_is_done_tells_anything_of_hidden_values(
    narrow: Actor, columns: frozenset[str], done: list[Question]
) -> None:
    by, hidden = eyes(narrow, columns)
    for deed in done:
        told = []
        for variant in (0, 1):
            fill(hidden, variant)
            told.append((answer(deed, by), answer(lambda by: search.page(Filters(), by=by), by)))
        assert told[0] == told[1]


def same_answers(by: Actor, hidden: set[str], deed: Question) -> str:
    """What both databases answer."""
    told = []
    for variant in (0, 1):
        fill(hidden, variant)
        told.append(answer(deed, by))
    assert told[0] == told[1]
    return told[0]


def without(by: Actor, *hidden: str) -> Actor:
    return Actor(by.id, by.name, by.role, frozenset(FIELDS.keys() - set(hidden)))


NOT_FIRST = ("last_name", "email", "company")


@pytest.mark.parametrize("contact_id", range(1, 6))
def test_emptying_a_name_does_not_tell_whether_something_else_is_there(narrow: Actor, contact_id: int) -> None:
    by = without(narrow, *NOT_FIRST)

    def emptied(by: Actor) -> Any:
        return records.update(contact_id, {"first_name": ""}, version=records.get(contact_id, by=by).version, by=by)

    if value(FIELDS["first_name"], contact_id, 0):
        assert editing.NOBODY in same_answers(by, {*NOT_FIRST}, emptied)
    told = same_answers(by, {*NOT_FIRST}, lambda by: bulk.change(Selection(Filters()), "first_name", "", by=by))
    assert editing.NOBODY in told


def test_an_undo_does_not_tell_whether_what_is_known_of_an_address_changed(narrow: Actor) -> None:
    by, hidden = without(narrow, "email_status"), {"email_status"}

    def undone(by: Actor, *, known: str) -> Any:
        before = records.get(1, by=by)
        records.update(1, {"email": "new@hidden.example"}, version=before.version, by=by)
        with writing(OPERATOR) as session:
            session.execute(text("UPDATE contacts SET email_status = :known WHERE id = 1"), {"known": known})
        [change, *_] = [one for one in history.of_contact(1, by=by) if one.fields]
        return records.undo(1, change.version or 0, by=by).values

    told = {same_answers(by, hidden, partial(undone, known=known)) for known in ("Verified", "Invalid")}
    assert len(told) == 1
    assert "hidden.example" in told.pop()


def test_an_undo_of_many_does_not_count_what_is_known_of_addresses(narrow: Actor) -> None:
    """The same person found out, while they still saw that, whether mail to the new address arrives."""
    by = without(narrow, "email_status")

    def put_back(by: Actor, *, known: str | None) -> Any:
        batch = bulk.change(Selection(Filters()), "email", "new@hidden.example", by=by)
        with writing(by) as session:
            session.execute(text("UPDATE contacts SET email_status = :known"), {"known": known})
        return bulk.put_back(batch, by=by)

    told = {same_answers(by, {"email_status"}, partial(put_back, known=known)) for known in ("Verified", None)}
    assert told == {f"PutBack(restored={CONTACTS - GONE}, kept=0)"}
