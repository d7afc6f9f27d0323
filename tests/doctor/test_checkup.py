"""What a training run says of its data: three lines at most."""

from __future__ import annotations

from doctor.cases import OPEN

from penchant.doctor.checkup import check_up, in_lines
from penchant.records import LabelledAnswer, PreferencePair


def pair(number, chosen="Because.", rejected="No answer."):
    return PreferencePair(f"Question {number}?", chosen, rejected, f"f:{number}")


def test_sound_rows_are_two_lines():
    assert in_lines(check_up([pair(0), pair(1, "Because so.", "No.")])) == [
        "no fault found in the text of 2 rows",
        "the longer answer is chosen in 50% [9%, 91%] of 2 pairs; median length ratio 2.23",
    ]


def test_faults_are_counted_with_the_first_place_and_the_way_on():
    rows = [pair(0), pair(1, OPEN), pair(2, OPEN), pair(0)]
    lines = in_lines(check_up(rows, [pair(2)]))
    assert lines[0] == (
        "prompt is in the evaluation set: 1 (first f:2); answer looks cut off: 2 (first f:1); "
        "duplicate rows: 1 (first f:0)"
    )
    assert lines[2].endswith("(D103, D008, D101)")
    assert len(lines) == 3


def test_labelled_answers_hear_of_their_weights():
    rows = [LabelledAnswer(f"Question {i}?", "Yes.", i == 0, f"f:{i}") for i in range(4)]
    assert "--desirable-weight 3.50 (3.00 to 4.00)" in in_lines(check_up(rows))[1]
