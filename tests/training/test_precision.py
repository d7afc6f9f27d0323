"""The processor's probe: float32 stays float32, and what was set before is set again."""

from __future__ import annotations

import pytest
import torch

from penchant.training import precision
from penchant.training.precision import Processor, Rate, fast_float32, probe


def test_fast_float32_is_exact_or_off_and_restored():
    before = torch.get_float32_matmul_precision()
    a, b = torch.randn(128, 256), torch.randn(256, 128)
    with fast_float32():
        error = ((a @ b).double() - a.double() @ b.double()).norm() / (a.double() @ b.double()).norm()
    assert error < 5e-6
    assert torch.get_float32_matmul_precision() == before


def test_the_probe_tells_the_types_apart():
    found = probe()
    assert 0 < found.float32.error < 5e-6
    assert 1e-4 < found.bfloat16.error < 2e-2
    assert min(rate.gflops for rate in (found.float32, found.one_dnn, found.bfloat16)) > 0
    assert "threads on" in str(found) and "bfloat16" in str(found)


@pytest.mark.parametrize(
    ("rate", "taken"),
    [(Rate(440, 4e-7), True), (Rate(90, 4e-7), True), (Rate(3, 4e-7), True), (Rate(900, 3e-3), False)],
)
def test_onednn_is_taken_where_it_is_exact_however_busy_the_machine(monkeypatch, rate, taken):
    found = Processor(Rate(95, 4e-7), rate, Rate(900, 3e-3), 2, 2)
    monkeypatch.setattr(precision, "probe", lambda: found)
    torch.set_float32_matmul_precision("highest")
    with fast_float32() as processor:
        assert processor.takes_one_dnn is taken
        assert torch.get_float32_matmul_precision() == ("medium" if taken else "highest")
    assert torch.get_float32_matmul_precision() == "highest"
