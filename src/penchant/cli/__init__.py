"""The command line: parse, call one function, print. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from penchant.cli.app import app
from penchant.errors import InputError

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake is one line on standard error and exit code 2."""
    from cyclopts import CycloptsError

    try:
        app(arguments, exit_on_error=False, print_error=False)
    except InputError as error:
        _fail(str(error))
    except CycloptsError as error:
        _fail(" ".join(str(error).split()))


def _fail(message: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"penchant: {message}\n")
    sys.exit(2)
