"""One optimiser step: the same update however it is cut, and metrics over the whole of it."""

from __future__ import annotations

import copy
import dataclasses
import random
from itertools import takewhile

import numpy as np
import pytest
import torch
from tests_support import labelled_rows, list_rows, rated_rows, tiny_llama

from penchant import numpy as oracle
from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.logps import AnswerBatch, Engine, answer_logps
from penchant.logps.store import address
from penchant.objectives import METHODS
from penchant.records import RankedAnswers, TokenPair
from penchant.tokens import EncodeSettings, PromptStyle, encode_answers, encode_lists, encode_pairs
from penchant.training import PreferenceConfig, PreferenceTrainer
from penchant.training.microbatch import cut, taken
from penchant.training.running import Running
from penchant.training.statistics import asked_of_tokens

# one method for each set of inputs: how a step is cut depends on these alone
TRAINABLE = list({m.inputs: name for name, m in reversed(METHODS.items())}.values())
WITH_ADAPTERS = {
    next(name for name in TRAINABLE if METHODS[name].inputs == METHODS[one].inputs)
    for one in ("dpo", "kto", "plackett_luce")
}
TERMS_OF_PAIRS = ("chosen_scores", "rejected_scores", "preference_probs", "margin", "is_tie", "weight")

TERMS_OF_ANSWERS = ("score", "prompt_value")

ANSWERS = ("completion_ids", "mismatched_ids")

CUTS = {"8x1": 1, "4x2": 2, "3+3+2": 3, "1x8": 8}


@pytest.fixture
def rows(tiny_tokenizer):
    """Eight token rows for each kind of method; lists are of two to four answers."""
    style = PromptStyle.of(tiny_tokenizer, "auto")
    pairs = read_preferences(rated_rows(8), unpaired=False, terms=TERMS_OF_PAIRS).rows
    pairs = [dataclasses.replace(pair, gold=f"Indeed. {pair.chosen}") for pair in pairs]
    answers = read_preferences(labelled_rows(8), unpaired=True, terms=TERMS_OF_ANSWERS).rows
    lists = [
        RankedAnswers(row["prompt"], tuple(row["completions"]), tuple(row["scores"]), f"row {number}")
        for number, row in enumerate(list_rows(8), 1)
    ]
    weighted = [
        dataclasses.replace(
            row, token_weights=tuple(tuple(0.5 + i % 3 for i, _ in enumerate(a)) for a in row.answers[:2])
        )
        for row in encode_pairs(pairs, style, EncodeSettings()).rows
    ]
    return {
        "pairs": weighted,
        "answers": encode_answers(answers, style, EncodeSettings()).rows,
        "lists": encode_lists(lists, style, EncodeSettings()).rows,
    }


@pytest.fixture
def make_trainer(tiny_tokenizer, tmp_path, rows):
    def make(method, *, dtype=torch.float64, lora=False, moved=True, **settings):
        model = tiny_llama(len(tiny_tokenizer)).to(dtype)
        if lora:
            from peft import LoraConfig, get_peft_model

            torch.manual_seed(0)
            model = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")).to(dtype)
        config = PreferenceConfig(output_dir=str(tmp_path), method=method, lora=lora, use_cpu=True, **settings)
        data = rows[METHODS[method].data]
        trainer = PreferenceTrainer(model, config, data, processing_class=tiny_tokenizer)
        if moved:
            move(trainer.model)
        return trainer

    return make


def move(model):
    """Take the trained weights away from their start, so that log-ratios and z_ref are not 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(0.02 * noise.to(parameter.dtype))


def gradients(trainer, data, **cut_settings):
    for name, value in cut_settings.items():
        setattr(trainer.args, name, value)
    trainer.model.zero_grad()
    trainer.running = Running()  # each time the first step
    loss = trainer.training_step(trainer.model, {"rows": data})
    flat = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])
    return loss, flat.clone(), trainer.meter.take(trainer.accelerator)


@pytest.mark.parametrize("method", TRAINABLE)
def test_update_does_not_depend_on_the_cut_in_full(make_trainer, rows, method):
    check_cuts(make_trainer, rows, method, torch.float64, lora=False)


@pytest.mark.parametrize(
    "method", [one if one in WITH_ADAPTERS else pytest.param(one, marks=pytest.mark.slow) for one in TRAINABLE]
)
def test_update_does_not_depend_on_the_cut_with_an_adapter(make_trainer, rows, method):
    check_cuts(make_trainer, rows, method, torch.float32, lora=True)


def check_cuts(make_trainer, rows, method, dtype, lora):
    trainer = make_trainer(method, dtype=dtype, lora=lora)
    data = rows[METHODS[method].data]
    whole_loss, whole, whole_metrics = gradients(trainer, data, micro_batch_size=8, micro_batch_tokens=10**6)
    assert whole.norm() > 0
    for name, size in CUTS.items():
        loss, flat, metrics = gradients(trainer, data, micro_batch_size=size, micro_batch_tokens=10**6)
        assert (flat - whole).norm() / whole.norm() <= 1e-6, name
        torch.testing.assert_close(loss, whole_loss, rtol=1e-6, atol=0)
        assert metrics == pytest.approx(whole_metrics, rel=1e-5, abs=1e-6), name
    _, by_tokens, _ = gradients(trainer, data, micro_batch_size=None, micro_batch_tokens=100)
    assert (by_tokens - whole).norm() / whole.norm() <= 1e-6
    assert trainer.engine.packed
    trainer.engine = Engine()
    _, plain, _ = gradients(trainer, data, micro_batch_tokens=10**6)
    kernels_differ = 1e-5 if dtype == torch.float32 else 1e-6  # the engine's own promise: packed and plain are two sums
    assert (plain - whole).norm() / whole.norm() <= kernels_differ


@pytest.mark.parametrize("method", TRAINABLE)
def test_step_loss_is_the_oracle_on_the_same_log_probs(make_trainer, rows, method):
    trainer = make_trainer(method)
    data = rows[METHODS[method].data]
    loss, _, metrics = gradients(trainer, data)
    batch = lambda answers: AnswerBatch.of([r.prompt_ids for r in data], answers, pad_id=0, device="cpu")  # noqa: E731
    score = lambda b, f: f(b).detach().numpy()  # noqa: E731
    policy = lambda b: answer_logps(trainer.model, b)  # noqa: E731
    reference = lambda b: trainer.reference.logps(Engine(), b)  # noqa: E731
    if method == "kto":
        own, other = batch([r.completion_ids for r in data]), batch([r.mismatched_ids for r in data])
        z_ref = max(0.0, float(np.mean(score(other, policy) - score(other, reference))))
        labels = [r.label for r in data]
        expected = oracle.kto_loss(score(own, policy) - score(own, reference), labels, z_ref, value_function="sigmoid")
        assert metrics["kl"] == pytest.approx(z_ref)
    elif method == "dro":
        own = batch([r.completion_ids for r in data])
        known = {name: np.array([row.numbers[name] for row in data]) for name in TERMS_OF_ANSWERS}
        known["log_ratio"] = score(own, policy) - score(own, reference)
        expected = oracle.dro_loss(*(known[name] for name in METHODS[method].inputs))
    elif METHODS[method].data == "lists":
        expected = np.mean([true_list_loss(trainer, row) for row in data])
    else:
        w, l = batch([r.chosen_ids for r in data]), batch([r.rejected_ids for r in data])  # noqa: E741
        known = true_statistics(trainer, data) if asked_of_tokens(METHODS[method].inputs) else {}
        known |= {"chosen_lengths": w.lengths.numpy(), "rejected_lengths": l.lengths.numpy()}
        known |= {"log_ratio_baseline": 0.0, "gap_mean": 0.0, "gap_std": 1.0}
        gold = batch([r.gold_ids for r in data])
        known |= {"gold_logps": score(gold, policy), "gold_lengths": gold.lengths.numpy()}
        known |= {name: np.array([row.numbers[name] for row in data]) for name in TERMS_OF_PAIRS}
        for side, short, answers in (("chosen", "w", w), ("rejected", "l", l)):
            known[f"policy_{side}_logps"] = known[f"{side}_logps"] = score(answers, policy)
            if trainer.reference:
                known[f"ref_{side}_logps"] = score(answers, reference)
                known[f"log_ratio_{short}"] = known[f"{side}_logps"] - known[f"ref_{side}_logps"]
        true_loss = getattr(oracle, METHODS[method].loss.__name__)
        expected = true_loss(*(known[name] for name in METHODS[method].inputs), **METHODS[method].bound)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def true_list_loss(trainer, row):
    """The oracle's loss of one list, answer by answer through plain rows."""
    batch = AnswerBatch.of([row.prompt_ids] * len(row.answers), row.answers, pad_id=0, device="cpu")
    known = {"list_lengths": batch.lengths.numpy(), "list_scores": np.array(row.scores)}
    known["policy_list_logps"] = answer_logps(trainer.model, batch).detach().numpy()
    if trainer.reference:
        known["ref_list_logps"] = trainer.reference.logps(Engine(), batch).numpy()
    method = METHODS[trainer.method.name]
    return getattr(oracle, method.loss.__name__)(*(known[name] for name in method.inputs), **method.bound)


def true_statistics(trainer, data):
    """Every statistic of tokens and of the vocabulary, one answer at a time from the whole distribution."""
    found = {}
    for row in data:
        least = min(len(row.chosen_ids), len(row.rejected_ids))
        drawn = random.Random(int.from_bytes(address(row.prompt_ids, row.chosen_ids + row.rejected_ids), "big"))
        for side, short, answer, weights in (
            ("chosen", "w", row.chosen_ids, row.token_weights[0]),
            ("rejected", "l", row.rejected_ids, row.token_weights[1]),
        ):
            log_p, log_q = distributions(trainer, row.prompt_ids, answer)
            own, ref = log_p[range(len(answer)), answer], log_q[range(len(answer)), answer]
            one = {f"policy_{side}_shared_logps": own[:least].sum(), f"ref_{side}_shared_logps": ref[:least].sum()}
            one[f"{side}_sequence_kl"] = (np.exp(log_q) * (log_q - log_p)).sum()
            one[f"{side}_mean_log_collision"] = np.log(np.exp(2 * log_p).sum(1)).mean()
            one[f"ref_{side}_mean_entropy"] = -(np.exp(log_q) * log_q).sum(1).mean() / np.log(log_p.shape[1])
            one[f"sampled_log_ratio_{short}"] = (own - ref)[drawn.sample(range(len(answer)), least)].sum()
            one[f"weighted_log_ratio_{short}"] = ((own - ref) * weights).sum()
            one[f"{side}_weighted_kl"] = ((np.exp(log_p) * (log_p - log_q)).sum(1) * weights).sum()
            for name, value in one.items():
                found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def distributions(trainer, prompt, answer):
    """Log-probs of the whole vocabulary at each token of an answer, under policy and reference."""
    models = (trainer.model, trainer.reference.model if trainer.reference else trainer.model)
    with torch.no_grad():
        found = [
            torch.log_softmax(model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1], -1)
            for model in models
        ]
    return [log_probs.double().numpy() for log_probs in found]


LANDMARKS = {"dpo": np.log(2), "ipo": 25.0, "kto": 0.5}


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("method", LANDMARKS)
def test_first_step_is_at_its_landmark(make_trainer, rows, method, lora):
    trainer = make_trainer(method, dtype=torch.float32, lora=lora, moved=False)
    data = rows[METHODS[method].data]
    trainer.check_reference(data)
    loss, _, metrics = gradients(trainer, data)
    assert loss.item() == pytest.approx(LANDMARKS[method], rel=1e-6)
    assert metrics["rewards/margins"] == 0
    if method != "kto":
        assert metrics["rewards/accuracies"] == 0.5


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("stored", [False, True], ids=["live", "stored"])
def test_autocast_computes_policy_and_reference_alike(make_trainer, rows, tmp_path, lora, stored):
    store = {"reference_store": str(tmp_path / "store")} if stored else {}
    trainer = make_trainer("dpo", dtype=torch.float32, lora=lora, moved=False, bf16=True, **store)
    trainer.check_reference(rows["pairs"])
    loss, slopes, _ = gradients(trainer, rows["pairs"], micro_batch_size=8, micro_batch_tokens=10**6)
    exact = make_trainer("dpo", dtype=torch.float32, lora=lora, moved=False)
    _, expected, _ = gradients(exact, rows["pairs"], micro_batch_size=8, micro_batch_tokens=10**6)
    assert loss.item() == pytest.approx(np.log(2), abs=1e-3)
    assert torch.cosine_similarity(slopes, expected, dim=0) > 0.99
    assert not torch.allclose(slopes, expected, rtol=1e-5), "autocast is not on"


def test_reference_that_disagrees_stops_the_run(make_trainer, rows):
    trainer = make_trainer("dpo", moved=True)
    with pytest.raises(InputError, match="disagree before the first step"):
        trainer.check_reference(rows["pairs"][:2])


def test_reference_is_the_model_in_memory_not_the_one_on_disk(make_trainer, rows):
    trainer = make_trainer("dpo", moved=False)
    start = copy.deepcopy(trainer.model)
    move(trainer.model)
    batch = AnswerBatch.of([rows["pairs"][0].prompt_ids], [rows["pairs"][0].chosen_ids], pad_id=0, device="cpu")
    torch.testing.assert_close(
        trainer.reference.logps(Engine(), batch), answer_logps(start, batch).detach(), rtol=0, atol=0
    )


def test_loss_that_is_not_finite_names_the_row(make_trainer, rows):
    trainer = make_trainer("dpo", dtype=torch.float32)
    with torch.no_grad():
        trainer.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"row \d+: the loss is not finite"):
        trainer.training_step(trainer.model, {"rows": rows["pairs"]})


def prompt_positions(rows):
    """Of several prompts in one row, what all begin with once (each keeps its last token)."""
    prompts = [row.prompt_ids for row in rows]
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*(prompt[:-1] for prompt in prompts), strict=False))
    shared = len(list(alike)) if len(prompts) > 1 else 0
    return shared + sum(len(prompt) - shared for prompt in prompts)


def packed_positions(part):
    return prompt_positions(part) + sum(len(ids) for row in part for ids in row.answers)


def padded_positions(part):
    return 2 * len(part) * max(len(row.prompt_ids) + max(len(row.chosen_ids), len(row.rejected_ids)) for row in part)


@pytest.mark.parametrize(("packed", "positions"), [(True, packed_positions), (False, padded_positions)])
def test_cut_keeps_every_row_once_within_the_budget(rows, packed, positions):
    data = rows["pairs"]
    for max_rows, max_tokens in ((1, 10), (3, 10**6), (None, 200), (None, 1)):
        parts = list(cut(data, max_rows=max_rows, max_tokens=max_tokens, packed=packed))
        assert sorted(r.source for part in parts for r in part) == sorted(r.source for r in data)
        for part in parts:
            assert max_rows is None or len(part) <= max_rows
            assert len(part) == 1 or positions(part) <= max_tokens
        assert len(cut(data, max_rows=max_rows, max_tokens=max_tokens, packed=packed, least=6)) == max(len(parts), 6)


def row_of(tokens, beginning=()):
    """A pair of so many positions."""
    return TokenPair([*beginning, *[3 + tokens] * (tokens - 2 - len(beginning))], [1], [1], str(tokens))


def test_first_fit_fills_micro_batches_that_walking_along_leaves_half_empty():
    data = [row_of(tokens) for tokens in (600, 600, 600, 400, 400, 400)]
    parts = cut(data, max_rows=None, max_tokens=1000, packed=True)
    assert [[int(row.source) for row in part] for part in parts] == [[600, 400]] * 3


def test_what_all_prompts_begin_with_is_counted_once():
    """600 + 500 positions, of which 200 are the same, fit into 900."""
    data = [row_of(tokens, [1] * 200) for tokens in (600, 500)]
    assert taken(data, packed=True) == packed_positions(data) == 900
    assert taken(data, packed=False) == padded_positions(data) == 4 * 599
    assert len(cut(data, max_rows=None, max_tokens=900, packed=True)) == 1
    assert len(cut(data, max_rows=None, max_tokens=899, packed=True)) == 2
    assert len(cut(data, max_rows=None, max_tokens=1200, packed=False)) == 2, "a padded row holds all of its prompt"


def test_micro_batches_are_split_until_all_processes_have_as_many():
    data = [row_of(tokens) for tokens in (50, 40, 30, 20, 10)]
    for least in (1, 2, 3, 5):
        parts = cut(data, max_rows=None, max_tokens=10**6, packed=True, least=least)
        assert len(parts) == least
        assert sorted(row.source for part in parts for row in part) == sorted(row.source for row in data)
    assert len(cut(data, max_rows=None, max_tokens=10**6, packed=True, least=9)) == len(data)


def test_evaluation_is_the_mean_over_all_rows(make_trainer, rows):
    trainer = make_trainer("dpo", per_device_eval_batch_size=3)
    loss, _, metrics = gradients(trainer, rows["pairs"])
    trainer.eval_dataset = rows["pairs"]
    evaluated = trainer.evaluate()
    assert evaluated["eval_loss"] == pytest.approx(loss.item())
    assert evaluated["eval_rewards/margins"] == pytest.approx(metrics["rewards/margins"])


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto"])
def test_length_normalize_gives_the_loss_log_probs_per_token(make_trainer, rows, method):
    trainer = make_trainer(method, length_normalize=True)
    data = rows[METHODS[method].data]
    loss, whole, metrics = gradients(trainer, data, micro_batch_size=8, micro_batch_tokens=10**6)
    _, cut_up, _ = gradients(trainer, data, micro_batch_size=3, micro_batch_tokens=10**6)
    assert (cut_up - whole).norm() / whole.norm() <= 1e-6

    def ratios(answers):
        batch = AnswerBatch.of([r.prompt_ids for r in data], answers, pad_id=0, device="cpu")
        with torch.no_grad():
            found = answer_logps(trainer.model, batch) - trainer.reference.logps(Engine(), batch)
        return (found / batch.lengths).numpy()

    if method == "kto":
        own, other = ratios([r.completion_ids for r in data]), ratios([r.mismatched_ids for r in data])
        labels = [r.label for r in data]
        z_ref = max(0.0, float(other.mean()))
        expected = oracle.kto_loss(own, labels, z_ref, value_function="sigmoid")
        margins = 0.1 * (own[np.array(labels)].mean() - own[~np.array(labels)].mean())
    else:
        chosen, rejected = ratios([r.chosen_ids for r in data]), ratios([r.rejected_ids for r in data])
        expected = np.logaddexp(0, -0.1 * (chosen - rejected)) if method == "dpo" else (chosen - rejected - 5) ** 2
        margins = (0.1 * (chosen - rejected)).mean()
    assert float(loss) == pytest.approx(float(np.mean(expected)), rel=1e-6)
    assert metrics["rewards/margins"] == pytest.approx(margins, rel=1e-5)
    assert abs(metrics["logps/chosen"]) > 10  # still sums


def positions_fed(trainer, data, **cut_settings):
    """Positions that go through the model in one step: with a graph, and without."""
    fed = {True: 0, False: 0}

    def count(module, inputs, output):
        fed[torch.is_grad_enabled()] += inputs[0].numel()

    with trainer.model.get_input_embeddings().register_forward_hook(count):
        gradients(trainer, data, **cut_settings)
    return fed[True], fed[False]


@pytest.mark.parametrize("size", [8, 3])
def test_a_baseline_costs_no_pass_over_a_prompt_that_can_be_shared(make_trainer, rows, size):
    """In one micro-batch policy and reference see each prompt once; in several the policy sees it twice."""
    trainer, data = make_trainer("kto", lora=True, dtype=torch.float32), rows["answers"]
    prompts = sum(map(prompt_positions, cut(data, max_rows=size, max_tokens=10**6, packed=True)))
    own, other = (sum(len(ids) - 1 for ids in (getattr(row, name) for row in data)) for name in ANSWERS)
    learning, looking = positions_fed(trainer, data, micro_batch_size=size, micro_batch_tokens=10**6)
    assert learning == prompts + own
    again = len(data) if size == 8 else prompts  # of a prompt that goes on only its last position comes again
    assert looking == (again + other) + (prompts + own + other)


@pytest.mark.parametrize("method", ["dr_dpo", "aot"])
def test_a_loss_that_couples_rows_asks_the_reference_once(make_trainer, rows, method):
    trainer, data = make_trainer(method, lora=True, dtype=torch.float32), rows["pairs"]
    prompts = sum(map(prompt_positions, cut(data, max_rows=3, max_tokens=10**6, packed=True)))
    positions = prompts + sum(len(ids) - 1 for row in data for ids in row.answers)
    assert positions_fed(trainer, data, micro_batch_size=3) == (positions, 2 * positions)


@pytest.mark.parametrize(("z_ref", "value"), [("zero", 0.0), ("0.25", 0.25)])
def test_a_fixed_baseline_takes_no_forward_pass(make_trainer, rows, z_ref, value):
    trainer = make_trainer("kto", z_ref=z_ref)
    data = [dataclasses.replace(row, mismatched_ids=[]) for row in rows["answers"]]  # would fail if it were looked at
    _, _, metrics = gradients(trainer, data)
    assert metrics["kl"] == pytest.approx(value)


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("simpo", {"length_normalize": True}, "counts tokens itself"),
        ("dpo", {"z_ref": "zero"}, "no baseline"),
        ("kto", {"z_ref": "mean"}, "batch, ema, zero or a number"),
        ("kto", {"z_ref": "-1"}, "at least 0"),
        ("kto", {"z_ref": "nan"}, "at least 0"),
    ],
)
def test_switches_without_effect_are_refused(tmp_path, method, settings, words):
    with pytest.raises(InputError, match=words):
        PreferenceConfig(output_dir=str(tmp_path), method=method, use_cpu=True, **settings)
