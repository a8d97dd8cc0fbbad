"""Made-up contact files in Apollo's columns: seeded, of any length, with 2 % bad rows and 5 % duplicates."""

from pathlib import Path

import duckdb

OWNER = "owner@example.com"  # a person of the company, as the owners in its files are
BAD_SHARE = 0.02
DUPLICATE_SHARE = 0.05

FIRST_NAMES = [
    "Ada",
    "Ben",
    "Chloe",
    "Dev",
    "Elena",
    "Femi",
    "Greta",
    "Hugo",
    "Ines",
    "Jun",
    "Kofi",
    "Lena",
    "Mateo",
    "Noor",
    "Olga",
    "Priya",
    "Quinn",
    "Rosa",
    "Sven",
    "Tara",
]
LAST_NAMES = [
    "Abara",
    "Brandt",
    "Costa",
    "Diaz",
    "Evans",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ito",
    "Jones",
    "Kim",
    "Lopez",
    "Meyer",
    "Novak",
    "Okafor",
    "Patel",
]
WORDS = [
    "Blue",
    "North",
    "Delta",
    "Prime",
    "Solar",
    "Vertex",
    "Atlas",
    "Harbor",
    "Summit",
    "Cedar",
    "Nova",
    "Quantum",
    "River",
    "Stone",
    "Bright",
    "Orbit",
]
SUFFIXES = ["Systems", "Labs", "Group", "Works", "Foods", "Logistics", "Health", "Energy", "Media", "Partners"]
TITLES = [
    "Account Manager",
    "VP Sales",
    "Chief Financial Officer",
    "Data Engineer",
    "Head of Marketing",
    "Buyer",
    "Director of IT",
]
SENIORITIES = ["C suite", "VP", "Director", "Manager", "Senior", "Entry"]
DEPARTMENTS = ["Sales", "Engineering", "Finance", "Marketing, Sales", "Operations"]
INDUSTRIES = [
    f"{a} {b}"
    for a in ["Computer", "Medical", "Food", "Retail", "Energy", "Media", "Legal", "Travel"]
    for b in ["Software", "Services", "Devices", "Goods"]
]
PLACES = [
    ("Berlin", "Berlin", "Germany"), ("Paris", "Ile-de-France", "France"), ("Austin", "Texas", "United States"),
    ("Pune", "Maharashtra", "India"), ("Leeds", "England", "United Kingdom"), ("Osaka", "Osaka", "Japan"),
    ("São Paulo", "São Paulo", "Brazil"), ("Toronto", "Ontario", "Canada"),
]  # fmt: skip
TECHNOLOGIES = ["Salesforce", "AWS", "Python", "React", "Snowflake", "SAP", "Oracle", "Slack", "Stripe", "Kafka"]
FUNDINGS = ["Seed", "Series A", "Series B", "Series C", ""]


def _one_of(values: list[str], salt: str) -> str:
    """SQL that picks one of `values` by the row's number: the same for the same row, whatever the length."""
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"([{listed}])[1 + (hash(n, '{salt}') % {len(values)})::INTEGER]"


def _number(below: int, salt: str) -> str:
    return f"(hash(n, '{salt}') % {below})::BIGINT"


def _columns(seed: int) -> dict[str, str]:
    place = f"{_number(len(PLACES), 'place')}"
    pick = {
        part: "([" + ", ".join(f"'{entry[index]}'" for entry in PLACES) + f"])[1 + {place}::INTEGER]"
        for index, part in enumerate(("city", "state", "country"))
    }
    phone = f"'''+1 ' || (200 + {_number(700, 'p1')}) || ' 555 ' || lpad({_number(10000, 'p2')}::VARCHAR, 4, '0')"
    company = f"{_one_of(WORDS, 'c1')} || ' ' || {_one_of(SUFFIXES, 'c2')} || ' ' || {_number(90000, 'c3')}"
    domain = f"lower(replace({company}, ' ', '')) || '.example.com'"
    return {
        "First Name": _one_of(FIRST_NAMES, "first"),
        "Last Name": _one_of(LAST_NAMES, "last"),
        "Title": _one_of(TITLES, "title"),
        "Company": company,
        "Company Name for Emails": _one_of(WORDS, "c1"),
        "Email": f"CASE WHEN kind = 'bad' THEN 'no address ' || n ELSE 'person' || n || '.{seed}@' || {domain} END",
        "Email Status": "CASE WHEN n % 7 = 0 THEN 'Unavailable' ELSE 'Verified' END",
        "Seniority": _one_of(SENIORITIES, "seniority"),
        "Departments": _one_of(DEPARTMENTS, "departments"),
        "Contact Owner": f"'{OWNER}'",
        "Work Direct Phone": f"CASE WHEN n % 3 = 0 THEN {phone} ELSE '' END",
        "Home Phone": "''",
        "Mobile Phone": f"CASE WHEN n % 2 = 0 THEN {phone} ELSE '' END",
        "Corporate Phone": phone,
        "Other Phone": "''",
        "Stage": "CASE WHEN n % 5 = 0 THEN 'Warm' ELSE 'Cold' END",
        "Lists": "CASE WHEN n % 4 = 0 THEN 'Spring fair, Newsletter' ELSE '' END",
        "# Employees": f"(5 + {_number(20000, 'employees')})::VARCHAR",
        "Industry": _one_of(INDUSTRIES, "industry"),
        "Keywords": f"{_one_of(WORDS, 'k1')} || ', ' || {_one_of(SUFFIXES, 'k2')} || ', ' || {_one_of(WORDS, 'k3')}",
        "Person Linkedin Url": f"'http://www.linkedin.com/in/person-{seed}-' || n",
        "Website": f"'http://www.' || {domain}",
        "Company Linkedin Url": f"'http://www.linkedin.com/company/' || lower(replace({company}, ' ', '-'))",
        "Facebook Url": "''",
        "Twitter Url": "''",
        "City": pick["city"],
        "State": pick["state"],
        "Country": pick["country"],
        "Company Address": f"{_number(900, 'street')} || ' Main Street, ' || {pick['city']}",
        "Company City": pick["city"],
        "Company State": pick["state"],
        "Company Country": pick["country"],
        "Company Phone": phone,
        "Technologies": " || ', ' || ".join(_one_of(TECHNOLOGIES, salt) for salt in ("t1", "t2", "t3")),
        "Annual Revenue": f"({_number(900, 'revenue')} * 100000)::VARCHAR",
        "Total Funding": f"({_number(90, 'funding')} * 1000000)::VARCHAR",
        "Latest Funding": _one_of(FUNDINGS, "round"),
        "Latest Funding Amount": f"({_number(50, 'amount')} * 100000)::VARCHAR",
        "Last Raised At": f"(DATE '2015-01-01' + {_number(3000, 'raised')}::INTEGER)::VARCHAR",
        "Apollo Contact Id": f"md5('{seed}-' || n)[:24]",
    }


COLUMNS = tuple(_columns(0))


def write(path: Path, rows: int, *, seed: int = 1, first: int = 0) -> None:
    """A CSV of `rows` rows numbered from `first`: each 50th has a broken e-mail, each 20th repeats the one before."""
    columns = ", ".join(f'{expression} AS "{name}"' for name, expression in _columns(seed).items())
    bad, again = round(1 / BAD_SHARE), round(1 / DUPLICATE_SHARE)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""COPY (
                SELECT {columns} FROM (
                    SELECT CASE WHEN i % {again} = {again - 1} THEN i - 1 ELSE i END AS n,
                           CASE WHEN i % {bad} = {bad - 10} THEN 'bad' ELSE 'good' END AS kind
                    FROM range({first}, {first + rows}) AS numbers(i)))
                TO '{path}' (HEADER, DELIMITER ',')"""
        )
