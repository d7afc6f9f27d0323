"""The command line: parse, call one function, print. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from penchant.cli.app import app
from penchant.errors import InputError

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake is one line on standard error and exit code 2."""
    from cyclopts import CycloptsError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Greek letters gets their numbers
    try:
        app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except InputError as error:
        _fail(str(error))
    except CycloptsError as error:
        _fail(" ".join(str(error).split()))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read along has left
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"penchant: {message}\n")
    sys.exit(2)
