"""Every assistant turn of a labelled conversation is trained on request, and only where that means something."""

from __future__ import annotations

import pytest

from penchant.errors import InputError
from penchant.objectives import get_method
from penchant.training import PreferenceConfig, train
from penchant.training.reading import read_rows_for

ASK = {"role": "user", "content": "A colour?"}
TALK = [ASK, {"role": "assistant", "content": "Red."}, ASK, {"role": "assistant", "content": "Blue."}]


def read(rows, tmp_path, **options):
    said = []
    config = PreferenceConfig(output_dir=str(tmp_path), method="kto", **options)
    return read_rows_for(get_method("kto"), config, rows, None, "data", said.append).rows, said


def test_each_turn_is_a_row_with_the_conversation_s_label(tmp_path):
    rows = [{"messages": TALK, "label": True}, {"messages": TALK[:2], "label": False}]
    found, said = read(rows, tmp_path, turns="all")
    assert [(row.prompt, row.completion, row.label) for row in found] == [
        (tuple(TALK[:1]), "Red.", True),
        (tuple(TALK[:3]), "Blue.", True),
        (tuple(TALK[:1]), "Red.", False),
    ]
    assert said[1].endswith("3 assistant turns of 2 conversations, each a row")
    assert len(read(rows, tmp_path)[0]) == 2


def test_where_earlier_turns_are_the_same_on_both_sides_it_is_refused(tmp_path):
    pair = {"prompt": TALK[:3], "chosen": "Blue.", "rejected": "Red."}
    with pytest.raises(InputError, match="both good and bad"):
        read([pair], tmp_path, turns="all")
    with pytest.raises(InputError, match="'dpo' compares whole conversations"):
        PreferenceConfig(output_dir=str(tmp_path), method="dpo", turns="all")
    with pytest.raises(InputError, match="last or all"):
        read([pair], tmp_path, turns="first")
    with pytest.raises(InputError, match="both sides of eval_split"):
        train(model="nowhere", data=[pair], output_dir=tmp_path / "run", method="kto", turns="all", eval_split=0.5)
