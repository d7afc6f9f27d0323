"""Any layout into any other, and back where nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data.layout_rows import RED, ROWS, TEXT, USER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penchant.cli import main
from penchant.data import read_lists, read_preferences
from penchant.data.convert import TARGETS, Conversion, convert
from penchant.data.formats import LAYOUTS
from penchant.data.shaping import Pairing
from penchant.data.write import refused_path
from penchant.errors import InputError

PAIR = {"prompt": TEXT, "chosen": "Red.", "rejected": "Bread."}
LIST = {"prompt": TEXT, "answers": ["Bread.", "Red.", "Blue.", "Blood."], "scores": [1, 5, 3, 3]}


@pytest.fixture
def converted(tmp_path):
    """The rows that rows become, and the refused ones."""

    def run(rows, to, **options):
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        convert(rows, out, Conversion(to, **options))
        refused = refused_path(out)
        left = [json.loads(line) for line in refused.open()] if refused.exists() else []
        return [json.loads(line) for line in out.open()], left

    return run


def without_origin(rows):
    return [{name: value for name, value in row.items() if name != "origin"} for row in rows]


@pytest.mark.parametrize("to", ["unpaired", "ranking", "chatml", "trl", "pairs"])
def test_pairs_there_and_back(converted, to):
    rows = [PAIR, PAIR | {"prompt": [{"role": "system", "content": "Short."}, USER], "chosen": "Blue."}]
    there, refused = converted(rows, to)
    assert not refused and [row["origin"] for row in there][:: len(there) // 2] == ["row 1", "row 2"]
    back, refused = converted(there, "pairs")
    assert not refused
    assert [{name: row[name] for name in PAIR} for row in back] == rows
    assert [row["origin"] for row in back] == ["row 1", "row 2"]


def test_lists_to_ratings_and_back(converted):
    rows = [LIST, LIST | {"prompt": "Name a food.", "scores": [4, 0.5, 2, 1]}]
    ratings, _ = converted(rows, "ratings")
    assert ratings[1] == {"prompt": TEXT, "completion": "Red.", "score": 5.0, "origin": "row 1"}
    back, refused = converted(ratings, "ranking")
    assert without_origin(back) == rows and not refused


def test_conversations_as_trl_and_chat_have_them(converted):
    (row,), _ = converted([PAIR | {"tools": [{"name": "look"}]}], "trl")
    assert row["prompt"] == [USER] and row["chosen"] == [RED] and row["tools"] == [{"name": "look"}]
    (row,), _ = converted([PAIR], "chatml")
    assert row["chosen"] == [USER, RED]
    (row,), _ = converted([{"messages": [USER, RED], "label": False}], "trl")
    assert without_origin([row]) == [{"prompt": [USER], "completion": [RED], "label": False}]


def test_which_pairs_a_list_becomes(converted):
    def pairs(which, margin=0.0, ties="drop"):
        rows, _ = converted([LIST], "pairs", pairing=Pairing(which, margin), ties=ties)
        return [(row["chosen"], row["rejected"], row.get("margin")) for row in rows]

    assert pairs("best-worst") == [("Red.", "Bread.", 4)]
    assert pairs("best-rest") == [("Red.", "Blue.", 2), ("Red.", "Blood.", 2), ("Red.", "Bread.", 4)]
    assert len(pairs("all")) == 5 and len(pairs("all", ties="keep")) == 6
    assert pairs("all", margin=3) == [("Red.", "Bread.", 4)]


def test_ties_and_margins(converted):
    row = ROWS["annotations"].row
    tie = row | {"preference": "tie"}
    kept, refused = converted([row, tie], "pairs")
    assert len(kept) == 1 and refused[0]["source"] == "row 2" and refused[0]["row"] == tie
    assert refused[0]["reasons"] == [{"detail": "a tie"}]
    kept, _ = converted([row, tie], "pairs", ties="keep")
    assert [one.get("is_tie") for one in kept] == [None, True]
    kept, _ = converted([row, tie], "pairs", ties="both")
    assert [(one["chosen"], one.get("weight")) for one in kept] == [("Red.", None), ("Bread.", 0.5), ("Red.", 0.5)]
    kept, refused = converted([row, row | {"preference": "a-is-better"}], "pairs", pairing=Pairing(margin=2))
    assert [one["margin"] for one in kept] == [2] and refused[0]["reasons"][0]["detail"] == "a margin of 1, under 2"


@pytest.mark.parametrize(
    ("strength", "expected"),
    [("stated", {"preference_prob": 0.75}), ("weight", {"weight": 1.0}), ("margin", {"margin": 0.5, "weight": 2})],
)
def test_soft_labels(converted, strength, expected):
    rows, _ = converted([ROWS["alpaca-eval"].row | {"weight": 2}], "pairs", strength=strength)
    assert expected.items() <= rows[0].items()
    assert strength == "stated" or "preference_prob" not in rows[0]


def test_labels_by_threshold(converted):
    rows, _ = converted([LIST], "unpaired", threshold=3)
    assert [(row["completion"], row["label"]) for row in rows] == list(
        zip(LIST["answers"], [False, True, True, True], strict=True)
    )
    rows, _ = converted([LIST], "unpaired")
    assert [(row["completion"], row["label"], row["score"]) for row in rows] == [
        ("Red.", True, 5),
        ("Bread.", False, 1),
    ]


def test_a_pair_rated_the_other_way_is_no_list(converted):
    rows, refused = converted([PAIR, PAIR | {"score_chosen": 2, "score_rejected": 3}], "ranking")
    assert len(rows) == 1 and "is rated 2 and the rejected one 3" in refused[0]["reasons"][0]["detail"]


@pytest.mark.parametrize("layout", [one.name for one in LAYOUTS if not one.name.startswith("token")])
@pytest.mark.parametrize("to", TARGETS)
def test_every_layout_to_every_target_is_read_again(converted, layout, to):
    row = ROWS[layout].row
    judged = {"helpfulness": 1, "rating": 1} | {name: not row.get(name) for name in ("label", "kto_tag")}
    other = {name: value for name, value in judged.items() if name in row}
    second = json.loads(json.dumps(row).replace("Red.", "Blue.")) | other
    rows, refused = converted([row, second] if other else [row], to)
    assert rows and not refused
    if to in ("ratings", "ranking"):
        assert read_lists(rows).rows
    else:
        assert read_preferences(rows, unpaired=to == "unpaired" or "label" in rows[0]).rows


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.one_of(
            st.sampled_from([PAIR, PAIR | {"chosen": ""}, PAIR | {"is_tie": True}, PAIR | {"weight": -1}, {}, 3, None]),
            st.builds(lambda a, b: PAIR | {"chosen": a, "rejected": b}, st.text(), st.text()),
        ),
        max_size=8,
    ),
    to=st.sampled_from(TARGETS),
)
def test_no_row_is_lost(converted, rows, to):
    written, refused = converted([PAIR, *rows], to)
    told = {row["origin"] for row in written} | {one["source"] for one in refused}
    assert told == {f"row {number}" for number in range(1, len(rows) + 2)}
    assert all(one["reasons"][0]["detail"] for one in refused)


def test_text_that_is_no_json_is_kept_as_text(write, tmp_path):
    path = write(json.dumps(PAIR).encode() + b'\n{"prompt": caf\xe9}\n')
    convert(path, tmp_path / "out.jsonl", Conversion("pairs"))
    (left,) = [json.loads(line) for line in (tmp_path / "out.refused.jsonl").open()]
    assert left["text"] == '{"prompt": caf\\xe9}' and left["source"] == "data.jsonl:2"


def test_nothing_is_left_of_a_conversion_that_fails(write, tmp_path):
    for content in (b"[" + json.dumps(PAIR).encode() + b",", json.dumps(PAIR | {"chosen": ""}).encode()):
        path = write(content)
        with pytest.raises(InputError):
            convert(path, tmp_path / "out.jsonl", Conversion("pairs"))
        assert [one.name for one in tmp_path.iterdir()] == ["data.jsonl"]


def test_the_command(write, capsys):
    write([PAIR, PAIR | {"chosen": ""}])
    with pytest.raises(SystemExit) as stop:
        main(["convert", "data.jsonl", "out.jsonl", "--to", "unpaired"])
    assert not stop.value.code
    told = capsys.readouterr().out
    assert told.startswith(
        "read as prompt/chosen/rejected pairs, 2 rows; 2 rows in out.jsonl; 1 refused, in out.refused"
    )
    assert len(Path("out.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.jsonl", "--to", "pairs"], "two names are wanted"),
        (["data.jsonl", "data.jsonl", "--to", "pairs"], "is there already"),
        (["data.jsonl", "out.csv", "--to", "pairs"], "End in .jsonl"),
        (["none.jsonl", "out.jsonl", "--to", "pairs"], "no such file"),
        (["data.jsonl", "out.jsonl", "--to", "pears"], "pears"),
        (["data.jsonl", "out.jsonl", "--to", "pairs", "--margin", "-1"], "from 0 up"),
    ],
)
def test_mistakes_cost_one_line(write, capsys, arguments, words):
    write([PAIR])
    with pytest.raises(SystemExit) as stop:
        main(["convert", *arguments])
    assert stop.value.code == 2
    assert words in (told := capsys.readouterr().err) and told.count("\n") == 1


def test_every_turn_of_a_labelled_conversation(converted):
    said = [
        {"role": "system", "content": "Short."},
        USER,
        {"role": "assistant", "content": "Red."},
        USER,
        {"role": "assistant", "content": " "},
        USER,
        {"role": "assistant", "content": "Blue."},
    ]
    rows, refused = converted([{"messages": said, "label": False}], "unpaired", turns="all")
    assert not refused
    assert [(row["prompt"], row["completion"], row["label"]) for row in rows] == [
        (said[:2], "Red.", False),
        (said[:6], "Blue.", False),
    ]
    last, _ = converted([{"messages": said, "label": False}], "unpaired")
    assert without_origin(last) == without_origin(rows[1:])
    assert read_preferences(rows, unpaired=True).rows[0].completion == "Red."


def test_every_turn_of_a_pair_is_refused_with_the_reason(converted):
    with pytest.raises(InputError, match="on both sides"):
        converted([PAIR], "unpaired", turns="all")
    with pytest.raises(InputError, match="for labelled answers"):
        Conversion("ranking", turns="all")
