"""Whom somebody tells who found a weakness, as RFC 9116 has it: `/.well-known/security.txt`.

Where APPOINTMENT360_SECURITY_CONTACT is not set there is no such page. It ends some time after each answer, so that a
copy is not taken for true for years.
"""

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from models.settings import Settings, settings

PATH = "/.well-known/security.txt"
LASTS = timedelta(days=180)  # RFC 9116 asks for less than a year


async def page(_: Request) -> Response:
    """200, or 404 where nobody is named."""
    chosen = settings()
    if chosen.security_contact is None:
        return PlainTextResponse("Not found.", 404)
    return PlainTextResponse(text(chosen.security_contact, chosen))


def text(contact: str, chosen: Settings) -> str:
    """Ends at midnight, UTC."""
    ends = (datetime.now(UTC) + LASTS).strftime("%Y-%m-%dT00:00:00Z")
    lines = [
        f"Contact: {contact if contact.startswith('https://') else f'mailto:{contact}'}",
        f"Expires: {ends}",
        "Preferred-Languages: en",
    ]
    if chosen.public_url:
        lines.append(f"Canonical: {chosen.public_url.rstrip('/')}{PATH}")
    return "".join(f"{line}\n" for line in lines)
