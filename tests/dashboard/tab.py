"""A browser tab as an attacker writes it: Streamlit's socket, spoken to without a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol


@dataclass
class Tab:
    """`elements` are those of the last run; `kinds` and `raw` all that ever came."""

    socket: ClientConnection
    session_id: str = ""
    query: str = ""
    page_hash: str = ""
    elements: list[Any] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    raw: bytes = b""

    def run(self, place: str = "", query: str = "", widgets: dict[str, dict[str, Any]] | None = None) -> bytes:
        """What one run of the script sends; `widgets` is id -> the fields of its state."""
        told = BackMsg()
        told.rerun_script.page_name, told.rerun_script.query_string = place, query
        told.rerun_script.context_info.timezone, told.rerun_script.context_info.locale = "UTC", "en-GB"
        for name, state in (widgets or {}).items():
            told.rerun_script.widget_states.widgets.add(id=name, **state)
        self.tell(told)
        return self.until_finished()

    def tell(self, told: BackMsg) -> None:
        self.socket.send(told.SerializeToString())

    def until_finished(self) -> bytes:
        came, self.elements = b"", []
        while True:
            data = self.socket.recv(timeout=60)
            assert isinstance(data, bytes)
            came += data
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            self.kinds.add(str(kind))
            if kind == "new_session":
                self.session_id = message.new_session.initialize.session_id or self.session_id
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self.elements.append(message.delta.new_element)
            if kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self.raw += came
                return came

    def submit(self, label: str, **texts: str) -> bytes:
        """Fill in the fields with these labels, and press the button."""
        states: dict[str, dict[str, Any]] = {}
        for element in self.elements:
            if element.WhichOneof("type") == "text_input" and element.text_input.label in texts:
                states[element.text_input.id] = {"string_value": texts[element.text_input.label]}
            if element.WhichOneof("type") == "button" and element.button.label == label:
                states[element.button.id] = {"trigger_value": True}
        return self.run(widgets=states)


@contextmanager
def tab(web: str, cookie: str = "", *, origin: str | None = None, reconnect: str = "", **headers: str) -> Iterator[Tab]:
    """A tab of whoever has that cookie header. `reconnect` is the id of a session of Streamlit's to go on with."""
    sent = {**headers, **({"cookie": cookie} if cookie else {})}
    # The second is Streamlit's own token against forged requests, which counts for its own sign-in only.
    spoken = ["streamlit", "none", reconnect] if reconnect else ["streamlit"]
    with connect(
        f"ws{web.removeprefix('http')}/_stcore/stream",
        origin=Origin(web if origin is None else origin),
        additional_headers=sent,
        subprotocols=[Subprotocol(one) for one in spoken],
        max_size=None,
    ) as socket:
        yield Tab(socket)
