"""No byte of a hidden value comes out, on whatever road: screens, routes, files, the command line, pickles, errors.

What is hidden holds words that stand nowhere else. That answers do not depend on it either: see
tests/models/test_hidden_values.py.
"""

import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard import cached, places
from models import (
    audit_log,
    check_board,
    check_report,
    exports,
    filters,
    import_orders,
    import_rejects,
    imports,
    industries,
    settings,
    users,
    view_changes,
    views,
)
from models.contacts import (
    bulk,
    copies,
    deleted,
    difference,
    difference_file,
    history,
    likeness,
    provenance,
    records,
    search,
)
from models.contacts.bulk import Selection
from models.contacts.difference import Asked, Way
from models.contacts.moments import When
from models.contacts.table import FIELDS
from models.database import writing
from models.errors import AppError, NotAllowed
from models.exports import FORMATS
from models.filters import Filters
from models.imports import Keep, MatchRule
from models.imports import State as ImportState
from models.permissions import OPERATOR, Actor, Role
from pipelines import export_contacts, import_contacts
from tests.checked import checked
from tests.dashboard.conftest import Site
from tests.deploy.command_line import Cli

CANARY = b"zqxj"
TODAY = When(datetime.now(UTC).date())
EVERYTHING = Asked(Filters(), When(date(2000, 1, 1)), None)  # a difference from before there were contacts
# Of nearly every kind; the amount is as unmistakable as the words.
HIDDEN = (
    "email", "mobile_phone", "work_direct_phone", "company", "website", "industry", "annual_revenue", "notes", "tags",
    "seniority", "stage",
)  # fmt: skip
AMOUNTS = (b"98765432", b"98,765,432", b"98.8m", b"98,8m")
SEEN = tuple(name for name in FIELDS if name not in HIDDEN)
VALUES = """email = 'zqxj' || id || '@zqxj.example', mobile_phone = 'zqxj-m' || id, work_direct_phone = 'zqxj-w' || id,
    company = 'Zqxj company ' || id % 7, website = 'https://zqxj.example/' || id, annual_revenue = 98765432.10,
    notes = 'zqxj note', tags = ARRAY['zqxj tag'], seniority = 'Zqxj', stage = 'zqxj stage',
    extra = '{"zqxj": "zqxj"}'"""
# A weight tells of hidden values as they themselves do.
PAIR = """INSERT INTO duplicate_pairs (left_id, right_id, run_id, cluster_id, weight, probability, reasons, left_seen,
        right_seen) VALUES (1, 5, 1, 1, 9.5, 0.99,
        '[{"of": "email", "title": "E-mail", "found": "zqxj alike", "bits": 9.5}]', now(), now())"""
FILE = """First Name,Last Name,Email,Company,Notes,# Employees,Shoe size
Ann,Archer,ann@zqxj.example,Zqxj & Co,zqxj one,10,zqxj
Ann,Archer,ann@zqxj.example,Zqxj & Co,zqxj two,zqxj few,
Bob,Baker,zqxj no address,Zqxj & Co,,,
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("APPOINTMENT360_HOME", str(folder))
        settings.settings.cache_clear()
        yield folder
    settings.settings.cache_clear()


@pytest.fixture(scope="module")
def secrets(site: Site, home: Path) -> dict[str, int]:
    """Everybody sees all but HIDDEN, where the canary sits in every contact, and what has been done to some of them.

    Returns the numbers of a contact with a history, of a deleted one, of imports and of an export.
    """
    with writing(OPERATOR) as session:
        session.execute(text(f"UPDATE contacts SET {VALUES}"))
        session.execute(text("UPDATE industries SET name = 'zqxj ' || name"))
    record = records.get(1, by=OPERATOR)
    changed = records.update(1, {"notes": "zqxj new", "city": "Bonn"}, version=record.version, by=OPERATOR)
    records.update(1, {"mobile_phone": "+49 30 1234567"}, version=changed.version, by=OPERATOR)
    records.delete(2, version=records.get(2, by=OPERATOR).version, by=OPERATOR)
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET mobile_phone = 'zqxj-m1' WHERE id = 1"))
        session.execute(text(PAIR))
        session.execute(text("INSERT INTO duplicate_runs (state, finished_at) VALUES ('done', now())"))
    checked({"email_is_an_address": 2, "industry_name_is_clean": 1}, named="zqxj")
    file = home / "leads.csv"
    file.write_text(FILE)
    made = [imported(file, until) for until in (ImportState.COMMITTED, ImportState.PLANNED)]
    chosen = filters.parse(["email.contains=zqxj", "q=zqxj"], by=OPERATOR)
    analyst = site.people[Role.ANALYST]
    users.change(analyst.email, users.Changes(every_column=True), by=OPERATOR)
    saw_all = users.find(analyst.email, by=OPERATOR).actor()
    export_id = exports.request(filters=chosen, columns=["email", "notes"], format="csv", by=saw_all)
    export_contacts.run(export_id, home=home)
    view = view_changes.save(
        "Bosses", filters=filters.parse(["notes.contains=zqxj"], by=OPERATOR), shared=True, by=saw_all
    )
    view_changes.change(view.id, filters=chosen, columns=["email", "country"], sort="notes", by=saw_all)
    gone = view_changes.save("Gone", filters=chosen, shared=True, by=OPERATOR)
    view_changes.delete(gone.id, by=OPERATOR)
    for role in Role:
        users.change(site.people[role].email, users.Changes(column_allowed=SEEN), by=OPERATOR)
        site.people[role] = users.find(site.people[role].email, by=OPERATOR)
    return {"contact": 1, "gone": 2, "import": made[0], "plan": made[1], "export": export_id, "view": view.id}


def imported(file: Path, until: ImportState) -> int:
    made = import_contacts.create(file, match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR)
    import_contacts.run(made, until=until, by=OPERATOR)
    return made


def clean(told: bytes | str) -> None:
    """Fails where the canary is in it."""
    data = (told.encode() if isinstance(told, str) else told).lower()
    for word in (CANARY, *AMOUNTS):
        place = data.find(word)
        assert place < 0, data[max(0, place - 200) : place + 100]


def everything(test: AppTest) -> bytes:
    """All that the script sent to the browser, tables included."""
    assert not test.exception, test.exception
    found = []

    def walk(node: Any) -> None:
        if (proto := getattr(node, "proto", None)) is not None and hasattr(proto, "SerializeToString"):
            found.append(proto.SerializeToString())
        for child in getattr(node, "children", {}).values():
            walk(child)

    walk(test._tree)
    assert len(found) > 5
    return b"\n".join(found)


SCREENS: dict[str, tuple[str, dict[str, str]]] = {
    "overview": ("overview", {}),
    "overview of some": ("overview", {"country": "Germany"}),
    "contacts": ("contacts", {}),
    "contacts searched": ("contacts", {"q": "zq"}),
    "contacts by a hidden field": ("contacts", {"email.contains": "a"}),
    "contacts without a hidden field": ("contacts", {"or1.notes.empty": "no", "or2.country": "Germany"}),
    "contacts in a hidden order": ("contacts", {"sort": "-mobile_phone"}),
    "contacts in hidden columns": ("contacts", {"columns": "first_name,notes"}),
    "contacts of a view": ("contacts", {"country": "Germany", "view": "{view}"}),
    "views": ("views", {}),
    "contact": ("contact", {"id": "{contact}"}),
    "deleted contact": ("contact", {"id": "{gone}"}),
    "imported contact": ("contact", {"id": "{contact}", "country": "Germany", "sort": "last_name"}),
    "new contact": ("contact", {"new": "1"}),
    "deleted": ("deleted", {}),
    "deleted searched": ("deleted", {"q": "zq"}),
    "duplicates": ("duplicates", {}),
    "duplicates of one": ("duplicates", {"contact": "{contact}"}),
    "imports": ("imports", {}),
    "new import": ("imports", {"new": "1"}),
    "import": ("imports", {"id": "{import}"}),
    "plan": ("imports", {"id": "{plan}"}),
    "mapping": ("imports", {"id": "{plan}", "step": "map"}),
    "mappings": ("mappings", {}),
    "watched": ("watched", {}),
    "plans": ("plans", {}),
    "payments": ("payments", {}),
    "payments, events": ("payments", {"part": "events"}),
    "difference": ("difference", {"country": "Germany"}),
    "difference by a hidden field": ("difference", {"email.contains": "a"}),
    "exports": ("exports", {}),
    "quality": ("quality", {}),
    "contacts by a hidden check": ("contacts", {"check": "email_is_an_address"}),
    "industries": ("industries", {}),
    "audit": ("audit", {}),
    "audit searched": ("audit", {"q": "zq"}),
    "users": ("users", {}),
    "performance": ("performance", {}),
    "housekeeping": ("housekeeping", {}),
    "jobs": ("jobs", {}),
    "backups": ("backups", {}),
    "profile": ("profile", {}),
}


# An administrator sees and does the most; the columns decide, not the role.
LOOKS = [(Role.ADMIN, name) for name in SCREENS] + [
    (role, name)
    for role in (Role.MANAGER, Role.ANALYST)
    for name in ("overview", "contacts", "views", "contact", "exports")
]


@pytest.mark.parametrize(("role", "name"), LOOKS)
def test_screens(screen: Callable[..., AppTest], secrets: dict[str, int], role: Role, name: str) -> None:
    at, params = SCREENS[name]
    test = screen(role, at=at, **{key: value.format(**secrets) for key, value in params.items()})
    clean(everything(test))
    for label in ("Edit", "Filter", "Export"):
        for button in [one for one in test.button if one.label == label and not one.disabled]:
            clean(everything(button.click().run()))


def test_every_screen_is_looked_at() -> None:
    assert {at for at, _ in SCREENS.values()} == set(places.PLACES)


def test_screens_would_show_it(screen: Callable[..., AppTest], site: Site, secrets: dict[str, int]) -> None:
    """To who may see it: else the test above could not fail."""
    users.change("narrow.manager@example.com", users.Changes(every_column=True), by=OPERATOR)
    shown = {
        "duplicates",
        "overview",
        "contacts",
        "contact",
        "deleted contact",
        "deleted",
        "import",
        "plan",
        "mapping",
        "industries",
    }
    for name in shown:
        at, params = SCREENS[name]
        params = {key: value.format(**secrets) for key, value in params.items()}
        assert CANARY in everything(screen("narrow manager", at=at, **params)).lower(), name


def test_routes(site: Site, web: str, secrets: dict[str, int]) -> None:
    paths = {
        f"/exports/{secrets['export']}/file": 403,
        f"/imports/{secrets['import']}/rejects.csv": 403,
        f"/imports/{secrets['import']}/duplicates.csv": 403,
        "/audit/log.csv": 200,
        "/quality/report.html": 200,
        "/quality/report.csv": 200,
    }
    for path, status in paths.items():
        answer = httpx.get(f"{web}{path}", cookies={"session": site.token(Role.ADMIN)})
        assert (answer.status_code, path) == (status, path)
        clean(answer.content)


@pytest.mark.parametrize("file_format", FORMATS)
def test_files(site: Site, secrets: dict[str, int], tmp_path: Path, file_format: str) -> None:
    by = site.people[Role.MANAGER].actor()
    target = tmp_path / f"out.{file_format}"
    made = export_contacts.export(target, filters=filters.parse(["country=Germany"], by=by), columns=None, by=by)
    assert made.rows
    match file_format:
        case "xlsx":
            with zipfile.ZipFile(target) as archive:
                clean(b"".join(archive.read(name) for name in archive.namelist()))
        case "parquet":
            clean(repr(pyarrow.parquet.read_table(target).to_pylist()))
        case _:
            clean(target.read_bytes())


def test_the_command_line(site: Site, secrets: dict[str, int], tmp_path: Path) -> None:
    cli, who = Cli(site.url, tmp_path), ("--as", site.people[Role.ANALYST].email)
    done = cli("export", tmp_path / "out.jsonl", *who, "--where", "country=Germany", "--json")
    assert done.code == 0
    for told in (done.out, done.err, (tmp_path / "out.jsonl").read_bytes()):
        clean(told)
    for asked in (("--columns", "notes"), ("--where", "notes.empty=no"), ("--columns", "extra")):
        refused = cli("export", tmp_path / "no.csv", *who, *asked)
        assert refused.code == 1
        assert "You may not see the column" in refused.err
        clean(refused.out + refused.err)
    assert not (tmp_path / "no.csv").exists()


def roads(by: Actor, secrets: dict[str, int]) -> dict[str, Callable[[], Any]]:
    """Every operation that gives something of contacts, imports and exports."""
    everyone, one, none = Filters(), secrets["contact"], secrets["gone"]
    taken = secrets["import"], secrets["plan"]
    return {
        "page": lambda: search.page(everyone, size=500, by=by),
        "searched": lambda: search.page(Filters(q="zqxj"), by=by),
        "statistics": lambda: search.statistics_of(everyone, by=by),
        "cached statistics": lambda: cached.statistics(everyone, by=by),
        "record": lambda: records.get(one, by=by),
        "deleted": lambda: records.deleted(none, by=by),
        "history": lambda: [history.of_contact(number, by=by) for number in (one, none)],
        "suggestions": lambda: records.suggestions(by=by),
        "alike": lambda: likeness.alike({"last_name": "Archer", "email": "ann@zqxj.example"}, by=by),
        "gone": lambda: deleted.page(by=by),
        "gone searched": lambda: deleted.page("zqxj", by=by),
        "facets": lambda: [cached.facet(everyone, name, by=by) for name in ("country", "email_status")],
        "quality": lambda: check_board.board(by=by),
        "report": lambda: check_report.html(by=by) + "".join(check_report.csv(by=by)),
        "industries": lambda: [one.name for one, _ in industries.listed(with_inactive=True, by=by)],
        "out of use": lambda: industries.out_of_use(by=by),
        "origins": lambda: provenance.of_changes(history.of_contact(one, by=by)),
        "as it was": lambda: records.as_it_was(one, TODAY, by=by),
        "page of then": lambda: search.page(Filters(as_of=TODAY), size=500, by=by),
        "differing": lambda: [difference.page(EVERYTHING, way, size=200, by=by) for way in Way],
        "difference": lambda: "".join(difference_file.as_csv(EVERYTHING, by=by)),
        "copied": lambda: copies.copy(Selection(everyone), "email", by=by),
        "previews": lambda: [imports.preview(number, by=by) for number in taken],
        "changed": lambda: [imports.changed_values(number, by=by) for number in taken],
        "checks": lambda: [imports.checks(number, by=by) for number in taken],
        "notes": lambda: [(note.example, note.reason) for number in taken for note in imports.notes(number, by=by)],
        "rejected": lambda: [
            (row.header, row.value, row.cells, row.reason)
            for number in taken for kind in import_rejects.KINDS
            for row in import_rejects.page(number, number=1, size=9, kind=kind, by=by)[0]
        ],
        "rejects": lambda: list(import_rejects.rows(taken[0], by=by)),
        "rejects as csv": lambda: "".join(import_rejects.as_csv(taken[0], by=by)),
        "reasons": lambda: [import_rejects.reasons(number, by=by) for number in taken],
        "exports": lambda: [vars(export) for export in exports.mine(by=by)],
        "export": lambda: vars(exports.get(secrets["export"], by=by)),
        "downloaded": lambda: vars(exports.downloaded(secrets["export"], noted=True, by=by)),
        "again": lambda: exports.again(secrets["export"], by=by),
        "views": lambda: [views.listed(by=by), views.deleted(by=by), view_changes.put_back(secrets["view"], by=by)],
        "a view": lambda: views.find("bosses", by=by).usable(),
        "audit": lambda: audit_log.page(audit_log.Wanted(), size=500, by=by),
        "audit as csv": lambda: "".join(audit_log.as_csv(audit_log.Wanted(), by=by)),
        "created twice": lambda: records.create({"first_name": "Zed", "email": "ann@zqxj.example"}, by=by),
        "emptied": lambda: records.update(one, {"first_name": "", "last_name": ""}, version=0, by=by),
        "changed many": lambda: bulk.change(Selection(everyone), "company", "x", by=by),
        "imported": lambda: import_orders.ask(secrets["plan"], ImportState.COMMITTED, by=by),
    }  # fmt: skip


@pytest.mark.parametrize("role", Role)
def test_operations_and_their_errors(site: Site, secrets: dict[str, int], role: Role) -> None:
    by = site.people[role].actor()
    for name, road in roads(by, secrets).items():
        try:
            told = road()
        except AppError as error:
            clean(f"{name}: {error.sentence} {vars(error)}")
        else:
            parts = [plainly(one) for one in (told if isinstance(told, list) else [told])]
            clean(pickle.dumps({name: parts}, protocol=0))


def plainly(told: Any) -> Any:
    """Without what SQLAlchemy keeps beside the values."""
    return {key: value for key, value in told.items() if key[0] != "_"} if isinstance(told, dict) else told


@pytest.mark.parametrize("name", HIDDEN)
def test_asking_for_a_hidden_field_says_so(site: Site, secrets: dict[str, int], name: str) -> None:
    by = site.people[Role.MANAGER].actor()
    everyone, title = Filters(), FIELDS[name].title
    for ask in (
        lambda: filters.parse([f"{name}.empty=no"], by=by),
        lambda: filters.parse([f"or1.{name}.empty=no"], by=by),
        lambda: search.page(filters.parse([f"{name}.empty=no"], by=OPERATOR), by=by),
        lambda: search.page(everyone, sort=name, by=by),
        lambda: search.page(everyone, columns=[name], by=by),
        lambda: search.neighbours(everyone, sort=f"-{name}", contact_id=1, by=by),
        lambda: search.count(filters.parse([f"{name}.empty=yes"], by=OPERATOR), by=by),
        lambda: search.counts([filters.parse([f"{name}.empty=yes"], by=OPERATOR)], by=by),
        lambda: search.known_counts([filters.parse([f"{name}.empty=yes"], by=OPERATOR)], by=by),
        lambda: view_changes.save("x", filters=everyone, columns=[name], by=by),
        lambda: view_changes.save("x", filters=filters.parse([f"{name}.empty=yes"], by=OPERATOR), by=by),
        lambda: search.count_by(everyone, name, by=by),
        lambda: search.count_by_each(everyone, [name], by=by),
        lambda: search.matching(everyone, [name], by=by),
        lambda: difference.numbers(
            replace(EVERYTHING, filters=filters.parse([f"{name}.empty=yes"], by=OPERATOR)), by=by
        ),
        lambda: search.count(filters.parse([f"{name}.empty=yes", "as_of=2026-01-01"], by=OPERATOR), by=by),
        lambda: cached.facet(everyone, name, by=by),
        lambda: cached.values(name, by=by),
        lambda: exports.request(filters=everyone, columns=[name], format="csv", by=by),
        lambda: records.create({name: "x"}, by=by),
        lambda: records.update(1, {name: ""}, version=1, by=by),
        lambda: bulk.change(Selection(everyone), name, "", by=by),
    ):
        with pytest.raises(NotAllowed, match=f"You may not see the column {title}: an administrator can allow it"):
            ask()
