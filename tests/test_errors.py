"""A user's mistake is one line."""

from __future__ import annotations

import copy

from penchant.errors import InputError, shorten, suggest


def test_the_four_parts_make_one_line():
    error = InputError("the answer is\nempty", where="f.jsonl:3", got='""', fix="Drop the row")
    assert str(error) == 'f.jsonl:3: the answer is empty (got ""). Drop the row.'


def test_parts_may_be_left_out_and_ends_are_not_doubled():
    assert str(InputError("no rows")) == "no rows."
    assert str(InputError("no rows", fix="Did you mean 'dpo'?")) == "no rows. Did you mean 'dpo'?"
    assert str(InputError("no rows", fix="Give one.")) == "no rows. Give one."


def test_it_is_rebuilt_whole_as_when_it_crosses_processes():
    error = InputError("no rows", where="f:1", got="0", fix="Give one")
    assert str(copy.copy(error)) == str(error)


def test_suggestions_are_near_or_few():
    assert suggest("dop", ["dpo", "ipo"]) == "Did you mean 'dpo'?"
    assert suggest("dop", ["dpo", "dro", "dpop"]) == "Did you mean 'dpo'?"  # letters out of order before other letters
    assert suggest("zzz", ["dpo", "ipo"]) == "Known: dpo, ipo"
    assert "option0" not in suggest("zzz", [f"option{n}" for n in range(100)])


def test_values_are_shown_in_bounded_length():
    assert len(shorten("x" * 1000)) == 60
