"""Every layout: its true-to-life row is recognised and read, a wrong one is named, and no value breaks it."""

from __future__ import annotations

import json

import pytest
from data.layout_rows import BREAD, RED, ROWS, TEXT, TURNS, USER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penchant.data import read_lists, read_preferences, read_rows
from penchant.data.formats import LAYOUTS, recognise
from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers, TokenAnswer, TokenPair


def said(record):
    match record:
        case PreferencePair():
            return record.prompt, record.chosen, record.rejected, record.numbers
        case LabelledAnswer():
            return record.prompt, record.completion, record.label
        case RankedAnswers():
            return record.prompt, record.answers, record.scores
        case TokenPair():
            return record.prompt_ids, record.chosen_ids, record.rejected_ids
        case TokenAnswer():
            return record.prompt_ids, record.completion_ids, record.label
    raise AssertionError(record)


def test_every_layout_has_a_row():
    assert set(ROWS) == {layout.name for layout in LAYOUTS}


@pytest.mark.parametrize("name", ROWS)
def test_the_row_is_recognised_and_read(name):
    row, expected, *_ = ROWS[name]
    layout = recognise(row, "rows:1")
    assert layout.name == name
    assert said(layout.convert(row, "rows:1")) == expected
    assert said(layout.convert(json.loads(json.dumps(row)), "rows:1")) == expected


@pytest.mark.parametrize("name", ROWS)
def test_a_wrong_row_is_named(name, write, fault):
    row, _, wrong, words = ROWS[name]
    error = fault(write([row, row | wrong]), unpaired=True)
    assert error.where == "data.jsonl:2"
    assert words in str(error)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["[", "{}", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "answer", "rank", "text", "x"]), inner)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_field_is_read_or_refused_in_one_line(name, data):
    row = json.loads(json.dumps(ROWS[name].row))
    column = data.draw(st.sampled_from([*row, "tools", "chat_template_kwargs", "weight", "is_tie"]))
    entry = row.get(column)
    if isinstance(entry, list) and entry and isinstance(entry[0], dict) and data.draw(st.booleans()):
        entry[0][data.draw(st.sampled_from([*entry[0], "tool_calls", "function_call"]))] = data.draw(VALUES)
    else:
        row[column] = data.draw(VALUES)
    for unpaired in (True, False):
        try:
            read_preferences([ROWS[name].row, row], unpaired=unpaired)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
    _, second = read_rows([ROWS[name].row, row])
    assert (second.record is None) != (second.fault is None)


def test_lists_give_the_best_against_the_worst(read):
    row = {"prompt": TEXT, "answers": ["Bread.", "Red.", "Blue."], "scores": [1, 5, 3]}
    tie = {"prompt": "Name one.", "answers": ["Red.", "Blue."], "scores": [2, 2]}
    preferences = read(row, tie)
    assert [said(pair) for pair in preferences.rows] == [(TEXT, "Red.", "Bread.", {})]
    words = "2 rows made into 1 pair, the best against the worst, left out: ties 1"
    assert preferences.summary() == f"read as prompts with lists of rated answers, {words}"
    unpaired = read(row, tie, unpaired=True)
    assert [(one.completion, one.label) for one in unpaired.rows] == [("Red.", True), ("Bread.", False)]


def test_numbers_follow_from_the_scores_of_a_list(write):
    path = write([{"prompt": TEXT, "answers": ["Bread.", "Red."], "scores": [1, 5], "weight": 2}])
    terms = ["chosen_scores", "rejected_scores", "margin", "is_tie", "weight"]
    (pair,) = read_preferences(path, unpaired=False, terms=terms).rows
    assert pair.numbers == {"chosen_scores": 5, "rejected_scores": 1, "margin": 4, "is_tie": 0, "weight": 2}
    answers = read_preferences(path, unpaired=True, terms=["score"]).rows
    assert [(one.completion, one.numbers) for one in answers] == [("Red.", {"score": 5}), ("Bread.", {"score": 1})]


def test_single_rated_answers_to_one_prompt_make_a_list(write):
    rows = [{"prompt": "A?", "response": word, "helpfulness": k} for k, word in enumerate(["x", "y", "z"])]
    path = write([*rows, {"prompt": "B?", "response": "alone", "helpfulness": 4}])
    (pair,) = read_preferences(path, unpaired=False).rows
    assert (pair.chosen, pair.rejected, pair.source) == ("z", "x", "data.jsonl:1-3")
    (ranked,) = read_lists(path).rows
    assert (ranked.answers, ranked.scores) == (("x", "y", "z"), (0, 1, 2))
    assert "left out: answers alone under their prompt 1" in read_lists(path).summary()


def test_annotations_ties_labels_and_rows_that_nobody_judged(read):
    row = ROWS["annotations"].row
    rows = [row, row | {"preference": "tie"}, row | {"preference": ""}, row | {"preference": None}]
    preferences = read(*rows)
    assert len(preferences.rows) == 1
    assert preferences.summary().startswith("read as A/B annotations, 4 rows, left out: no preference stated 2, ties 1")
    both_good = row | {"completion_a_is_acceptable": "yes"}
    assert [answer.label for answer in read(both_good, unpaired=True).rows] == [True, True]
    bad_tie = both_good | {"preference": "tie", "completion_a_is_acceptable": "no", "completion_b_is_acceptable": "no"}
    assert [answer.label for answer in read(bad_tie, unpaired=True).rows] == [False, False]
    assert "both answers are the same" in str(
        next(read_rows([row | {"preference": "tie", "completion_a": "Red."}])).fault
    )


def test_ties_are_kept_for_a_method_that_asks(write):
    row = ROWS["annotations"].row
    path = write([row, row | {"preference": "tie"}])
    read = read_preferences(path, unpaired=False, terms=["is_tie"])
    assert [pair.numbers for pair in read.rows] == [{"is_tie": 0.0}, {"is_tie": 1.0}]


def test_tools_and_tool_turns_go_with_the_row(read):
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "look", "arguments": '{"at": 1}'}}],
    }
    result = {"role": "tool", "name": "look", "content": "red"}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    row = {"prompt": [USER, call, result], "chosen": [RED], "rejected": [BREAD], "tools": tools}
    (pair,) = read(row | {"chat_template_kwargs": {"enable_thinking": False}}).rows
    assert pair.template_args == {"tools": tools, "enable_thinking": False}
    assert pair.prompt[1]["tool_calls"] == [{"type": "function", "function": {"name": "look", "arguments": {"at": 1}}}]
    assert pair.prompt[2] == result
    (same,) = read(
        {
            "conversations": [
                {"from": "human", "value": TEXT},
                {"from": "function_call", "value": '{"name": "look", "arguments": {"at": 1}}'},
                {"from": "observation", "value": "red"},
            ],
            "chosen": {"from": "gpt", "value": "Red."},
            "rejected": {"from": "gpt", "value": "Bread."},
            "tools": json.dumps(tools),
        }
    ).rows
    assert same.prompt[:2] == pair.prompt[:2] and same.template_args == {"tools": tools}


def test_parts_of_text_are_joined(read):
    parts = [{"type": "text", "text": "Name "}, {"type": "text", "text": "a colour."}]
    row = {"prompt": [{"role": "user", "content": parts}], "chosen": "Red.", "rejected": "Bread."}
    assert read(row).rows[0].prompt == TURNS


def test_lists_are_asked_for_and_pairs_are_there(write):
    path = write([ROWS["prompt-pairs"].row])
    with pytest.raises(InputError, match=r"data.jsonl:1: the file holds no lists.*penchant convert"):
        read_lists(path)


def test_nothing_but_ties(write, fault):
    row = ROWS["annotations"].row | {"preference": "tie"}
    assert "no rows are left to train on" in str(fault(write([row])))
