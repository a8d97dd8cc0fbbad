"""Carries out what somebody asked for on a screen: `python -m pipelines.import_orders IMPORT ORDER`.

The flows call it, and the sweep starts it as a process of its own where no flow came. A second one beside the first
does nothing, and so does one whose order was carried out or taken back.
"""

import argparse
import logging
import secrets
import signal
from collections.abc import Sequence
from types import FrameType

from models import garbage, import_files, import_orders, imports
from models.disk_space import NoRoom
from models.errors import AppError
from models.import_files import StoreAway
from models.import_orders import Begun
from models.imports import State
from models.permissions import OPERATOR
from pipelines import import_contacts, import_room
from pipelines.import_contacts import Busy, WasStopped
from pipelines.import_steps import PlanMoved
from pipelines.own_database import bind_database
from pipelines.recorded import recorded

MOST_PLANS = 3

log = logging.getLogger(__name__)


def carry_out(import_id: int, order: int) -> None:
    """Bring the import to where the order wants it, with the rights of whoever gave it, and note how that ended.

    What goes wrong is shown with the import, and raised on. A process that dies leaves the order as it is, and so does
    a disk without room: the sweep comes again once there is some.
    """
    try:
        with import_contacts.claimed(import_id):
            _carry_out(import_id, order)
    except (Busy, WasStopped) as ended:
        log.info("%s", ended.sentence)


def can_begin(import_id: int) -> bool:
    """Whether it does not wait for room on the disk or for the store of its file, or both are there by now."""
    found = imports.get(import_id, by=OPERATOR)
    if not import_orders.waits_for_room(found):
        return True
    return import_room.is_there(found) and (found.state != State.NEW or import_files.can_be_fetched(found))


def _carry_out(import_id: int, order: int) -> None:
    try:
        if not can_begin(import_id):
            log.info("import %s still waits for room on the disk, or for the store of its file", import_id)
            return
        begun = import_orders.begin(import_id, order)
        if begun is None:
            log.info("order %s of import %s is done, or was taken back", order, import_id)
            return
        with recorded(
            _flow(begun), subject=f"import {import_id}", asked_by=begun.by.id, cancellations=(WasStopped,)
        ) as run:
            _do(import_id, order, begun)
            run.tell(**_counts(import_id))
    except WasStopped:
        raise
    except NoRoom as error:
        if import_room.is_there(imports.get(import_id, by=OPERATOR)):  # by what was reckoned: it is not waited for
            import_orders.settle(import_id, order, error.noted)
        else:
            import_orders.wait_for_room(import_id, order, error.noted)
        raise
    except StoreAway as error:
        import_orders.wait_for_room(import_id, order, error.noted)
        raise
    except AppError as error:
        import_orders.settle(import_id, order, error.noted)
        raise
    except Exception:
        reference = secrets.token_hex(4).upper()
        log.exception("reference %s", reference)
        import_orders.settle(import_id, order, f"Something went wrong on our side. Reference {reference}.")
        raise
    except BaseException:  # Ctrl-C or SIGTERM: whoever starts next goes on
        import_orders.put_back(import_id, order)
        raise
    import_orders.settle(import_id, order)


def _do(import_id: int, order: int, begun: Begun) -> None:
    if begun.stands is begun.wanted:
        log.info("import %s is %s: whoever began with order %s had finished", import_id, begun.wanted, order)
    elif begun.wanted is State.UNDONE:
        import_contacts.take_back(import_id, by=begun.by, hints=False)
    elif begun.stands is State.UNDONE:
        import_contacts.bring_back(import_id, by=begun.by, hints=False)
    else:
        _go_on(import_id, begun.wanted, begun)
    if further := import_orders.lead_on(import_id, order):
        _go_on(import_id, further, begun)


def _flow(begun: Begun) -> str:
    if begun.wanted is State.UNDONE:
        return "undo-import"
    return "redo-import" if begun.stands is State.UNDONE else "import-contacts"


def _counts(import_id: int) -> dict[str, int]:
    found = imports.get(import_id, by=OPERATOR)
    counts = {name: getattr(found, name) for name in ("rows", "created", "updated", "rejected")}
    return {name: number for name, number in counts.items() if number}


def _go_on(import_id: int, until: State, begun: Begun) -> None:
    """A plan that moved before it was committed is made again where no person has seen it."""
    for left in reversed(range(MOST_PLANS)):
        try:
            import_contacts.go_on(import_id, until=until, plan=begun.plan, by=begun.by, hints=False)
        except PlanMoved:
            if begun.plan is not None or not left:
                raise
        else:
            return


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.import_orders", description=__doc__)
    parser.add_argument("import_id", type=int, metavar="IMPORT")
    parser.add_argument("order", type=int, metavar="ORDER")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        bind_database()
        carry_out(chosen.import_id, chosen.order)
    except AppError as error:
        log.error("%s", error)
        return 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    garbage.seldom_sought()
    raise SystemExit(main())
