"""Parts of answers and sums over the vocabulary, from rows to the loss."""

from __future__ import annotations

import pytest
import torch
from tests_support import gold_rows, pair_rows, tiny_llama

from penchant import InputError
from penchant.data import read_preferences
from penchant.logps import Engine
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs
from penchant.training import PreferenceConfig, PreferenceTrainer


def sampled(sampled_log_ratio_w, sampled_log_ratio_l, beta=0.1, *, reduction="mean"):
    from penchant.arrays import reduce

    return reduce(-beta * (sampled_log_ratio_w - sampled_log_ratio_l), reduction)


def weighted(weighted_log_ratio_w, weighted_log_ratio_l, beta=0.1, *, reduction="mean"):
    return sampled(weighted_log_ratio_w, weighted_log_ratio_l, beta, reduction=reduction)


def imitating(chosen_logps, rejected_logps, gold_logps, gold_lengths):
    return rejected_lead(chosen_logps, rejected_logps) - gold_logps / gold_lengths


def rejected_lead(chosen_logps, rejected_logps):
    return 0.1 * (rejected_logps - chosen_logps)


def shared(policy_chosen_shared_logps, ref_chosen_shared_logps, policy_rejected_shared_logps):
    return policy_rejected_shared_logps - policy_chosen_shared_logps + ref_chosen_shared_logps


@pytest.fixture
def make(tiny_tokenizer, tmp_path):
    def make(method, rows=None, terms=(), **settings):
        pairs = read_preferences(rows or pair_rows(6), unpaired=False, terms=terms).rows
        data = encode_pairs(pairs, PromptStyle.of(tiny_tokenizer, "auto"), EncodeSettings()).rows
        model = tiny_llama(len(tiny_tokenizer)).double()
        config = PreferenceConfig(output_dir=str(tmp_path / "run"), method=method, lora=False, use_cpu=True, **settings)
        trainer = PreferenceTrainer(model, config, data, processing_class=tiny_tokenizer)
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.mul_(1.01)
        return trainer, data

    return make


def record_of(trainer, rows):
    with torch.no_grad(), trainer._engaged():
        return trainer.recorder.record(trainer.model, rows, torch.zeros(()))


def tokens_of(trainer, rows):
    """Log-ratios of each answer's tokens."""
    batch = Engine().lay_out([(row.prompt_ids, row.answers) for row in rows], "cpu")
    with torch.no_grad():
        policy = Engine().token_logps(trainer.model, batch)
        return (policy - trainer.reference.token_logps(Engine(), batch)).split(batch.lengths.tolist())


def test_a_draw_is_of_tokens_of_the_longer_answer_and_changes_from_step_to_step(make):
    trainer, rows = make(sampled)
    ratios = tokens_of(trainer, rows)
    draws = []
    for step in range(4):
        trainer.state.global_step = step
        found = record_of(trainer, rows).statistics["sampled_log_ratio_l"]
        assert torch.equal(found, record_of(trainer, rows).statistics["sampled_log_ratio_l"])
        alone = torch.cat([record_of(trainer, [row]).statistics["sampled_log_ratio_l"] for row in rows])
        torch.testing.assert_close(alone, found, rtol=1e-5, atol=1e-5)
        draws.append(found)
    for index, row in enumerate(rows):
        tokens = ratios[2 * index + 1].sort().values
        least = min(len(row.chosen_ids), len(row.rejected_ids))
        low, high = tokens[:least].sum(), tokens[-least:].sum()
        moved = len({round(draw[index].item(), 6) for draw in draws}) > 1
        assert moved == (len(tokens) > least)
        assert all(low - 1e-4 <= draw[index] <= high + 1e-4 for draw in draws)


def test_before_a_step_random_tokens_agree_with_the_reference(make):
    trainer, rows = make(sampled)
    with torch.no_grad():
        for parameter, start in zip(trainer.model.parameters(), trainer.reference.model.parameters(), strict=True):
            parameter.copy_(start)
    assert all(value.abs().max() == 0 for value in record_of(trainer, rows).statistics.values())


def test_parts_of_answers_come_from_a_store_too(make, tmp_path):
    live, rows = make(shared)
    stored, _ = make(shared, reference_store=str(tmp_path / "store"))
    one, other = record_of(live, rows).statistics, record_of(stored, rows).statistics
    assert one.keys() == other.keys() and len(one) == 3
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-5)


def counted(rows, tokenizer):
    """The rows with a weight for each token: its place."""
    data = encode_pairs(
        read_preferences(rows, unpaired=False).rows, PromptStyle.of(tokenizer, "auto"), EncodeSettings()
    ).rows
    return [
        row
        | {
            f"{side}_token_weights": list(range(len(ids)))
            for side, ids in zip(("chosen", "rejected"), one.answers, strict=True)
        }
        for row, one in zip(rows, data, strict=True)
    ]


WEIGHTED = ("weighted_log_ratio_w", "weighted_log_ratio_l")


def test_weights_of_tokens_are_read_from_the_rows(make, tiny_tokenizer):
    trainer, rows = make(weighted, counted(pair_rows(6), tiny_tokenizer), WEIGHTED)
    ratios = tokens_of(trainer, rows)
    expected = torch.stack([(one * torch.arange(len(one))).sum() for one in ratios]).view(-1, 2)
    found = record_of(trainer, rows).statistics
    torch.testing.assert_close(
        torch.stack([found[name] for name in WEIGHTED], 1), expected.double(), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0], r"the chosen answer has \d+ tokens and 1 token weights"),
        ([], "a list of numbers"),
        ("1", "a list of numbers"),
    ],
)
def test_weights_that_are_not_one_for_each_token_are_refused(make, tiny_tokenizer, weights, words):
    rows = counted(pair_rows(6), tiny_tokenizer)
    rows[2]["chosen_token_weights"] = weights
    with pytest.raises(InputError, match=f"row 3: .*{words}"):
        make(weighted, rows, WEIGHTED)


def test_a_third_answer_is_imitated_and_costs_no_prompt(make):
    trainer, rows = make(imitating, gold_rows(6), ["gold_logps"])
    record = record_of(trainer, rows)
    alone = Engine().lay_out([(row.prompt_ids, [row.gold_ids]) for row in rows], "cpu")
    with torch.no_grad():
        expected = Engine().logps(trainer.model, alone)
    torch.testing.assert_close(record.gold_logps, expected, rtol=1e-5, atol=1e-5)
    assert record.gold_lengths.tolist() == [len(row.gold_ids) for row in rows]
    loss = trainer.training_step(trainer.model, {"rows": rows})
    assert torch.isfinite(loss)


def test_a_row_without_the_third_answer_is_named():
    rows = gold_rows(3)
    del rows[1]["gold"]
    with pytest.raises(InputError, match='row 2: the row has no "gold" or "gold_answer"'):
        read_preferences(rows, unpaired=False, terms=["gold_logps"])
