"""Faults of rows: the place, and the words that tell a stranger what to do."""

from __future__ import annotations

import pytest

USER = {"role": "user", "content": "Name a colour."}
RED = {"role": "assistant", "content": "Red."}
BREAD = {"role": "assistant", "content": "Bread."}
HUMAN = {"from": "human", "value": "Name a colour."}
GPT = {"from": "gpt", "value": "Red."}

PAIR = {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "Bread."}
TURNS = {"prompt": [USER], "chosen": [RED], "rejected": [BREAD]}
TALKS = {"chosen": [USER, RED], "rejected": [USER, BREAD]}
SHAREGPT = {"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "Bread."}}
LABELLED = {"prompt": "Name a colour.", "completion": "Red.", "label": True}
MESSAGES = {"messages": [USER, RED], "label": True}


def without(row, *columns):
    return {column: value for column, value in row.items() if column not in columns}


def said_by(role, content="Hm."):
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("good", "changes", "words"),
    [
        # Types
        (PAIR, {"prompt": 3}, ['"prompt" must be a string or a list of messages', "got 3"]),
        (PAIR, {"chosen": {"a": 1}}, ['"chosen" must be a string or a list', 'an object with "a"']),
        (PAIR, {"rejected": None}, ['"rejected" must be', "null"]),
        (TURNS, {"prompt": ["Hi"]}, ['"prompt" turn 1 must be an object with "role" and "content"', "'Hi'"]),
        (
            TURNS,
            {"prompt": [{"role": "user", "content": None}]},
            ['"prompt" turn 1 "content" must be a string', "null"],
        ),
        (TURNS, {"prompt": [{"role": "user", "content": [{"type": "text"}]}]}, ["must be a string", "null"]),
        (
            TURNS,
            {"prompt": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]},
            ['"prompt" turn 1 "content" has a part that is not text', "'image'", "Only text is read"],
        ),
        (TURNS, {"prompt": [{"role": 3, "content": "Hi"}]}, ['"prompt" turn 1 "role" must be a string', "got 3"]),
        (
            TURNS,
            {"chosen": [{"role": "assistant", "contents": "a"}]},
            ['no "content"', 'Rename "contents" to "content"'],
        ),
        (TURNS, {"chosen": [{"from": "gpt", "text": "a"}]}, ['"chosen" turn 1 has no "role"', '"from", "text"']),
        (TALKS, {"chosen": "Red."}, ['with no "prompt" column', "whole conversation", 'Add a "prompt" column']),
        (TALKS, {"chosen": "Red.", "promt": "Hi"}, ['Rename "promt" to "prompt"']),
        (TALKS, {"chosen": [RED]}, ['with no "prompt" column', "an array of 1"]),
        (SHAREGPT, {"conversations": "Hi"}, ['"conversations" must be a list of messages', "'Hi'"]),
        (SHAREGPT, {"chosen": "Red."}, ['"chosen" must be an object with "from" and "value"', "'Red.'"]),
        (SHAREGPT, {"system": 3}, ['"system" must be a string', "got 3"]),
        (LABELLED, {"completion": True}, ['"completion" must be a string or a list', "got true"]),
        (MESSAGES, {"messages": {}}, ['"messages" must be a list of messages', "an empty object"]),
        # Roles
        (TURNS, {"prompt": [said_by("bot"), USER]}, ['unknown "role"', "'bot'", '"assistant", "tool"']),
        (SHAREGPT, {"conversations": [{"from": "bing", "value": "a"}]}, ['unknown "from"', "'bing'", '"human"']),
        (
            SHAREGPT,
            {"conversations": [HUMAN, {"from": "function_call", "value": "a"}]},
            ["turn 2", 'a tool call without a "function"', "'a'"],
        ),
        (MESSAGES, {"messages": [USER, {**RED, "tool_calls": [{}]}]}, ["turn 2", 'without a "function"']),
        (MESSAGES, {"messages": [USER, {**RED, "tool_calls": {}, "function_call": 3}]}, ["turn 2", "got 3"]),
        (
            MESSAGES,
            {"messages": [USER, {**RED, "tool_calls": [{"function": {"name": "f"}}]}]},
            ["the last turn", "calls tools", "an answer must be text"],
        ),
        (PAIR, {"tools": "a hammer"}, ['"tools" must be a list of objects', "'a hammer'"]),
        (PAIR, {"tools": [3]}, ['"tools" must be a list of objects']),
        (PAIR, {"chat_template_kwargs": [1]}, ['"chat_template_kwargs" must be an object']),
        (PAIR, {"chat_template_kwargs": {"tokenize": True}}, ["not the row's to set", '"tokenize"']),
        (SHAREGPT, {"chosen": HUMAN}, ['"chosen" is not the assistant\'s turn', "'user'"]),
        (TURNS, {"chosen": [USER]}, ["does not end with the assistant's turn", "'user'"]),
        (MESSAGES, {"messages": [USER, RED, USER]}, ["does not end with the assistant's turn", "'user'"]),
        # Prompts
        (PAIR, {"prompt": ""}, ['"prompt" is empty', "Drop the row"]),
        (PAIR, {"prompt": " \n"}, ['"prompt" is empty', r"' \n'"]),
        (TURNS, {"prompt": []}, ['"prompt" is an empty list']),
        (TURNS, {"prompt": [said_by("system")]}, ['"prompt" has no user turn']),
        (TURNS, {"prompt": [said_by("user", " ")]}, ['"prompt" has only empty user turns']),
        (TURNS, {"prompt": [USER, BREAD]}, ["assistant turn right before the answer", "'Bread.'"]),
        (SHAREGPT, {"conversations": []}, ['"conversations" is an empty list']),
        (SHAREGPT, {"conversations": [GPT]}, ['"conversations" has no user turn']),
        (
            SHAREGPT,
            {"system": "Be brief.", "conversations": [{"from": "system", "value": "Be long."}, HUMAN]},
            ["two system prompts", "'Be brief.'", "Keep one"],
        ),
        (MESSAGES, {"messages": [RED]}, ['"messages" has no user turn']),
        (TALKS, {"rejected": [said_by("user", "Name food."), BREAD]}, ["same conversation", "'Name food.' as turn 1"]),
        (TALKS, {"rejected": [USER, RED, USER, BREAD]}, ["same conversation", "3 turns, not 1"]),
        (TURNS, {"chosen": [said_by("user", "Other."), RED]}, ['"chosen" does not begin with', "'Other.' as turn 1"]),
        (TURNS, {"rejected": [said_by("system"), USER, BREAD]}, ['"rejected" does not begin with', "'Hm.' as turn 1"]),
        (PAIR, {"chosen": [said_by("user", "Other."), RED]}, ['"chosen" does not begin with', "repeat the prompt"]),
        # Answers
        (PAIR, {"chosen": ""}, ['"chosen" is an empty answer', "Drop the row"]),
        (TURNS, {"rejected": [said_by("assistant", " \n")]}, ['the last turn of "rejected" is an empty answer']),
        (SHAREGPT, {"rejected": {"from": "gpt", "value": ""}}, ['"rejected" is an empty answer']),
        (MESSAGES, {"messages": [USER, said_by("assistant", "")]}, ['the last turn of "messages" is an empty answer']),
        (PAIR, {"chosen": "Bread."}, ['"chosen" equals "rejected"; the pair states no preference', "Drop the row"]),
        (TALKS, {"chosen": [USER, BREAD]}, ["states no preference"]),
        # Labels
        (LABELLED, {"label": "yes"}, ['"label" is neither true nor false', "'yes'"]),
        (LABELLED, {"label": None}, ["neither true nor false", "null"]),
        (LABELLED, {"label": 2}, ["neither true nor false", "got 2"]),
        (MESSAGES, {"label": 1.0}, ["neither true nor false", "1.0"]),
        (MESSAGES, {"label": 1 << 60}, ["neither true nor false"]),
    ],
)
def test_faults_name_the_row(write, fault, good, changes, words):
    error = fault(write([good, {**good, **changes}]), unpaired="label" in good)
    assert error.where == "data.jsonl:2"
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "a", "choosen": "b", "rejected": "c"}, ['missing column "chosen"', 'Rename "choosen" to "chosen"']),
        ({"prompt": "a", "chosen": "b"}, ['missing column "rejected" for prompt/chosen/rejected pairs']),
        ({"prompt": "a", "completion": "b", "lable": 1}, ['missing column "label"', 'Rename "lable" to "label"']),
        ({"mesages": [], "label": True}, ['Rename "mesages" to "messages"']),
        ({"conversation": [], "chosen": GPT, "rejected": GPT}, ['Rename "conversation" to "conversations"']),
        (
            {"prompt": "a", "completion_a": "b", "completion_b": "c"},
            ['missing column "preference" for A/B annotations', '"completion_a"'],
        ),
        ({"text": "a"}, ["fit no known layout", '"text"', "docs/data.md"]),
        ({}, ["fit no known layout", "an empty object"]),
        ({"k" * 10_000: 1, **{f"column {k}": 1 for k in range(1000)}}, ["fit no known layout", "993 more"]),
    ],
)
def test_a_first_row_in_no_layout(write, fault, row, words):
    error = fault(write([row]))
    assert error.where == "data.jsonl:1"
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize("good", [PAIR, TALKS, SHAREGPT, LABELLED, MESSAGES])
def test_a_later_row_without_a_column(write, fault, good):
    for column in good:
        error = fault(write([good, without(good, column)]), unpaired="label" in good)
        assert error.where == "data.jsonl:2"
        assert f'missing column "{column}" for' in str(error)
        assert "the layout of the file's first row" in str(error)


def test_a_later_row_with_a_near_column(write, fault):
    error = fault(write([PAIR, {**without(PAIR, "chosen"), "choosen": "b"}]))
    assert 'Rename "choosen" to "chosen".' in str(error)


def test_a_forced_format_that_does_not_match(write, fault):
    error = fault(write([PAIR]), format="sharegpt")
    assert error.where == "data.jsonl:1"
    assert 'missing column "conversations" for the format "sharegpt"' in str(error)


def test_labelled_answers_where_pairs_are_wanted(write, fault):
    error = fault(write([MESSAGES]))
    assert error.where == "data.jsonl:1"
    for word in ("the file holds labelled answers", "DPO", "need pairs", "such as kto", '"rejected"'):
        assert word in str(error)


def test_an_array_names_the_line_of_the_row(write, fault):
    content = (
        b'[\n{"prompt": "a",\n"chosen": "b",\n"rejected": "c"},\n{"prompt": "a",\n"chosen": "b",\n"rejected": "b"}\n]'
    )
    assert fault(write(content, "data.json")).where == "data.json:5"


def test_rows_given_in_python_are_checked_alike(fault):
    assert fault([PAIR, {**PAIR, "chosen": "Bread."}]).where == "row 2"
    assert "a column's name is not a string" in str(fault([{3: "a"}]))
    assert "a Python set" in str(fault([{**PAIR, "chosen": {1}}]))
    assert "bits" in str(fault([{**LABELLED, "label": 10**5000}], unpaired=True))
    assert "lone surrogate" in str(fault([{**PAIR, "chosen": "Red \ud800"}]))
    nest: list[object] = []
    for _ in range(100_000):
        nest = [nest]
    assert "turn 1 must be an object" in str(fault([{**PAIR, "chosen": nest}]))
