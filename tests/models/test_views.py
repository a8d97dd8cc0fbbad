"""Views: their names, who sees and changes them, and that nothing of them is lost."""

import pytest
from sqlalchemy import func, insert, select, update

from models import audit_log, filters, view_changes, views
from models.audit import AuditLine
from models.audit_log import Wanted
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role
from models.views import SavedView, View
from tests.people import person

COUNTRY = "country=Germany"


@pytest.fixture
def ann(db: str) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()


@pytest.fixture
def ben(db: str) -> Actor:
    return person(email="ben@example.com", name="Ben", role=Role.ANALYST).actor()


@pytest.fixture
def narrow(db: str) -> Actor:
    return person(
        email="nan@example.com", name="Nan", role=Role.ANALYST, column_allowed=("first_name", "last_name", "country")
    ).actor()


@pytest.fixture
def admin(db: str) -> Actor:
    return person(email="ada@example.com", name="Ada", role=Role.ADMIN).actor()


def saved(name: str, where: str = COUNTRY, *, by: Actor, **more: object) -> View:
    return view_changes.save(name, filters=filters.parse([where], by=by), by=by, **more)  # type: ignore[arg-type]


def names(by: Actor) -> list[str]:
    return [one.name for one in views.listed(by=by)]


def store(view_id: int, **values: object) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(SavedView).where(SavedView.id == view_id).values(**values))


def test_a_view_keeps_filter_columns_and_order(ann: Actor) -> None:
    made = saved("Leads", by=ann, columns=["full_name", "email", "created_at"], sort="-employees")
    found = views.find("  lEADS ", by=ann)
    assert found == made == views.get(made.id, by=ann)
    assert (found.query, found.sort, found.mine, found.owner) == (COUNTRY, "-employees", True, "Ann")
    assert found.columns == ("full_name", "email", "created_at")
    assert found.export_columns() == ["first_name", "last_name", "email", "created_at"]


def test_own_views_come_first_and_then_shared_ones(ann: Actor, ben: Actor) -> None:
    saved("Zulu", by=ann)
    saved("alpha", by=ann)
    saved("Beta", by=ben, shared=True)
    saved("Aaron", by=ben)
    assert names(ann) == ["alpha", "Zulu", "Beta"]
    theirs = saved("ZULU", by=ben, shared=True)
    assert views.find("zulu", by=ann).mine, "one's own before a shared one"
    assert views.find("zulu", by=ben).id == theirs.id


def test_a_name_is_unique_for_its_owner_and_among_shared_ones(ann: Actor, ben: Actor) -> None:
    mine = saved("Straße", by=ann)
    with pytest.raises(Conflict, match="You have a view “STRASSE” already: choose another name"):
        saved("STRASSE", by=ann)
    saved("strasse", by=ben, shared=True)
    with pytest.raises(Conflict, match="There is a shared view “Straße” already"):
        saved("Straße", by=person(email="c@x.example", name="C", role=Role.ANALYST).actor(), shared=True)
    with pytest.raises(Conflict, match="already: choose another name"):
        view_changes.share(mine.id, by=ann)
    assert not views.get(mine.id, by=ann).shared
    other = saved("Other", by=ann)
    with pytest.raises(Conflict, match="You have a view “straße” already"):
        view_changes.rename(other.id, "straße", by=ann)
    assert view_changes.rename(other.id, "OTHER", by=ann).name == "OTHER", "its own name in other capitals"


@pytest.mark.parametrize("name", ["", " \u200b\x00", "x" * 81])
def test_a_name_that_is_none_is_refused(ann: Actor, name: str) -> None:
    with pytest.raises(InvalidInput, match="The name "):
        saved(name, by=ann)


def test_what_a_view_asks_is_checked(ann: Actor, narrow: Actor) -> None:
    with pytest.raises(InvalidInput, match=r"There is no column “shoe”\. Columns are: full_name, first_name"):
        saved("x", by=ann, columns=["shoe"])
    with pytest.raises(InvalidInput, match="at least one column"):
        saved("x", by=ann, columns=[])
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        saved("x", by=narrow, columns=["email"])
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        saved("x", by=narrow, sort="email")
    wide = filters.parse(["email=a@example.com"], by=ann)
    with pytest.raises(NotAllowed, match="You may not see the column E-mail"):
        view_changes.save("x", filters=wide, by=narrow)


def test_a_name_that_is_no_view_gets_a_guess(ann: Actor, ben: Actor) -> None:
    with pytest.raises(NotFound, match="There are no views yet"):
        views.find("Leads", by=ann)
    saved("Leads in Europe", by=ann)
    saved("Secret", by=ben)
    with pytest.raises(NotFound, match=r"There is no view “leads in Eurpe”\. Did you mean “Leads in Europe”\?"):
        views.find("leads in Eurpe", by=ann)
    with pytest.raises(NotFound) as refused:
        views.find("Secret", by=ann)
    assert refused.value.sentence == "There is no view “Secret”. Views are: Leads in Europe."


def test_others_neither_see_nor_change_a_private_view(ann: Actor, ben: Actor, admin: Actor) -> None:
    made = saved("Leads", by=ann)
    for other in (ben, admin, OPERATOR):
        with pytest.raises(NotFound):
            views.get(made.id, by=other)
        with pytest.raises(NotFound):
            view_changes.delete(made.id, by=other)


def test_a_shared_view_is_changed_by_its_owner_and_administrators(ann: Actor, ben: Actor, admin: Actor) -> None:
    made = saved("Leads", by=ann, shared=True)
    assert [views.get(made.id, by=one).editable for one in (ann, ben, admin)] == [True, False, True]
    for operation in (
        lambda: view_changes.rename(made.id, "Mine", by=ben),
        lambda: view_changes.change(made.id, filters=Filters(), by=ben),
        lambda: view_changes.share(made.id, False, by=ben),
        lambda: view_changes.delete(made.id, by=ben),
        lambda: view_changes.put_back(made.id, by=ben),
    ):
        with pytest.raises(NotAllowed, match="is somebody else's: its owner and administrators change it"):
            operation()
    view_changes.share(made.id, False, by=admin)
    assert names(ben) == []
    assert names(ann) == ["Leads"]


def test_a_change_can_be_put_back_and_that_as_well(ann: Actor) -> None:
    made = saved("Leads", by=ann, columns=["email"])
    with pytest.raises(Conflict, match="there is nothing to put back"):
        view_changes.put_back(made.id, by=ann)
    changed = view_changes.change(made.id, filters=Filters((), "ceo"), sort="email", by=ann)
    assert (changed.query, changed.columns, changed.sort) == ("q=ceo", None, "email")
    assert changed.put_back_to == "Country is Germany"
    back = view_changes.put_back(made.id, by=ann)
    assert (back.query, back.columns, back.sort) == (made.query, made.columns, made.sort)
    assert view_changes.put_back(made.id, by=ann).query == "q=ceo"


def test_a_deleted_view_can_be_brought_back_for_a_while(ann: Actor, ben: Actor, admin: Actor) -> None:
    made = saved("Leads", by=ann, shared=True)
    view_changes.delete(made.id, by=admin)
    assert names(ann) == names(ben) == []
    assert [one.name for one in views.deleted(by=ann)] == ["Leads"]
    assert views.deleted(by=ben) == [], "whoever may not delete it does not bring it back"
    with pytest.raises(NotFound, match="was deleted: bring it back first"):
        view_changes.rename(made.id, "x", by=ann)
    again = saved("leads", by=ann)
    restored = view_changes.restore(made.id, by=ann)
    assert (restored.id, restored.name, restored.query, restored.shared) == (made.id, "Leads (2)", COUNTRY, True)
    with pytest.raises(Conflict, match="is there"):
        view_changes.restore(made.id, by=ann)
    view_changes.delete(again.id, by=ann)
    view_changes.clear_deleted()
    assert len(views.deleted(by=ann)) == 1
    store(again.id, deleted_at=func.now() - view_changes.timedelta(days=31))
    view_changes.clear_deleted()
    assert views.deleted(by=ann) == []
    assert names(ann) == ["Leads (2)"]


def test_a_filter_on_a_hidden_field_cannot_be_used_nor_read(ann: Actor, narrow: Actor) -> None:
    saved("Leads", "email=boss@secret.example", by=ann, shared=True)
    seen = views.find("Leads", by=narrow)
    assert seen.problem == "You may not see the column E-mail: an administrator can allow it."
    assert "secret" not in repr(seen)
    with pytest.raises(NotAllowed, match="The view “Leads” cannot be used: You may not see the column E-mail"):
        seen.usable()


def test_hidden_columns_and_a_hidden_order_are_left_out(ann: Actor, narrow: Actor) -> None:
    saved("Leads", by=ann, shared=True, columns=["full_name", "email", "country"], sort="-employees")
    seen = views.find("Leads", by=narrow)
    assert (seen.columns, seen.sort) == (("full_name", "country"), "-id")
    assert seen.usable().query() == COUNTRY
    saved("Mails", by=ann, shared=True, columns=["email"])
    with pytest.raises(NotAllowed, match="You may see none of the columns of the view “Mails”"):
        views.find("Mails", by=narrow).export_columns()


def test_what_was_there_before_a_change_is_hidden_as_well(ann: Actor, narrow: Actor) -> None:
    made = saved("Leads", "email=boss@secret.example", by=ann, shared=True)
    view_changes.change(made.id, filters=Filters(), by=ann)
    assert "secret" not in repr(views.find("Leads", by=narrow))
    wary = Actor(narrow.id, "Nan", Role.ADMIN, narrow.columns)
    lines, _ = audit_log.page(Wanted(about=f"view {made.id}"), by=wary)
    assert len(lines) == 2
    assert "secret" not in repr(lines)
    assert "secret" in repr(audit_log.page(Wanted(about=f"view {made.id}"), by=OPERATOR))


def test_a_view_that_can_no_longer_be_read_stays_and_says_why(ann: Actor, narrow: Actor) -> None:
    made = saved("Leads", by=ann, shared=True, columns=["full_name", "email"])
    store(made.id, query="shoe=42", columns=["shoe", "email"], sort="shoe")
    broken = views.find("Leads", by=ann)
    assert (broken.problem or "").startswith("There is no field “shoe” to filter by.")
    assert (broken.query, broken.columns, broken.sort) == ("shoe=42", ("email",), "-id")
    with pytest.raises(InvalidInput, match="The view “Leads” cannot be used: There is no field “shoe”"):
        broken.usable()
    assert views.find("Leads", by=narrow).query is None
    mended = view_changes.change(made.id, filters=Filters(), by=ann)
    assert mended.problem is None


def test_use_is_noted_of_what_may_be_used(ann: Actor, ben: Actor) -> None:
    made = saved("Leads", by=ann)
    view_changes.use(made.id, by=ben)
    assert views.get(made.id, by=ann).used_at is None
    view_changes.use(made.id, by=ann)
    assert views.get(made.id, by=ann).used_at is not None


def test_nobody_fills_the_sidebar_without_end(ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_changes, "MOST", 2)
    saved("one", by=ann)
    saved("two", by=ann)
    with pytest.raises(Conflict, match="You have 2 views, the most"):
        saved("three", by=ann)


def test_what_changes_nothing_writes_no_line(ann: Actor) -> None:
    made = saved("Leads", by=ann)
    view_changes.change(made.id, filters=filters.parse([COUNTRY], by=ann), by=ann)
    view_changes.rename(made.id, "Leads", by=ann)
    view_changes.share(made.id, False, by=ann)
    with reading() as session:
        assert session.scalar(select(func.count()).where(AuditLine.subject == f"view {made.id}")) == 1


def test_counts_are_exact_in_one_look_and_kept(ann: Actor, narrow: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.contacts import search

    with writing(OPERATOR) as session:
        rows = [
            {"country": "Germany", "title": "CEO", "email": "a@x.example", "employees": 10},
            {"country": "Germany", "title": "VP Sales", "email": "b@x.example", "employees": 500},
            {"country": "France", "title": "CEO", "email": "c@y.example", "tags": ["new"]},
        ]
        for row in rows:
            session.execute(insert(Contact).values(**row))
    queries = [
        "country=Germany", "q=x.example", "title.contains=ceo", "title=CEO", "employees.gte=100", "tags=new", "",
        "or1.country=France&or2.employees=10", "contact=1",
    ]  # fmt: skip
    asked = [filters.parse_query(one, by=OPERATOR) for one in queries]
    assert search.known_counts(asked, by=OPERATOR) == [None] * 9
    exact = [search.count(one, by=OPERATOR) for one in asked]
    assert search.counts(asked, by=OPERATOR) == exact
    assert exact[:8] == [2, 2, 2, 2, 1, 1, 3, 2]
    assert search.known_counts(asked, by=OPERATOR) == exact
    counted: list[int] = []
    plain = search._counted
    monkeypatch.setattr(
        search, "_counted", lambda s, missing, by: counted.append(len(missing)) or plain(s, missing, by)
    )
    assert search.counts([*asked, filters.parse_query("country=Italy", by=OPERATOR)], by=OPERATOR) == [*exact, 0]
    assert counted == [1], "only what is not kept"
    for count in (search.counts, search.known_counts):
        with pytest.raises(NotAllowed):
            count([asked[3]], by=narrow)
    assert search.known_counts([asked[1]], by=narrow) == [None], "free text looks into less for who sees less"
    assert search.counts([asked[1]], by=narrow) == [0]
    with writing(OPERATOR) as session:
        session.execute(insert(Contact).values(country="Germany"))
    assert search.known_counts(asked[:1], by=OPERATOR) == [None]
    assert search.counts(asked[:1], by=OPERATOR) == [3]


def test_a_view_of_a_moment_that_is_no_more_keeps_no_other_from_its_number(ann: Actor) -> None:
    asked = [filters.parse_query(one, by=ann) for one in ("country=Germany", "as_of=import:99", "country=France")]
    assert views.counts(asked, by=ann) == [0, None, 0]
    assert views.counts([], by=ann) == []
