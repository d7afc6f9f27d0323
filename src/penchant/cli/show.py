"""What several commands print."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any


def print_json(result: Any) -> None:
    """Print what :func:`as_json` gives."""
    print(as_json(result))


def as_json(result: Any) -> str:
    """A dataclass, or plain values, as strict JSON: what is not a finite number is null."""
    value = dataclasses.asdict(result) if dataclasses.is_dataclass(result) and not isinstance(result, type) else result
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
