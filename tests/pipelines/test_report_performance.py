"""A planted slow query and a planted unused index are found, and what is suggested holds."""

import re
from functools import partial
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy import make_url, text

from models import database, flow_runs, mail_texts, timings
from models.database import engine, libpq_url
from models.mails import Kind
from models.performance import reports, texts, trial
from models.performance.shapes import PerformanceFinding
from models.permissions import OPERATOR, Role
from models.settings import Settings
from models.tallies import Tally
from models.timings import keeping, timed
from pipelines import report_performance
from tests.people import person
from tests.pipelines.importing import imported, written

PLANT = """
    CREATE TABLE planted (id bigint PRIMARY KEY, code text, colour text, said text);
    INSERT INTO planted SELECT n, 'code ' || n, 'colour ' || mod(n, 7), 'secret ' || n FROM generate_series(1, 60000) n;
    CREATE INDEX planted_said ON planted (said);
    ANALYZE planted;
"""
SLOW = "SELECT id, colour FROM planted WHERE code = :code"


def plant() -> None:
    with engine().begin() as connection:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"))
        connection.exec_driver_sql(PLANT)


def ask(times: int) -> None:
    with keeping(), timed("screen", "planted"):
        for number in range(times):
            with engine().connect() as connection:
                connection.execute(text(SLOW), {"code": f"code {number}"}).all()


def of(findings: list[PerformanceFinding], kind: str, subject: str) -> PerformanceFinding:
    return next(one for one in findings if one.kind == kind and one.subject == subject)


def test_a_planted_slow_query_and_a_planted_unused_index_are_found(db: str) -> None:
    plant()
    ask(40)
    made = report_performance.report(told=lambda step: None, by=OPERATOR)
    missing = of(made.report.findings, "missing index", "planted (code)")
    assert missing.sql == "CREATE INDEX CONCURRENTLY ON planted (code)"
    assert "instead of" in (missing.tried or "")
    unused = of(made.report.findings, "unused index", "planted_said")
    assert "Look again on" in (unused.suggestion or "")  # nobody knows yet whether it is used once a week
    slow = next(one for one in made.report.statements if "FROM planted" in one.text and "code" in one.text)
    assert (slow.causes[0].kind, slow.causes[0].operation, slow.causes[0].times) == ("screen", "planted", 40)
    page = texts.page(made.report)
    assert max(map(len, page.splitlines())) <= 78
    assert "secret" not in page
    assert "code 1" not in made.report.model_dump_json()
    # What was suggested holds on the table itself, after which nothing is found any more.
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        connection.execute(missing.sql)
        plan = connection.execute("EXPLAIN SELECT id, colour FROM planted WHERE code = 'code 5'").fetchall()
        assert "Index Scan" in plan[0][0]
        connection.execute("UPDATE performance_reports SET made_at = made_at - interval '8 days'")
        assert connection.execute("SELECT to_regclass('pg_temp.planted')").fetchone() == (None,)
    ask(400)
    after = report_performance.report(told=lambda step: None, by=OPERATOR).report
    assert not [one for one in after.findings if one.kind == "missing index" and "planted" in one.subject]
    ripe = of(after.findings, "unused index", "planted_said")
    assert (ripe.suggestion or "").startswith("Drop it")
    quicker = next(one for one in after.statements if "FROM planted" in one.text and "code = $1" in one.text)
    assert quicker.calls == 400
    assert quicker.before_ms is not None
    assert quicker.mean_ms < quicker.before_ms
    assert len(reports.listed(by=OPERATOR)) == 2


@pytest.mark.parametrize(
    ("statement", "wanted", "does"),
    [
        ("SELECT id FROM planted ORDER BY code DESC, id DESC LIMIT :n", "planted (code DESC, id DESC)", "and sorts"),
        ("SELECT id FROM planted WHERE colour = :colour ORDER BY code LIMIT :n", "planted (colour, code)", "and sorts"),
        ("SELECT id FROM planted WHERE code ILIKE :part", "planted USING gin (code gin_trgm_ops)", "holds a text"),
    ],
)  # fmt: skip
def test_an_index_for_an_order_and_for_a_part_of_a_text(db: str, statement: str, wanted: str, does: str) -> None:
    plant()
    values = {"n": 50, "colour": "colour 3", "part": "%ode 4242%"}
    with engine().connect() as connection:
        for _ in range(40):
            connection.execute(text(statement), {key: values[key] for key in values if f":{key}" in statement}).all()
    found = report_performance.report(told=lambda step: None, by=OPERATOR).report.findings
    missing = of(found, "missing index", wanted)
    assert does in missing.sentence
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        connection.execute(missing.sql or "")
    asked = re.sub(r":(\w+)", lambda found: f"'{values[found[1]]}'", statement)
    with psycopg.connect(libpq_url(db)) as connection:
        plan = str(connection.execute(f"EXPLAIN {asked}").fetchall())
    assert "planted_co" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("column", ["usual", "empty"])
def test_an_index_that_helps_no_look_is_not_suggested(db: str, column: str) -> None:
    """The planner, which knows no values, would take it: nearly all rows have one value, or none has any."""
    plant()
    usual = "CASE WHEN id BETWEEN 100 AND 1100 THEN code ELSE 'usual' END"
    with engine().connect() as connection:
        connection.exec_driver_sql("ALTER TABLE planted ADD usual text, ADD empty text")
        connection.exec_driver_sql(f"UPDATE planted SET usual = {usual}")
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM FULL ANALYZE planted")
        asked = text(f"SELECT count(*) FROM planted WHERE {column} = :value")
        for _ in range(40):
            connection.execute(asked, {"value": "usual"}).all()
    wanted = trial.Candidate("planted", (column,))
    statement = f"SELECT count(*) FROM planted WHERE {column} = $1"
    assert trial.candidate(statement) == wanted
    tried = trial.try_index(statement, wanted)
    if column == "usual":
        assert tried is not None
        assert tried.cost_after < tried.cost_before / 2
    found = report_performance.report(told=lambda step: None, by=OPERATOR).report.findings
    assert not [one for one in found if one.kind == "missing index" and one.subject == wanted.subject]


def test_the_programs_own_index_is_called_unused_after_a_week(db: str) -> None:
    """Most of them wait for their screen on the first day."""
    with engine().begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO contacts (first_name, company) SELECT 'Ann', md5(n::text) FROM generate_series(1, 40000) n"
        )
    report = partial(report_performance.report, told=lambda step: None, by=OPERATOR)
    assert not [one for one in report().report.findings if one.kind == "unused index"]
    with engine().begin() as connection:
        connection.exec_driver_sql("UPDATE performance_reports SET made_at = made_at - interval '8 days'")
    found = [one.subject for one in report().report.findings if one.kind == "unused index"]
    assert "contacts_company" in found


def test_a_page_stands_for_a_limit_that_is_not_known() -> None:
    assert (
        trial.paged("SELECT a FROM t WHERE b = $1 LIMIT $2 OFFSET $3")
        == "SELECT a FROM t WHERE b = $1 LIMIT 50 OFFSET $2"
    )
    for untouched in ("SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $1 LIMIT $1"):
        assert trial.paged(untouched) == untouched


def test_what_a_rule_needs_is_never_called_unused(db: str) -> None:
    plant()
    with engine().begin() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX planted_code ON planted (code)")
    found = report_performance.report(told=lambda step: None, by=OPERATOR).report.findings
    assert {one.subject for one in found if one.kind == "unused index"} == {"planted_said"}


def test_without_statistics_of_statements_the_report_says_so_and_goes_on(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.performance.statements.ready", lambda: "The server does not tell")
    made = report_performance.report(told=lambda step: None, by=OPERATOR)
    assert made.report.notes[0] == "The server does not tell"
    assert made.report.statements == []
    assert made.report.tables


def test_a_role_without_rights_is_told_what_to_grant_and_gets_the_rest(db: str) -> None:
    plant()
    with psycopg.connect(libpq_url(db), autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        connection.execute("DROP EXTENSION pg_stat_statements")
        connection.execute("DROP ROLE IF EXISTS modest")
        connection.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO modest")
        connection.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO modest")
    database.bind(make_url(db).set(username="modest", password="modest").render_as_string(hide_password=False))
    try:
        made = report_performance.report(told=lambda step: None, by=OPERATOR).report
    finally:
        database.bind(db)
        with psycopg.connect(libpq_url(db), autocommit=True) as connection:
            connection.execute("DROP OWNED BY modest")
            connection.execute("DROP ROLE modest")
    told = "\n".join(made.notes)
    assert "CREATE EXTENSION pg_stat_statements" in told
    assert "GRANT pg_monitor TO modest;" in told
    assert f"GRANT TEMPORARY ON DATABASE {name} TO modest;" in told
    assert "no report of a week ago" in told
    assert (made.statements, made.findings) == ([], [])
    assert {"planted", "contacts"} <= {one.name for one in made.tables}
    assert made.server.most_connections


def test_timings_add_up_over_batches_and_processes(db: str) -> None:
    with keeping():
        for seconds in (0.001, 0.1, 0.1, 3.0):
            timings.note("screen", "contacts", seconds, Tally(), user_id=3, view_id=None)
        timings.write()
        timings.note("screen", "contacts", 0.1, Tally(), user_id=3, failed=True)
    with engine().connect() as connection:
        asked = "SELECT sum(times), sum(failed), max(slowest) FROM timings WHERE user_id = 3"
        assert tuple(connection.execute(text(asked)).one()) == (5, 1, 3.0)
        assert connection.execute(text("SELECT operation, seconds FROM slow_operations")).all() == [("contacts", 3.0)]
    made = report_performance.report(told=lambda step: None, by=OPERATOR).report
    one = next(one for one in made.operations if one.operation == "contacts")
    assert 100 <= one.p50_ms <= 142
    assert one.p99_ms == 3000
    with pytest.raises(ValidationError):
        Settings(days_kept_timings=28)  # reports look back four weeks


def test_a_statement_has_one_fingerprint_however_it_is_written() -> None:
    sent = "SELECT a FROM t\n WHERE x = %(x)s::VARCHAR AND y IN (%(a)s, %(b)s) LIMIT 5"
    shown = "SELECT a FROM t WHERE x = $1::VARCHAR AND y IN ($2 /*, ... */) LIMIT $3"
    assert timings.fingerprint(sent) == timings.fingerprint(shown)
    assert timings.fingerprint(sent) != timings.fingerprint(sent.replace("x =", "z ="))
    sent = "SELECT true, extract(epoch FROM b) FROM t WHERE c IS\n NOT NULL AND d IS TRUE AND coalesce(e, NULL) = FALSE"
    shown = "SELECT $1, extract($2 FROM b) FROM t WHERE c IS NOT NULL AND d IS TRUE AND coalesce(e, $3) = $4"
    assert timings.fingerprint(sent) == timings.fingerprint(shown)


def test_who_sent_the_longest_statements_of_an_import_is_known(db: str, tmp_path: Path) -> None:
    with engine().begin() as connection:
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.exec_driver_sql("SELECT pg_stat_statements_reset()")  # full of others, it forgets what is new
    rows = [{"Email": f"ann{number}@example.com", "First Name": "Ann"} for number in range(2000)]
    with keeping(), timed("command", "import"):
        assert imported(written(tmp_path, rows)).created == 2000
    with psycopg.connect(libpq_url(db)) as connection:
        mine = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        sent = connection.execute(
            f"SELECT query FROM pg_stat_statements WHERE {mine} AND (query LIKE 'COPY \"staging%' OR query LIKE"
            " 'INSERT INTO contacts (%' OR query LIKE 'CREATE UNLOGGED TABLE staging.plan%')"
        ).fetchall()
        known = {row[0] for row in connection.execute("SELECT fingerprint FROM statement_timings")}
    assert len(sent) >= 3
    assert [query for (query,) in sent if timings.fingerprint(query) not in known] == []


def test_by_schedule_it_is_mailed_to_those_who_want_it(db: str) -> None:
    wanting, other = (
        person(email=f"{name}@example.com", name=name, role=Role.ADMIN).actor() for name in ("ann", "ben")
    )
    reports.have_mailed(True, by=wanting)
    reports.have_mailed(False, by=other)
    report_performance.report(mailed=True, told=lambda step: None, by=OPERATOR)
    report_performance.run(by=OPERATOR)  # asked for: it is not mailed
    assert flow_runs.page(by=OPERATOR)[0].state == flow_runs.RunState.DONE
    with engine().connect() as connection:
        asked = text("SELECT email, details FROM mails WHERE kind = 'performance report'")
        [(email, details)] = connection.execute(asked).all()
    assert email == "ann@example.com"
    _, body = mail_texts.text_of(Kind.PERFORMANCE_REPORT, name="Ann", email=email, link=None, details=details)
    assert "Findings: none" in body
    assert max(map(len, body.splitlines())) <= 100
