"""uvicorn's reader of requests, with an end to how much comes before a request's body.

As shipped it keeps whatever anybody sends as headers, also a gigabyte of them, and no layer of ours sees the request
before they end. uvicorn's other reader, h11, has a limit, and is slower. Chosen by
`--http dashboard.bounded_http:BoundedHttp`.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 131_072  # bytes of address and headers: a filter with many values is long, cookies are, too


class BoundedHttp(HttpToolsProtocol):
    in_head, head = True, 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.head = self.head + len(data) if self.in_head else 0
        if self.head > MOST and not self.transport.is_closing():
            self.send_400_response("The request's headers are too long.")

    def on_message_begin(self) -> None:
        self.in_head, self.head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()
