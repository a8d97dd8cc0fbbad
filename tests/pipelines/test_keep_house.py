"""A round of housekeeping: what is kept for its time goes, what counts stays, and tables that want care get it."""

from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from models import batches, flow_runs, import_changes, import_expiry, import_rejects, imports, settings
from models.contacts import as_of, history_retention, moments, records
from models.database import engine, libpq_url, reading
from models.errors import Conflict, InvalidInput
from models.house import advice, reports, standing, stock, texts
from models.imports import State
from models.permissions import OPERATOR
from pipelines import import_contacts, keep_house
from tests.pipelines import importing
from tests.pipelines.importing import contacts, sql, written

ANN = {"First Name": "Ann", "Last Name": "Ash", "Email": "ann@example.com"}
LONG_AGO = "now() - interval '99 days'"


@pytest.fixture
def url(base: str) -> str:
    return libpq_url(base)


def age(url: str, statement: str) -> None:
    """Change the past; no trigger sees that."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET session_replication_role = replica; {statement}".encode())


def keep(monkeypatch: pytest.MonkeyPatch, **days: str) -> reports.Made:
    for name, value in days.items():
        monkeypatch.setenv(f"APPOINTMENT360_{name.upper()}", value)
    settings.settings.cache_clear()
    return keep_house.keep(told=lambda step: None, by=OPERATOR)


def count(table: str) -> int:
    return int(sql(f"SELECT count(*) FROM {table}")[0][0])


def test_timings_runs_and_reports_go_in_batches(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ROWS", 7)
    age(url, """INSERT INTO timings SELECT now() - n * interval '1 day', 'api', 'x', 0, 0, 1, 1, 1, 1, 0, 0, 0, 0
        FROM generate_series(1, 60) n;
        INSERT INTO flow_runs (flow, state, scheduled, started_at, ended_at) SELECT 'back-up', 'done', true,
        now() - n * interval '1 day', now() - n * interval '1 day' FROM generate_series(60, 110) n;
        INSERT INTO audit_log (at, actor_name, event, subject)
        VALUES (now() - interval '800 days', 'x', 'signed in', 'user x');
        INSERT INTO house_reports (made_at, host, body) VALUES (now() - interval '130 days', 'x', '{}')""")  # fmt: skip
    made = keep(monkeypatch)
    removed = {one.setting.rpartition("KEPT_")[2]: one.removed for one in made.report.kept}
    assert (removed["TIMINGS"], removed["RUNS"], removed["REPORTS"]) == (26, 20, 1)
    assert removed["AUDIT"] == 1
    assert (count("timings"), count("flow_runs"), count("house_reports")) == (34, 31, 1)
    assert (removed["EXPORTS"], removed["HISTORY"]) == (None, None), "the sweep removes those; these are for ever"


def test_the_last_run_of_a_flow_stays(url: str) -> None:
    age(
        url,
        f"""INSERT INTO flow_runs (flow, state, scheduled, started_at, ended_at) VALUES
        ('back-up', 'done', true, {LONG_AGO}, {LONG_AGO}), ('back-up', 'failed', true, {LONG_AGO}, {LONG_AGO})""",
    )
    assert flow_runs.clear_past(90) == 1
    assert flow_runs.last("back-up", by=OPERATOR).state == "failed"  # type: ignore[union-attr]


def test_rows_and_files_of_ended_imports_go_and_their_numbers_stay(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importing.imported(written(tmp_path, [ANN, {**ANN, "Email": "no address"}, ANN]))
    waiting = importing.imported(written(tmp_path, [ANN, ANN], "b.csv"), until=State.PLANNED)
    age(url, f"UPDATE imports SET finished_at = {LONG_AGO}, created_at = {LONG_AGO}")
    rejects = count("import_rejects")
    assert rejects >= 2
    keep(monkeypatch)
    assert count("import_rejects") == rejects, "for ever, unless somebody says otherwise"
    assert Path(found.file_path).is_file()
    made = keep(monkeypatch, days_kept_rejects="90", days_kept_uploads="90")
    after = imports.get(found.id, by=OPERATOR)
    assert not Path(found.file_path).exists()
    assert Path(waiting.file_path).is_file()
    assert after.rejects_expired_at
    assert after.file_expired_at
    assert importing.numbers(after) == importing.numbers(found)
    assert list(import_rejects.rows(found.id, by=OPERATOR)) == []
    assert sql("SELECT DISTINCT import_id FROM import_rejects") == [(waiting.id,)]
    assert len([one for one in made.report.kept if one.removed]) >= 2
    assert import_expiry.expire_uploads(90) == 0


@pytest.fixture
def past(url: str, tmp_path: Path) -> tuple[int, int]:
    """Two imports that changed Ann, the first 99 days ago, the second now; their numbers."""
    ben = {**ANN, "First Name": "Ben", "Email": "ben@example.com"}
    first = importing.imported(written(tmp_path, [{**ANN, "Title": "A"}, {**ben, "Title": "A"}], "a.csv"))
    changed = importing.imported(written(tmp_path, [{**ANN, "Title": "B"}, {**ben, "Title": "B"}], "b.csv"))
    age(
        url,
        f"""UPDATE imports SET finished_at = {LONG_AGO};
        UPDATE contacts SET created_at = now() - interval '100 days', updated_at = {LONG_AGO};
        UPDATE contact_history SET created_at = now() - interval '100 days', replaced_at = {LONG_AGO}""",
    )
    last = importing.imported(written(tmp_path, [{**ANN, "Title": "C"}], "c.csv"))
    assert first.created == changed.updated == 2
    return changed.id, last.id


def test_history_is_kept_for_ever_unless_somebody_says_otherwise(past: tuple[int, int]) -> None:
    import_contacts.undo(past[1], by=OPERATOR)
    import_contacts.undo(past[0], by=OPERATOR)
    assert {one["title"] for one in contacts()} == {"A"}


def test_what_history_no_longer_tells_is_refused_and_the_rest_is_exact(
    past: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = past
    before = count("contact_history")
    keep(monkeypatch, days_kept_history="90")
    assert count("contact_history") == before - 1, "Ann's older one; Ben's is his newest"
    with pytest.raises(Conflict, match=rf"Import {old} cannot be undone any more: the history of contacts before"):
        import_contacts.undo(old, by=OPERATOR)
    with pytest.raises(Conflict, match="is not known any more"):
        list(import_changes.rows(old, by=OPERATOR))
    with reading() as session:
        with pytest.raises(InvalidInput, match=r"not known any more: their history before .* Take a later moment"):
            as_of.resolve(session, moments.parse(f"import:{old}"))
        assert as_of.resolve(session, moments.parse(f"before:{new}"))
    ann = next(one for one in contacts() if one["email"] == "ann@example.com")
    assert ann["title"] == "C"
    import_contacts.undo(new, by=OPERATOR)
    assert {one["title"] for one in contacts()} == {"B"}
    import_contacts.redo(new, by=OPERATOR)
    assert {one["title"] for one in contacts()} == {"B", "C"}


def test_as_of_after_that_moment_is_what_it_was(
    past: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then() -> list[str | None]:
        when = moments.parse(f"before:{past[1]}")
        ids = [row[0] for row in sql("SELECT id FROM contacts ORDER BY id")]
        return [records.as_it_was(one, when, by=OPERATOR).values["title"] for one in ids]

    importing.imported(written(tmp_path, [{**ANN, "Title": "D"}], "d.csv"))
    before = then()
    keep(monkeypatch, days_kept_history="90")
    assert then() == before == ["B", "B"]


def test_a_second_round_removes_nothing_more_within_a_day(
    past: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, days_kept_history="90")
    begun = whole_since()
    keep(monkeypatch, days_kept_history="90")
    assert whole_since() == begun
    lines = sql("SELECT details ->> 'versions' FROM audit_log WHERE event = 'contact history expired' ORDER BY id")
    assert lines == [(None,), ("1",)]
    assert begun is not None
    assert timedelta(days=89) < datetime.now(begun.tzinfo) - begun < timedelta(days=91)


def whole_since() -> datetime | None:
    with reading() as session:
        return history_retention.begin(session)


PLANT = """
    CREATE TABLE planted (id bigint PRIMARY KEY, said text) WITH (autovacuum_enabled = off);
    INSERT INTO planted SELECT n, 'x' FROM generate_series(1, 5000) n;
    DELETE FROM planted WHERE id % 2 = 0;
    SELECT pg_stat_force_next_flush();
"""


def planted() -> dict[str, str | None]:
    """Kind of advice -> what came of it."""
    found = reports.latest(by=OPERATOR)
    assert found is not None
    return {one.kind: one.outcome for one in found.report.advice if one.subject == "planted"}


def test_a_table_with_dead_rows_is_vacuumed_and_analyzed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    age(url, PLANT)
    made = keep(monkeypatch, house_vacuums="false")
    told = [one.sentence for one in made.report.advice if one.subject == "planted"]
    assert told[0].startswith("2,500 rows of planted are dead, 50% of it; it was never vacuumed.")
    assert told[1] == "planted has 2,500 rows and was never analyzed: the planner guesses what is in it."
    assert planted() == {"vacuum": None, "analyze": None}
    keep(monkeypatch, house_vacuums="true")
    assert planted() == {"vacuum": "Done.", "analyze": "Done."}
    assert [one for one in advice.now() if one.subject == "planted"] == []
    age(url, "UPDATE planted SET said = 'y' WHERE id % 4 = 1; SELECT pg_stat_force_next_flush()")
    [stale] = [one for one in advice.now() if one.subject == "planted" and one.kind == "analyze"]
    assert stale.sentence.startswith("1,250 rows of planted changed, 50% of it; it was analyzed last at ")


def test_what_another_holds_is_left_to_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    age(url, PLANT)
    with engine().begin() as connection:
        connection.execute(text("LOCK TABLE planted"))
        keep(monkeypatch)
    assert str(planted()["vacuum"]).startswith("Not done: skipping vacuum of ")


def test_a_round_that_fails_in_one_thing_does_the_rest(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    age(url, f"INSERT INTO flow_runs (flow, state, scheduled, ended_at) VALUES ('a', 'done', true, {LONG_AGO}), "
        f"('a', 'done', true, {LONG_AGO})")  # fmt: skip

    def broken(older_than_days: int) -> int:
        raise RuntimeError(older_than_days)

    monkeypatch.setattr("pipelines.keep_house.RULES", tuple(
        one if one.setting != "days_kept_timings" else type(one)(one.what, one.setting, "", clear=broken)
        for one in keep_house.RULES
    ))  # fmt: skip
    made = keep(monkeypatch)
    assert made.report.notes[0].startswith("Timings could not be removed: the log says why.")
    assert count("flow_runs") == 1


def test_it_takes_stock_and_the_page_is_as_wide_as_a_terminal(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importing.imported(written(tmp_path, [ANN]))
    made = keep(monkeypatch)
    sizes = {one.name: one for one in made.report.folders}
    assert sizes["imports"].bytes >= Path(found.file_path).stat().st_size
    assert "contacts" in {one.name for one in made.report.tables}
    assert made.report.database_bytes > 1_000_000
    assert made.report.disks[0].free > 0
    page = texts.page(made.report)
    assert max(map(len, page.splitlines())) <= 78
    assert standing.now(by=OPERATOR).latest == made


def test_the_rows_of_a_table_are_counted_and_of_a_large_one_are_about_so_many(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing.imported(written(tmp_path, [ANN]))
    sizes = {one.name: one for one in keep(monkeypatch).report.tables}
    assert (sizes["imports"].rows, sizes["imports"].counted) == (1, True)
    [(lines,)] = sql("SELECT count(*) FROM audit_log")
    assert sizes["audit_log"].rows == lines - 1 > 0, "the round's own line came after that"
    monkeypatch.setattr(stock, "COUNTED", 0)
    made = keep(monkeypatch)
    assert not any(one.counted for one in made.report.tables)
    assert f"about {made.report.tables[0].rows:,} rows" in texts.page(made.report)


def test_the_flow_is_recorded(url: str) -> None:
    keep_house.run(by=OPERATOR)
    run = flow_runs.last("keep-house", by=OPERATOR)
    assert run is not None
    assert run.state == "done"
    assert run.counts["report"] > 0
