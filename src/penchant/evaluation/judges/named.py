"""The judge that ``--judge`` names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.errors import InputError
from penchant.evaluation.judges.process import CommandJudge, RuleJudge

if TYPE_CHECKING:
    from penchant.evaluation.judges.question import Judge, ModelSettings, Patience

FORMS = "FILE.py:FUNCTION, command:SHELL COMMAND, reward:MODEL or implicit:MODEL"
_RULE = re.compile(r"(.+\.py):(\w+)")


def judge_named(spec: str, *, mode: str | None, patience: Patience, models: ModelSettings) -> Judge:
    """A judge from its name.

    Args:
        spec: ``FILE.py:FUNCTION``, ``command:SHELL COMMAND``, ``reward:MODEL`` or ``implicit:MODEL``.
        mode: ``"rate"`` or ``"compare"``: what a command is asked; the other judges say it themselves.
        patience: For programs.
        models: For models.

    Raises:
        InputError: if the name has none of the forms, or the judge cannot be had.
    """
    rule = _RULE.fullmatch(spec)
    kind, _, rest = spec.partition(":")
    if rule is None and (kind not in ("command", "reward", "implicit") or not rest.strip()):
        raise InputError("no such judge", got=repr(spec), fix=f"Give --judge {FORMS}")
    judge: Judge
    if rule is not None:
        judge = RuleJudge(Path(rule[1]), rule[2], patience)
    elif kind == "command":
        if mode is None:
            fix = 'Give --mode rate ({"score": 3.5}) or --mode compare ({"preference": 0.7}, or "first")'
            raise InputError("a command does not say whether it rates or compares", got=repr(rest), fix=fix)
        judge = CommandJudge(rest, compares=mode == "compare", patience=patience)
    else:
        from penchant.evaluation.judges import models as model_judges

        found = model_judges.RewardJudge if kind == "reward" else model_judges.ImplicitJudge
        judge = found(rest, models)
    if mode is not None and (mode == "compare") != judge.compares:
        does = "compares" if judge.compares else "rates"
        raise InputError(f"the judge {does}, and --mode {mode} is asked for", got=repr(spec), fix="Leave --mode out")
    return judge
