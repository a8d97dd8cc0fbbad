"""Mappings and watched folders on their screens, and in an import's steps."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.widgets.page import plain
from models import import_drafts, imports, mappings, settings, watched_files, watched_folders
from models.imports import Import, Keep, MatchRule, Recall, State
from models.permissions import OPERATOR, Actor, Role
from models.watched_folders import Watching
from pipelines import import_contacts, watch_folders
from tests.dashboard.conftest import NARROW_MANAGER, Site, click_in_table
from tests.dashboard.test_imports_screen import buttons, press, texts
from tests.data_checks.conftest import started_checker

Screen = Callable[..., AppTest]
HEADER = "Vorname,Nachname,Mail,Firma"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    process = started_checker(folder)
    os.environ["APPOINTMENT360_HOME"] = str(folder)
    os.environ["APPOINTMENT360_WATCH_ROOTS"] = str(folder)
    settings.settings.cache_clear()
    yield folder
    del os.environ["APPOINTMENT360_HOME"], os.environ["APPOINTMENT360_WATCH_ROOTS"]
    settings.settings.cache_clear()
    process.terminate()
    process.wait(60)


def planned(by: Actor, folder: Path, name: str, header: str = HEADER) -> Import:
    path = folder / name
    cells = [f"{column.lower()} {name}" if column != "Mail" else "a@x.example" for column in header.split(",")]
    path.write_text(f"{header}\n{','.join(cells)}\n")
    import_id = import_contacts.create(path, match=MatchRule.AUTO, keep=Keep.THEIRS, recall=Recall(), by=by)
    return import_contacts.run(import_id, until=State.PLANNED, by=by)


@pytest.fixture(scope="module")
def manager(site: Site, home: Path) -> Actor:
    return site.people[Role.MANAGER].actor()


@pytest.fixture(scope="module")
def kept(manager: Actor, home: Path) -> int:
    """A mapping by name, of an import that leaves the company out and keeps ours."""
    first = planned(manager, home, "first.csv")
    chosen = import_drafts.stored(first)
    columns = {header: name for header, name in chosen.columns.items() if header != "Firma"}
    chosen = replace(chosen, columns=columns, left_out=("Firma",), keep=Keep.OURS)
    return mappings.save(first.id, chosen, "Our CRM", by=manager)


def test_a_file_of_a_known_kind_says_how_it_was_mapped(screen: Screen, kept: int, manager: Actor, home: Path) -> None:
    second = planned(manager, home, "second.csv", "FIRMA,mail,nachname,vorname".replace("mail", "Mail"))
    test = screen(Role.MANAGER, at="imports", id=str(second.id))
    assert plain("Mapped as last time: Our CRM.") in texts(test)
    assert second.left_out == ["FIRMA"]
    press(test, "Change the mapping")
    assert test.query_params["step"] == "map"
    table = test.data_editor[0].value.set_index("header")
    assert table.loc["FIRMA", "field"] == "left out"


def test_another_mapping_is_picked_and_saved(screen: Screen, kept: int, manager: Actor, home: Path) -> None:
    other = planned(manager, home, "other.csv", "Mail,Rang,Firma,Ort,Land,Kontinent")
    assert other.recalled is None
    test = screen(Role.MANAGER, at="imports", id=str(other.id), step="map")
    pick = next(one for one in test.selectbox if one.label == "Map as")
    assert "Our CRM" in pick.options
    pick.select(next(one for one in pick.options if one == "Our CRM")).run()
    table = test.data_editor[0].value.set_index("header")
    assert list(table.loc[["Mail", "Firma", "Rang"], "field"]) == ["email", "left out", "extra"]
    assert "Save as a mapping" in buttons(test)
    assert import_drafts.find(other.id, by=manager), "it outlives the tab"

    def dialog(import_id: int) -> None:
        from dashboard import session
        from dashboard.widgets import import_choices
        from dashboard.widgets.import_memory import save_dialog
        from models import imports

        found = imports.get(import_id, by=session.actor())
        save_dialog(found, import_choices.opened(found, by=session.actor()))

    for name, label in (("Ranks", "Save"), ("Ranks", "Replace it")):
        saving = AppTest.from_function(dialog, args=(other.id,), default_timeout=60).run()
        saving.text_input[0].set_value(name).run()
        assert ("You have a mapping “Ranks” already" in texts(saving)) == (label != "Save")
        press(saving, label)
    found = mappings.named("Ranks", by=manager)
    assert found.chosen.left_out == ("Firma",)
    mappings.remove(found.id, by=manager)


def test_the_list_shows_where_columns_go_and_who_uses_it(screen: Screen, kept: int, manager: Actor) -> None:
    test = screen(Role.MANAGER, at="mappings")
    table = test.dataframe[0].value
    row = table[table["name"] == "Our CRM"].iloc[0]
    assert (list(row["kind"]), row["columns"]) == (["Your own"], "3 of 4")
    admin = screen(Role.ADMIN, at="mappings")
    assert "Our CRM" not in texts(admin)
    assert "Our CRM" not in str([one.value for one in admin.dataframe])


def test_what_is_done_with_a_mapping(site: Site, kept: int, manager: Actor, screen: Screen) -> None:
    mappings.share(kept, True, by=manager)
    test = screen(Role.ADMIN, at="mappings")
    row = test.dataframe[0].value.query("name == 'Our CRM'").iloc[0]
    assert list(row["kind"]) == ["Shared"]
    mappings.share(kept, False, by=manager)


def test_analysts_find_neither_screen(screen: Screen, home: Path) -> None:
    for place in ("mappings", "watched"):
        assert "The admins and managers may" in texts(screen(Role.ANALYST, at=place))


def test_a_folder_is_set_up_on_the_screen(screen: Screen, site: Site, home: Path) -> None:
    (home / "in").mkdir()
    test = screen(Role.ADMIN, at="watched")
    assert "No folder is watched" in texts(test)
    assert "Watch a folder" in buttons(test)

    def dialog() -> None:
        from dashboard.widgets.watched_dialogs import set_up_dialog

        set_up_dialog(None)

    test = AppTest.from_function(dialog, default_timeout=60)
    test.context = {"locale": "en-GB", "timezone": "UTC"}
    test.run()
    fields = {one.label: one for one in test.text_input}
    assert fields["Mail the outcome to"].value == "admin@example.com"
    fields["Name"].set_value("Leads")
    fields["Place"].set_value("/etc").run()
    press(test, "Watch it")
    assert "may not be watched" in texts(test).replace("\\", "")
    next(one for one in test.text_input if one.label == "Place").set_value(str(home / "in")).run()
    next(one for one in test.text_input if one.label == "Name").set_value("Leads").run()
    press(test, "Watch it")
    [found] = watched_folders.listed(by=OPERATOR)
    assert (found.watching.name, found.watching.address, found.watching.mail_to, found.owner) == (
        "Leads", str(home / "in"), "admin@example.com", "An admin",
    )  # fmt: skip
    watched_folders.remove(found.id, by=OPERATOR)


def test_its_files_are_listed_with_what_became_of_them(screen: Screen, site: Site, home: Path) -> None:
    place = home / "in" if (home / "in").exists() else home / "other"
    place.mkdir(exist_ok=True)
    admin = site.people[Role.ADMIN].actor()
    folder = watched_folders.add(Watching("Files", str(place), "*/5 * * * *"), by=admin)
    for name in ("a.csv", "b.csv"):
        (place / name).write_text(f"{HEADER}\n{name},b,c@x.example,d\n" if name == "a.csv" else "")
        os.utime(place / name, (1, 1))
    looked = watch_folders.look(folder)
    assert looked
    with pytest.raises(import_contacts.UnreadableFile):
        import_contacts.run(looked.imports[1], by=admin)
    import_contacts.run(looked.imports[0], until=State.PLANNED, by=admin)

    def list_files() -> None:
        from dashboard.widgets.watched_table import _files
        from models import watched_folders as folders
        from models.permissions import OPERATOR

        _files(folders.listed(by=OPERATOR)[0])

    test = screen(Role.MANAGER, at="watched")
    assert "Watch a folder" not in buttons(test), "that is for administrators"
    assert list(test.dataframe[0].value["name"]) == ["Files"]
    files = AppTest.from_function(list_files, default_timeout=60)
    files.context = {"locale": "en-GB", "timezone": "UTC"}
    files.run()
    rows = files.dataframe[0].value
    assert [list(one) for one in rows["outcome"]] == [["Failed"], ["Under way"]]
    assert list(rows["open"]) == ["Try again", "Open"]
    click_in_table(files, "open", 0, "Try again")
    assert watched_files.of_folder(folder, by=OPERATOR)[0].outcome == "to be tried again"
    watched_folders.remove(folder, by=OPERATOR)


def test_who_does_not_see_every_column_only_looks(screen: Screen, kept: int, site: Site) -> None:
    test = screen(NARROW_MANAGER, at="mappings")
    assert all(one.disabled for label, one in buttons(test).items() if label in ("Rename", "Share", "Forget"))
    found = imports.latest(by=OPERATOR)[0]
    again = screen(NARROW_MANAGER, at="imports", id=str(found.id), step="map")
    assert not again.exception
