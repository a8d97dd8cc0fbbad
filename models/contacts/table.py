"""The contacts table: every field, declared once, and the columns that the system keeps beside them."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, Integer, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base
from models.fields import Derived, Field, Group, Kind, beside, field

SEARCHED = ("first_name", "last_name", "title", "company", "email", "website")  # what free text looks into
EMAIL_STATUSES = ("Verified", "Unverified", "Invalid", "Unavailable", "Extrapolated", "Guessed", "Likely to engage")
SENIORITIES = (
    "Owner", "Founder", "C suite", "Partner", "VP", "Head", "Director", "Manager", "Senior", "Entry", "Intern",
)  # fmt: skip
# An index holds 2,704 bytes of a row: so many characters of four bytes each, of two columns beside a short one.
LONGEST = 300
SHORT = 30
STATUSES = ("active", "do not contact", "archived")
# Everybody has a name, and most of a language's names are few: where other words stand there, columns were swapped.
NAMES = {"empty": 0.1, "new": None, "swapped": 0.3}


class Contact(Base):
    """One business contact. Empty is always NULL: no empty strings, no empty lists."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)

    first_name: Mapped[str | None] = field(
        "First Name", Group.PERSON, Kind.TEXT,
        "Given Name", "Forename", "FName", "Vorname", "Prénom", "Nombre", "Nome", "Voornaam",
        drift=NAMES,
        example="Ann",
    )  # fmt: skip
    last_name: Mapped[str | None] = field(
        "Last Name", Group.PERSON, Kind.TEXT,
        "Family Name", "Surname", "LName", "Nachname", "Familienname", "Nom", "Nom de famille", "Apellidos", "Apellido",
        "Cognome", "Achternaam",
        longest=LONGEST, drift=NAMES,
        example="Archer",
    )  # fmt: skip
    title: Mapped[str | None] = field(
        "Title", Group.PERSON, Kind.TEXT,
        "Job Title", "Position", "Organization Title", "Organization 1 - Title", "Title", "Occupation", "Job Role",
        "Berufsbezeichnung", "Poste", "Fonction", "Cargo", "Role",
        example="Head of Sales",
    )  # fmt: skip
    seniority: Mapped[str | None] = field(
        "Seniority", Group.PERSON, Kind.CHOICE, "Seniority Level", choices=SENIORITIES, longest=LONGEST
    )
    departments: Mapped[list[str] | None] = field(
        "Departments", Group.PERSON, Kind.LIST,
        "Department", "Organization Department", "Organization 1 - Department", "Abteilung",
        longest=LONGEST,
        example=["Sales", "Marketing"],
    )  # fmt: skip

    email: Mapped[str | None] = field(
        "Email", Group.REACH, Kind.EMAIL,
        "Email Address", "E-mail 1 - Value", "Email 1", "Work Email", "Business Email", "Primary Email",
        "Mail", "E-Mail-Adresse", "Adresse e-mail", "Correo electrónico", "Security contact email",
        shown="E-mail",
    )  # fmt: skip
    email_status: Mapped[str | None] = field(
        "Email Status", Group.REACH, Kind.CHOICE, choices=EMAIL_STATUSES, longest=SHORT, shown="E-mail status"
    )
    primary_email_catch_all_status: Mapped[str | None] = field(
        "Primary Email Catch-all Status", Group.REACH, Kind.CHOICE, choices=("Catch-all", "Not Catch-all")
    )
    work_direct_phone: Mapped[str | None] = field(
        "Work Direct Phone", Group.REACH, Kind.PHONE,
        "Business Phone", "Work Phone", "Direct Phone", "Phone 1 - Value", "Phone 1", "Phone Number", "Phone",
        "Telephone", "Tel", "Telefon geschäftlich", "Telefon", "Téléphone", "Teléfono", "capitol_voice",
        "Primary Phone", "Haupttelefon",
    )  # fmt: skip
    home_phone: Mapped[str | None] = field("Home Phone", Group.REACH, Kind.PHONE, "Telefon privat", "Private Phone")
    mobile_phone: Mapped[str | None] = field(
        "Mobile Phone", Group.REACH, Kind.PHONE,
        "Mobile", "Mobile Number", "Mobile Phone Number", "Cell", "Cell Phone", "Mobiltelefon", "Mobil", "Handy",
    )  # fmt: skip
    corporate_phone: Mapped[str | None] = field(
        "Corporate Phone", Group.REACH, Kind.PHONE, "Company Main Phone", "Main Phone", "Telefon Firma"
    )
    other_phone: Mapped[str | None] = field(
        "Other Phone", Group.REACH, Kind.PHONE,
        "Weiteres Telefon", "Phone 2 - Value", "Phone 2", "Business Phone 2", "Telefon geschäftlich 2",
        "district_voice",
    )  # fmt: skip

    company: Mapped[str | None] = field(
        "Company", Group.COMPANY, Kind.TEXT,
        "Company Name", "Organization Name", "Organization 1 - Name", "Organization", "Organisation", "Account Name",
        "Associated Company", "Primary Associated Company", "Current Company", "Employer", "Firma", "Unternehmen",
        "Firmenname", "Entreprise", "Société", "Empresa", "Azienda",
        longest=LONGEST,
        example="Acme GmbH",
    )  # fmt: skip
    company_name_for_emails: Mapped[str | None] = field("Company Name for Emails", Group.COMPANY, example="Acme")
    industry_id: Mapped[int | None] = field(
        "Industry", Group.COMPANY, Kind.INDUSTRY, "Company Industry", "Branche", longest=LONGEST
    )
    employees: Mapped[int | None] = field(
        "# Employees", Group.COMPANY, Kind.WHOLE,
        "Number of Employees", "No. of Employees", "Employee Count", "Company Size", "Headcount", "Mitarbeiter",
    )  # fmt: skip
    stage: Mapped[str | None] = field(
        "Stage", Group.COMPANY, Kind.TEXT,
        "Lifecycle Stage", "Deal Stage", "Lead Status", beside("Status", "IsConverted"),
        example="Warm",
    )  # fmt: skip
    website: Mapped[str | None] = field(
        "Website", Group.COMPANY, Kind.URL,
        "Web Page", "Website 1 - Value", "Company Website", "Website URL", "Company URL", "Homepage", "Webseite",
        "Site web", "Company Domain Name", "Company Domain", "Domain Name", "Domain", "URL",
        example="https://www.example.com",
    )  # fmt: skip

    annual_revenue: Mapped[Decimal | None] = field(
        "Annual Revenue", Group.FINANCE, Kind.MONEY, "Company Revenue", "Revenue", "Jahresumsatz", shown="Revenue"
    )
    total_funding: Mapped[Decimal | None] = field("Total Funding", Group.FINANCE, Kind.MONEY, "Total Money Raised")
    latest_funding: Mapped[str | None] = field("Latest Funding", Group.FINANCE, Kind.TEXT, example="Series A")
    latest_funding_amount: Mapped[Decimal | None] = field("Latest Funding Amount", Group.FINANCE, Kind.MONEY)
    last_raised_at: Mapped[date | None] = field("Last Raised At", Group.FINANCE, Kind.DATE)

    city: Mapped[str | None] = field(
        "City", Group.LOCATION, Kind.TEXT,
        "Contact City", "Mailing City", "Home City", "Address 1 - City", "Ort privat", "Stadt", "Ort", "Town", "Ville",
        "Ciudad",
        example="Berlin",
    )  # fmt: skip
    state: Mapped[str | None] = field(
        "State", Group.LOCATION, Kind.TEXT,
        "State/Province", "State/Region", "Contact State", "Mailing State/Province", "Mailing State", "Home State",
        "Address 1 - Region", "Bundesland/Kanton privat", "Region privat", "Bundesland", "Province", "Region",
        beside("REGION", "LEID"),
        example="Berlin",
    )  # fmt: skip
    country: Mapped[str | None] = field(
        "Country", Group.LOCATION, Kind.TEXT,
        "Country/Region", "Contact Country", "Mailing Country", "Home Country", "Home Country/Region",
        "Address 1 - Country", "Land/Region privat", "Land privat", "Land/Region", "Land", "Pays", "País",
        beside("CC", "LEID"),
        longest=LONGEST,
        example="Germany",
    )  # fmt: skip
    postal_code: Mapped[str | None] = field(
        "Postal Code", Group.LOCATION, Kind.TEXT,
        "Zip", "Zip Code", "Zip/Postal Code", "Mailing Zip/Postal Code", "Mailing Postal Code", "Home Postal Code",
        "Address 1 - Postal Code", "Postcode", "Postleitzahl privat", "Postleitzahl", "PLZ", "Code postal",
        "Código postal",
        example="10115",
    )  # fmt: skip

    company_address: Mapped[str | None] = field(
        "Company Address", Group.COMPANY_LOCATION, Kind.TEXT,
        "Company Street", "Business Street", "Street", "Street Address", "Mailing Street", "capitol_address",
        "Business Address", "Straße geschäftlich", "Address",
        example="Chausseestraße 5",
    )  # fmt: skip
    company_city: Mapped[str | None] = field(
        "Company City",
        Group.COMPANY_LOCATION,
        Kind.TEXT,
        "Business City",
        "Billing City",
        "Ort geschäftlich",
        example="Berlin",
    )
    company_state: Mapped[str | None] = field(
        "Company State", Group.COMPANY_LOCATION, Kind.TEXT,
        "Business State", "Billing State", "Billing State/Province", "Bundesland/Kanton geschäftlich",
        "Region geschäftlich",
        example="Berlin",
    )  # fmt: skip
    company_country: Mapped[str | None] = field(
        "Company Country", Group.COMPANY_LOCATION, Kind.TEXT,
        "Business Country", "Business Country/Region", "Billing Country", "Land/Region geschäftlich",
        "Land geschäftlich",
        example="Germany",
    )  # fmt: skip
    company_phone: Mapped[str | None] = field(
        "Company Phone", Group.COMPANY_LOCATION, Kind.PHONE, "Company Phone Number"
    )

    technologies: Mapped[list[str] | None] = field(
        "Technologies", Group.SIGNALS, Kind.LIST, longest=LONGEST, example=["Salesforce", "AWS"]
    )
    keywords: Mapped[list[str] | None] = field(
        "Keywords", Group.SIGNALS, Kind.LIST, "Stichwörter", longest=LONGEST, example=["logistics", "retail"]
    )

    person_linkedin_url: Mapped[str | None] = field(
        "Person Linkedin Url", Group.LINKS, Kind.URL,
        "LinkedIn Url", "LinkedIn", "LinkedIn Profile", "LinkedIn Profile URL", "LinkedIn Link", "Contact LinkedIn URL",
        beside("URL", "Connected On"), beside("URL", "Verbunden am"), beside("URL", "Vernetzt am"),
        profile="https://www.linkedin.com/in/",
        longest=LONGEST,
        example="https://www.linkedin.com/in/annarcher",
    )  # fmt: skip
    company_linkedin_url: Mapped[str | None] = field(
        "Company Linkedin Url", Group.LINKS, Kind.URL,
        "Company LinkedIn", "LinkedIn Company Page", "LinkedIn Company URL",
        profile="https://www.linkedin.com/company/",
        example="https://www.linkedin.com/company/acme",
    )  # fmt: skip
    facebook_url: Mapped[str | None] = field(
        "Facebook Url",
        Group.LINKS,
        Kind.URL,
        "Facebook",
        "Facebook Page",
        profile="https://www.facebook.com/",
        example="https://www.facebook.com/acme",
    )
    twitter_url: Mapped[str | None] = field(
        "Twitter Url",
        Group.LINKS,
        Kind.URL,
        "Twitter",
        "Twitter Handle",
        "Twitter Username",
        "X (Twitter)",
        "X URL",
        profile="https://twitter.com/",
        example="https://twitter.com/acme",
    )

    contact_id: Mapped[str | None] = field(
        "Apollo Contact Id", Group.EXTERNAL, Kind.TEXT,
        "Contact Id", "Lead Id", "Record ID", "External Id", "bioguide_id", "bioguide", beside("Id", "IsDeleted"),
        beside("id", "current_chamber"),
        longest=LONGEST,
        example="5f2a9c0b7e61d80001a4c3de",
    )  # fmt: skip
    account_id: Mapped[str | None] = field(
        "Apollo Account Id", Group.EXTERNAL, Kind.TEXT,
        "Account Id", "Account Name.id", "Company Id", "Primary Associated Company ID", "Associated Company IDs",
        "Apollo Record Id",
        example="5f2a9c0b7e61d80001a4c3aa",
    )  # fmt: skip

    notes: Mapped[str | None] = field(
        "Notes", Group.OURS, Kind.TEXT,
        "Note", "Comments", "Comment", "Description", "Biography", "Bio", "Notizen", "Bemerkungen",
        drift={"empty": 0.5, "shape": 2.0, "new": None, "most": 0.75, "changed": None},
        example="Met at the fair in Hanover.",
    )  # fmt: skip
    tags: Mapped[list[str] | None] = field(
        "Lists", Group.OURS, Kind.LIST,
        "List", "Tags", "Tag", "Labels", "Label", "Categories", "Group Membership", "Kategorien",
        longest=LONGEST, shown="Tags",
        example=["Newsletter", "VIP"],
    )  # fmt: skip
    status: Mapped[str | None] = field("Status", Group.OURS, Kind.CHOICE, choices=STATUSES)
    is_active: Mapped[bool | None] = field("Is Active", Group.OURS, Kind.FLAG, "Active", "Aktiv")
    owner_id: Mapped[int | None] = field("Contact Owner", Group.OURS, Kind.OWNER, "Owner", "Lead Owner", "Record Owner")

    extra: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_by: Mapped[int | None] = mapped_column(Integer)
    import_id: Mapped[int | None] = mapped_column(Integer)
    import_line: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        # The three keys that matching looks contacts up by; partial, since most rows have only one or two of them.
        Index("contacts_email", "email", postgresql_where=text("email IS NOT NULL")),
        Index("contacts_contact_id", "contact_id", postgresql_where=text("contact_id IS NOT NULL")),
        Index(
            "contacts_linkedin",
            text("lower(person_linkedin_url)"),
            postgresql_where=text("person_linkedin_url IS NOT NULL"),
        ),
        # Somebody who types a name and a company is told who may be meant, and programs page in these two orders.
        Index("contacts_last_name", "last_name", "id"),
        Index("contacts_company", "company", "id"),
        # Merging an industry, and the rules that ask which of them are in use.
        Index("contacts_industry", "industry_id"),
        # What only people who browse would need is in the mirror: an index costs every import.
    )


def _declared() -> dict[str, Field]:
    found = {}
    for column in Contact.__table__.columns:
        if declared := column.info.get("field"):
            name = column.name.removesuffix("_id") if declared.kind in (Kind.INDUSTRY, Kind.OWNER) else column.name
            found[name] = replace(declared, name=name, column=column.name)
    return found


FIELDS: dict[str, Field] = _declared()
FULL_NAME = "full_name"  # may be mapped in an import: it is split where the file has no first and last name
FULL_NAME_HEADERS = (
    "Name", "Contact Name", "Lead Name", "Person Name", "Display Name", "Contact", "Vollständiger Name", "Nom complet",
    "Nombre completo",
)  # fmt: skip
ABOUT_EMAIL = {"email": ("email_status", "primary_email_catch_all_status")}
"""Columns that tell of the value of another: somebody found out whether mail to that very address arrives. Whatever
changes it leaves nothing of them that it does not say itself."""
# Headers of what exports add of the system's own. No field takes them, and no import brings them back: the number and
# the moments of a contact are given here.
SYSTEM_HEADERS = {
    "id": "Appointment360 Number", "created_at": "Appointment360 Added", "updated_at": "Appointment360 Changed",
}  # fmt: skip
SYSTEM_COLUMNS = ("id", "extra", "created_at", "updated_at", "created_by", "import_id", "import_line")
DERIVED = {
    FULL_NAME: Derived("Name", ("first_name", "last_name")),
    "location": Derived("Location", ("city", "state", "country")),
}
