"""``penchant demo``: the whole way on a real model, in minutes."""

from __future__ import annotations

from penchant.cli.train import require_training


def demo(*, output_dir: str = "runs/demo") -> None:
    """Tune SmolLM2-135M-Instruct towards concise answers with DPO, and compare before and after.

    Parameters
    ----------
    output_dir
        The run folder.
    """
    require_training()
    from penchant.demo.run import run_demo

    run_demo(output_dir)
