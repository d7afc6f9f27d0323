"""``penchant check``: grade a hand-written loss."""

from __future__ import annotations

import sys
from pathlib import Path


def check(
    file: str,
    *,
    method: str | None = None,
    inputs: str | None = None,
    reveal: bool = False,
    strict: bool = False,
    json: bool = False,
    seconds: float = 20.0,
) -> None:
    """Grade a loss written by hand in NumPy, PyTorch, JAX or plain Python, and say what is wrong with it.

    The file is run in a process of its own, with limited time and memory and no network. The exit code is 0 when
    the function is right, 1 when it is not, 2 when it cannot be run.

    Parameters
    ----------
    file
        The file, or one loss of it: FILE.py:function, FILE.py:Class or FILE.py:Class.method.
    method
        What it should be (any method of `penchant methods` on pairs or answers, or log_sigmoid); told from the
        function's name when left out.
    inputs
        What each parameter is, in order and separated by commas, where the names do not say it; for instance
        policy_chosen_logps,ref_chosen_logps,policy_rejected_logps,ref_rejected_logps,beta.
    reveal
        Show the answers and not only hints.
    strict
        Count remarks (a gradient that may reach the reference, bfloat16, clamped lengths) as faults.
    json
        Print the verdict for programs, answers included.
    seconds
        The longest that one call of the function may take.
    """
    from penchant.whiteboard import check as grade

    path, _, function = file.rpartition(":") if ".py:" in file else (file, "", "")
    names = [name.strip() for name in inputs.split(",")] if inputs else None
    verdict = grade(Path(path), function or None, method, inputs=names, seconds=seconds)
    if json:
        import json as codec

        print(codec.dumps(_plain(verdict.as_json()), indent=2, ensure_ascii=False))
    else:
        print(verdict.as_text(reveal))
    code = 1 if strict and verdict.kind == "right" and verdict.notes else verdict.exit_code
    if code:
        sys.exit(code)


def _plain(value: object) -> object:
    """JSON has no infinity: it is written as text."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return (
        str(value) if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
    )
