"""How an import stands for a person: where its state is what was done last, its phase is what can be done now."""

from enum import StrEnum

from models.imports import Listed, State


class Phase(StrEnum):
    UPLOADING = "uploading"
    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "interrupted"
    MAPPING = "to map"
    PLANNED = "to check"
    DONE = "done"
    UNDONE = "undone"
    FAILED = "failed"
    CANCELLED = "cancelled"


def phase(listed: Listed) -> Phase:
    found = listed.import_
    state = State(found.state)
    ended = {State.UNDONE: Phase.UNDONE, State.FAILED: Phase.FAILED, State.CANCELLED: Phase.CANCELLED}
    if state in ended and not (state is State.UNDONE and (found.wanted or listed.is_running)):
        return ended[state]
    if found.wanted == State.CANCELLED:
        return Phase.STOPPING
    if listed.is_running:
        return Phase.RUNNING
    if found.wanted is not None:
        return Phase.WAITING
    if state is State.NEW:
        is_on_its_way = not found.file_path and found.upload_bytes is not None
        return Phase.UPLOADING if is_on_its_way else Phase.STOPPED
    at_rest = {State.OPENED: Phase.MAPPING, State.PLANNED: Phase.PLANNED, State.COMMITTED: Phase.DONE}
    return at_rest.get(state, Phase.STOPPED)
