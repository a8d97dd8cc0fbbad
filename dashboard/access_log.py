"""What the web server logs of a request: who asked for which path, never the query.

It holds links that open an account, and what people search for.
"""

import logging


class WithoutQuery(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(one.partition("?")[0] if isinstance(one, str) else one for one in record.args)
        return True


def keep_queries_out() -> None:
    for name in ("uvicorn.access", "uvicorn.error"):  # requests, and sockets
        logging.getLogger(name).addFilter(WithoutQuery())
