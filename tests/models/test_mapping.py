"""Vendor by vendor, header by header: the field that a person would expect; every header not named goes to extra."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from models.contacts.mapping import TARGETS, aliases, changed, plain, propose
from models.contacts.table import FIELDS
from models.errors import InvalidInput

APOLLO = {
    "First Name": "first_name", "Last Name": "last_name", "Title": "title", "Company": "company",
    "Company Name for Emails": "company_name_for_emails", "Email": "email", "Email Status": "email_status",
    "Primary Email Catch-all Status": "primary_email_catch_all_status", "Seniority": "seniority",
    "Departments": "departments", "Contact Owner": "owner", "Work Direct Phone": "work_direct_phone",
    "Home Phone": "home_phone", "Mobile Phone": "mobile_phone", "Corporate Phone": "corporate_phone",
    "Other Phone": "other_phone", "Stage": "stage", "Lists": "tags", "# Employees": "employees",
    "Industry": "industry", "Keywords": "keywords", "Person Linkedin Url": "person_linkedin_url",
    "Website": "website", "Company Linkedin Url": "company_linkedin_url", "Facebook Url": "facebook_url",
    "Twitter Url": "twitter_url", "City": "city", "State": "state", "Country": "country",
    "Company Address": "company_address", "Company City": "company_city", "Company State": "company_state",
    "Company Country": "company_country", "Company Phone": "company_phone", "Technologies": "technologies",
    "Annual Revenue": "annual_revenue", "Total Funding": "total_funding", "Latest Funding": "latest_funding",
    "Latest Funding Amount": "latest_funding_amount", "Last Raised At": "last_raised_at",
    "Apollo Contact Id": "contact_id", "Apollo Account Id": "account_id",
}  # fmt: skip
APOLLO_2025 = {("Company Name" if header == "Company" else header): name for header, name in APOLLO.items()}
NAMES = {"First Name": "first_name", "Last Name": "last_name"}
SALESFORCE = {
    **NAMES, "Title": "title", "Mailing Street": "company_address", "Mailing City": "city",
    "Mailing State/Province": "state", "Mailing Zip/Postal Code": "postal_code", "Mailing Country": "country",
    "Phone": "work_direct_phone", "Email": "email", "Account Name": "company",
}  # fmt: skip
OUTLOOK = {
    **NAMES, "Web Page": "website", "Notes": "notes", "E-mail Address": "email", "Home Phone": "home_phone",
    "Mobile Phone": "mobile_phone", "Home City": "city", "Home State": "state", "Home Postal Code": "postal_code",
    "Business Phone": "work_direct_phone", "Company": "company", "Job Title": "title", "Department": "departments",
    "Business Street": "company_address", "Business City": "company_city", "Business State": "company_state",
    "Categories": "tags",
}  # fmt: skip
HUBSPOT = {
    **NAMES, "Record ID": "contact_id", "Email": "email", "Phone Number": "work_direct_phone",
    "Contact owner": "owner", "Associated Company": "company",
}  # fmt: skip
MAILCHIMP = {**NAMES, "CC": "country", "REGION": "state", "NOTES": "notes"}

VENDORS = {
    "apollo_contacts_2025": APOLLO_2025,
    "apollo_contacts_2024": APOLLO,
    "apollo_accounts_subset": {
        "Company Name": "company", "Company Name for Emails": "company_name_for_emails", "# Employees": "employees",
        "Industry": "industry", "Website": "website", "Company Linkedin Url": "company_linkedin_url",
        "Company Country": "company_country", "Keywords": "keywords", "Apollo Record Id": "account_id",
    },
    "linkedin_connections_en": {
        **NAMES, "URL": "person_linkedin_url", "Email Address": "email", "Company": "company", "Position": "title",
    },
    "google_contacts_2024": {
        **NAMES, "Organization Name": "company", "Organization Title": "title",
        "Organization Department": "departments", "Notes": "notes", "Labels": "tags", "E-mail 1 - Value": "email",
        "Phone 1 - Value": "work_direct_phone", "Phone 2 - Value": "other_phone", "Address 1 - City": "city",
        "Address 1 - Region": "state", "Address 1 - Postal Code": "postal_code", "Address 1 - Country": "country",
        "Website 1 - Value": "website",
    },
    "google_contacts_old_2018_2023": {
        "Given Name": "first_name", "Family Name": "last_name", "Occupation": "title", "Notes": "notes",
        "Group Membership": "tags", "E-mail 1 - Value": "email", "Phone 1 - Value": "work_direct_phone",
        "Phone 2 - Value": "other_phone",
    },
    "outlook_csv_classic_and_google_outlook_export": {
        **OUTLOOK, "Home Country": "country", "Business Country": "company_country",
        "Company Main Phone": "corporate_phone", "Other Phone": "other_phone", "Keywords": "keywords",
    },
    "outlook_com_desktop_client_short": {
        **OUTLOOK, "Home Country/Region": "country", "Business Country/Region": "company_country",
    },
    "hubspot_contacts_default_view": {
        **HUBSPOT, "Primary Associated Company ID": "account_id", "Lead Status": "stage",
    },
    "hubspot_contacts_view_2024": {**HUBSPOT, "Lifecycle Stage": "stage"},
    "salesforce_report_contacts_labels": {**SALESFORCE, "Mobile": "mobile_phone"},
    "salesforce_report_contacts_aws_sample": SALESFORCE,
    "salesforce_dataloader_lead_head": {
        "Id": "contact_id", "LastName": "last_name", "FirstName": "first_name", "Title": "title",
        "Company": "company", "Street": "company_address", "City": "city", "State": "state",
        "PostalCode": "postal_code", "Country": "country", "Phone": "work_direct_phone",
        "MobilePhone": "mobile_phone", "Email": "email", "Website": "website", "Description": "notes",
        "Status": "stage", "Industry": "industry", "AnnualRevenue": "annual_revenue",
        "NumberOfEmployees": "employees",
    },
    "zoho_crm_contacts": {
        **NAMES, "Record Id": "contact_id", "Contact Owner": "owner", "Account Name.id": "account_id",
        "Account Name": "company", "Email": "email", "Title": "title", "Department": "departments",
        "Phone": "work_direct_phone", "Mobile": "mobile_phone", "Description": "notes", "Tag": "tags",
    },
    "mailchimp_audience_old": {**MAILCHIMP, "Email Address": "email"},
    "mailchimp_audience_with_tags": {
        **MAILCHIMP, "Email": "email", "Position": "title", "Company": "company", "TAGS": "tags",
    },
    "datablist_leads": {
        **NAMES, "Account Id": "account_id", "Lead Owner": "owner", "Company": "company",
        "Phone 1": "work_direct_phone", "Phone 2": "other_phone", "Email 1": "email", "Website": "website",
        "Deal Stage": "stage", "Notes": "notes",
    },
    "openstates_people_csv": {
        "id": "contact_id", "given_name": "first_name", "family_name": "last_name", "email": "email",
        "biography": "notes", "capitol_address": "company_address", "capitol_voice": "work_direct_phone",
        "district_voice": "other_phone", "twitter": "twitter_url", "facebook": "facebook_url",
    },
}  # fmt: skip

LEGISLATORS = {
    "last_name": "last_name", "first_name": "first_name", "state": "state", "url": "website",
    "address": "company_address", "phone": "work_direct_phone", "twitter": "twitter_url",
    "facebook": "facebook_url", "bioguide_id": "contact_id",
}  # fmt: skip
REAL_FILES = {
    "congress/legislators-current.csv": LEGISLATORS,
    "congress/legislators-historical.csv": LEGISLATORS,
    "congress/legislators-district-offices.csv": {
        "bioguide": "contact_id", "address": "company_address", "city": "city", "phone": "work_direct_phone",
        "state": "state", "zip": "postal_code",
    },
    "congress/committee-membership-current.csv": {"bioguide": "contact_id", "name": "full_name", "title": "title"},
    "dotgov/current-federal.csv": {
        "Domain name": "website", "Organization name": "company", "City": "city", "State": "state",
        "Security contact email": "email",
    },
    "datablist/leads-duplicates-20000.csv": VENDORS["datablist_leads"],
}  # fmt: skip

GERMAN_LINKEDIN = "Vorname,Nachname,URL,E-Mail-Adresse,Unternehmen,Position,Verbunden am"
GERMAN_OUTLOOK = (
    "Anrede,Vorname,Weitere Vornamen,Nachname,Suffix,Firma,Abteilung,Position,Straße geschäftlich,"
    "Straße geschäftlich 2,Ort geschäftlich,Region geschäftlich,Postleitzahl geschäftlich,Land/Region geschäftlich,"
    "Straße privat,Ort privat,Bundesland/Kanton privat,Postleitzahl privat,Land/Region privat,Weitere Straße,"
    "Weiterer Ort,Weitere Postleitzahl,Weiteres/e Land/Region,Telefon Assistent,Fax geschäftlich,"
    "Telefon geschäftlich,Telefon geschäftlich 2,Rückmeldung,Autotelefon,Telefon Firma,Fax privat,Telefon (privat),"
    "Telefon (privat 2),ISDN,Mobiltelefon,Weiteres Fax,Weiteres Telefon,Pager,Haupttelefon,Mobiltelefon 2,Telex,"
    "Benutzer 1,Beruf,Büro,E-Mail-Adresse,E-Mail-Typ,E-Mail: Angezeigter Name,E-Mail 2: Adresse,Geburtstag,"
    "Geschlecht,Kategorien,Konto,Notizen,Ort,Partner,Priorität,Privat,Sprache,Stichwörter,Webseite"
)
TRANSLATED = {
    GERMAN_LINKEDIN: {
        "Vorname": "first_name", "Nachname": "last_name", "URL": "person_linkedin_url", "E-Mail-Adresse": "email",
        "Unternehmen": "company", "Position": "title",
    },
    GERMAN_OUTLOOK: {
        "Vorname": "first_name", "Nachname": "last_name", "Firma": "company", "Abteilung": "departments",
        "Position": "title", "Straße geschäftlich": "company_address", "Ort geschäftlich": "company_city",
        "Region geschäftlich": "company_state", "Land/Region geschäftlich": "company_country", "Ort privat": "city",
        "Bundesland/Kanton privat": "state", "Postleitzahl privat": "postal_code", "Land/Region privat": "country",
        "Telefon geschäftlich": "work_direct_phone", "Telefon Firma": "corporate_phone",
        "Telefon (privat)": "home_phone", "Mobiltelefon": "mobile_phone", "Weiteres Telefon": "other_phone",
        "E-Mail-Adresse": "email", "Kategorien": "tags", "Notizen": "notes", "Stichwörter": "keywords",
        "Webseite": "website",
    },
}  # fmt: skip


def assert_mapped(headers: list[str], expected: dict[str, str]) -> None:
    assert set(expected) <= set(headers), "the table names headers that the file has not"
    mapping = propose(headers)
    assert {header: name for name, header in mapping.fields.items()} == expected
    assert mapping.leftover == tuple(header for header in headers if header not in expected)


@pytest.mark.shared_data
@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendors_headers_map_as_a_person_expects(vendor: str, shared_data: Path) -> None:
    vendors = json.loads((shared_data / "vendor_export_headers.json").read_text("utf-8"))
    assert {name for name, one in vendors.items() if "columns" in one} == set(VENDORS)
    assert_mapped(vendors[vendor]["columns"], VENDORS[vendor])


@pytest.mark.shared_data
@pytest.mark.parametrize("file", REAL_FILES)
def test_real_files_map_with_their_values_as_samples(file: str, shared_data: Path) -> None:
    with (shared_data / "real" / file).open(encoding="utf-8", newline="") as lines:
        rows = [row for row, _ in zip(csv.reader(lines), range(50), strict=False)]
    assert_mapped(rows[0], REAL_FILES[file])
    assert propose(rows[0], rows[1:]).fields == propose(rows[0]).fields


@pytest.mark.parametrize("headers", TRANSLATED, ids=("linkedin", "outlook"))
def test_german_headers_map(headers: str) -> None:
    assert_mapped(headers.split(","), TRANSLATED[headers])


def test_our_own_labels_and_names_map_all() -> None:
    assert_mapped([field.label for field in FIELDS.values()], {field.label: name for name, field in FIELDS.items()})
    assert_mapped(list(FIELDS), {name: name for name in FIELDS})


def test_no_label_means_two_fields() -> None:
    meanings = Counter(label for field in FIELDS.values() for label in {plain(alias) for alias in aliases(field)})
    assert [label for label, count in meanings.items() if count > 1] == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["firstName", "LAST_NAME"], {"firstName": "first_name", "LAST_NAME": "last_name"}),
        ([" e-Mail "], {" e-Mail ": "email"}),
        (["Name", "Email"], {"Name": "full_name", "Email": "email"}),
        (["Name", "Surname"], {"Surname": "last_name"}),
        (["Title", "Job Title"], {"Job Title": "title"}),
        (["Title"], {"Title": "title"}),
        (["URL", "Company"], {"URL": "website", "Company": "company"}),
        (["URL", "Website", "Connected On"], {"URL": "person_linkedin_url", "Website": "website"}),
        (["Status"], {"Status": "status"}),
        (["Status", "IsConverted"], {"Status": "stage"}),
        (["Id"], {}),
        (["CC", "Email"], {"Email": "email"}),
        (["Email", "Email (2)", "Phone", "Phone (2)"], {"Email": "email", "Phone": "work_direct_phone"}),
        (["Website (1)", "Telefon (privat)"], {"Telefon (privat)": "home_phone"}),
        (["???", "", "Column 3"], {}),
    ],
)  # fmt: skip
def test_rules(headers: list[str], expected: dict[str, str]) -> None:
    assert_mapped(headers, expected)


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("URL", ["https://www.linkedin.com/in/ann", None, "linkedin.com/in/bob?x=1"], "person_linkedin_url"),
        ("Website", ["https://linkedin.com/company/acme", "N/A"], "company_linkedin_url"),
        ("LinkedIn", ["https://uk.linkedin.com/company/acme"], "company_linkedin_url"),
        ("LinkedIn", ["https://www.linkedin.com/in/ann", "https://linkedin.com/company/acme"], "person_linkedin_url"),
        ("Profile", ["https://x.com/acme"], "twitter_url"),
        ("Link", ["https://www.facebook.com/acme"], "facebook_url"),
        ("URL", ["https://acme.com", "https://linkedin.com/in/ann"], "website"),
        ("URL", [None, "-"], "website"),
        ("Link", ["https://acme.com"], None),
        ("Notes", ["https://linkedin.com/in/ann"], "notes"),
    ],
)
def test_columns_of_addresses_are_decided_by_their_values(
    header: str, values: list[str | None], expected: str | None
) -> None:
    mapping = propose(["Email", header], [["ann@example.com", value] for value in values])
    assert {name: mapped for name, mapped in mapping.fields.items() if mapped == header} == (
        {expected: header} if expected else {}
    )


def test_values_do_not_take_a_field_that_has_its_own_column() -> None:
    headers = ["Website", "Company Linkedin Url"]
    mapping = propose(headers, [["https://linkedin.com/company/a", "https://linkedin.com/company/a"]])
    assert mapping.fields == {"website": "Website", "company_linkedin_url": "Company Linkedin Url"}


def test_notes_say_where_rival_columns_went() -> None:
    assert propose(["Job Title", "Title", "Email", "Email (2)", "Hobby"]).notes == (
        "“Title” goes to extra: Title comes from “Job Title”.",
        "“Email (2)” goes to extra: E-mail comes from “Email”.",
    )
    moved = propose(["URL"], [["https://linkedin.com/in/ann"]])
    assert moved.notes == ("“URL” is taken as Person Linkedin Url, since its values are such addresses.",)


def test_ten_thousand_columns() -> None:
    headers = ["Email", *(f"Email ({number})" for number in range(2, 10_001))]
    mapping = propose(headers)
    assert mapping.fields == {"email": "Email"}
    assert len(mapping.leftover) == len(mapping.notes) == 9_999


def test_changes_override_free_and_move_columns() -> None:
    proposed = propose(["Name", "Email", "Email (2)", "Phone", "Hobby"])
    assert changed(proposed, {"email": "Email (2)"}).fields["email"] == "Email (2)"
    assert "Email" in changed(proposed, {"email": "Email (2)"}).leftover
    without = changed(proposed, {"work_direct_phone": ""})
    assert "work_direct_phone" not in without.fields
    assert "Phone" in without.leftover
    moved = changed(proposed, {"Mobile Phone": "phone", "notes": "hobby"})
    assert moved.fields["mobile_phone"] == "Phone"
    assert moved.fields["notes"] == "Hobby"
    assert "work_direct_phone" not in moved.fields
    assert set(moved.headers) == set(proposed.headers)
    assert changed(proposed, {}) == proposed


def test_a_full_name_gives_way_to_its_parts() -> None:
    proposed = propose(["Name", "Nick"])
    assert proposed.fields == {"full_name": "Name"}
    assert changed(proposed, {"first_name": "Nick"}).fields == {"first_name": "Nick"}
    with pytest.raises(InvalidInput, match="cannot stand beside them"):
        changed(proposed, {"first_name": "Nick", "full_name": "Name"})


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    proposed = propose(["Name", "E-mail"])
    with pytest.raises(InvalidInput) as unknown_field:
        changed(proposed, {"emial": "E-mail"})
    assert unknown_field.value.sentence == (
        f"There is no field “emial”. Did you mean “email”? Fields are: {', '.join(TARGETS)}."
    )
    with pytest.raises(InvalidInput) as unknown_header:
        changed(proposed, {"email": "E-mial"})
    assert unknown_header.value.sentence == (
        "The file has no column “E-mial”. Did you mean “E-mail”? Columns are: E-mail, Name."
    )
    with pytest.raises(InvalidInput, match="“Name” is given to city and state: a column fills one field"):
        changed(proposed, {"city": "Name", "state": "Name"})
    with pytest.raises(InvalidInput, match=r"C60 and 39 more\.$"):
        changed(propose([f"C{number}" for number in range(1, 100)]), {"email": "nothing like it"})
