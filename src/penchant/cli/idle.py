"""Options that would say nothing."""

from __future__ import annotations

from collections.abc import Mapping

from penchant.errors import InputError


def refuse_idle(options: Mapping[str, object], why: str, fix: str = "Give both or neither") -> None:
    """See that none of these options is given: what they belong to is not there.

    Args:
        options: By name, ``None`` where one is left out.
        why: What is not there, after the option's name.
        fix: What to do.

    Raises:
        InputError: if one is given.
    """
    for name, value in options.items():
        if value is not None:
            raise InputError(f"{name} {why}", fix=fix)
