"""`python -m guardians NAME`: runs one guardian in this process until TERM."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("integrity", "cost", "gpu", "stuck", "vitals")


def main(name: str) -> int:
    """Run the guardian `name`; returns the exit code."""
    if name not in NAMES:
        print(f"there is no guardian {name!r}; there are {', '.join(NAMES)}", file=sys.stderr)  # noqa: T201 - for a person
        return 2
    from streams import process  # noqa: PLC0415 - nothing is imported for a name that is none

    return process.main(name, import_module(f"guardians.{name}").run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))  # noqa: PLR2004 - the program and one name
