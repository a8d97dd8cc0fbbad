"""What a browser may tell Streamlit over its socket, before sign-in, too.

Streamlit also takes messages of its developers' menu, from anybody: one empties the caches of all people, one lists the
files of the server's checkout, some write to its disk. They are dropped.
"""

from google.protobuf.message import DecodeError
from starlette.types import Message, Receive
from streamlit.proto.BackMsg_pb2 import BackMsg

TAKEN = frozenset({"rerun_script", "stop_script", "app_heartbeat"})
TAKEN_OPERATIONS = frozenset({"deferred_file", "dataframe_chunk"})


def only_those_of_pages(receive: Receive) -> Receive:
    async def received() -> Message:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive" or _is_taken(message.get("bytes")):
                return message

    return received


def _is_taken(data: bytes | None) -> bool:
    if data is None:
        return True  # text, at which Streamlit hangs up
    told = BackMsg()
    try:
        told.ParseFromString(data)
    except DecodeError:
        return True  # here, too
    kind = told.WhichOneof("type")
    if kind == "backend_operation_request":
        return told.backend_operation_request.WhichOneof("payload") in TAKEN_OPERATIONS
    return kind in TAKEN
