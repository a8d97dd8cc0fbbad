from pathlib import Path

import pytest
from sqlalchemy import insert, select

from data_checks.contact_suite import rules
from data_checks.contacts import check_contacts
from models import check_results
from models.audit import AuditLine
from models.contacts.table import Contact
from models.database import reading, writing
from models.errors import NotAllowed
from models.permissions import Actor, Role

MANAGER = Actor(7, "A manager", Role.MANAGER)


@pytest.fixture
def three_contacts(db: str, operator: Actor) -> str:
    with writing(operator) as session:
        session.execute(
            insert(Contact),
            [
                {"first_name": "Ann", "email": "ann@example.com", "employees": 5},
                {"first_name": "Ben", "email": "ben at example.com", "employees": -5},
                {"first_name": None, "email": None, "employees": None},
            ],
        )
    return db


def test_verdicts_are_stored_with_the_audit_line(three_contacts: str, warm: Path) -> None:
    verdicts = check_contacts(home=warm, by=MANAGER)
    assert [one.name for one in verdicts] == [rule.name for rule in rules()]
    broken = ["row_has_name_email_or_company", "email_is_an_address", "employees_is_plausible"]
    assert [one.name for one in verdicts if one.failing == 1 and not one.success] == broken
    with reading() as session:
        stored = session.scalars(select(check_results.CheckResult).order_by(check_results.CheckResult.id)).all()
        assert [(one.name, one.failing, one.import_id) for one in stored] == [
            (one.name, one.failing, None) for one in verdicts
        ]
        [line] = session.scalars(select(AuditLine)).all()
        assert (line.event, line.subject, line.actor_id) == ("checks ran", "contacts", MANAGER.id)
        assert line.details == {"rules": len(rules()), "broken": broken}


def test_analysts_do_not_run_checks(three_contacts: str, warm: Path) -> None:
    with pytest.raises(NotAllowed, match="You may not run data checks: that needs the role admin or manager"):
        check_contacts(home=warm, by=Actor(8, "An analyst", Role.ANALYST))
    with reading() as session:
        assert session.scalars(select(check_results.CheckResult)).all() == []
