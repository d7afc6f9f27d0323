"""Evaluation of rewards, from tables and from models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests_support import pair_rows, tiny_llama, write_jsonl

from penchant.errors import InputError
from penchant.evaluation.checkpoints import EvaluateSettings, evaluate_models
from penchant.evaluation.from_tables import evaluate_tables
from penchant.evaluation.pairs import NOTHING_SHOWN, HeldOut, Rewards, evaluate_rewards, paired_test
from penchant.objectives import get_method

DPO = get_method("dpo")


def rewards(name, margins):
    return Rewards(name, np.asarray(margins, dtype=float), np.zeros(len(margins)))


def test_calibrated_rewards_have_no_systematic_error():
    generator = np.random.default_rng(0)
    size = np.abs(generator.normal(0, 2, 20000))
    right = generator.random(20000) < 1 / (1 + np.exp(-size))
    found = evaluate_rewards(rewards("m", np.where(right, size, -size)), HeldOut(np.arange(20000))).calibration
    assert found.error == pytest.approx(found.error_by_chance, rel=0.5)
    for one in found.bins:
        assert one.accuracy == pytest.approx(one.confidence, abs=4 * np.sqrt(0.25 / one.n))
    sure = evaluate_rewards(rewards("m", np.where(right, 9.0, -9.0)), HeldOut(np.arange(20000))).calibration
    assert sure.error == pytest.approx(1 / (1 + np.exp(-9)) - right.mean(), abs=1e-12)


def test_the_calibration_error_of_chance_is_that_of_simulated_verdicts():
    generator = np.random.default_rng(1)
    size = np.abs(generator.normal(0, 1, 50))
    signs = np.where(generator.random((500, 50)) < 1 / (1 + np.exp(-size)), 1, -1)
    found = [evaluate_rewards(rewards("m", sign * size), HeldOut(np.arange(50))).calibration for sign in signs]
    assert found[0].error_by_chance == pytest.approx(np.mean([one.error for one in found]), rel=0.04)
    untrained = evaluate_rewards(rewards("m", np.zeros(50)), HeldOut(np.arange(50))).calibration
    assert (untrained.error, untrained.error_by_chance) == (0, 0)


def test_groups_divide_the_pairs():
    held_out = HeldOut(np.arange(4), np.array([-200, -1, 0, 30]), {"source": ["a", "a", "b", "b"]})
    result = evaluate_rewards(rewards("m", [1, -1, 0, 2]), held_out)
    bins = result.groups["chosen longer by (tokens)"]
    assert list(bins) == ["below -100", "-25 to -1", "0 to 24", "25 to 99"]
    assert [group.accuracy.value for group in bins.values()] == [1.0, 0.0, 0.5, 1.0]
    assert result.groups["source"]["b"].margins.value == 1.0
    assert result.ties == 1


def test_ties_count_as_half_in_the_paired_verdict_too():
    """A reference, whose margins are all 0, is right on half the pairs; one that is right on 45 of 100 is not worse."""
    other = np.where(np.arange(100) < 45, 1.0, -1.0)
    test = paired_test(rewards("base", np.zeros(100)), rewards("adapter", other), np.arange(100))
    assert test.p_value is None and "over prompts" in test.how
    assert test.difference.value == pytest.approx(-0.05)
    assert test.verdict == NOTHING_SHOWN


def test_a_paired_test_shows_a_difference_only_where_there_is_one():
    generator = np.random.default_rng(1)
    base = generator.normal(0, 1, 400)
    other = base + generator.normal(0, 0.05, 400)
    assert paired_test(rewards("a", base), rewards("b", other), np.arange(400)).verdict == NOTHING_SHOWN
    better = paired_test(rewards("a", base), rewards("b", base + 0.5), np.arange(400))
    assert better.verdict == "b orders more pairs rightly"
    assert (better.p_value < 1e-10, better.only_first) == (True, 0)
    worse = paired_test(rewards("a", base + 0.5), rewards("b", base), np.arange(400))
    assert worse.verdict == "a orders more pairs rightly"


def test_shared_prompts_leave_mcnemar_and_need_more_evidence():
    """Six differing pairs are shown if they are independent, and are not if they all stand under one prompt."""
    first, second = [-1.0] * 6 + [1.0] * 6, [1.0] * 12
    alone = paired_test(rewards("a", first), rewards("b", second), np.arange(12))
    together = paired_test(rewards("a", first), rewards("b", second), np.array([0] * 6 + [1] * 6))
    assert alone.verdict == "b orders more pairs rightly"
    assert (together.p_value, together.verdict) == (None, NOTHING_SHOWN)


def test_few_prompts_with_many_pairs_do_not_make_a_difference():
    """Two checkpoints that are equally good, each on other prompts, four pairs each: at most one run in 20 differs."""
    draw = np.random.default_rng(2)
    for prompts in (2, 5):
        index, shown = np.repeat(np.arange(prompts), 4), 0
        for _ in range(200):
            better = draw.normal(size=prompts)[index]
            sides = (draw.normal(0.5 + sign * better, 1) for sign in (1, -1))
            test = paired_test(*(rewards(name, side) for name, side in zip("ab", sides, strict=True)), index)
            shown += test.verdict != NOTHING_SHOWN
            assert test.difference.low < test.difference.high
        assert shown / 200 <= 0.05


def table(path, shift=0.0, lengths=(3, 4)):
    rows = [
        {
            "prompt": f"p{i // 2}",
            "source": "ab"[i % 2],
            "policy_chosen_logps": -9.0 + shift,
            "chosen_lengths": lengths[0],
        }
        | {"policy_rejected_logps": -9.5, "ref_chosen_logps": -9.0, "ref_rejected_logps": -9.0 - i % 3}
        | {"rejected_lengths": lengths[1]}
        for i in range(12)
    ]
    return str(write_jsonl(path, rows))


def test_tables_give_prompts_sources_and_lengths(tmp_path):
    paths = [table(tmp_path / "a.jsonl"), table(tmp_path / "b.jsonl", 0.4)]
    found, held_out = evaluate_tables(paths, method=DPO, constants={"beta": 0.5})
    result = evaluate_rewards(found[0], held_out)
    assert (result.pairs, result.prompts) == (12, 6)
    assert result.margins.value == pytest.approx(0.5 * (0.5 - 1.0))
    assert set(result.groups["source"]) == {"a", "b"}
    other = table(tmp_path / "c.jsonl", lengths=(5, 4))
    with pytest.raises(InputError, match="do not hold the same pairs"):
        evaluate_tables([paths[0], other], method=DPO, constants={"beta": 0.5})


def test_tables_of_other_rows_are_noticed_by_their_reference(tmp_path):
    """Without prompts and lengths the reference's log-probs tell; rounding of bfloat16 is let pass."""
    given = {"method": DPO, "constants": {"beta": 0.1}}
    row = {"policy_chosen_logps": -9.0, "policy_rejected_logps": -9.5, "ref_rejected_logps": -9.0}
    for name, noise, order in (("a", 0, 1), ("same", 0.3, 1), ("other", 0, -1)):
        rows = [row | {"ref_chosen_logps": -50.0 - 3 * i + noise} for i in range(6)][::order]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    first, same, other = (str(tmp_path / f"{name}.jsonl") for name in ("a", "same", "other"))
    assert len(evaluate_tables([first, same], **given)[0]) == 2
    with pytest.raises(InputError, match=r"ref_chosen_logps differ"):
        evaluate_tables([first, other], **given)


def test_a_row_without_a_prompt_is_a_prompt_of_its_own(tmp_path):
    row = {"policy_chosen_logps": -9.0, "policy_rejected_logps": -9.5, "ref_chosen_logps": -9.0}
    rows = [row | {"ref_rejected_logps": -9.0, "prompt": prompt} for prompt in ("a", "a", None, None, "")]
    said = []
    path = str(write_jsonl(tmp_path / "t.jsonl", rows))
    found, held_out = evaluate_tables([path], method=DPO, constants={"beta": 0.1}, say=said.append)
    assert (evaluate_rewards(found[0], held_out).prompts, said) == (4, [])


@pytest.fixture
def other_folder(tmp_path, tiny_tokenizer):
    folder = tmp_path / "other"
    model = tiny_llama(len(tiny_tokenizer))
    model.lm_head.weight.data.mul_(1.3)
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return str(folder)


def evaluate(models, data, **changes):
    settings = EvaluateSettings(**changes.pop("settings", {}))
    given = {"method": DPO, "constants": {"beta": 0.1}, "reference": None, "settings": settings}
    return evaluate_models(models, [str(data)], **(given | changes))


def test_a_model_against_itself_has_no_margin_and_no_kl(tiny_model_folder, other_folder, tmp_path):
    data = write_jsonl(tmp_path / "pairs.jsonl", pair_rows(8))
    found, held_out = evaluate([str(tiny_model_folder), other_folder], data, reference=str(tiny_model_folder))
    np.testing.assert_allclose(found[0].margins, 0, atol=1e-9)
    np.testing.assert_allclose(found[0].kl, 0, atol=1e-9)
    assert (found[1].kl > 1e-4).all()
    assert np.abs(found[1].margins).max() > 1e-3
    assert set(held_out.groups["user turns"]) == {"1"}


def test_kl_is_the_whole_vocabularys(tiny_model_folder, other_folder, tmp_path, tiny_tokenizer):
    """One pair by hand: both distributions at every answer token, position by position."""
    import torch

    from penchant.data import read_preferences
    from penchant.models import load_model
    from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs

    data = write_jsonl(tmp_path / "pairs.jsonl", pair_rows(3))
    found, _ = evaluate([other_folder], data, reference=str(tiny_model_folder))
    pairs = read_preferences(str(data), unpaired=False).rows
    row = encode_pairs(pairs, PromptStyle.of(tiny_tokenizer, "auto"), EncodeSettings()).rows[1]
    policy, reference = load_model(other_folder).model, load_model(str(tiny_model_folder)).model
    terms = []
    for answer in (row.chosen_ids, row.rejected_ids):
        ids = torch.tensor([row.prompt_ids + answer])
        with torch.no_grad():
            p, q = (model(ids).logits.double().log_softmax(-1)[0] for model in (policy, reference))
        for at in range(len(row.prompt_ids) - 1, ids.shape[1] - 1):
            terms.append(float((p[at].exp() * (p[at] - q[at])).sum()))
    assert found[0].kl[1] == pytest.approx(np.mean(terms), rel=1e-4)


def test_reference_free_rewards_need_no_reference(tiny_model_folder, tmp_path):
    data = write_jsonl(tmp_path / "pairs.jsonl", pair_rows(6))
    with pytest.raises(InputError, match="needs a reference"):
        evaluate([str(tiny_model_folder)], data)
    simpo = get_method("simpo")
    found, _ = evaluate([str(tiny_model_folder)], data, method=simpo, constants=simpo.constants)
    assert found[0].kl is None
    assert (found[0].chosen < 0).all()


def test_rewards_that_are_not_finite_are_named():
    with pytest.raises(InputError, match="m: pair 2"):
        evaluate_rewards(rewards("m", [1.0, float("nan")]), HeldOut(np.arange(2)))


def test_adapters_name_their_base(tmp_path):
    for name, base in (("a", "base"), ("b", "base"), ("c", "else")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    from penchant.evaluation.checkpoints import common_base

    assert common_base([str(tmp_path / "a"), str(tmp_path / "b")]) == "base"
    assert common_base([str(tmp_path / "a"), str(tmp_path / "c")]) is None
    assert common_base([str(tmp_path / "a"), "hub/name"]) is None


def test_a_store_gives_what_the_models_give(tiny_model_folder, other_folder, tmp_path):
    from penchant.cli import main
    from penchant.evaluation.from_store import evaluate_stored

    data, store = write_jsonl(tmp_path / "pairs.jsonl", pair_rows(8)), str(tmp_path / "store")
    models = [str(tiny_model_folder), other_folder]
    for name in models:
        with pytest.raises(SystemExit) as stop:
            main(["logps", str(data), "--model", name, "--store", store, "--dtype", "float32"])
        assert not stop.value.code
    given = {"method": DPO, "constants": {"beta": 0.1}, "reference": models[0], "settings": EvaluateSettings()}
    found, held_out = evaluate_stored(models[1:], [str(data)], store, **given)
    computed, same = evaluate(models[1:], data, reference=models[0])
    np.testing.assert_allclose(found[0].margins, computed[0].margins, atol=1e-5)
    assert held_out.groups == same.groups and found[0].kl is None
    with pytest.raises(InputError, match=r"holds nothing of model 'else'.*penchant logps"):
        evaluate_stored(["else"], [str(data)], store, **given)
    more = write_jsonl(tmp_path / "more.jsonl", pair_rows(9))
    with pytest.raises(InputError, match="lacks 2 of 18 answers"):
        evaluate_stored(models[1:], [str(more)], store, **given)
    with pytest.raises(InputError, match="no such store"):
        evaluate_stored(models[1:], [str(data)], str(tmp_path / "none"), **given)
