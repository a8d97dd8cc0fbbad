"""Whatever a person can do on a screen, a program can do: every operation has a route that calls it, or a reason."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dashboard.api
from tests.who_may_what import OPERATIONS

API = Path(dashboard.api.__file__).parent
METHODS = {"get", "post", "put", "patch", "delete"}

AT_THE_SCREEN = "what a screen keeps for itself: a program asks for what it wants each time"
AT_THE_COMMAND_LINE = "for the command line; over HTTP it goes by its number, from the list"
WITH_OWN_FILES = "for the command line, which has files of its own; over HTTP they come and go by routes"
BY_A_FLOW = "carried out by a flow, which the route's operation orders"
# Operations that programs need no route for, with the reason.
WITHOUT: dict[str, str] = {
    "models.contacts.search.page": "pages by number; programs go from page to page by keys, with search.following",
    "models.contacts.search.known_counts": "a count that is shown only where it costs nothing: programs ask for counts",
    "models.contacts.search.those_of": "the filter contact=17 says it, on every route that takes filters",
    "models.contacts.search.counts": "of several filters at once: views.counts calls it, and programs ask for each",
    "models.contacts.search.matching": "makes the query of exports, which have their routes",
    "models.contacts.search.moment": "what as_of means, for a screen's words; a difference tells its own moments",
    "models.contacts.editing.editing": "opens the transaction of the operations that change contacts",
    "models.industries.out_of_use": "industries.listed says of each whether it is in use",
    "models.watched_folders.named": AT_THE_COMMAND_LINE,
    "models.preferences.get": AT_THE_SCREEN,
    "models.preferences.under": AT_THE_SCREEN,
    "models.preferences.put": AT_THE_SCREEN,
    "models.preferences.forget": AT_THE_SCREEN,
    "models.users.find": AT_THE_COMMAND_LINE,
    "models.user_list.person": AT_THE_COMMAND_LINE,
    "models.own_password.require": "a part of the operations that ask for one's password",
    "models.tokens.create_for": "for the command line: over HTTP people make their own",
    "models.imports.create": "of a file that lies there whole; programs send theirs in parts",
    "models.imports.latest": AT_THE_SCREEN,
    "models.import_uploads.Part": "the browser's pieces, one after the other; programs send theirs in any order",
    "models.import_uploads.arrived": "the browser's pieces; the parts of programs are listed",
    **dict.fromkeys(
        (f"models.{one}.rows" for one in ("import_changes", "import_kept", "import_rejects")),
        "what pages and files are made of, which have their routes",
    ),
    **dict.fromkeys(
        (f"pipelines.import_rejects.write_{one}" for one in ("rejects", "changes", "kept", "moved")),
        "a file of the command line; over HTTP it is streamed",
    ),
    **dict.fromkeys(
        (
            f"pipelines.import_contacts.{one}"
            for one in ("create", "run", "go_on", "undo", "redo", "take_back", "bring_back")
        ),
        BY_A_FLOW,
    ),
    "pipelines.find_duplicates.find": BY_A_FLOW,
    "pipelines.export_views.run_now": BY_A_FLOW,
    "pipelines.export_contacts.export": BY_A_FLOW,
    **dict.fromkeys(
        (f"pipelines.import_contacts.{name}" for name in ("go_on", "run", "take_back", "bring_back", "undo", "redo")),
        BY_A_FLOW,
    ),
    "pipelines.import_contacts.create": WITH_OWN_FILES,
    **dict.fromkeys(
        (f"pipelines.import_rejects.write_{name}" for name in ("changes", "kept", "moved", "rejects")),
        WITH_OWN_FILES,
    ),
}
# Operations of resources that have no routes yet. Whoever adds the routes takes the lines out.
COMES_WITH: dict[str, tuple[str, ...]] = {
    "checks": ("data_checks.",),
}


@dataclass
class Module:
    """What the functions of a module of the API name, and which of them are routes."""

    functions: dict[str, set[str]] = field(default_factory=dict)
    routes: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path) -> "Module":
        tree, found = ast.parse(path.read_text()), cls()
        names = dict(_imported(tree))
        own = {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
        for one in tree.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.functions[one.name] = {
                    f"dashboard.api.{path.stem}.{name}" if name in own else name for name in _named(one, names)
                }
                if any(_is_route(decorator) for decorator in one.decorator_list):
                    found.routes.add(one.name)
        return found


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for one in ast.walk(tree):
        if isinstance(one, ast.ImportFrom) and one.module:
            yield from ((alias.asname or alias.name, f"{one.module}.{alias.name}") for alias in one.names)


def _named(function: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """Dotted names of what it refers to, as they are imported: “records.get” is “models.contacts.records.get”."""
    for one in ast.walk(function):
        if isinstance(one, ast.Attribute):
            first, _, rest = ast.unparse(one).partition(".")
            if first in names:
                yield f"{names[first]}.{rest}"
        elif isinstance(one, ast.Name):
            yield names.get(one.id, one.id)


def _is_route(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr in METHODS
    )


def called() -> set[str]:
    """Every operation that some route comes to, by itself or by what it calls in the API's modules."""
    modules = {path.stem: Module.of(path) for path in API.glob("*.py")}
    functions = {
        f"dashboard.api.{stem}.{name}": named for stem, one in modules.items() for name, named in one.functions.items()
    }
    pending = [f"dashboard.api.{stem}.{name}" for stem, one in modules.items() for name in one.routes]
    reached, found = set[str](), set[str]()
    while pending:
        one = pending.pop()
        if one not in reached:
            reached.add(one)
            found |= functions[one]
            pending += [name for name in functions[one] if name in functions]
    return found


def operations() -> set[str]:
    return {name.partition(" ")[0] for names in OPERATIONS.values() for name in names}


def test_every_operation_has_its_route_or_a_reason() -> None:
    told = tuple(prefix for prefixes in COMES_WITH.values() for prefix in prefixes)
    missing = {name for name in operations() - called() - WITHOUT.keys() if not name.startswith(told)}
    assert not missing, f"Give them a route in dashboard/api, or a reason in WITHOUT: {', '.join(sorted(missing))}"


def test_no_reason_is_given_for_what_has_its_route() -> None:
    assert not WITHOUT.keys() & called()
    assert WITHOUT.keys() <= operations(), "Take out of WITHOUT what is no operation any more"


def test_nothing_is_told_to_come_that_is_there() -> None:
    left = operations() - called() - WITHOUT.keys()
    there = [prefix for prefixes in COMES_WITH.values() for prefix in prefixes if not _any(left, prefix)]
    assert not there, f"Take out of COMES_WITH: {', '.join(there)}"


def _any(names: set[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
