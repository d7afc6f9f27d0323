"""The rule, the interval, and sampling."""

from __future__ import annotations

import pytest

from penchant.evaluation import Answer, is_complete, preference, sample_answers, wilson

SHORT = Answer("Cats purr to calm themselves and each other.", 10, True)
LONG = Answer("Cats purr for many reasons. " * 8 + "That is why.", 60, True)
CUT = Answer("Cats purr for many reasons and", 8, False)
TERSE = Answer("They do.", 3, True)
OPEN = Answer("Cats purr to calm themselves and each other, and", 10, True)


@pytest.mark.parametrize(
    ("answer", "complete"), [(SHORT, True), (LONG, True), (CUT, False), (TERSE, False), (OPEN, False)]
)
def test_complete_means_ended_with_a_sentence_of_some_words(answer, complete):
    assert is_complete(answer) == complete


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (SHORT, LONG, 1.0),
        (LONG, SHORT, 0.0),
        (SHORT, SHORT, 0.5),
        (LONG, CUT, 1.0),
        (CUT, SHORT, 0.0),
        (CUT, OPEN, 0.5),
        (TERSE, LONG, 0.0),
    ],
)
def test_the_concise_complete_answer_is_preferred(first, second, expected):
    assert preference(first, second) == expected


def test_wilson_interval_against_published_values():
    """Newcombe 1998, table 1: 81 of 263, 15 of 148, 0 of 20."""
    for wins, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        share = wilson([1.0] * wins + [0.0] * (n - wins))
        assert (share.low, share.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert wilson([0.5] * 10).value == 0.5
    for n in range(1, 400):
        none, all_of_them = wilson([0.0] * n), wilson([1.0] * n)
        assert none.low == 0 and all_of_them.high == 1, "the interval holds its own share"
    with pytest.raises(ValueError, match="no outcomes"):
        wilson([])


def test_sampling_is_fixed_by_the_seed_and_stops_at_the_end_of_turn(tiny_model, tiny_tokenizer):
    questions = ["Why?", "What is a comet made of, number 7?", "Name a river"]
    settings = {"max_new_tokens": 12, "temperature": 1.0, "batch_size": 2}
    first = sample_answers(tiny_model, tiny_tokenizer, questions, seed=1, **settings)
    again = sample_answers(tiny_model, tiny_tokenizer, questions, seed=1, **settings)
    other = sample_answers(tiny_model, tiny_tokenizer, questions, seed=2, **settings)
    assert first == again
    assert first != other
    for answer in first:
        assert answer.tokens <= 12
        assert answer.ended or answer.tokens == 12


def test_greedy_answers_do_not_depend_on_padding(tiny_model, tiny_tokenizer):
    """A question answered alone and beside a longer one, which pads it on the left."""
    settings = {"max_new_tokens": 8, "temperature": 0.0, "seed": 0}
    (alone,) = sample_answers(tiny_model, tiny_tokenizer, ["Why?"], **settings)
    beside, _ = sample_answers(tiny_model, tiny_tokenizer, ["Why?", "What is a comet made of?"], **settings)
    assert alone == beside
