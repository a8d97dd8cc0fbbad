"""What the image is made of, by size: `docker run --rm -i --entrypoint python IMAGE - < deploy/docker/image_parts.py`.

Prints the biggest parts as a table in Markdown, with --json as JSON, and fails where all of it is larger than LIMIT.
Only the standard library, and nothing of the program: it reads whatever image it is let into.
"""

import json
import os
import stat
import sys
from collections import Counter
from pathlib import Path

LIMIT = 1_200_000_000
NAMED = 10_000_000  # bytes; what is smaller goes under “everything else”
PROGRAM = Path("/opt/appointment360/program")
LIBRARIES = Path("/opt/appointment360/dependencies/lib")
OURS = "Appointment360 itself"
BASE = "Debian, Python, tini"
ELSE = "everything else"


def part(path: Path) -> str:
    """To which part a file belongs: a library is a folder of site-packages, together with the shared objects beside."""
    if path.is_relative_to(PROGRAM):
        return OURS
    if not path.is_relative_to(LIBRARIES):
        return BASE
    inside = path.relative_to(LIBRARIES).parts[2:]  # pythonX.Y/site-packages
    if len(inside) > 1 or ".so" in path.name:
        return inside[0].split(".", maxsplit=1)[0].lstrip("_")  # numpy and numpy.libs; duckdb and _duckdb.abi3.so
    return ELSE


def measured(root: Path = Path("/")) -> Counter[str]:
    """Bytes of each part on the image's own file system; a file with several names counts once."""
    sizes: Counter[str] = Counter()
    seen = set()
    device = root.stat().st_dev
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if (Path(folder) / name).lstat().st_dev == device]
        for name in files:
            path = Path(folder) / name
            status = path.lstat()
            if status.st_dev == device and stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                seen.add(status.st_ino)
                sizes[part(path)] += status.st_size
    return sizes


def named(sizes: Counter[str]) -> dict[str, int]:
    """The biggest first; the small ones together, last."""
    big = {name: size for name, size in sizes.most_common() if size >= NAMED and name != ELSE}
    return big | {ELSE: sizes.total() - sum(big.values())}


def main() -> int:
    sizes = measured()
    total = sizes.total()
    if "--json" in sys.argv:
        print(json.dumps({"total": total, "parts": named(sizes)}))
    else:
        print("| part | MB |\n|---|---|")
        for name, size in named(sizes).items():
            print(f"| {name} | {size / 1e6:.0f} |")
        print(f"| **all of it** | **{total / 1e6:.0f}** |")
    if total > LIMIT:
        print(f"The image has {total / 1e6:.0f} MB, and may have {LIMIT / 1e6:.0f} MB.", file=sys.stderr)
    return int(total > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
