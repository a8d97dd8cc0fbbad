"""What stands out about an import, on a terminal: shown, accepted with a reason, and that taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.import_findings import Finding

ASKED = "Why is the file right all the same? (Enter leaves it planned)"


def accept(
    import_id: Annotated[int, typer.Argument(metavar="ID", min=1)],
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="REASON", help="Why the file is right all the same; it is kept.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="It is an exception: later imports are not compared with it.")
    ] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the acceptance back.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Accept what stands out about a planned import, so that it can be committed."""
    if (reason is None) == (not withdraw):
        raise typer.BadParameter('give either --reason "...", or --withdraw.')
    with local.connected():
        from models import import_acceptances

        if reason is None:
            import_acceptances.withdraw(import_id, by=OPERATOR)
        else:
            import_acceptances.accept(import_id, reason, once=once, by=OPERATOR)
        found = {"import_id": import_id} | told(import_id)
    if reason is None:
        output.answer_or_say(found, f"What stands out about import {import_id} is accepted no more.")
        return
    output.answer_or_say(found, f"What stands out about import {import_id} is accepted.")
    output.note(f"To commit it: appointment360 imports resume {import_id}")


def way_to_commit(import_id: int) -> str:
    """The command that is next for a plan: where something stands out that nobody accepted, a commit would refuse."""
    from models import import_acceptances
    from models.database import reading

    with reading() as session:
        missing = import_acceptances.missing_from(session, import_id)
    if missing:
        return f'To accept what stands out: appointment360 imports accept {import_id} --reason "..."'
    return f"To commit it: appointment360 imports resume {import_id}"


def accept_what_stands_out(import_id: int, reason: str | None) -> None:
    """Accept it for the reason, or for the one that a person at the terminal gives; without one nothing is accepted,
    and the commit says so."""
    from models import import_acceptances, import_findings
    from models.database import reading

    with reading() as session:
        missing = import_acceptances.missing_from(session, import_id)
    if not missing:
        return
    if reason is None and output.asks():
        reason = typer.prompt(ASKED, default="", show_default=False, err=True) or None
    if reason is not None:
        seen = import_findings.digest(import_findings.listed(import_id, by=OPERATOR))
        import_acceptances.accept(import_id, reason, seen=seen, by=OPERATOR)


def show(import_id: int) -> None:
    """What stands out, whether somebody accepted it, and with what it was compared."""
    from models import import_acceptances, import_findings, import_profiles

    findings = import_findings.listed(import_id, by=OPERATOR)
    compared = import_profiles.compared(import_id, by=OPERATOR)
    if findings:
        output.say("What stands out:", style="bold")
        output.table(["how much", "what"], [(one.severity.value, _in_words(one)) for one in findings])
    elif compared and compared.imports:
        before = "import" if len(compared.imports) == 1 else "imports"
        output.say(f"Nothing stands out beside {len(compared.imports)} accepted {before} before it.")
    if compared and compared.why:
        output.say(compared.why)
    accepted = import_acceptances.find(import_id, by=OPERATOR)
    if accepted:
        again = "" if accepted.is_whole else " By now there is more, or it is worse."
        output.say(
            f"Accepted by {accepted.by_name} on {output.shown(accepted.at)}: {accepted.reason}.{again}".replace(
                "..", "."
            )
        )


def told(import_id: int) -> dict[str, Any]:
    """For programs: the findings, where there are any, and who accepted them."""
    from models import import_acceptances, import_findings

    findings = import_findings.listed(import_id, by=OPERATOR)
    if not findings:
        return {}
    accepted = import_acceptances.find(import_id, by=OPERATOR)
    kept = ("reason", "by_name", "at", "once")
    told = ("name", "field", "severity", "stops", "sentence")
    return {
        "findings": [{name: getattr(one, name) for name in told} for one in findings],
        "accepted": {name: getattr(accepted, name) for name in kept} if accepted else None,
    }


def _in_words(one: Finding) -> str:
    values = list(dict.fromkeys(str(value) for value, _ in one.details.get("examples", ())))[:3]
    return f"{one.sentence} Such as {', '.join(values)}." if values else one.sentence
