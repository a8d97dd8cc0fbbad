"""What an import makes of rows, and what is left of it when something stops it."""

import codecs
import csv
import io
import random
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from models import import_rejects, imports, industries
from models.contacts import changes
from models.errors import Conflict, InvalidInput, NotAllowed, Unavailable
from models.imports import Keep, MatchRule, State
from models.permissions import OPERATOR, Actor, Role
from pipelines import import_contacts, import_steps
from pipelines.contact_files import UnreadableFile
from tests import people
from tests.pipelines import importing
from tests.pipelines.importing import Row, contact, contacts, imported, noted, numbers, rejected, sql, written

ANN: Row = {"First Name": "Ann", "Last Name": "Archer", "Email": "ann@example.com", "Company": "Acme", "Title": "VP"}
BOB: Row = {"First Name": "Bob", "Last Name": "Baker", "Email": "bob@example.com", "Company": "Acme", "Title": "CEO"}


def committed(import_id: int) -> imports.Import:
    return import_contacts.run(import_id, by=OPERATOR)


def test_values_come_in_typed_and_everything_else_to_extra(base: str, tmp_path: Path) -> None:
    row = ANN | {
        "Email": " Ann@Example.COM ", "Seniority": "c SUITE", "Departments": "C-Suite, Sales", "# Employees": "1,234",
        "Annual Revenue": "$5.2M", "Last Raised At": "25/04/2020", "Mobile Phone": "'+44 20 7946 0958",
        "Website": "HTTP://Acme.com/", "Person Linkedin Url": "linkedin.com/in/ann?x=1", "Is Active": "no",
        "Shoe Size": "39", "Nothing": "N/A", "Star sign": "=lion", "Lists": '["a, b", "c"]',
    }  # fmt: skip
    found = imported(written(tmp_path, [row]))
    assert contact() == {
        "first_name": "Ann", "last_name": "Archer", "email": "ann@example.com", "company": "Acme", "title": "VP",
        "seniority": "C suite", "departments": ["C-Suite", "Sales"], "employees": 1234, "annual_revenue": 5200000,
        "last_raised_at": "2020-04-25", "mobile_phone": "+44 20 7946 0958", "website": "http://acme.com",
        "person_linkedin_url": "https://www.linkedin.com/in/ann", "is_active": False, "status": "active",
        "tags": ["a, b", "c"], "extra": {"Shoe Size": "39", "Star sign": "=lion"},
    }  # fmt: skip
    assert noted(found.id) == {}
    assert numbers(imported(tmp_path / "people.csv")) == (1, 0, 0, 1, 0, 0)


def test_a_value_that_does_not_fit_goes_to_extra_with_a_note(base: str, tmp_path: Path) -> None:
    odd = {
        "# Employees": "51-200", "Annual Revenue": "a lot", "Last Raised At": "03/04/2020", "Mobile Phone": "call me",
        "Website": "acme", "Is Active": "perhaps", "Contact Owner": "Nobody Known",
    }  # fmt: skip
    found = imported(written(tmp_path, [BOB, ANN | odd]))
    assert contacts()[1]["extra"] == odd
    assert {"employees", "annual_revenue", "mobile_phone", "website", "owner"} & set(contacts()[1]) == set()
    assert noted(found.id) == {header: (1, 3, value) for header, value in odd.items()}
    assert numbers(imported(tmp_path / "people.csv")) == (2, 0, 0, 2, 0, 0)


def test_dates_are_read_as_the_column_says(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [ANN | {"Last Raised At": "03/04/2020"}, BOB | {"Last Raised At": "25/04/2020"}]))
    assert [one["last_raised_at"] for one in contacts()] == ["2020-04-03", "2020-04-25"]


@pytest.mark.parametrize(
    ("header", "cell", "field", "value"),
    [
        ("Email", "Ann@x.com, b@x.com", "email", "ann@x.com"),
        ("Email", "ann@x.com; b@x.com", "email", "ann@x.com"),
        ("Email", "ann@x.com ::: b@x.com", "email", "ann@x.com"),
        ("Email", "Ann <ann@x.com>, Bob <b@x.com>", "email", "ann@x.com"),
        ("Mobile Phone", "+44 20 7946 0958 ::: 5577357804", "mobile_phone", "+44 20 7946 0958"),
    ],
)
def test_of_several_the_first_is_taken_and_all_are_kept(
    base: str, tmp_path: Path, header: str, cell: str, field: str, value: str
) -> None:
    found = imported(written(tmp_path, [ANN | {header: cell}]))
    assert (contact()[field], contact()["extra"]) == (value, {header: cell})
    assert noted(found.id) == {header: (1, 2, cell)}


def test_one_address_with_a_comma_in_its_name_is_one(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [ANN | {"Email": "Archer, Ann <ann@x.com>"}]))
    assert contact()["email"] == "ann@x.com"
    assert "extra" not in contact()


@pytest.mark.parametrize(
    ("full", "first", "last"),
    [
        ("Ann Archer", "Ann", "Archer"),
        ("Ann Lee Archer", "Ann Lee", "Archer"),
        ("Archer, Ann Lee", "Ann Lee", "Archer"),
        ("Archer, Ann, PhD", "Ann, PhD", "Archer"),
        ("Ann", "Ann", None),
        ("Archer,", None, "Archer"),
    ],
)
def test_a_full_name_is_split(base: str, tmp_path: Path, full: str, first: str | None, last: str | None) -> None:
    imported(written(tmp_path, [{"Name": full, "Email": "ann@example.com"}]))
    assert (contact().get("first_name"), contact().get("last_name")) == (first, last)


def test_owners_are_found_by_name_and_by_email(base: str, tmp_path: Path) -> None:
    for name in ("Olga Owner", "Twin", "Twin"):
        number = sql("SELECT count(*) FROM users")[0][0]
        email = f"owner{number}@example.com"
        people.person(email=email, name=name, role=Role.ANALYST, by=OPERATOR)
    cells = ["olga OWNER", " Owner0@Example.com ", "Twin", "Stranger"]
    rows = [{"First Name": f"P{n}", "Contact Owner": cell} for n, cell in enumerate(cells)]
    found = imported(written(tmp_path, rows))
    assert [one.get("owner") for one in contacts()] == ["owner0@example.com"] * 2 + [None, None]
    assert [one.get("extra") for one in contacts()][2:] == [{"Contact Owner": "Twin"}, {"Contact Owner": "Stranger"}]
    assert noted(found.id) == {"Contact Owner": (2, 4, "Twin")}


def test_industries_are_created_once_whatever_the_capitals(base: str, tmp_path: Path) -> None:
    names = ["Banking", "BANKING", "banking", "Oil", "Ölindustrie", "ÖLINDUSTRIE"]
    imported(written(tmp_path, [{"First Name": f"P{n}", "Industry": one} for n, one in enumerate(names)]))
    found_names = [one["industry"] for one in contacts()]
    assert [one.lower() for one in found_names] == [one.lower() for one in names]
    assert len(set(found_names)) == 3
    assert numbers(imported(tmp_path / "people.csv")) == (6, 0, 0, 6, 0, 0)
    assert sql("SELECT count(*) FROM industries") == [(3,)]


def widest() -> dict[str, str]:
    """The most bytes that a row can have in an index: four for each character, and none that can be compressed away."""
    chance = random.Random(2)
    lengths = {"Country": 300, "Seniority": 300, "Email Status": 30, "Last Name": 300, "Keywords": 300}
    texts = {
        header: "".join(chr(chance.randrange(0x10000, 0x110000)) for _ in range(length))
        for header, length in lengths.items()
    }
    money = dict.fromkeys(("Annual Revenue", "Total Funding", "Latest Funding Amount"), "9999999999999.99")
    return texts | money | {"# Employees": "99999999999999", "Last Raised At": "2020-01-31", "Industry": "Oil"}


def test_a_very_long_value_does_not_stop_the_import(base: str, tmp_path: Path) -> None:
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789äöü", k=20_000))
    odd = [{"Company": noise}, {"Last Name": noise}, {"Country": noise}, {"Industry": noise}, {"Seniority": noise}]
    odd += [{"Technologies": noise}, {"Keywords": "a" * 301}, {"Lists": f"{noise}, VIP"}, {"Email Status": noise}]
    odd += [{"Apollo Contact Id": noise}, {"Person Linkedin Url": f"https://linkedin.com/in/{noise}"}]
    kept = [{"Title": noise, "Notes": noise}, {"Company": "ü" * 300, "Lists": f"{'🙂' * 300}, {'🙃' * 300}"}, widest()]
    rows = [{"First Name": f"P{number}"} | one for number, one in enumerate(odd + kept)]
    found = imported(written(tmp_path, rows))
    assert [one.get("extra") for one in contacts()] == [*odd, None, None, None]
    assert len(noted(found.id)) == len(odd)
    assert (contacts()[-3]["notes"], contacts()[-2]["company"]) == (noise, "ü" * 300)
    assert imported(tmp_path / "people.csv").unchanged == len(rows)
    imported(written(tmp_path, [{"Name": f"Ann {noise}", "Email": "ann@x.com"}]))
    assert contacts()[-1]["extra"] == {"Name": f"Ann {noise}"}


REFUSED = """First Name,Last Name,Email,Company,Title
Ann,Archer,ann@example.com,Acme,VP
,,,,=1+1
Cid,Carter,not-an-address,Acme,"two
lines"
Ann,ARCHER,Ann@Example.com,Other,CEO
Dee,Dunn,dee@example.com,Acme,
one,two,three@example.com,four,five,six
"""


def test_refused_rows_are_told_with_their_line_and_reason(base: str, tmp_path: Path) -> None:
    found = imported(written(tmp_path, REFUSED))
    assert numbers(found) == (6, 2, 0, 0, 1, 3)
    nameless, broken, wide = rejected(found.id)
    reason = "The row has neither a name nor an e-mail nor a company."
    assert nameless == (3, None, None, reason, ["", "", "", "", "=1+1"]) or nameless[4][:4] == [None] * 4
    assert nameless[:4] == (3, None, None, reason)
    assert broken[:3] == (4, "Email", "not-an-address")
    assert broken[3] == "“not-an-address” is no e-mail address: it has no @."
    assert broken[4] == ["Cid", "Carter", "not-an-address", "Acme", "two\nlines"]
    assert wide[0] == 8
    assert wide[3].startswith("Line 8 has 6 values, the header has 5")
    assert wide[4] == ["one,two,three@example.com,four,five,six"]
    [(line, _, _, reason, cells)] = rejected(found.id, "duplicate")
    assert (line, reason) == (6, "Line 2 of the file means the same contact.")
    assert cells == ["Ann", "ARCHER", "Ann@Example.com", "Other", "CEO"]


def test_mended_rejects_come_in_and_nothing_else_does(base: str, tmp_path: Path) -> None:
    found = imported(written(tmp_path, REFUSED))
    target = tmp_path / "rejects.csv"
    assert import_contacts.write_rejects(found.id, target, by=OPERATOR) == 3
    assert target.read_bytes().startswith(codecs.BOM_UTF8), "Excel needs it"
    with target.open(newline="", encoding="utf-8-sig") as file:
        header, nameless, broken, wide = list(csv.reader(file))
    assert header[:4] == ["Rejected line", "Rejected column", "Rejected value", "Rejected reason"]
    assert header[4:] == ["First Name", "Last Name", "Email", "Company", "Title"]
    assert (nameless[0], nameless[4:]) == ("3", ["", "", "", "", "'=1+1"]), "a spreadsheet must not run it"
    broken[6] = "cid@example.com"
    nameless[4] = "Eve"
    wide[4:] = wide[4].split(",")[:5]
    with target.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([header, nameless, broken, wide])
    before = contacts()
    again = imported(target)
    assert numbers(again) == (3, 3, 0, 0, 0, 0)
    assert contacts()[:2] == before
    eve, cid, one = contacts()[2:]
    assert (eve["first_name"], eve["title"], "extra" in eve) == ("Eve", "=1+1", False)
    assert (cid["email"], cid["title"], "extra" in cid) == ("cid@example.com", "two\nlines", False)
    assert (one["first_name"], one["title"]) == ("one", "five")
    assert again.left_out == header[:4]
    assert "These are rows that an import refused: the columns that say so are left out." in again.opened["notes"]
    moved = [[*line[4:], *line[3::-1]] for line in (header, [*nameless[:4], "Fay", *nameless[5:]])]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(moved)
    assert numbers(imported(target)) == (1, 1, 0, 0, 0, 0)
    assert "extra" not in contacts()[-1]


def test_rejects_go_to_a_stream_and_duplicates_have_their_own(base: str, tmp_path: Path) -> None:
    found = imported(written(tmp_path, REFUSED))
    stream = io.StringIO()
    assert import_contacts.write_rejects(found.id, stream, by=OPERATOR, kind="duplicate") == 1
    assert "Line 2 of the file means the same contact.,Ann,ARCHER" in stream.getvalue()
    with pytest.raises(Unavailable, match="could not be written: No such file or directory"):
        import_contacts.write_rejects(found.id, tmp_path / "missing" / "rejects.csv", by=OPERATOR)


def test_reasons_are_counted_with_the_plan(base: str, tmp_path: Path) -> None:
    odd = ["no at", "nor “here”", "a..b@x.com", "jo@ex#ample.com", "li@b!d.com", "é@" + "x" * 70 + ".de", "a@b@c.de"]
    rows = [{"Email": email, "Company": "A"} for email in odd] + [{"Email": f"{n}@x.com"} for n in (1, 1, 2, 2, 2)]
    file = written(tmp_path, [*rows, {"Email": "", "Company": "x"}, {"Email": "", "Company": ""}])
    with file.open("a", encoding="utf-8") as more:
        more.write("a,b,c\na,b,c,d\n")
    found = imported(file, until=State.PLANNED)
    told = {kind: {one.sentence: one.rows for one in import_rejects.reasons(found.id, kind=kind, by=OPERATOR)}
            for kind in import_rejects.KINDS}  # fmt: skip
    assert told["duplicate"] == {"Line … of the file means the same contact.": 3}
    assert sum(told["rejected"].values()) == found.rejected == 10, told
    assert told["rejected"]["… is no e-mail address: it has no @."] == 2
    assert told["rejected"]["The row has neither a name nor an e-mail nor a company."] == 1
    characters = "… is no e-mail address: the part after the @-sign contains invalid characters: …"
    assert told["rejected"][characters] == 2
    assert not [why for why in told["rejected"] if "#" in why or "x" * 9 in why]
    listed, total = import_rejects.page(found.id, number=1, size=4, by=OPERATOR)
    assert (len(listed), total) == (4, 10)
    sql("TRUNCATE import_rejects")  # what is shown with the plan does not read them
    assert len(import_rejects.reasons(found.id, by=OPERATOR)) == len(told["rejected"])


def test_only_who_may_import_imports(base: str, tmp_path: Path) -> None:
    analyst = Actor(id=7, name="Ana", role=Role.ANALYST)
    found = imported(written(tmp_path, [ANN]))
    for forbidden in (
        lambda: import_contacts.create(tmp_path / "people.csv", match=MatchRule.AUTO, keep=Keep.THEIRS, by=analyst),
        lambda: import_contacts.run(found.id, by=analyst),
        lambda: import_contacts.undo(found.id, by=analyst),
        lambda: import_contacts.write_rejects(found.id, io.StringIO(), by=analyst),
    ):
        with pytest.raises(NotAllowed):
            forbidden()


def test_a_file_that_cannot_be_read_ends_the_import(base: str, tmp_path: Path) -> None:
    import_id = importing.created(written(tmp_path, ""))
    with pytest.raises(UnreadableFile, match=r"^people.csv is empty"):
        committed(import_id)
    with pytest.raises(Conflict, match=f"Import {import_id} failed: people.csv is empty"):
        committed(import_id)
    with pytest.raises(InvalidInput, match="There is no file"):
        importing.created(tmp_path / "missing.csv")


def test_a_header_without_rows_is_an_import_of_nothing(base: str, tmp_path: Path) -> None:
    assert numbers(imported(written(tmp_path, "First Name,Email\n"))) == (0, 0, 0, 0, 0, 0)


def test_their_value_replaces_ours_and_blanks_never_do(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [ANN | {"Fax": "1", "City": "Bonn"}, BOB]))
    found = imported(written(tmp_path, [ANN | {"Title": "CTO", "Company": "", "Fax": "2", "Tel. 2": "3"}]))
    assert (numbers(found), found.changed_fields) == ((1, 0, 1, 0, 0, 0), {"extra": 1, "title": 1})
    ann = contacts("first_name")[0]
    assert (ann["title"], ann["company"], ann["city"]) == ("CTO", "Acme", "Bonn")
    assert ann["extra"] == {"Fax": "2", "Tel. 2": "3"}


def test_ours_stays_and_only_blanks_are_filled(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [ANN | {"Title": "", "Fax": "1"}]))
    file = written(tmp_path, [ANN | {"Title": "CTO", "Company": "Other", "Fax": "2", "Tel. 2": "3"}])
    found = imported(file, keep=Keep.OURS)
    assert (numbers(found), found.changed_fields) == ((1, 0, 1, 0, 0, 0), {"extra": 1, "title": 1})
    assert (contact()["title"], contact()["company"], contact()["extra"]) == (
        "CTO",
        "Acme",
        {"Fax": "1", "Tel. 2": "3"},
    )
    assert numbers(imported(file, keep=Keep.OURS)) == (1, 0, 0, 1, 0, 0)


def test_a_person_decides_the_mapping(base: str, tmp_path: Path) -> None:
    file = written(tmp_path, [{"First Name": "Ann", "Zzz": "Director", "Title": "T"}])
    imported(file, title="zzz", first_name="", last_name="First Name")
    assert contact() == {
        "last_name": "Ann",
        "title": "Director",
        "extra": {"Title": "T"},
        "status": "active",
        "is_active": True,
    }
    with pytest.raises(InvalidInput, match="no column “Yyy”"):
        imported(file, title="Yyy")


def test_a_column_can_be_left_out(base: str, tmp_path: Path) -> None:
    row = ANN | {"Title": "VP", "Salary": "100", "Shoe size": "39", "Extra": '{"Hat": "7"}'}
    file = written(tmp_path, [row, {"Salary": "200"}])
    found = imported(file, left_out=["salary", "Title"])
    assert (contact()["extra"], "title" in contact()) == ({"Shoe size": "39", "Hat": "7"}, False)
    assert (found.left_out, (found.opened or {})["leftover"]) == (["Title", "Salary"], ["Shoe size"])
    assert "200" in rejected(found.id)[0][4]
    assert numbers(imported(file, left_out=["Salary", "Extra", "Shoe size"]))[1:4] == (0, 1, 0)
    assert contact()["title"] == "VP"
    with pytest.raises(InvalidInput, match="no column “Wages”"):
        imported(file, left_out=["Wages"])
    with pytest.raises(InvalidInput, match="“Title” is to fill a field and to be left out"):
        imported(file, left_out=["Title"], title="Title")


RULES = {
    MatchRule.AUTO: ["update", "create", "create", "update"],
    MatchRule.EMAIL: ["update", "duplicate", "create", "create"],
    MatchRule.EXTERNAL: ["create", "create", "update", "create"],
    MatchRule.LINKEDIN: ["create", "create", "create", "update"],
    MatchRule.NONE: ["create", "create", "create", "create"],
}


@pytest.mark.parametrize("match", RULES)
def test_every_rule_finds_contacts_by_its_own_key(base: str, tmp_path: Path, match: MatchRule) -> None:
    linked = ANN | {"Email": "", "First Name": "A.", "Person Linkedin Url": "linkedin.com/in/ANN"}
    imported(written(tmp_path, [ANN | {"Apollo Contact Id": "1", "Person Linkedin Url": "linkedin.com/in/ann"}]))
    rows = [
        ANN | {"Title": "a"}, ANN | {"First Name": "Anna", "Title": "b"},
        BOB | {"Email": "", "Apollo Contact Id": "1" if match is MatchRule.EXTERNAL else "2", "Title": "c"},
    ]  # fmt: skip
    found = imported(written(tmp_path, [*rows, linked | {"Title": "d"}]), match=match)
    wanted = RULES[match] if match is not MatchRule.AUTO else ["update", "create", "create", "duplicate"]
    assert numbers(found) == (4, *(wanted.count(one) for one in ("create", "update", "unchanged", "duplicate")), 0)


def industry_of(name: str) -> int:
    return int(sql("SELECT id FROM industries WHERE name = %s", name)[0][0])


def test_a_file_that_gives_an_old_name_of_an_industry_means_the_new_one(base: str, tmp_path: Path) -> None:
    rows = [ANN | {"Industry": "Softwear"}, BOB | {"Industry": "Banks"}]
    imported(written(tmp_path, rows))
    into = industries.create("Software", by=OPERATOR).id
    industries.merge(industry_of("Softwear"), into, by=OPERATOR)
    industries.rename(industry_of("Banks"), "Banking", by=OPERATOR)
    assert numbers(imported(tmp_path / "people.csv")) == (2, 0, 0, 2, 0, 0)
    new = {"First Name": "Cy", "Last Name": "Cooper", "Email": "cy@example.com", "Industry": "SOFTWEAR"}
    more = [ANN | {"Industry": "Banks"}, BOB | {"Industry": "banking"}, new]
    planned = imported(written(tmp_path, more), until=State.PLANNED)
    assert [(one.field, one.examples) for one in imports.changed_values(planned.id, by=OPERATOR)] == [
        ("industry", [("Software", "Banking")])
    ]
    assert numbers(committed(planned.id)) == (3, 1, 1, 1, 0, 0)
    assert [one["industry"] for one in contacts("email")] == ["Banking", "Banking", "Software"]
    assert sql("SELECT name FROM industries ORDER BY name") == [("Banking",), ("Software",), ("Softwear",)]
    assert numbers(imported(tmp_path / "people.csv")) == (3, 0, 0, 3, 0, 0)
    industries.unmerge(industry_of("Softwear"), by=OPERATOR)
    assert numbers(imported(written(tmp_path, [new]))) == (1, 0, 1, 0, 0, 0)
    assert [one["industry"] for one in contacts("email")] == ["Banking", "Banking", "Softwear"]


def test_a_name_that_means_another_industry_since_the_plan_makes_it_anew(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [ANN | {"Industry": "Softwear"}]))
    into = industries.create("Software", by=OPERATOR).id
    planned = imported(written(tmp_path, [ANN | {"Industry": "Software"}]), until=State.PLANNED)
    assert planned.changed_fields == {"industry": 1}
    industries.merge(industry_of("Softwear"), into, by=OPERATOR)
    with pytest.raises(Conflict, match="contacts changed since the plan was made"):
        committed(planned.id)
    assert numbers(committed(planned.id)) == (1, 0, 0, 1, 0, 0)


def test_a_row_that_several_contacts_could_be_is_refused(base: str, tmp_path: Path) -> None:
    file = written(tmp_path, [ANN])
    imported(file)
    imported(file, match=MatchRule.NONE)
    found = imported(written(tmp_path, [ANN | {"Title": "CTO"}]))
    assert numbers(found) == (1, 0, 0, 0, 0, 1)
    [(line, _, _, reason, cells)] = rejected(found.id)
    assert line == 2
    assert reason.startswith("Several contacts, number ")
    assert "have the row's e-mail and name: merge them" in reason
    by_email = imported(written(tmp_path, [ANN | {"Title": "CTO"}]), match=MatchRule.EMAIL)
    assert "have the row's e-mail: merge them" in rejected(by_email.id)[0][3]
    assert cells == list((ANN | {"Title": "CTO"}).values())


def test_capitals_never_make_a_duplicate(base: str, tmp_path: Path) -> None:
    rows = [
        {"First Name": "Änn", "Email": "ann@example.com"},
        {"First Name": "Bob", "Person Linkedin Url": "https://www.linkedin.com/in/bob"},
        {"First Name": "Zoë", "Company": "Acme", "Lists": "a, b", "Fax": "none of ours"},
        {"Email": "info@example.com", "Company": "Éclair", "Website": "https://eclair.example/A"},
    ]
    imported(written(tmp_path, rows))
    for capital in (str.upper, str.lower, str.title):
        shouted = [{name: capital(value) for name, value in row.items()} for row in rows]
        found = imported(written(tmp_path, rows + shouted))
        assert (found.created, found.duplicates) == (0, 4), shouted
        assert imported(written(tmp_path, shouted)).created == 0
    assert len(contacts()) == 4


EXTRAS = [
    ('{"score": NaN}', {"Extra": '{"score": NaN}'}),
    ('{"a": "\\u0000"}', {"Extra": '{"a": "\\u0000"}'}),
    ('{"a": "\\ud800"}', {"Extra": '{"a": "\\ud800"}'}),
    ('{"long": 12345678901234567.89, "Shoe": 41}', {"long": 12345678901234567.89}),
    ("{}", {}),
    ("just words", {"Extra": "just words"}),
]


@pytest.mark.parametrize(("cell", "kept"), EXTRAS)
def test_an_extra_column_is_taken_apart_only_where_it_is_json(
    base: str, tmp_path: Path, cell: str, kept: dict[str, Any]
) -> None:
    imported(written(tmp_path, [{"Email": "ann@example.com", "Extra": cell, "Shoe": "42"}]))
    assert contact()["extra"] == {"Shoe": "42"} | kept
    if "long" in kept:
        assert sql("SELECT extra ->> 'long' FROM contacts") == [("12345678901234567.89",)]


def test_columns_that_only_look_like_ours_are_kept(base: str, tmp_path: Path) -> None:
    row = {"Email": "ann@example.com", "Rejected reason": "no budget", "Extra": "a cup", "extra": "a spoon"}
    found = imported(written(tmp_path, [row]))
    assert contact()["extra"] == {"Rejected reason": "no budget", "Extra": "a cup", "extra": "a spoon"}
    assert (found.opened or {})["leftover"] == ["Rejected reason", "extra"]


def test_a_plan_that_was_lost_is_not_replaced_by_another(base: str, tmp_path: Path) -> None:
    file = written(tmp_path, [{"Email": "ann@example.com", "First Name": "Ann", "Title": "Buyer"}])
    shown = imported(file, until=State.PLANNED)
    imported(written(tmp_path, [{"Email": "ann@example.com", "First Name": "Ann", "Title": "Chief"}], "other.csv"))
    sql(f"TRUNCATE staging.import_{shown.id}, staging.plan_{shown.id}")  # as a crash of the server leaves them
    with pytest.raises(Conflict, match="made again"):
        import_contacts.run(shown.id, by=OPERATOR)
    [after] = contacts()
    assert after["title"] == "Chief"
    again = imports.get(shown.id, by=OPERATOR)
    assert (again.state, numbers(again)) == (State.PLANNED, (1, 0, 1, 0, 0, 0))
    assert import_contacts.run(shown.id, by=OPERATOR).state == State.COMMITTED


def test_a_plan_that_was_lost_and_still_holds_is_committed(base: str, tmp_path: Path) -> None:
    shown = imported(written(tmp_path, [{"Email": "ann@example.com"}]), until=State.PLANNED)
    sql(f"TRUNCATE staging.import_{shown.id}, staging.plan_{shown.id}")
    assert numbers(import_contacts.run(shown.id, by=OPERATOR)) == (1, 1, 0, 0, 0, 0)


def test_what_a_killed_process_left_beside_the_store_is_no_part_of_the_next(base: str, tmp_path: Path) -> None:
    shown = imported(written(tmp_path, [{"Email": "ann@example.com"}]), until=State.PLANNED)
    store = import_steps.store_path(shown.id)
    with duckdb.connect(str(store), config={"wal_autocheckpoint": "1GB"}) as connection:
        connection.execute("CREATE TABLE begun (a INTEGER)")
        shutil.copy(f"{store}.wal", tmp_path)
    store.unlink()
    shutil.copy(tmp_path / f"{store.name}.wal", store.parent)
    (store.parent / ".opening-killed").mkdir()
    assert numbers(import_contacts.run(shown.id, by=OPERATOR)) == (1, 1, 0, 0, 0, 0)
    assert [path.name for path in store.parent.iterdir()] == ["upload"]


def test_many_branches_of_one_company_are_themselves_again(base: str, tmp_path: Path) -> None:
    """The address or else the phone tells them apart: compared each with each, they would take minutes."""
    branches = [
        {
            "Company": "Acme",
            "Company Address": f"{number} Main Street" if number % 10 else "",
            "Company Phone": f"+44 20 {number:08}" if number % 7 else "",
            "City": "Leeds" if number % 2 else "",
        }
        for number in range(20_000)
        if number % 70
    ]
    branches.append({"Company": "Acme"})
    file, number = written(tmp_path, branches), len(branches)
    assert numbers(imported(file)) == (number, number, 0, 0, 0, 0)
    assert numbers(imported(file)) == (number, 0, 0, number, 0, 0)
    assert numbers(imported(written(tmp_path, branches[:2], "two.csv"))) == (2, 0, 0, 2, 0, 0)


def test_thousands_may_share_an_address(base: str, tmp_path: Path) -> None:
    """A row without a name is the duplicate of the one named row with its address that it does not contradict."""
    shared = {"Email": "info@example.com"}
    named = [{**shared, "First Name": f"Ann {number}", "Company": f"Acme {number}"} for number in range(10_000)]
    nameless = [{**shared, "First Name": "", "Company": f"Acme {number}"} for number in range(5_000, 15_000)]
    found = imported(written(tmp_path, [*named, *nameless]))
    assert numbers(found) == (20_000, 15_000, 0, 0, 5_000, 0)
    fresh = [{**row, "First Name": f"Bob {number}"} for number, row in enumerate(nameless)]
    found = imported(written(tmp_path, fresh, "fresh.csv"))
    assert numbers(found) == (10_000, 5_000, 5_000, 0, 0, 0), "5,000 found the nameless contact of their company"


KNOWN = {"Apollo Contact Id": "x1", "Email": "ann@old.example", "Email Status": "Verified", "First Name": "Ann"}


@pytest.mark.parametrize(
    ("row", "keep", "status", "changed"),
    [
        ({"Email": "ann@new.example"}, Keep.THEIRS, None, {"email": 1, "email_status": 1}),
        ({"Email": "ann@new.example", "Email Status": ""}, Keep.THEIRS, None, {"email": 1, "email_status": 1}),
        (
            {"Email": "ann@new.example", "Email Status": "Guessed"},
            Keep.THEIRS,
            "Guessed",
            {"email": 1, "email_status": 1},
        ),
        ({"Email": "ann@new.example", "Email Status": "Verified"}, Keep.THEIRS, "Verified", {"email": 1}),
        ({"Email": "ann@new.example"}, Keep.OURS, "Verified", {}),
        ({"Email": "ANN@old.example", "Title": "CTO"}, Keep.THEIRS, "Verified", {"title": 1}),
        ({"Email": "", "First Name": "Ann", "Title": "CTO"}, Keep.THEIRS, "Verified", {"title": 1}),
    ],
)
def test_what_is_known_of_an_address_goes_with_it(
    base: str, tmp_path: Path, row: Row, keep: Keep, status: str | None, changed: dict[str, int]
) -> None:
    imported(written(tmp_path, [KNOWN]))
    file = written(tmp_path, [{"Apollo Contact Id": "x1", **row}], "again.csv")
    planned = imported(file, keep=keep, until=State.PLANNED)
    assert planned.changed_fields == changed
    told = {one.field: one.examples for one in imports.changed_values(planned.id, by=OPERATOR)}
    assert told.get("email_status", []) == ([("Verified", status)] if "email_status" in changed else [])
    if changed:
        found = committed(planned.id)
        assert contact().get("email_status") == status
        import_contacts.undo(found.id, by=OPERATOR)
    assert (contact()["email"], contact()["email_status"]) == ("ann@old.example", "Verified")


def test_undo_removes_and_restores_and_keeps_what_was_changed_since(base: str, tmp_path: Path) -> None:
    imported(written(tmp_path, [ANN, BOB]))
    before = contacts()
    rows = [ANN | {"Title": "a", "Fax": "1"}, BOB | {"Title": "b"}] + [
        {"First Name": name, "Email": f"{name.lower()}@example.com"} for name in ("Cid", "Dee")
    ]
    second = imported(written(tmp_path, rows))
    sql("UPDATE contacts SET title = 'by hand' WHERE first_name IN ('Bob', 'Dee')")
    assert import_contacts.undo(second.id, by=OPERATOR) == {"removed": 1, "restored": 1, "kept": 2}
    assert contacts("c.first_name")[0] == before[0]
    assert [(one["first_name"], one["title"]) for one in contacts("c.first_name")] == [
        ("Ann", "VP"), ("Bob", "by hand"), ("Dee", "by hand"),
    ]  # fmt: skip
    with pytest.raises(Conflict, match=f"Import {second.id} is undone: only a committed import can be undone"):
        import_contacts.undo(second.id, by=OPERATOR)
    with pytest.raises(Conflict, match="was undone: import the file again"):
        committed(second.id)


def test_imports_are_taken_back_one_after_the_other(base: str, tmp_path: Path) -> None:
    first = imported(written(tmp_path, [ANN, BOB]))
    start = contacts()
    second = imported(written(tmp_path, [ANN | {"Title": "a"}]))
    third = imported(written(tmp_path, [ANN | {"Title": "b"}, BOB | {"Title": "c"}]))
    assert import_contacts.undo(third.id, by=OPERATOR) == {"removed": 0, "restored": 2, "kept": 0}
    assert import_contacts.undo(second.id, by=OPERATOR) == {"removed": 0, "restored": 1, "kept": 0}
    assert contacts() == start
    assert import_contacts.undo(first.id, by=OPERATOR) == {"removed": 2, "restored": 0, "kept": 0}
    assert contacts() == []


def test_numbers_are_also_in_the_audit_log(base: str, tmp_path: Path) -> None:
    found = imported(written(tmp_path, [ANN]))
    [(details,)] = sql("SELECT details FROM audit_log WHERE event = 'import committed'")
    assert (details["state"], details["created"], details["import_id"]) == ("committed", 1, found.id)


@pytest.mark.parametrize("referred", [False, True])
def test_a_first_load_brings_every_index_and_key_back(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, referred: bool
) -> None:
    monkeypatch.setattr(changes, "BULK_LOAD", 1)
    if referred:
        sql("CREATE TABLE calls (contact bigint REFERENCES contacts (id))")
    asked = """SELECT indexdef FROM pg_indexes WHERE tablename = 'contacts'
        UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
                  WHERE 'contacts'::regclass IN (conrelid, confrelid)
        UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'contacts'::regclass AND NOT tgisinternal
        ORDER BY 1"""
    before = sql(asked)
    [(file_before,)] = sql("SELECT pg_relation_filenode('contacts')")
    assert numbers(imported(written(tmp_path, [ANN, BOB]))) == (2, 2, 0, 0, 0, 0)
    assert sql(asked) == before
    [(file_after,)] = sql("SELECT pg_relation_filenode('contacts')")
    assert (file_after == file_before) is referred
    assert sql("SELECT first_name FROM contacts ORDER BY id") == [("Ann",), ("Bob",)]
    assert sql("SELECT reltuples FROM pg_class WHERE relname = 'contacts'") == [(2,)]
