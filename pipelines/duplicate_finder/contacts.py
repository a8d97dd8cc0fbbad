"""What our fields mean to the finder. Of two contacts these say whether they are the same; the rest says little."""

from models.contacts.table import FIELDS
from pipelines.duplicate_finder.description import Described, Description, Meaning

SEEN = "updated_at"  # the state of a contact that was compared
_MEANINGS = {
    "first_name": Meaning.FIRST_NAME,
    "last_name": Meaning.LAST_NAME,
    "email": Meaning.WORK_EMAIL,
    "mobile_phone": Meaning.PHONE,
    "work_direct_phone": Meaning.PHONE,
    "home_phone": Meaning.PHONE,
    "other_phone": Meaning.PHONE,
    "person_linkedin_url": Meaning.KEY,
    "contact_id": Meaning.KEY,
    "company": Meaning.ORGANISATION,
    "title": Meaning.WORDS,
    "city": Meaning.PLACE,
}
CONTACTS = Description("id", tuple(Described(name, meaning, FIELDS[name].title) for name, meaning in _MEANINGS.items()))
COLUMNS = ("id", SEEN, *(FIELDS[name].column for name in _MEANINGS))
