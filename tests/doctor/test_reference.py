"""Which side the reference prefers: the plain truth's numbers, and a verdict that turns round when the sides do."""

from __future__ import annotations

import pytest
import torch
from tests_support import pair_rows, tiny_llama
from tokens.families import tokenizer_of

from penchant.doctor import reference
from penchant.doctor.reference import ReferenceExaminer
from penchant.doctor.rule import Severity
from penchant.doctor.swaps import RULES, STRONG, strongly_rejected, swapped
from penchant.doctor.tokens import TokenExaminer
from penchant.logps import AnswerBatch, answer_logps
from penchant.models import LoadedModel
from penchant.records import LabelledAnswer, PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs

SETTINGS = EncodeSettings(max_length=200)
PAIRS = [
    PreferencePair(row["prompt"], row["chosen"], row["rejected"], f"f:{index}")
    for index, row in enumerate(pair_rows(12))
]
SWAPPED = [PreferencePair(pair.prompt, pair.rejected, pair.chosen, pair.source) for pair in PAIRS]


@pytest.fixture(scope="module")
def loaded():
    tokenizer = tokenizer_of("chatml")
    return LoadedModel(tiny_llama(len(tokenizer)), tokenizer, "tiny", "tiny")


@pytest.fixture
def examiner(loaded):
    def make(most=0):
        return ReferenceExaminer(loaded, TokenExaminer(PromptStyle.of(loaded.tokenizer, "auto"), SETTINGS), most)

    return make


def true_gaps(loaded):
    """Mean log-prob per token of the rejected side less the chosen one, by plain rows."""
    rows = encode_pairs(PAIRS, PromptStyle.of(loaded.tokenizer, "auto"), SETTINGS).rows
    sides = []
    for answers in ([row.rejected_ids for row in rows], [row.chosen_ids for row in rows]):
        batch = AnswerBatch.of([row.prompt_ids for row in rows], answers, pad_id=0, device="cpu")
        with torch.no_grad():
            sides.append(answer_logps(loaded.model, batch) / batch.lengths)
    return (sides[0] - sides[1]).tolist()


def test_findings_are_the_plain_truth_s(loaded, examiner):
    found = {index: finding.weight for index, _, finding in examiner().see(PAIRS)}
    truth = {index: gap for index, gap in enumerate(true_gaps(loaded)) if gap >= STRONG}
    assert truth, "the tiny model must prefer some rejected side strongly"
    assert found == pytest.approx(truth, rel=1e-4)


def test_share_of_the_whole_turns_round_with_the_sides(loaded, examiner):
    straight, turned = examiner(), examiner()
    list(straight.see(PAIRS))
    list(turned.see(SWAPPED))
    better = sum(gap < 0 for gap in true_gaps(loaded))
    for one, count in ((straight, better), (turned, 12 - better)):
        ((rule, verdict),) = one.close()
        assert rule is swapped
        assert f"in {count / 12:.0%} [" in verdict.detail


def test_only_so_many_pairs_are_computed(examiner):
    one = examiner(most=5)
    for start in range(0, 12, 4):
        list(one.see(PAIRS[start : start + 4]))
    assert one.looked_at == {strongly_rejected: 5}


def test_packed_pairs_are_counted_by_their_tokens_not_as_rows_of_the_widest(loaded, monkeypatch):
    style = PromptStyle.of(loaded.tokenizer, "auto")
    rows = encode_pairs(PAIRS, style, SETTINGS).rows
    tokens = sum(len(row.prompt_ids) + len(row.chosen_ids) + len(row.rejected_ids) for row in rows)
    monkeypatch.setattr(reference, "_MAX_TOKENS", tokens)
    done = []
    one = ReferenceExaminer(loaded, TokenExaminer(style, SETTINGS), on_batch=done.append)
    assert one._engine.packed
    list(one.see(PAIRS))
    assert done == [12]


def test_what_cannot_be_compared_is_passed_over(examiner):
    one = examiner()
    long = PreferencePair("Why?", "word " * 200, "No.", "f:1")
    assert list(one.see([LabelledAnswer("Why?", "So.", True, "f:0"), long])) == []
    assert list(one.close()) == []


@pytest.mark.parametrize(
    ("preferred", "severity"), [(10.0, Severity.WARNING), (45.0, Severity.NOTE), (90.0, Severity.NOTE)]
)
def test_a_file_is_suspicious_where_the_whole_interval_is_low(preferred, severity):
    assert swapped.check(preferred, 100, 3).severity == severity
    assert swapped.check(0.0, 0, 0) is None


@pytest.mark.parametrize(("gap", "found"), [(STRONG, True), (STRONG - 0.01, False), (-3.0, False)])
def test_strongly_means_half_a_nat_per_token(gap, found):
    assert (strongly_rejected.check(gap) is not None) == found


def test_the_rules_here_are_the_table_s():
    assert [rule.id for rule in RULES] == ["D301", "D302"]
