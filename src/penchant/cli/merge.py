"""``penchant merge``: an adapter and its base as one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from penchant.cli.idle import refuse_idle
from penchant.cli.train import require_models


def merge(
    adapter: Path,
    output_dir: Path,
    /,
    *,
    dtype: str = "float32",
    push_to_hub: str | None = None,
    private: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make one model of an adapter and its base, check it against the two, and write it as safetensors.

    Parameters
    ----------
    adapter
        A run folder with an adapter.
    output_dir
        Where the model goes, with its tokenizer and model card.
    dtype
        Type of the merged weights: float32, bfloat16, float16 or float64.
    push_to_hub
        A repository of the Hugging Face hub, ORGANISATION/NAME, to upload the folder to.
    private
        Make that repository a private one.
    """
    if not push_to_hub:
        refuse_idle({"--private": private or None}, "is given without --push-to-hub")
    require_models()
    from penchant.training import hub
    from penchant.training import merge as merging

    done = merging.merge(adapter, output_dir, dtype=dtype)
    print(f"merged     {done.folder}: {done.parameters:,} parameters, {dtype}")
    print(f"checked    log-probs are those of adapter and base to {done.gap:.1g} of their size")
    if push_to_hub:
        print(f"pushed     {hub.push(done.folder, push_to_hub, private=private)}")
