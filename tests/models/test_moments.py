from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from models import filters
from models.contacts import as_of, moments, records, search
from models.contacts.moments import When
from models.database import reading, writing
from models.errors import InvalidInput, NotFound
from models.filters import Filters
from models.imports import Import
from models.permissions import OPERATOR

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant", "canonical"),
    [
        ("2026-11-01", When(date(2026, 11, 1)), None),
        (" 2026-11-01T12:00 ", When(NOON), "2026-11-01T12:00:00Z"),
        ("2026-11-01 14:00+02:00", When(NOON), "2026-11-01T12:00:00Z"),
        ("2026-11-01T12:00:00.000001Z", When(NOON + timedelta(microseconds=1)), None),
        ("import:7", When(7), None),
        ("before:7", When(7, before=True), None),
    ],
)
def test_what_is_written_is_meant(written: str, meant: When, canonical: str | None) -> None:
    assert moments.parse(written) == meant
    assert meant.written == (canonical or written)
    assert moments.parse(meant.written) == meant
    found = filters.parse([f"as_of={written}", "country=Germany"], by=OPERATOR)
    assert found.as_of == meant
    assert filters.parse_query(found.query(), by=OPERATOR) == found
    assert found.without("country").as_of == meant
    assert found.without("as_of").as_of is None
    assert found.sentence() == f"Country is Germany, {meant.words}"


def test_now_is_no_moment_of_the_past() -> None:
    assert filters.parse(["as_of=Now", "country=Germany"], by=OPERATOR) == filters.parse(
        ["country=Germany"], by=OPERATOR
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("yesterday", "“yesterday” is no moment: write a day"),
        ("2026-02-30", "“2026-02-30” is no moment"),
        ("", "is no moment"),
        ("0001-01-01T00:00+14:00", "is no moment"),
        ("import:x", "“x” is no number of an import"),
        ("import:0", "is no number of an import"),
        (f"before:{10**12}", "is no number of an import"),
        ("x" * 500, "is no moment"),
    ],
)
def test_what_means_nothing_is_refused(written: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        filters.parse([f"as_of={written}"], by=OPERATOR)
    assert len(refused.value.sentence) < 400


def test_two_moments_are_one_too_many() -> None:
    with pytest.raises(InvalidInput, match="as_of takes one moment, and there are 2"):
        filters.parse(["as_of=2026-11-01", "as_of=2026-11-02"], by=OPERATOR)


def asked(written: str) -> Filters:
    return Filters(as_of=moments.parse(written))


def test_moments_of_which_nothing_can_be_asked(db: str) -> None:
    with pytest.raises(InvalidInput, match="There are no contacts yet, and were none before"):
        search.count(asked("2026-01-01"), by=OPERATOR)
    contact = records.create({"first_name": "Zoë"}, by=OPERATOR)
    with writing(OPERATOR) as session:
        imports = [
            Import(state=state, file_name="x.csv", file_path="", overrides={}, match="auto", keep="theirs")
            for state in ("planned", "committed")
        ]
        session.add_all(imports)
        session.flush()
        planned, committed = (one.id for one in imports)
        session.execute(text("UPDATE imports SET finished_at = now() WHERE state = 'committed'"))
    with reading() as session:
        now = session.scalars(text("SELECT now()")).one()
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    for written, said in {
        tomorrow.isoformat(): "is still to come: the last day to look at is today",
        (now + timedelta(hours=1)).isoformat(): "is still to come: it is ",
        "1999-12-31": r"There were no contacts yet as of the end of 1999-12-31 \(UTC\): the first came in at ",
        "import:999": "There is no import 999",
        f"import:{planned}": f"Import {planned} is planned: it changed no contacts",
    }.items():
        for ask in (search.count, search.page, search.moment, search.statistics_of):
            with pytest.raises(InvalidInput, match=said):
                ask(asked(written), by=OPERATOR)
        with pytest.raises(InvalidInput, match=said):
            search.matching(asked(written), [], by=OPERATOR)
    assert search.count(asked(f"import:{committed}"), by=OPERATOR) == 1
    assert search.count(asked(now.astimezone(UTC).date().isoformat()), by=OPERATOR) == 1, "today is now, while it lasts"
    assert search.moment(Filters(), by=OPERATOR) is None
    with reading() as session, pytest.raises(InvalidInput):
        as_of.resolve(session, When(date(1999, 12, 31)))
    with pytest.raises(NotFound, match=f"There was no contact {contact + 1} after import {committed}"):
        records.as_it_was(contact + 1, When(committed), by=OPERATOR)
