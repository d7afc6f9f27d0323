"""Every rule finds the row that has its fault, and lets the one pass that has not."""

from __future__ import annotations

import re

import pytest
from doctor.cases import CASES, Case, annotation, labelled, pair, turns
from tests_support import write_jsonl

from penchant.doctor import RULES, Severity, examine, read_rows
from penchant.doctor.catalogue import TEXT_RULES
from penchant.objectives import METHODS


@pytest.fixture
def results(tmp_path):
    """What is found in rows written as a file, by rule id."""

    def examine_rows(rows, held_out=None):
        path = write_jsonl(tmp_path / "data.jsonl", rows)
        other = read_rows([write_jsonl(tmp_path / "eval.jsonl", held_out)]) if held_out else None
        report = examine(read_rows([path]), held_out=other).report
        return {result.rule.id: result for result in report.results}

    return examine_rows


def first(rows):
    """A sound row in the layout of the others."""
    if "preference" in rows[-1]:
        return annotation("b-is-better") | {"prompt": "First?"}
    return labelled("First?", "Yes, it is.") if "label" in rows[-1] else pair("First?", "Yes, it is.", "No.")


@pytest.mark.parametrize(
    ("id", "case"),
    [pytest.param(id, case, id=f"{id}-{k}") for id, cases in CASES.items() for k, case in enumerate(cases)],
)
def test_rule_finds_its_fault_and_nothing_in_the_sound_row(results, id, case: Case):
    found = results([first(case.faulty), *case.faulty], case.held_out)
    assert id in found
    assert found[id].severity > Severity.NOTE or id in ("D013", "D014", "D107")
    sound = results([first(case.sound), *case.sound], case.held_out)
    assert id not in sound or (sound[id].severity == Severity.NOTE and id in ("D104", "D105"))


def test_every_rule_has_a_case_and_a_number_of_its_own():
    assert set(CASES) == {rule.id for rule in TEXT_RULES}
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_words_of_a_rule_can_be_read_and_obeyed(rule):
    assert re.fullmatch(r"D[0-3]\d\d", rule.id)
    assert rule.why.endswith((".", ").")) and rule.remedy.endswith((".", ")."))
    assert rule.check.__doc__
    for names in re.findall(r"--method ([a-z_]+(?: or [a-z_]+)*)", rule.remedy):
        assert set(names.split(" or ")) <= set(METHODS)


def test_a_refused_row_does_not_stop_the_examination(results):
    found = results(
        [pair("First?"), pair(chosen=""), pair("A?", "x" * 70 + " y", "x"), pair("A?", "x", "x" * 70 + " y")]
    )
    assert found["D003"].count == 1
    assert found["D003"].worst[0][0].endswith("data.jsonl:2")
    assert found["D102"].count == 2
    assert found["D003"].share == 0.25


def test_the_worst_rows_come_first_and_are_few(results):
    rows = [pair(f"Question {i}?", "bell" + "\x07" * (i + 1), "No.") for i in range(20)]
    worst = results(rows)["D012"].worst
    assert len(worst) == 5
    assert worst[0][1] == "chosen holds U+0007; 20 in all"
    assert worst[0][0].endswith(":20")


def test_equal_faults_are_shown_in_the_file_s_order(results):
    rows = [pair("First?")] + [pair(f"Question {i}?", "") for i in range(9)]
    assert [source.rpartition(":")[2] for source, _ in results(rows)["D003"].worst] == ["2", "3", "4", "5", "6"]


def test_a_duplicate_names_the_first_of_its_kind(results):
    (source, detail), *_ = results([pair("A?"), pair("B?"), pair("A?"), pair("A?")])["D101"].worst
    assert source.endswith(":3") and detail.endswith("data.jsonl:1")


def test_a_contradiction_names_the_other_row(results):
    found = results([pair("A?", "x", "y"), pair("B?", "x", "z"), pair("a?", "y", "x")])["D102"]
    assert [(source[-1], detail.split()[0][-1]) for source, detail in found.worst] == [("1", "3"), ("3", "1")]


def test_length_bias_is_wilson_s_interval_with_a_tie_as_one_half(results):
    rows = [pair(f"Question {i}?", "long " * 9, "short") for i in range(8)]
    rows += [pair("Question 8?", "short", "long " * 9), pair("Question 9?", "abcd", "efgh")]
    assert (
        results(rows)["D104"].detail
        == "the longer answer is chosen in 85% [55%, 95%] of 10 pairs; median length ratio 8.80"
    )


def test_length_bias_of_labelled_answers_compares_each_desirable_one_with_each_undesirable(results):
    lengths = [(9, True), (5, True), (5, False), (1, False), (1, False)]
    found = results([labelled(f"Question {i}?", "x" * n, label) for i, (n, label) in enumerate(lengths)])["D104"]
    assert found.severity == Severity.NOTE
    assert found.detail == (
        "a desirable answer is longer than an undesirable one in 92% [37%, 99%] of comparisons; medians 7 and 1"
    )


def test_length_bias_of_one_label_alone_is_nothing_to_say(results):
    assert "D104" not in results([labelled(f"Question {i}?", "Yes.", True) for i in range(3)])


def test_suggested_weights_bring_the_ratio_into_the_paper_s_range(results):
    rows = [labelled(f"Question {i}?", "Yes.", i % 10 == 0) for i in range(50)]
    detail = results(rows)["D105"].detail
    assert detail == "5 desirable and 45 undesirable answers, ratio 0.11: use --desirable-weight 10.50 (9.00 to 12.00)"
    rows = [labelled(f"Question {i}?", "Yes.", i % 5 != 0) for i in range(50)]
    detail = results(rows)["D105"].detail
    assert detail == "40 desirable and 10 undesirable answers, ratio 4.00: use --undesirable-weight 3.50 (3.00 to 4.00)"
    for weight in (3.0, 4.0):
        assert 1 <= 40 / (weight * 10) <= 4 / 3


def test_conversations_and_strings_ask_the_same_question(results):
    found = results([pair("A question?")], [pair(turns("user: a question?"), "x", "y")])
    assert found["D103"].count == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (pair("A question?"), "the whole row is at"),
        (pair(turns("system: Be kind.", "user: A question")), "its answers and its last turn are at"),
        (pair("a  question?", "x", "y"), "its prompt is at"),
        (pair("A question", "x", "y"), "its prompt, but for the system turn or punctuation, is at"),
    ],
)
def test_a_leak_says_what_was_found_again(results, row, words):
    ((_, detail),) = results([row], [pair("Another?"), pair("A question?")])["D103"].worst
    assert detail.startswith(words) and detail.endswith("eval.jsonl:2")


GOOD = '{"prompt": "A?", "chosen": "x", "rejected": "y"}'


@pytest.mark.parametrize("text", [f'{GOOD}\n{{"prompt": "B?"\n{GOOD}\n', f'[{GOOD},\n{{"prompt": NaN}},\n{GOOD}]'])
def test_text_that_is_not_json_does_not_end_the_examination(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    report = examine(read_rows([str(path)])).report
    assert (report.rows, report.refused) == (3, 1)
    assert report.results[0].worst[0][0] == f"{path}:2"


def test_where_a_file_breaks_off_is_reported_after_the_rows_before_it(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text(f'[{GOOD},\n{{"prompt": "B?"')
    report = examine(read_rows([str(path)])).report
    assert (report.rows, report.refused) == (2, 1)
    assert "breaks off" in report.results[0].worst[0][1]
    assert "what lies behind was not read" in report.results[0].worst[0][1]
