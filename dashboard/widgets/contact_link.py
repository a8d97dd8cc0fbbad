"""From a list of contacts to the page of one of them, which leads back to the list."""

from dataclasses import replace
from typing import NoReturn

from dashboard import address, places
from dashboard.address import View


def open_contact(view: View, contact_id: int) -> NoReturn:
    places.go("contact", {**address.query_params(replace(view, page=1)), "id": str(contact_id)})
