"""Every public layout, each with its variants of strings and messages."""

from __future__ import annotations

import pytest

from penchant.data import read_preferences
from penchant.data.formats import LAYOUTS, layout_named
from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Name a colour."}
RED = {"role": "assistant", "content": "Red."}
BREAD = {"role": "assistant", "content": "Bread."}


def gpt(value):
    return {"from": "gpt", "value": value}


HUMAN = {"from": "human", "value": "Name a colour."}


@pytest.mark.parametrize(
    ("name", "row", "prompt"),
    [
        ("prompt-pairs", {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "Bread."}, "Name a colour."),
        ("prompt-pairs", {"prompt": "Name a colour.", "chosen": [RED], "rejected": [BREAD]}, "Name a colour."),
        ("prompt-pairs", {"prompt": "Name a colour.", "chosen": [USER, RED], "rejected": "Bread."}, "Name a colour."),
        ("prompt-pairs", {"prompt": [USER], "chosen": "Red.", "rejected": "Bread."}, (USER,)),
        ("prompt-pairs", {"prompt": [SYSTEM, USER], "chosen": [RED], "rejected": [BREAD]}, (SYSTEM, USER)),
        (
            "prompt-pairs",
            {"prompt": [SYSTEM, USER], "chosen": [SYSTEM, USER, RED], "rejected": [SYSTEM, USER, BREAD]},
            (SYSTEM, USER),
        ),
        ("conversation-pairs", {"chosen": [USER, RED], "rejected": [USER, BREAD]}, (USER,)),
        (
            "conversation-pairs",
            {"chosen": [SYSTEM, USER, BREAD, USER, RED], "rejected": [SYSTEM, USER, BREAD, USER, BREAD]},
            (SYSTEM, USER, BREAD, USER),
        ),
        ("sharegpt", {"conversations": [HUMAN], "chosen": gpt("Red."), "rejected": gpt("Bread.")}, (USER,)),
        (
            "sharegpt",
            {
                "system": "Be brief.",
                "conversations": [{"from": "user", "value": "Name a colour."}, gpt("Bread."), HUMAN],
                "chosen": {"from": "assistant", "value": "Red."},
                "rejected": {"from": "chatgpt", "value": "Bread."},
            },
            (SYSTEM, USER, BREAD, USER),
        ),
        (
            "sharegpt",
            {
                "system": "",
                "conversations": [{"from": "system", "value": "Be brief."}, HUMAN],
                "chosen": gpt("Red."),
                "rejected": gpt("Bread."),
            },
            (SYSTEM, USER),
        ),
    ],
)
def test_pairs(read, name, row, prompt):
    preferences = read(row)
    assert preferences.rows == [PreferencePair(prompt, "Red.", "Bread.", "data.jsonl:1")]
    assert preferences.readings[0].format == name
    assert preferences.readings[0].unused == {}


@pytest.mark.parametrize(
    ("name", "row", "prompt"),
    [
        ("labelled-completions", {"prompt": "Name a colour.", "completion": "Red."}, "Name a colour."),
        ("labelled-completions", {"prompt": "Name a colour.", "completion": [RED]}, "Name a colour."),
        ("labelled-completions", {"prompt": [SYSTEM, USER], "completion": [RED]}, (SYSTEM, USER)),
        ("labelled-completions", {"prompt": [USER], "completion": [USER, RED]}, (USER,)),
        ("labelled-messages", {"messages": [SYSTEM, USER, RED]}, (SYSTEM, USER)),
    ],
)
@pytest.mark.parametrize(("label", "read_as"), [(True, True), (False, False), (1, True), (0, False)])
def test_labelled_answers(read, name, row, prompt, label, read_as):
    preferences = read({**row, "label": label}, unpaired=True)
    assert preferences.rows == [LabelledAnswer(prompt, "Red.", read_as, "data.jsonl:1")]
    assert preferences.rows[0].label is read_as
    assert preferences.readings[0].format == name


def test_messages_keep_only_role_and_content(read):
    row = {"chosen": [{**USER, "name": "Ada", "weight": 1}, RED], "rejected": [USER, BREAD]}
    preferences = read(row)
    assert preferences.rows[0].prompt == (USER,)
    assert preferences.summary().endswith("(columns not used: chosen.weight, chosen.name)")


def test_a_tool_turn_with_plain_text_is_kept(read):
    tool = {"role": "tool", "content": "21 degrees"}
    preferences = read({"chosen": [USER, tool, RED], "rejected": [USER, tool, BREAD]})
    assert preferences.rows[0].prompt == (USER, tool)


def test_a_format_can_be_forced(read):
    row = {"prompt": "unused here", "chosen": [USER, RED], "rejected": [USER, BREAD]}
    preferences = read(row, format="conversation-pairs")
    assert preferences.rows[0].prompt == (USER,)
    assert preferences.readings[0].unused == {"prompt": 1}


def test_every_layout_is_found_by_its_name():
    assert [layout_named(layout.name) for layout in LAYOUTS] == list(LAYOUTS)


def test_an_unknown_format_names_the_nearest(fault):
    error = fault([{"prompt": "a", "chosen": "b", "rejected": "c"}], format="sharegtp")
    assert "no format 'sharegtp'" in str(error)
    assert "Did you mean 'sharegpt'" in str(error)


def test_an_unknown_format_is_refused_before_files_are_read():
    with pytest.raises(InputError, match="no format"):
        read_preferences("missing.jsonl", unpaired=False, format="csv")
