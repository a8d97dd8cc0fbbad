"""`python -m deploy.healthy [ADDRESS ...]`: whether each address answers with success; what a container asks itself.

Without an address it is that of the web in the same container. With --worker it is whether Prefect's server hears from
the worker of this container: one that does not reach it takes no runs, however alive it is.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

WITHIN = 4.0  # seconds; less than a container's own patience, so that the reason is in its log
WORKER = "--worker"
OURS = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # past any proxy that the rest of the world is for


def fault(address: str) -> str | None:
    """Why it is not healthy."""
    try:
        with OURS.open(address, timeout=WITHIN):
            return None
    except urllib.error.HTTPError as error:
        return f"{address} answers {error.code}: {error.read(500).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return f"{address} does not answer: {error}"


def fault_of_worker() -> str | None:
    """Why Prefect has no use for the worker of this host."""
    from deploy.parts import POOL
    from models.settings import settings

    address = f"{(settings().prefect_url or '').rstrip('/')}/api/work_pools/{POOL}/workers/filter"
    sign_in = settings().prefect_auth
    shown = base64.b64encode(sign_in.get_secret_value().encode() if sign_in else b"").decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {shown}"}
    try:
        request = urllib.request.Request(address, b"{}", headers)  # noqa: S310  the address of a setting
        with OURS.open(request, timeout=WITHIN) as answer:
            workers = json.load(answer)
    except (OSError, ValueError) as error:
        return f"{address} does not answer: {error}"
    own = f"{os.uname().nodename}-"
    if any(one["name"].startswith(own) and one["status"] == "ONLINE" for one in workers):
        return None
    return f"Prefect has not heard from a worker {own}… lately."


def main(arguments: Sequence[str]) -> int:
    own = f"http://127.0.0.1:{os.environ.get('APPOINTMENT360_PORT', '8360')}/healthz"
    checks = [fault_of_worker() if one == WORKER else fault(one) for one in arguments or [own]]
    faults = [found for found in checks if found]
    print("\n".join(faults) or "healthy")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
