"""`appointment360 house`: a round of housekeeping."""

from __future__ import annotations

from deploy import local, output
from deploy.cli_options import Home, Json
from models.permissions import OPERATOR


def house(as_json: Json = False, home: Home = None) -> None:
    """Keep house: remove what was kept for its time, take stock, look after
    tables.

    What is kept for how long the settings APPOINTMENT360_DAYS_KEPT_… say.
    The schedule does the same every night."""
    with local.connected():
        from models.house import texts
        from pipelines import keep_house

        made = keep_house.now(told=lambda step: output.note(f"{step} ..."), by=OPERATOR)
    if output.is_json():
        answer = {"report_id": made.id, "made_at": made.made_at.isoformat(), "host": made.host}
        output.answer(answer | made.report.model_dump(mode="json"))
    else:
        output.say(texts.page(made.report))
