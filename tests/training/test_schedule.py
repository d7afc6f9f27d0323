"""A linear warm-up from 0 begins above 0; every other schedule is transformers' own."""

from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from penchant.training.schedule import risen

STEPS, WARMUP = 12, 4


def rates(name, *, ours, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(name, optimizer, WARMUP, STEPS, kwargs)
    scheduler = risen(scheduler, WARMUP) if ours else scheduler
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("linear", {}),
        ("cosine", {}),
        ("cosine_with_restarts", {"num_cycles": 2}),
        ("polynomial", {}),
        ("constant_with_warmup", {}),
        ("inverse_sqrt", {}),
        ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
        ("warmup_stable_decay", {"num_decay_steps": 2}),
    ],
)
def test_a_linear_warm_up_begins_above_0(name, kwargs):
    own, found = rates(name, ours=False, **kwargs), rates(name, ours=True, **kwargs)
    assert own[0] == 0
    assert found[:WARMUP] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert found[WARMUP:] == own[WARMUP:]


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("constant", {}),
        ("warmup_stable_decay", {"num_decay_steps": 2, "warmup_type": "cosine"}),
        ("warmup_stable_decay", {"num_decay_steps": 2, "min_lr_ratio": 0.1}),
        ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1}),
        ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1, "warmup_lr_rate": 0.5}),
    ],
)
def test_any_other_is_left_as_it_is(name, kwargs):
    assert rates(name, ours=True, **kwargs) == rates(name, ours=False, **kwargs)


def test_constant_is_constant():
    assert rates("constant", ours=True) == [1.0] * STEPS
