"""`python -m tests.production.lost_site`: a site with contacts and people, one of whom has a second factor, in the
empty database of DATABASE_URL, with a stored file, and its backup; what is to be found again, as JSON."""

import json
import os

import pyotp

from models import database, migrations, second_factors, settings
from models.contacts import search
from models.filters import Filters
from models.permissions import OPERATOR, Role
from pipelines import back_up
from tests import people
from tests.dashboard import contacts_data

UPLOAD = "what somebody sent"
ADMIN, PERSON = "ann@example.com", "pia@example.com"


def main() -> None:
    migrations.upgrade(os.environ["DATABASE_URL"])
    database.bind(os.environ["DATABASE_URL"])
    contacts_data.fill()
    people.person(email=ADMIN, name="Ann", role=Role.ADMIN)
    pia = people.person(email=PERSON, name="Pia", role=Role.MANAGER).actor()
    begun = second_factors.begin(by=pia)
    second_factors.confirm(pyotp.TOTP(begun.secret).now(), by=pia)
    upload = settings.home() / "imports" / "1" / "upload"
    upload.mkdir(parents=True)
    (upload / "leads.csv").write_text(UPLOAD)
    back_up.make(by=OPERATOR, drilled=False)
    print(json.dumps({"contacts": search.count(Filters(), by=OPERATOR), "factor": begun.secret, "upload": UPLOAD}))


if __name__ == "__main__":
    main()
