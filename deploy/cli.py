"""The command line: `appointment360 COMMAND`. Each command is one operation of the layers below, and its picture.

The commands import what they need when they run: Prefect, Great Expectations and DuckDB take seconds to import, and
`count` needs none of them.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from deploy import (
    cli_audit,
    cli_backups,
    cli_checks,
    cli_difference,
    cli_duplicates,
    cli_house,
    cli_imports,
    cli_jobs,
    cli_mappings,
    cli_payments,
    cli_run,
    cli_secrets,
    cli_settings,
    cli_tokens,
    cli_users,
    cli_views,
    cli_watch,
    failures,
    local,
    output,
    timed_commands,
)
from deploy.cli_options import AsOf, AsUser, Home, Json, View, Where, actor, chosen, names
from models import garbage


class ByName(typer.core.TyperGroup):
    """Its commands are listed in the order of the alphabet, so that those of one thing stand together."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx))


app = typer.Typer(
    name="appointment360",
    cls=ByName,
    help="Your contacts: import big messy files, browse, check and export them.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_imports.group, name="imports")
app.add_typer(cli_mappings.group, name="mappings")
app.add_typer(cli_watch.group, name="watch")
app.add_typer(cli_duplicates.group, name="duplicates")
app.add_typer(cli_checks.group, name="checks")
app.add_typer(cli_users.group, name="users")
app.add_typer(cli_tokens.group, name="tokens")
app.add_typer(cli_payments.group, name="payments")
app.add_typer(cli_jobs.group, name="jobs")
app.add_typer(cli_views.group, name="views")
app.add_typer(cli_audit.group, name="audit")
app.add_typer(cli_backups.group, name="backup")
app.add_typer(cli_run.group, name="run")
app.command("migrate")(cli_run.migrate)
app.add_typer(cli_settings.group, name="settings")
app.add_typer(cli_secrets.group, name="secrets")
app.command("backups")(cli_backups.listed)
app.command("drill")(cli_backups.drill)
app.command("restore")(cli_backups.restore)
app.command("house")(cli_house.house)
app.command("import")(cli_imports.import_file)
app.command("check")(cli_checks.check)
app.command("difference")(cli_difference.difference)


def main() -> None:
    """The entry point `appointment360`."""
    garbage.seldom_sought()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if "--json" in arguments:
        output.use_json()
    timed_commands.carries_out(app, arguments)
    return failures.exit_code(lambda: app(args=arguments, prog_name="appointment360", standalone_mode=False) or 0)


@app.callback()
def everywhere(home: Home = None) -> None:
    """Your contacts: import big messy files, browse, check and export them."""


@app.command()
def up(
    port: Annotated[int | None, typer.Option(help="The web's port.", min=1, max=65535, show_default="8360")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Import the sample into an empty database.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
    home: Home = None,
) -> None:
    """Run all of it on this machine; Ctrl-C stops it.

    PostgreSQL, the web, Prefect's server and its runner. A second `up`
    on the same home says where the first one runs, and exits with 0.
    """
    from deploy import up as machine

    machine.run(port=port, sample=sample, browser=not no_browser)


@app.command()
def count(
    where: Where = None,
    view: View = None,
    by: Annotated[str | None, typer.Option("--by", metavar="FIELD", help="Count each value of this field.")] = None,
    as_of: AsOf = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Count the contacts that match."""
    with local.connected():
        from models.contacts import search
        from models.permissions import OPERATOR

        wanted, _ = chosen(where, view, as_of=as_of, by=OPERATOR)
        total = search.count(wanted, by=OPERATOR)
        groups = search.count_by(wanted, by, by=OPERATOR) if by else []
    told = output.counted(total, "contact") + (f": {wanted.sentence()}" if wanted.pairs() else "")
    if output.is_json():
        listed = [{"value": _plain(value), "count": number} for value, number in groups]
        output.answer({"count": total} | ({"by": listed} if by else {}))
    elif by:
        output.table([by, "contacts"], groups, numbers=["contacts"])
        output.say(told)
    elif sys.stdout.isatty():
        output.say(told)
    else:
        output.say(str(total))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.{csv,xlsx,parquet,jsonl}", help="The file to write.")],
    where: Where = None,
    view: View = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="These fields only, in this order; else the view's, or all.")
    ] = None,
    as_of: AsOf = None,
    as_user: AsUser = None,
    raw_formulas: Annotated[
        bool,
        typer.Option(
            "--raw-formulas",
            help="Leave cells that look like formulas as they are: a spreadsheet may execute them.",
        ),
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write the matching contacts to a file."""
    with local.connected():
        from models import exports
        from pipelines import export_contacts

        by = actor(as_user)
        wanted, found = chosen(where, view, as_of=as_of, by=by)
        with output.progress() as progress:
            made = export_contacts.export(
                file.expanduser().absolute(),
                filters=wanted,
                columns=names(columns) if columns is not None or found is None else found.export_columns(),
                by=by,
                raw_formulas=raw_formulas,
                view=found and found.name,
                progress=lambda done, total: progress("export", done, total),
            )
    number, size = output.counted(made.rows, "contact"), output.bytes_shown(made.bytes)
    cost = f", {output.counted(made.credits, 'credit')}" if as_user else ""
    what = f"{number}, {wanted.as_of.words}," if wanted.as_of else number
    output.answer_or_say(exports.receipt(made), f"{what} in {made.path} ({size}, {made.seconds:.1f} s{cost})")


@app.command()
def report(as_json: Json = False, home: Home = None) -> None:
    """Report how the database and what is asked of it perform.

    What it suggests was tried on a copy; findings are a result, not an
    error: the exit code is 0."""
    with local.connected():
        from models.performance import texts
        from models.permissions import OPERATOR
        from pipelines import report_performance

        made = report_performance.now(told=lambda step: output.note(f"{step} ..."), by=OPERATOR)
    if output.is_json():
        answer = {"report_id": made.id, "made_at": made.made_at.isoformat(), **made.report.model_dump(mode="json")}
        output.answer(answer)
    else:
        output.say(texts.page(made.report))


def _plain(value: Any) -> Any:
    """Money as a JSON number, whole where it is whole."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


if __name__ == "__main__":
    main()
