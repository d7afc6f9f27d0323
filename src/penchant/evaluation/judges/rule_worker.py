"""A rule in a process of its own: questions as JSON lines in, verdicts as JSON lines out, prints to standard error.

Started as ``python -m penchant.evaluation.judges.rule_worker FILE FUNCTION``.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def load(path: Path, name: str) -> tuple[Callable[..., Any], int]:
    """The function and how many answers it takes: 1 to rate, 2 to compare.

    Raises:
        ValueError: in words for the user.
    """
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None, "the parent checked the file's name"
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise ValueError(f"the file does not run: {_told(error, path)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        known = ", ".join(n for n, v in vars(module).items() if inspect.isfunction(v) and not n.startswith("_"))
        raise ValueError(f"the file has no function {name!r} (it has {known or 'none'})")
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters if one.kind in kinds and one.default is one.empty]
    if len(needed) not in (2, 3):
        what = f"{name} must take (prompt, answer) to rate or (prompt, first, second) to compare"
        raise ValueError(f"{what}, not ({', '.join(one.name for one in needed)})")
    return function, len(needed) - 1


def _told(error: BaseException, path: Path) -> str:
    """The error with the line of the rule's file where it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    where = f" ({path.name}:{lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{where}"


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the rule prints is no verdict

    def say(**reply: Any) -> None:
        channel.write(json.dumps(reply, default=_plain) + "\n")
        channel.flush()

    path = Path(sys.argv[1])
    try:
        function, answers = load(path, sys.argv[2])
    except ValueError as error:
        say(refused=str(error))
        return
    say(answers=answers)
    questions: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(questions,), daemon=True).start()
    while True:
        question = json.loads(questions.get())
        try:
            reply: dict[str, Any] = {"reply": function(*question.values())}
        except Exception as error:  # noqa: BLE001 - whatever the rule raises is reported
            reply = {"error": _told(error, path)}
        say(**reply)


def _listen(questions: queue.Queue[str]) -> None:
    """A rule that loops must not outlive its parent: when standard input ends, so does the process."""
    for line in sys.stdin:
        questions.put(line)
    os._exit(0)


def _plain(value: Any) -> Any:
    """NumPy and torch numbers as Python's; anything else as what it looks like."""
    try:
        return value.item()
    except Exception:  # noqa: BLE001 - any object may come back from a rule
        return repr(value)


if __name__ == "__main__":
    main()
