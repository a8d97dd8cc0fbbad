"""The imports screen, step by step. What a flow does is done here between two looks."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select, text, update
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from dashboard import flow_runs
from dashboard.widgets import import_choices
from dashboard.widgets.import_choices import EXTRA, LEFT_OUT
from dashboard.widgets.page import plain
from models import (
    check_results,
    import_acceptances,
    import_drafts,
    import_finding_rows,
    import_findings,
    import_orders,
    import_progress,
    import_rejects,
    import_uploads,
    imports,
    parted_uploads,
    settings,
    sign_ins,
    users,
)
from models.check_results import Verdict
from models.contacts import records, search
from models.contacts.table import Contact
from models.database import writing
from models.errors import NotAllowed, TooSlow
from models.filters import parse
from models.import_changes import Kind
from models.import_drafts import Chosen
from models.imports import Import, Keep, MatchRule, State
from models.permissions import OPERATOR, Actor, Role
from pipelines import import_contacts
from pipelines import import_orders as orders
from pipelines.import_steps import PlanMoved
from tests.dashboard.conftest import NARROW_MANAGER, Site, click_in_table
from tests.data_checks.conftest import started_checker

Screen = Callable[..., AppTest]
HEADER = "Vorname,Nachname,Email,Second Email,Position,Firma,# Employees,<b>Note</b>"
ROWS = """
Ann,Archer,ann@leads.example,,CEO,Acme,10,x
Bob,Baker,bob@leads.example,bob2@leads.example,CTO,Acme,about forty,y
Bob,Baker,bob@leads.example,,CTO,Acme,20,
Cid,Carter,no at sign,,,Acme,30,
Dee,Dunn,dee@leads.example,,VP,Dunn *Ltd*,40,
"""
CHANGED = ROWS.replace("CEO", "Chair").replace("VP", "CFO")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This process's home, with a warm checker in it."""
    folder = tmp_path_factory.mktemp("home")
    process = started_checker(folder)
    os.environ["APPOINTMENT360_HOME"] = str(folder)
    settings.settings.cache_clear()
    yield folder
    del os.environ["APPOINTMENT360_HOME"]
    settings.settings.cache_clear()
    process.terminate()
    process.wait(60)


@pytest.fixture
def new(site: Site, home: Path, tmp_path: Path) -> Callable[..., int]:
    """`new(rows, State.PLANNED)`: an import of the manager's, taken so far."""

    def make(rows: str = ROWS, until: State = State.NEW, **how: MatchRule | Keep) -> int:
        file = tmp_path / "leads.csv"
        file.write_text(HEADER + rows, encoding="utf-8")
        by = site.people[Role.MANAGER].actor()
        chosen = {"match": MatchRule.AUTO, "keep": Keep.THEIRS} | how
        import_id = import_contacts.create(file, **chosen, by=by)  # type: ignore[arg-type]
        if until is not State.NEW:
            import_contacts.run(import_id, until=until, by=by)
        return import_id

    return make


@pytest.fixture
def committed(new: Callable[..., int]) -> Iterator[int]:
    """The rows are contacts; afterwards they no longer are."""
    import_id = new(until=State.COMMITTED)
    yield import_id
    if imports.get(import_id, by=OPERATOR).state == State.COMMITTED:
        import_contacts.undo(import_id, by=OPERATOR)


def buttons(test: AppTest) -> dict[str, Button]:
    assert not test.exception, test.exception
    return {one.label: one for one in test.button}


def press(test: AppTest, label: str) -> AppTest:
    return buttons(test)[label].click().run()


def texts(test: AppTest) -> str:
    assert not test.exception, test.exception
    told = [*test.caption, *test.markdown, *test.subheader, *test.error, *test.title]
    drawn = [*(one.proto.text for one in test.get("progress")), *(one.proto.body for one in test.get("html"))]
    return "\n".join([*(one.value for one in told), *drawn])


def metrics(test: AppTest) -> dict[str, str]:
    return {one.label.partition("] ")[2] or one.label: one.value for one in test.metric}


def test_values_that_a_rule_tolerates_are_shown_with_the_plan(screen: Screen, new: Callable[..., int]) -> None:
    sizes = [10] * 199 + [5_551_234_567]
    rows = "".join(f"\nAnn{at},,ann{at}@leads.example,,,,{size}," for at, size in enumerate(sizes))
    told = texts(screen(Role.ADMIN, at="imports", id=str(new(rows, State.PLANNED)))).replace("\\", "")
    assert "Every rule holds" in told
    assert "1 value within the tolerance of 1 rule:" in told
    assert "1 of 200: Employees is between 0 and 5,000,000." in told


def flow(import_id: int) -> Import:
    """What the scheduler does with what is wanted."""
    orders.carry_out(import_id, imports.get(import_id, by=OPERATOR).orders)
    return imports.get(import_id, by=OPERATOR)


@pytest.mark.parametrize("address", [{}, {"new": "1"}, {"id": "1"}])
def test_the_analyst_is_told_who_may_import(screen: Screen, address: dict[str, str]) -> None:
    test = screen(Role.ANALYST, at="imports", **address)
    assert "The admins and managers may" in texts(test)
    assert not test.dataframe
    assert "New import" not in buttons(test)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MANAGER])
def test_those_who_may_see_the_list_and_begin_a_new_one(screen: Screen, committed: int, role: Role) -> None:
    test = screen(role, at="imports")
    row = test.dataframe[0].value.iloc[0]
    assert (row["file"], row["state"], row["by"]) == ("leads.csv", ["Done with rejects"], "An manager")
    assert (row["rows"], row["created"], row["updated"], row["rejected"]) == (5, 3, 0, 1)
    press(test, "New import")
    assert test.query_params == {"new": "1"}
    assert "What happens to a file" in texts(test)


@pytest.mark.parametrize("named", ["99999", "abc", "-1", "1" * 40, "'; DROP TABLE imports; --"])
def test_an_import_that_is_not_there(screen: Screen, home: Path, named: str) -> None:
    test = screen(Role.MANAGER, at="imports", id=named)
    assert "There is no such import" in texts(test)
    press(test, "All imports")
    assert test.query_params == {}


def test_an_unfinished_upload_says_how_far_it_is(screen: Screen, site: Site, home: Path) -> None:
    by = site.people[Role.MANAGER].actor()
    upload = import_uploads.begin(name="half *done*.csv", size=2_000_000, modified=1, by=by)
    with import_uploads.Part(upload.import_id, 0, by=by) as part:
        part.write(b"x" * 500_000)
    row = screen(Role.ADMIN, at="imports").dataframe[0].value.iloc[0]
    assert row["state"] == ["Uploading"]
    other = screen(Role.ADMIN, at="imports", id=str(upload.import_id))
    assert "**500 KB** of 2 MB have arrived." in texts(other)
    assert "by An manager" in texts(other)
    own = screen(Role.MANAGER, at="imports", id=str(upload.import_id))
    data = own.get("bidi_component")[0].proto.json
    assert "500 KB of 2 MB are here: choose half *done*.csv again to go on" in data
    press(own, "Cancel import")
    assert not own.exception


def test_an_upload_of_a_program_says_how_far_it_is(screen: Screen, site: Site, home: Path) -> None:
    by = site.people[Role.MANAGER].actor()
    upload = import_uploads.begin(name="parts.csv", size=2_000, modified=None, part_size=500, by=by)
    with parted_uploads.PartWriter(upload.import_id, 3, by=by) as part:
        part.write(b"x" * 500)
        part.keep()
    own = screen(Role.MANAGER, at="imports", id=str(upload.import_id))
    assert "by An manager · a program sends it" in texts(own)
    assert "**500 B** of 2 KB have arrived." in texts(own)
    data = [one.proto.json for one in own.get("bidi_component")]
    assert not any("choose parts.csv again" in one for one in data), "no browser can go on with it"


def test_without_prefect_it_waits_says_so_and_starts_by_itself(
    screen: Screen, new: Callable[..., int], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = new()
    order = import_orders.ask(import_id, State.OPENED, by=site.people[Role.MANAGER].actor())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "Reading the file: waiting" in texts(test)
    assert "It waits for the scheduler, which is not there yet" in texts(test)
    asked = []
    monkeypatch.setattr(flow_runs, "_start", lambda name, given, key: asked.append((name, given)) or True)
    test.run()
    test.run()
    assert "It starts within seconds." in texts(test)
    assert asked == [("import-contacts/default", {"import_id": import_id, "order": order, "until": "opened"})]
    flow(import_id)
    test.run()
    assert "Match columns to fields" in texts(test)


def test_the_columns_are_shown_with_examples_and_mapped(screen: Screen, new: Callable[..., int], site: Site) -> None:
    import_id = new(until=State.OPENED)
    test = screen(Role.ADMIN, at="imports", id=str(import_id))
    told = texts(test)
    for fact in ("**UTF\\-8**", "**Comma**", "**Row 1**", "**5**", "**6 of 8**"):
        assert fact in told, told
    table = test.data_editor[0].value.set_index("header")
    assert list(table.index) == HEADER.split(",")
    assert table.loc["Position", "field"] == "title"
    assert table.loc["Second Email", "field"] == EXTRA
    assert list(table.loc["Vorname", "examples"]) == ["Ann", "Bob", "Cid"]
    assert table.loc["Second Email", "filled"] == 20
    assert [list(one) for one in table["match"]] == [["Sure"]] * 3 + [["No match"]] + [["Sure"]] * 3 + [["No match"]]
    first = next(one.value for one in test.dataframe if "Vorname" in one.value.columns)
    assert (first.index[0], first.iloc[0]["Email"]) == (2, "ann@leads.example")

    edit(test, {3: "email", 2: "other_phone", 7: LEFT_OUT})
    press(test, "Make the plan")
    found = imports.get(import_id, by=OPERATOR)
    assert (found.wanted, found.wanted_by) == (State.PLANNED, site.people[Role.ADMIN].id)
    assert found.mapping is not None
    assert (found.mapping["email"], found.mapping["other_phone"]) == ("Second Email", "Email")
    assert found.left_out == HEADER.split(",")[7:]
    assert "Making the plan: waiting" in texts(test)


def edit(test: AppTest, fields: dict[int, str]) -> None:
    """Choose fields in the table, by row."""
    key = test.session_state[import_choices.KEY].key("columns")
    rows = {place: {"field": name} for place, name in fields.items()}
    test.session_state[key] = {"edited_rows": rows, "added_rows": [], "deleted_rows": []}
    test.run()


def fields(test: AppTest) -> dict[str, str]:
    table = test.data_editor[0].value
    return dict(zip(table["header"], table["field"], strict=True))


def test_what_was_chosen_outlives_an_expired_session(screen: Screen, new: Callable[..., int], site: Site) -> None:
    import_id = new(until=State.OPENED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "Your choices" not in texts(test)
    edit(test, {3: "other_phone"})
    next(one for one in test.radio).set_value(Keep.OURS).run()
    sign_ins.sign_out(screen.token)  # type: ignore[attr-defined]
    edit(test, {3: "other_phone", 4: "notes", 7: LEFT_OUT})
    assert "Sign in to Appointment360" in texts(test)
    assert [one.label for one in test.text_input] == ["Work e-mail", "Password"]

    other = screen(Role.ADMIN, at="imports", id=str(import_id))
    assert fields(other)["Position"] == "title", "it is the other person's own"
    again = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "**Your choices** of" in texts(again)
    chosen = fields(again)
    assert (chosen["Second Email"], chosen["Position"], chosen["Firma"]) == ("other_phone", "notes", "company")
    assert list(chosen.values())[7] == LEFT_OUT
    assert next(one.value for one in again.radio) == Keep.OURS
    press(again, "Make the plan")
    found = flow(import_id)
    assert (found.state, found.keep, (found.mapping or {})["notes"]) == (State.PLANNED, Keep.OURS, "Position")
    again.run()
    assert f"Left out: {plain(HEADER.split(',')[7])}. They stay in the stored file" in texts(again)
    press(again, "Back")
    assert "Your choices" not in texts(again)
    assert fields(again) == chosen
    import_orders.cancel(import_id, by=OPERATOR)


def test_choices_stand_until_they_are_discarded(screen: Screen, new: Callable[..., int], site: Site) -> None:
    import_id = new(until=State.OPENED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    edit(test, {3: "other_phone"})
    press(test, "All imports")
    test.query_params.clear()
    test.query_params["id"] = str(import_id)
    test.run()
    assert fields(test)["Second Email"] == "other_phone", "the same browser, which was elsewhere meanwhile"
    test.run()
    assert fields(test)["Second Email"] == "other_phone"
    again = screen(Role.MANAGER, at="imports", id=str(import_id))
    press(again, "Discard them")
    assert fields(again)["Second Email"] == EXTRA
    assert "Your choices" not in texts(again)
    assert import_drafts.find(import_id, by=site.people[Role.MANAGER].actor()) is None
    import_orders.cancel(import_id, by=OPERATOR)


@pytest.mark.parametrize("end", ["planned", "committed", "cancelled", "failed"])
def test_drafts_are_forgotten_when_they_are_of_no_use(
    new: Callable[..., int], site: Site, home: Path, end: str
) -> None:
    manager, admin = (site.people[role].actor() for role in (Role.MANAGER, Role.ADMIN))
    import_id = new(until=State.PLANNED if end == "committed" else State.OPENED)
    for by in (manager, admin):
        import_drafts.keep(import_id, Chosen({"Email": "email"}, MatchRule.EMAIL, Keep.OURS), by=by)
    if end == "planned":
        import_orders.remap(import_id, {"Email": "email"}, match=MatchRule.AUTO, keep=Keep.THEIRS, by=manager)
    elif end == "committed":
        import_contacts.run(import_id, by=OPERATOR)
        import_contacts.undo(import_id, by=OPERATOR)
    elif end == "cancelled":
        import_orders.cancel(import_id, by=manager)
    else:
        shutil.rmtree(home / "imports" / str(import_id))
        with pytest.raises(Exception, match="leads"):
            import_contacts.run(import_id, by=OPERATOR)
    assert import_drafts.find(import_id, by=manager) is None
    assert (import_drafts.find(import_id, by=admin) is not None) == (end == "planned")
    if end == "planned":
        import_orders.cancel(import_id, by=OPERATOR)


def test_two_columns_for_one_field_are_refused_in_words(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.OPENED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    edit(test, {3: "email"})
    press(test, "Make the plan")
    assert "E-mail is to come from “Email” and from “Second Email”" in texts(test).replace("\\", "")
    assert imports.get(import_id, by=OPERATOR).wanted is None


def test_the_plan_in_numbers_changes_and_reasons(screen: Screen, new: Callable[..., int], committed: int) -> None:
    import_id = new(CHANGED, State.PLANNED)
    test = screen(Role.ADMIN, at="imports", id=str(import_id))
    told = texts(test)
    assert metrics(test) == {"Created": "0", "Updated": "2", "Unchanged": "1", "Duplicates": "1", "Rejected": "1"}
    assert "0 created + 2 updated + 1 unchanged + 1 duplicates + 1 rejected = 5 rows in the file" in told
    assert "2 contacts · 2 values" in told
    changes = next(one.value for one in test.dataframe if "now" in one.value.columns)
    assert list(changes["field"]) == ["Title"]
    assert (changes.iloc[0]["contacts"], changes.iloc[0]["now"], changes.iloc[0]["after"]) == (2, "CEO", "Chair")
    assert list(changes.iloc[0]["more"]) == ["VP → CFO"]
    why = test.table[0].value
    assert list(why["Why"]) == [plain("… is no e-mail address: it has no @.")]
    assert "Every rule holds" in told
    assert "1 value" in told  # "about forty"
    rows = next(one.value for one in test.dataframe if "reason" in one.value.columns)
    assert (rows.iloc[0]["line"], rows.iloc[0]["value"]) == (5, "no at sign")
    assert "Commit 2 changes" in buttons(test)
    next(one for one in test.button_group if one.key == f"kind {import_id}").set_value("duplicate").run()
    rows = next(one.value for one in test.dataframe if "reason" in one.value.columns)
    assert list(rows["line"]) == [4]


def test_changes_of_hidden_fields_are_not_told(
    screen: Screen, new: Callable[..., int], committed: int, site: Site
) -> None:
    import_id = new(CHANGED, State.PLANNED)
    narrow = site.people[Role.MANAGER].actor()
    hidden = type(narrow)(narrow.id, narrow.name, narrow.role, frozenset({"company"}), None)
    assert [one.field for one in imports.changed_values(import_id, by=narrow)] == ["title"]
    assert imports.changed_values(import_id, by=hidden) == []


def test_a_plan_can_be_committed_though_its_examples_took_too_long(
    screen: Screen, new: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(*_: object, **__: object) -> None:
        raise TooSlow(seconds=10)

    monkeypatch.setattr(imports, "changed_values", too_slow)
    import_id = new(until=State.PLANNED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "Commit 3 changes" in [one.label for one in test.button]
    import_orders.cancel(import_id, by=OPERATOR)


@pytest.fixture
def narrow(site: Site) -> Iterator[Actor]:
    """The admin, while they see some columns only."""
    users.change("admin@example.com", users.Changes(column_allowed=("company",)), by=OPERATOR)
    someone = site.people[Role.ADMIN].actor()
    yield type(someone)(someone.id, someone.name, someone.role, frozenset({"company"}), None)
    users.change("admin@example.com", users.Changes(every_column=True), by=OPERATOR)


SECRETS = ("ann@leads", "about forty", "no at sign", "Ann", "bob2@leads")


def test_cells_of_a_file_are_for_who_brought_it_and_for_who_sees_every_column(
    new: Callable[..., int], site: Site, narrow: Actor
) -> None:
    import_id = new(until=State.PLANNED)
    failing = Verdict(
        "company_is_short", "company", False, 4, 1, {"sentence": "It is one.", "examples": ["no at sign"]}
    )
    of_hidden = replace(failing, name="email_is_an_address", field="email")
    of_rows = replace(failing, name="somebody", field=None)
    with writing(OPERATOR) as session:
        check_results.replace(session, [failing, of_hidden, of_rows], import_id=import_id)

    def told(by: Actor) -> list[str]:
        rows = [import_rejects.page(import_id, number=1, size=20, kind=kind, by=by) for kind in import_rejects.KINDS]
        return [
            repr(imports.preview(import_id, by=by)),
            repr([(one.header, one.count, one.example) for one in imports.notes(import_id, by=by)]),
            repr(imports.checks(import_id, by=by)),
            repr([(one.line, one.header, one.value, one.reason, one.cells) for listed, _ in rows for one in listed]),
        ]

    everything = [told(by) for by in (site.people[Role.MANAGER].actor(), OPERATOR)]
    assert everything[0] == everything[1]
    for seen in everything[0]:
        assert any(secret in seen for secret in SECRETS), seen
    for hidden in told(narrow):
        assert not [secret for secret in SECRETS if secret in hidden], hidden
    preview = imports.preview(import_id, by=narrow)
    assert preview is not None
    assert preview.filled["Second Email"] == 0.2
    assert [(one.header, one.count) for one in imports.notes(import_id, by=narrow)] == [("# Employees", 1)]
    assert [(one.name, one.failing) for one in imports.checks(import_id, by=narrow)] == [("company_is_short", 1)]
    listed, total = import_rejects.page(import_id, number=1, size=20, by=narrow)
    assert (total, listed[0].line, listed[0].header) == (1, 5, "Email")
    assert listed[0].reason == import_rejects.reasons(import_id, by=narrow)[0].sentence
    for road in (import_rejects.rows, import_rejects.as_csv):
        with pytest.raises(NotAllowed, match="somebody else brought it, and you do not see every column"):
            next(road(import_id, by=narrow))
    with pytest.raises(NotAllowed, match="compares every column, and you do not see all of them"):
        imports.create(file_name="x.csv", overrides={}, match=MatchRule.AUTO, keep=Keep.THEIRS, by=narrow)
    saw_more = replace(narrow, columns=None)
    own = imports.create(file_name="x.csv", overrides={}, match=MatchRule.AUTO, keep=Keep.THEIRS, by=saw_more)
    assert imports.why_hidden(imports.get(own, by=narrow), by=narrow) is None
    for one in (import_id, own):
        import_orders.cancel(one, by=OPERATOR)


@pytest.mark.parametrize("step", ["map", "plan"])
def test_a_screen_without_cells_says_why(screen: Screen, new: Callable[..., int], narrow: Actor, step: str) -> None:
    import_id = new(until=State.PLANNED)
    test = screen(Role.ADMIN, at="imports", id=str(import_id), **({"step": "map"} if step == "map" else {}))
    told = texts(test)
    assert "The values of this file are hidden from you" in told
    tables = "\n".join(one.value.to_csv() for one in (*test.dataframe, *test.table, *test.data_editor))
    assert not [secret for secret in SECRETS if secret in tables + told]
    assert "Vorname" in tables if step == "map" else "it has no @" in tables
    links = [one.proto.label for one in test.get("link_button")]
    assert "Download rejected rows" not in links
    import_orders.cancel(import_id, by=OPERATOR)


def test_what_was_seen_is_committed_and_can_be_undone(screen: Screen, new: Callable[..., int], committed: int) -> None:
    import_id = new(CHANGED, State.PLANNED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    press(test, "Commit 2 changes")
    assert "Importing: waiting" in texts(test)
    assert flow(import_id).state == State.COMMITTED
    test.run()
    told = texts(test)
    assert "An manager" in told
    assert metrics(test)["Updated"] == "2"
    shown = search.count(parse([f"import={import_id}"], by=OPERATOR), by=OPERATOR)
    assert shown == 2
    press(test, "Undo the import")
    import_orders.ask(import_id, State.UNDONE, by=OPERATOR)  # the dialog's button: AppTest reruns the page for a click
    test.run()
    assert "Taking the import back: waiting" in texts(test)
    assert flow(import_id).undone == {"removed": 0, "restored": 2, "kept": 0}
    test.run()
    assert metrics(test)["Put back"] == "2 contacts"


def test_what_an_undo_kept_is_listed_and_the_undo_is_undone(
    screen: Screen, new: Callable[..., int], committed: int, site: Site
) -> None:
    import_id = new(CHANGED, State.COMMITTED)
    manager = site.people[Role.MANAGER].actor()
    with writing(OPERATOR) as session:
        dee = session.scalars(select(Contact.id).where(Contact.first_name == "Dee")).one()
    records.update(dee, {"title": "COO"}, version=records.get(dee, by=manager).version, by=manager)
    import_orders.ask(import_id, State.UNDONE, by=manager)
    assert flow(import_id).undone == {"removed": 0, "restored": 1, "kept": 1}
    hidden = screen(NARROW_MANAGER, at="imports", id=str(import_id))
    assert not {"COO", "VP"} & set(kept_table(hidden).astype(str).to_numpy().ravel())
    assert "Download the list" not in [one.proto.label for one in hidden.get("link_button")]
    assert "Bring it back" not in buttons(hidden)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert metrics(test)["Kept as they are"] == "1 contact"
    table = kept_table(test)
    assert table[["contact", "name", "why", "field"]].values.tolist() == [
        [f"/contact?id={dee}", "Dee Dunn", "Changed since", "Title"]
    ]
    assert table[["stays", "would be", "by"]].values.tolist() == [["COO", "VP", "An manager"]]
    assert "Download the list" in [one.proto.label for one in test.get("link_button")]

    press(test, "Bring it back")
    assert "put 1 contact back" in texts(test)
    import_orders.ask_redo(import_id, by=manager)  # the dialog's button
    test.run()
    assert "Bringing the import back: waiting" in texts(test)
    assert flow(import_id).state == State.COMMITTED
    test.run()
    assert (metrics(test)["Changed again"], metrics(test)["Here again"]) == ("2 contacts", "0 contacts")
    assert "Undo the import" in buttons(test)
    import_contacts.undo(import_id, by=OPERATOR)
    records.delete(dee, version=records.get(dee, by=manager).version, by=manager)


def kept_table(test: AppTest) -> pd.DataFrame:
    assert not test.exception, test.exception
    [found] = [one.value for one in test.dataframe if "rest" in one.value.columns]
    return found


def test_a_plan_that_was_made_anew_is_not_committed_unseen(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.PLANNED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    import_orders.remap(import_id, {"Email": "email"}, match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR)
    flow(import_id)
    with pytest.raises(Exception, match="was made anew"):
        import_orders.ask(import_id, State.COMMITTED, plan="2026-01-01", by=OPERATOR)
    test.run()
    assert imports.get(import_id, by=OPERATOR).wanted is None


def test_back_to_the_columns_and_back_again(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.PLANNED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    press(test, "Back")
    assert test.query_params == {"id": str(import_id), "step": "map"}
    assert "Match columns to fields" in texts(test)
    press(test, "Make the plan")
    assert test.query_params == {"id": str(import_id)}
    assert imports.get(import_id, by=OPERATOR).wanted is None, "nothing was changed: the plan stands"
    press(test, "Back")
    next(one for one in test.radio).set_value(Keep.OURS).run()
    press(test, "Make the plan")
    found = flow(import_id)
    assert (found.state, found.keep) == (State.PLANNED, Keep.OURS)
    test.run()
    assert "What would change" in texts(test)


def test_contacts_that_changed_since_the_plan(screen: Screen, new: Callable[..., int], committed: int) -> None:
    import_id = new(CHANGED, State.PLANNED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    with writing(OPERATOR) as session:
        session.execute(update(Contact).where(Contact.email == "ann@leads.example").values(title="Chair"))
    press(test, "Commit 2 changes")
    with pytest.raises(Exception, match="contacts changed"):
        flow(import_id)
    test.run()
    assert "Contacts changed since the plan was made" in texts(test)
    press(test, "Plan again")
    flow(import_id)
    test.run()
    assert metrics(test)["Updated"] == "1"
    import_orders.cancel(import_id, by=OPERATOR)


def test_one_that_is_running_shows_only_what_is_known(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.PLANNED)
    import_orders.ask(import_id, State.COMMITTED, plan=_planned_at(import_id), by=OPERATOR)
    with import_contacts.claimed(import_id):
        _shown(import_id, import_progress.Progress(import_progress.Step.CREATE, 1_000, 4_000, 2.0))
        test = screen(Role.MANAGER, at="imports", id=str(import_id))
        assert "Creating contacts: **1,000** of 4,000 rows" in texts(test)
        assert metrics(test)["Speed"] == "500 rows/s"
        assert metrics(test)["Time left in this step"] == "6 s"
        _shown(import_id, import_progress.Progress(import_progress.Step.INDEX, 1_000, 4_000, 9.0))
        test.run()
        assert "Building the indexes: **25%**" in texts(test)
        assert (metrics(test)["Speed"], metrics(test)["Time left in this step"]) == ("–", "27 s")
        _shown(import_id, import_progress.Progress(import_progress.Step.OPEN, 250_000_000, 1_000_000_000, 10.0))
        test.run()
        assert "Reading the file: **250 MB** of 1 GB" in texts(test)
        assert (metrics(test)["Speed"], metrics(test)["Time left in this step"]) == ("25 MB/s", "30 s")
        for unknown in (
            import_progress.Progress(import_progress.Step.MATCH, None, None, 72.0),
            import_progress.Progress(import_progress.Step.MATCH, 0, 4_000, 72.0),
        ):
            _shown(import_id, unknown)
            test.run()
            assert "Comparing and checking, for 1 min 12 s so far" in texts(test)
            assert not test.get("progress"), "a bar at 0 would say that nothing is done"
            assert (metrics(test)["Speed"], metrics(test)["Time left in this step"]) == ("–", "–")
        row = screen(Role.MANAGER, at="imports").dataframe[0].value.iloc[0]
        assert row["state"] == ["Running"]
        test = screen(Role.MANAGER, at="imports", id=str(import_id))
        press(test, "Stop")
        import_orders.cancel(import_id, by=OPERATOR)
        test.run()
        assert "It stops within seconds" in texts(test)
    import_orders.clear_cancelled(import_id)
    test.run()
    assert "leads.csv was cancelled" in texts(test).replace("\\", "")


def _planned_at(import_id: int) -> str:
    return (imports.get(import_id, by=OPERATOR).planned or {})["at"]


def _shown(import_id: int, progress: import_progress.Progress) -> None:
    with writing(OPERATOR) as session:
        import_progress.report(session, import_id, progress)


def test_one_that_stopped_in_the_middle_can_go_on(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.STAGED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "It stopped in the middle" in texts(test)
    press(test, "Resume")
    assert flow(import_id).state == State.PLANNED
    import_orders.cancel(import_id, by=OPERATOR)


def test_a_file_that_cannot_be_read_says_why(screen: Screen, site: Site, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "broken.xlsx"
    file.write_bytes(b"PK\x03\x04 this is no workbook")
    by = site.people[Role.MANAGER].actor()
    import_id = import_contacts.create(file, match=MatchRule.AUTO, keep=Keep.THEIRS, by=by)
    import_orders.ask(import_id, State.OPENED, by=by)
    with pytest.raises(Exception, match=r"broken\.xlsx"):
        flow(import_id)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "broken.xlsx could not be imported" in texts(test).replace("\\", "")
    assert screen(Role.MANAGER, at="imports").dataframe[0].value.iloc[0]["state"] == ["Failed"]


def test_a_wide_file_is_bounded(screen: Screen, site: Site, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    names = [f"Column {number}" for number in range(3_000)]
    file.write_text(",".join(["Email", *names]) + "\n" + ",".join(["a@x.example", *["v" * 300] * 3_000]) + "\n")
    by = site.people[Role.MANAGER].actor()
    import_id = import_contacts.create(file, match=MatchRule.AUTO, keep=Keep.THEIRS, by=by)
    import_contacts.run(import_id, until=State.OPENED, by=by)
    preview = imports.preview(import_id, by=by)
    assert preview is not None
    assert (len(preview.rows[0][1]), len(preview.examples), max(map(len, preview.examples["Column 7"]))) == (
        100,
        2000,
        60,
    )
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "the first 100 of 3,001 columns" in texts(test)
    import_orders.cancel(import_id, by=by)


@pytest.mark.parametrize("until", [State.OPENED, State.PLANNED, State.COMMITTED])
def test_who_may_not_see_every_field_can_import_all_the_same(
    screen: Screen, new: Callable[..., int], until: State
) -> None:
    import_id = new(until=until)
    test = screen(NARROW_MANAGER, at="imports", id=str(import_id))
    assert "leads.csv" in texts(test).replace("\\", "")
    if until is State.COMMITTED:
        import_contacts.undo(import_id, by=OPERATOR)
    else:
        import_orders.cancel(import_id, by=OPERATOR)


def test_pages_of_imports(screen: Screen, new: Callable[..., int], home: Path) -> None:
    made = [new() for _ in range(22)]
    test = screen(Role.MANAGER, at="imports")
    assert len(test.dataframe[0].value) == 20
    test.pagination[0].set_value(2).run()
    assert len(test.dataframe[0].value) >= 2
    for import_id in made:
        import_orders.cancel(import_id, by=OPERATOR)
    shutil.rmtree(home / "imports", ignore_errors=True)


def test_what_did_not_happen_has_no_numbers_in_the_list(screen: Screen, new: Callable[..., int]) -> None:
    planned, cancelled = new(until=State.PLANNED), new(until=State.PLANNED)
    import_orders.cancel(cancelled, by=OPERATOR)
    rows = screen(Role.MANAGER, at="imports").dataframe[0].value
    for place, state in ((0, ["Cancelled"]), (1, ["To check"])):
        assert rows.iloc[place]["state"] == state
        assert rows.iloc[place][["created", "updated", "rejected"]].isna().all()
    import_orders.cancel(planned, by=OPERATOR)


def test_a_click_opens_the_import_that_was_seen_though_another_one_came(
    screen: Screen, new: Callable[..., int]
) -> None:
    seen = new()
    test = screen(Role.MANAGER, at="imports")
    later = new()
    test = click_in_table(test, "open", 0)
    assert not test.exception
    assert test.query_params == {"id": str(seen)}
    for import_id in (seen, later):
        import_orders.cancel(import_id, by=OPERATOR)


def test_old_imports_without_what_this_version_stores(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.PLANNED)
    with writing(OPERATOR) as session:
        opened = imports.get(import_id, by=OPERATOR).opened or {}
        old = {key: value for key, value in opened.items() if key != "proposed"}
        session.execute(
            update(Import)
            .where(Import.id == import_id)
            .values(preview=None, opened=old, planned=func.jsonb_build_object("clock", 1, "busy", False))
        )
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "Planned on –" in texts(test)
    press(test, "Back")
    assert "Match columns to fields" in texts(test)
    import_orders.cancel(import_id, by=OPERATOR)


def lines_of(test: AppTest, alt: str) -> list[dict[str, Any]]:
    """What stands in the table of that description, missing values as None."""
    [table] = [one for one in test.dataframe if one.proto.alt == alt]
    return table.value.astype(object).where(table.value.notna(), None).to_dict("records")  # type: ignore[no-any-return]


def test_each_number_of_the_plan_leads_to_its_rows(
    screen: Screen, new: Callable[..., int], committed: int, site: Site
) -> None:
    import_id = new(CHANGED + "Eve,Evans,eve@leads.example,,COO,Acme,50,\n", until=State.PLANNED)
    ids = dict(sql_rows("SELECT first_name, id FROM contacts WHERE email LIKE '%leads.example'"))
    test = screen(Role.ADMIN, at="imports", id=str(import_id))
    kind = next(one for one in test.get("button_group") if one.key.startswith("import kind"))
    assert list(kind.options) == ["Updated :gray[2]", "Created :gray[1]", "Unchanged :gray[1]"]
    assert lines_of(test, "Rows of the import") == [
        {"contact": f"/contact?id={ids['Ann']}", "line": 2, "name": "Ann Archer", "field": "Title", "old": "CEO",
         "new": "Chair"},
        {"contact": f"/contact?id={ids['Dee']}", "line": 6, "name": "Dee Dunn", "field": "Title", "old": "VP",
         "new": "CFO"},
    ]  # fmt: skip
    assert f"/imports/{import_id}/changes.csv?kind=updated" in [one.proto.url for one in test.get("link_button")]
    kind.set_value(Kind.CREATED).run()
    assert lines_of(test, "Rows of the import") == [{"contact": None, "line": 7, "name": "Eve Evans"}]
    narrow = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "Row by row" in texts(narrow)
    with writing(OPERATOR) as session:
        session.execute(update(users.User).where(users.User.id == site.people[Role.MANAGER].id).values(
            column_allowed=["person"]))  # fmt: skip
    narrow = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "Row by row" not in texts(narrow)
    with writing(OPERATOR) as session:
        session.execute(update(users.User).where(users.User.id == site.people[Role.MANAGER].id).values(
            column_allowed=None))  # fmt: skip


def test_a_click_on_a_fields_row_shows_those_that_change_it(
    screen: Screen, new: Callable[..., int], committed: int
) -> None:
    import_id = new(CHANGED.replace("Acme,10", "Apex,10"), until=State.PLANNED)
    test = screen(Role.ADMIN, at="imports", id=str(import_id))
    changes = next(one for one in test.dataframe if one.proto.alt.startswith("Fields that the plan changes"))
    place = list(changes.value["field"]).index("Company")
    clicked = click_in_table(test, "rows", place, table=changes)
    assert [one["field"] for one in lines_of(clicked, "Rows of the import")] == ["Company"]


def test_rows_that_no_longer_hold_are_listed_and_a_new_plan_says_how_it_differs(
    screen: Screen, new: Callable[..., int], committed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_acceptances, "missing_from", lambda session, import_id: [])
    import_id = new(CHANGED, until=State.PLANNED)
    sql_rows("UPDATE contacts SET title = 'Boss' WHERE email = 'ann@leads.example'")
    import_orders.ask(import_id, State.COMMITTED, plan=imports.get(import_id, by=OPERATOR).planned["at"], by=OPERATOR)
    with pytest.raises(PlanMoved):
        flow(import_id)
    test = screen(Role.ADMIN, at="imports", id=str(import_id))
    assert "Contacts changed since the plan was made" in texts(test)
    [line] = lines_of(test, "Rows that no longer hold")
    assert (line["line"], line["field"], line["said"], line["now"]) == (2, "Title", "CEO → Chair", "Boss → Chair")
    press(test, "Plan again")
    flow(import_id)
    test.run()
    [line] = lines_of(test, "Different from the plan before")
    assert (line["said"], line["now"]) == ("CEO → Chair", "Boss → Chair")


def test_whose_value_wins_is_chosen_for_the_file_and_for_a_field(screen: Screen, new: Callable[..., int]) -> None:
    import_id = new(until=State.OPENED)
    test = screen(Role.ADMIN, at="imports", id=str(import_id))
    key = test.session_state[import_choices.KEY].key("columns")
    rows = {0: {"keep": Keep.NEVER}, 4: {"keep": Keep.NEWER}, 7: {"keep": Keep.OURS}}
    test.session_state[key] = {"edited_rows": rows, "added_rows": [], "deleted_rows": []}
    test.run()
    assert "is newer than the contact's last change the row wins; else it only fills blanks" in texts(test)
    next(one for one in test.selectbox if one.label == "A row is as new as").set_value("Position").run()
    again = screen(Role.ADMIN, at="imports", id=str(import_id))
    assert "**Your choices** of" in texts(again)
    table = again.data_editor[0].value.set_index("header")["keep"]
    assert (table["Vorname"], table["Position"], table["Firma"]) == (Keep.NEVER, Keep.NEWER, import_choices.AS_FILE)
    press(again, "Make the plan")
    found = flow(import_id)
    assert (found.keep, found.keep_fields, found.dated_by) == (
        Keep.THEIRS, {"first_name": "never", "title": "newer"}, "Position",
    )  # fmt: skip
    again.run()
    assert "; First Name: keep ours, fill nothing" in texts(again)
    assert "; Title: take the newer value" in texts(again)


def sql_rows(statement: str) -> list[Any]:
    with writing(OPERATOR) as session:
        found = session.execute(text(statement))
        return [tuple(row) for row in found] if found.returns_rows else []  # type: ignore[attr-defined]


STANDING_OUT = "".join(f"\nAnn{number},Archer,ann{number}@leads.example,,CEO,Acme,5551234567,x" for number in range(40))


def accepting(import_id: int) -> None:
    """The dialog, in a page of its own."""
    from dashboard.widgets import import_drift
    from models import import_findings, imports
    from models.permissions import OPERATOR

    seen = import_findings.digest(import_findings.listed(import_id, by=OPERATOR))
    import_drift._accept_dialog(imports.get(import_id, by=OPERATOR), seen)


def rows_of_first(import_id: int) -> None:
    """The dialog with the rows of what stands out most, in a page of its own."""
    from dashboard.widgets import import_drift
    from models import import_findings, imports
    from models.permissions import OPERATOR

    import_drift._rows_dialog(imports.get(import_id, by=OPERATOR), import_findings.listed(import_id, by=OPERATOR)[0])


def test_what_stands_out_is_shown_and_accepted_before_the_plan_is_committed(
    screen: Screen, new: Callable[..., int]
) -> None:
    import_id = new(STANDING_OUT, State.PLANNED)
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    told = texts(test)
    assert "40 rows break a rule: Employees is between 0 and 5,000,000" in told.replace("\\", "")
    assert "“5551234567”" in told
    assert "It is not committed before somebody accepts this" in told
    assert buttons(test)["Commit 40 changes"].disabled
    assert "Accept …" in buttons(test)
    dialog = AppTest.from_function(accepting, args=(import_id,), default_timeout=60).run()
    press(dialog, "Accept")
    assert "Give a reason" in dialog.error[0].value
    dialog.text_area[0].set_value("all of them are large")
    press(dialog, "Accept")
    test = screen(Role.MANAGER, at="imports", id=str(import_id))
    assert "“all of them are large”" in texts(test)
    assert not buttons(test)["Commit 40 changes"].disabled
    press(test, "Withdraw")
    assert buttons(test)["Commit 40 changes"].disabled
    [broken] = import_findings.listed(import_id, by=OPERATOR)
    with_rows = replace(broken, details={"rows": {"of": "filled", "field": "employees"}, "bins": [["1–5", 0.9, 0.1]]})
    with writing(OPERATOR) as session:
        import_findings.replace_all(session, [with_rows], import_id=import_id)
    assert "See the rows" in buttons(screen(Role.MANAGER, at="imports", id=str(import_id)))
    shown = AppTest.from_function(rows_of_first, args=(import_id,), default_timeout=60).run()
    table = shown.dataframe[0].value
    assert (len(table), table.iloc[0]["Line"], table.iloc[0]["Employees"]) == (15, 2, "5551234567")
    assert "40 rows of the file" in texts(shown)
    import_orders.cancel(import_id, by=OPERATOR)


def test_what_stands_out_tells_no_value_of_a_hidden_column_or_file(
    screen: Screen, new: Callable[..., int], narrow: Actor
) -> None:
    import_id = new(STANDING_OUT, State.PLANNED)
    [broken] = import_findings.listed(import_id, by=OPERATOR)
    of_company = replace(
        broken, name="company_leading", field="company",
        details={"examples": [["Acme", 40]], "rows": {"of": "values", "field": "company", "values": ["Acme"]}},
    )  # fmt: skip
    with writing(OPERATOR) as session:
        import_findings.replace_all(session, [broken, of_company], import_id=import_id)
    [seen] = import_findings.listed(import_id, by=narrow)
    assert (seen.name, seen.details["examples"], seen.details["rows"]) == ("company_leading", [], None)
    for road in (
        lambda by: import_finding_rows.page(import_id, "company_leading", number=1, size=5, by=by),
        lambda by: import_finding_rows.as_csv(import_id, "company_leading", by=by),
    ):
        with pytest.raises(NotAllowed, match="somebody else brought it"):
            road(narrow)
        road(OPERATOR)
    told = texts(screen(Role.ADMIN, at="imports", id=str(import_id)))
    assert "What stands out" in told
    assert "5551234567" not in told
    assert "Acme" not in told
    import_orders.cancel(import_id, by=OPERATOR)
