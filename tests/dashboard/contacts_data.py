"""Contacts to look at: a few hundred generated rows, the same every time."""

import random
from decimal import Decimal

from sqlalchemy import insert

from models.contacts.table import EMAIL_STATUSES, SENIORITIES, Contact
from models.database import writing
from models.industries import Industry
from models.permissions import OPERATOR

FIRST = ["Oscar", "Diego", "Rosa", "Zanele", "Henrik", "Björn", "Arjun", "Eva", "Mira", "Freya", "Ethan", "Zoë"]
LAST = ["Fernández", "Martin", "Hughes", "Evans", "Chen", "Pereira", "Fischer", "Müller", "Andersson", "Murphy"]
COMPANIES = ["Brightstone", "Meridianpoint", "Summitfield Ltd", "Deltapath", "Brightpath GmbH", "Copperline Group"]
COUNTRIES = ["Germany", "France", "India", "United States", "Brazil"]
INDUSTRIES = ["Software", "Logistics", "Health care", "Banking"]
TAGS = ["newsletter", "conference 2026", "do not call"]
ROWS = 320


def fill() -> int:
    """Put ROWS contacts into the bound database; returns how many of them are in Germany."""
    chance = random.Random(360)
    with writing(OPERATOR) as session:
        names = [{"name": name} for name in INDUSTRIES]
        industries = list(session.scalars(insert(Industry).returning(Industry.id), names))
        rows = [_contact(number, chance, industries) for number in range(ROWS)]
        session.execute(insert(Contact), rows)
    return sum(row["country"] == "Germany" for row in rows)


def _contact(number: int, chance: random.Random, industries: list[int]) -> dict[str, object]:
    first, last, company = chance.choice(FIRST), chance.choice(LAST), chance.choice(COMPANIES)
    return {
        "first_name": first,
        "last_name": last,
        "title": chance.choice(["VP Sales", "VP Marketing", "Chief Marketing Officer", "Engineer", "Head of IT"]),
        "seniority": chance.choice(SENIORITIES),
        "company": company,
        "email": f"person{number}@{company.split()[0].lower()}.example",
        "email_status": chance.choice(EMAIL_STATUSES),
        "mobile_phone": f"+49301234{number:04}" if number % 3 else None,
        "country": chance.choice(COUNTRIES),
        "city": chance.choice(["Berlin", "Paris", "Pune", "Boston"]),
        "employees": chance.choice([None, 6, 25, 124, 770, 14_669]),
        "annual_revenue": chance.choice([None, Decimal(160_000), Decimal(9_300_000), Decimal(602_000_000)]),
        "industry_id": chance.choice([*industries, None]),
        "tags": chance.choice([None, TAGS[:1], TAGS[1:]]),
        "website": f"https://{company.split()[0].lower()}.example",
    }
