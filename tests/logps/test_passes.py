"""Passes: every group once, within the budget as its rows are laid out, and as full as that allows."""

import random

import pytest

from penchant.logps.layout import PackedBatch
from penchant.logps.passes import passes
from penchant.logps.plain import AnswerBatch


def groups(beginning: int) -> list:
    rng = random.Random(0)
    numbers = [[rng.randrange(9) for _ in range(rng.randint(1, 20))] for _ in range(120)]
    return [([9] * beginning + numbers[k], [numbers[k + 40], numbers[k + 80]][: 1 + k % 2]) for k in range(40)]


@pytest.mark.parametrize("beginning", [0, 30])
def test_packed_rows_count_what_they_share_once(beginning):
    rows = groups(beginning)
    parts = list(passes(rows, max_tokens=200, packed=True))
    assert sorted(place for part in parts for place in part) == list(range(40))
    taken = [PackedBatch.of([rows[place] for place in part], device="cpu").ids_1T.numel() for part in parts]
    assert max(taken) <= 200
    positions = sum(len(prompt) - beginning + sum(map(len, answers)) for prompt, answers in rows)
    assert len(parts) <= positions / (200 - beginning - 60) + 1  # no group has more than 60 of its own


def test_plain_rows_count_their_padding():
    rows = groups(30)
    parts = list(passes(rows, max_tokens=400, packed=False))
    assert sorted(place for part in parts for place in part) == list(range(40))
    for part, following in zip(parts, [*parts[1:], []], strict=True):
        assert padded([rows[place] for place in part]) <= 400
        assert not following or padded([rows[place] for place in [*part, following[0]]]) > 400


def padded(rows: list) -> int:
    """Positions, an answer's last token counted, which predicts nothing and is not computed."""
    flat = [(prompt, answer) for prompt, answers in rows for answer in answers]
    batch = AnswerBatch.of([p for p, _ in flat], [a for _, a in flat], pad_id=0, device="cpu")
    return batch.ids_BT.numel() + len(flat)


@pytest.mark.parametrize("packed", [True, False])
def test_a_group_over_the_budget_goes_alone(packed):
    assert all(len(part) == 1 for part in passes(groups(0), max_tokens=1, packed=packed))
    assert list(passes([], max_tokens=1, packed=packed)) == []
