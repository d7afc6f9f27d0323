"""Rows shared out over processes: the same steps as on one process, equally many rows each, nearly equal tokens."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import BatchSampler, SequentialSampler

from penchant.training.order import SharedOrder


@pytest.mark.parametrize("processes", [2, 4])
def test_a_step_is_shared_by_length(processes):
    sizes = random.Random(0).choices(range(50, 1000), k=70)
    per_step = 16
    torch.manual_seed(3)
    one, several = SeedableRandomSampler(range(70)), SeedableRandomSampler(range(70))
    order = SharedOrder(several, sizes, per_step, processes)
    assert len(order) == 70
    for epoch in range(2):
        one.set_epoch(epoch)
        order.set_epoch(epoch)
        expected = list(BatchSampler(one, per_step, drop_last=False))
        shares = list(BatchSampler(order, per_step // processes, drop_last=False))
        for index, step in enumerate(expected[:-1]):
            mine = shares[index * processes : (index + 1) * processes]
            assert sorted(itertools.chain(*mine)) == sorted(step)
            tokens = [sum(sizes[row] for row in share) for share in mine]
            in_order = [step[start : start + per_step // processes] for start in range(0, per_step, len(mine[0]))]
            unshared = [sum(sizes[row] for row in share) for share in in_order]
            assert max(tokens) <= max(unshared)
            assert max(tokens) - min(tokens) <= max(sizes)
        assert [*itertools.chain(*shares)][64:] == expected[-1]


def test_one_order_for_all():
    order = SharedOrder(SequentialSampler(range(4)), [4, 3, 2, 1], 4, 2)
    assert list(order) == [0, 3, 1, 2]
