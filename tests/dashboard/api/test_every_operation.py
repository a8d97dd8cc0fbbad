"""Whatever a person can do on a screen, a program can do: every operation has a route that calls it, or a reason."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dashboard.api
from tests.who_may_what import OPERATIONS

API = Path(dashboard.api.__file__).parent
METHODS = {"get", "post", "put", "patch", "delete"}

AT_THE_SCREEN = "what a screen keeps for itself: a program asks for what it wants each time"
AT_THE_COMMAND_LINE = "for the command line; over HTTP it goes by its number, from the list"
AS_A_FILE = "the rows that its as_csv streams, one by one"
BY_A_FLOW = "carried out by a flow, which the route's operation orders"
AT_THE_MACHINE = "a restore fills a database of the operator's own, whose address no web should be given"
ON_A_PAGE = "opens Razorpay's checkout, where a person pays; programs read the order, and its page's address"
# Operations that programs need no route for, with the reason.
WITHOUT: dict[str, str] = {
    "models.contacts.search.page": "pages by number; programs go from page to page by keys, with search.following",
    "models.contacts.search.meant": "what an empty page of the list tells, and dashboard/cached.py keeps",
    "models.contacts.search.known_counts": "a count that is shown only where it costs nothing: programs ask for counts",
    "models.contacts.records.create": "records.created, for who needs the number alone",
    "models.contacts.search.those_of": "the filter contact=17 says it, on every route that takes filters",
    "models.contacts.search.counts": "of several filters at once: views.counts calls it, and programs ask for each",
    "models.contacts.search.matching": "makes the query of exports, which have their routes",
    "models.contacts.search.moment": "what as_of means, for a screen's words; a difference tells its own moments",
    "models.contacts.editing.editing": "opens the transaction of the operations that change contacts",
    "models.industries.out_of_use": "industries.listed says of each whether it is in use",
    "models.flow_runs.last": "the first of flow_runs.page, for who needs one alone",
    "models.flow_runs.newest_of": "the last run of each job, for tables: programs ask for a job's runs",
    "models.flow_runs.known_flows": "the choices of a filter on the screen",
    "models.flow_runs.under_way": "the screen's first card: programs ask for the runs of a state",
    "models.backups.at_work": "the step beside a backup on its screen: for programs its run among the jobs has it",
    "models.watched_folders.named": AT_THE_COMMAND_LINE,
    "models.import_changes.rows": AS_A_FILE,
    "models.import_kept.rows": AS_A_FILE,
    "models.import_rejects.rows": AS_A_FILE,
    **dict.fromkeys(
        (f"pipelines.import_rejects.write_{what}" for what in ("changes", "kept", "moved", "rejects")),
        "writes the file for the command line; its routes stream it",
    ),
    **dict.fromkeys(
        (f"models.import_uploads.{name}" for name in ("Part", "SharedPart", "part")),
        "a browser's pieces, in their order; programs send parts in any, with parted_uploads",
    ),
    "models.import_uploads.arrived": "the numbers of a screen's progress; an upload tells its own parts",
    "models.imports.create": "import_uploads.begin makes the import of a file that is sent",
    "models.imports.latest": "what a choice of moments offers; imports.page lists them",
    "models.own_password.require": "asks for the password within the operations that take it",
    "models.users.find": AT_THE_COMMAND_LINE,
    "models.user_list.person": AT_THE_COMMAND_LINE,
    "pipelines.validate_contacts.check": BY_A_FLOW,
    "pipelines.report_performance.report": BY_A_FLOW,
    "pipelines.report_performance.run": BY_A_FLOW,
    "pipelines.report_performance.now": AT_THE_COMMAND_LINE,
    "models.performance.reports.store": BY_A_FLOW,
    "models.house.reports.store": BY_A_FLOW,
    "models.house.reports.latest": "a part of house.standing.now",
    "models.disk_alerts.listed": "a part of house.standing.now",
    "pipelines.keep_house.keep": BY_A_FLOW,
    "pipelines.keep_house.run": BY_A_FLOW,
    "pipelines.keep_house.now": AT_THE_COMMAND_LINE,
    "models.preferences.get": AT_THE_SCREEN,
    "models.preferences.under": AT_THE_SCREEN,
    "models.preferences.put": AT_THE_SCREEN,
    "models.preferences.forget": AT_THE_SCREEN,
    "models.tokens.create_for": "for the command line: over HTTP people make their own",
    "pipelines.back_up.make": BY_A_FLOW,
    "pipelines.drill.run": BY_A_FLOW,
    "pipelines.drill.prove": BY_A_FLOW,
    "pipelines.restore_backup.run": AT_THE_MACHINE,
    "models.backups.restored": AT_THE_MACHINE,
    "models.backups.newest_done": AT_THE_COMMAND_LINE,
    "models.payments.checkouts.open_order": ON_A_PAGE,
    "models.payments.checkouts.open_subscription": ON_A_PAGE,
    "pipelines.find_duplicates.find": BY_A_FLOW,
    "pipelines.export_views.run_now": BY_A_FLOW,
    "pipelines.export_contacts.export": BY_A_FLOW,
    **dict.fromkeys(
        (
            f"pipelines.import_contacts.{what}"
            for what in ("create", "run", "go_on", "undo", "take_back", "redo", "bring_back")
        ),
        BY_A_FLOW,
    ),
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
    return {_at_home(name) for name in found}


def _at_home(name: str) -> str:
    """Under the module that defines it: models.sign_ins.end is models.sign_in_sessions.end."""
    module, _, function = name.rpartition(".")
    if not name.startswith("models."):
        return name
    try:
        one = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError):
        return name
    return f"{one.__module__}.{one.__qualname__}" if inspect.isfunction(one) or inspect.isclass(one) else name


def operations() -> set[str]:
    return {name.partition(" ")[0] for names in OPERATIONS.values() for name in names}


def test_every_operation_has_its_route_or_a_reason() -> None:
    missing = sorted(operations() - called() - WITHOUT.keys())
    assert not missing, f"Give them a route in dashboard/api, or a reason in WITHOUT: {', '.join(missing)}"


def test_no_reason_is_given_for_what_has_its_route() -> None:
    there = sorted(WITHOUT.keys() & called())
    assert not there, f"Take out of WITHOUT: {', '.join(there)}"
    assert WITHOUT.keys() <= operations(), "Take out of WITHOUT what is no operation any more"
