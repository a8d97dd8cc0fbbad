"""`python -m deploy.make_bucket`: the bucket that APPOINTMENT360_FILES names, in a store of one's own. A second run
leaves it as it is."""

from __future__ import annotations

import sys

from models.errors import AppError


def main() -> int:
    from models import file_places, s3_store
    from models.settings import settings

    address = settings().files
    if not file_places.is_s3(address):
        print("APPOINTMENT360_FILES names no bucket: set it to s3://BUCKET/PREFIX.", file=sys.stderr)
        return 1
    try:
        store = s3_store.Prefix(address)
        made = store.make_bucket()
    except AppError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    print(f"The bucket {store.bucket} {'was made' if made else 'is there'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
