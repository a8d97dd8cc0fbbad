"""What schemathesis loads: each request with an Idempotency-Key has a key of its own, as programs are told."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(_: Any, case: Any, **__: Any) -> None:
    if case.headers and "Idempotency-Key" in case.headers and case.meta.generation.mode.is_positive:
        case.headers["Idempotency-Key"] = f"{case.headers['Idempotency-Key'][:200]}{case.id}"
