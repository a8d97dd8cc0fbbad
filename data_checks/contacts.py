"""The check of the contacts as they stand: runs it, stores what it found, writes the audit line."""

from pathlib import Path

from data_checks.gate import Gate
from models import audit, check_results, database
from models.audit import Event
from models.check_results import Verdict
from models.contacts.table import Contact
from models.permissions import Actor, Permission, require


def check_contacts(*, home: Path, by: Actor) -> list[Verdict]:
    """What each rule about fields that `by` may see says of the contacts; all are stored and audited, in one
    transaction.

    `home` is where a warm checker may listen. Raises NotAllowed, and what data_checks.gate.Gate.check raises.
    """
    require(by, Permission.CHECKS_RUN)
    address = database.engine().url.render_as_string(hide_password=False)
    with Gate(home) as gate:
        verdicts = gate.check(address, Contact.__tablename__)
    broken = [verdict.name for verdict in verdicts if not verdict.success]
    with database.writing(by) as session:
        check_results.store(session, verdicts, import_id=None)
        audit.write(session, Event.CHECKS_RAN, "contacts", by=by, rules=len(verdicts), broken=broken)
    return check_results.seen_by(by, verdicts)
