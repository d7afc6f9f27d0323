"""The whole catalogue: every method trains a step from rows of text, and every option is taken or refused in words."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from tests_support import gold_rows, labelled_rows, list_rows, tiny_llama, token_weighted

import penchant
from penchant import InputError
from penchant.data import read_lists, read_preferences
from penchant.objectives import METHODS, get_method
from penchant.tokens import EncodeSettings, PromptStyle, encode_answers, encode_lists, encode_pairs
from penchant.training import PreferenceConfig, PreferenceTrainer
from penchant.training.class_weights import weight_report
from penchant.training.inputs import terms_of_data
from penchant.training.run_folder import write_card
from penchant.training.running import Running

OPTIONS = {
    "length_normalize": {"length_normalize": True},
    "weighted": {"weighted": True},
    "margins": {"margins": True},
    "beta_end": {"beta_end": 0.37},
    "z_ref": {"z_ref": "ema"},
    "reference_store": {"reference_store": "store"},
    "no_reference": {"reference": "none"},
}


TAKE_MARGINS = (
    "dpo",
    "cdpo",
    "ipo",
    "hinge",
    "exo",
    "discopop",
    "simpo",
    "ln_dpo",
    "r_dpo",
    "tpo",
    "dr_dpo",
    "rao_kupper",
)
REFUSE_MARGINS = ("modpo", "kto", "bco", "orpo", "sppo", "f_dpo", "dpop", "cpo", "tdpo", "beta_dpo", "plackett_luce")


@pytest.fixture(scope="module")
def trainers(tiny_tokenizer, tmp_path_factory):
    """One trainer of a moved model for each kind of row; the method is put in afterwards: the engine is the same."""
    folder = tmp_path_factory.mktemp("catalogue")
    made = {}

    def make(kind):
        if kind not in made:
            start = {"pairs": "dpo", "answers": "kto", "lists": "plackett_luce"}[kind]
            config = PreferenceConfig(output_dir=str(folder), method=start, lora=False, use_cpu=True)
            rows = token_rows(METHODS[start], tiny_tokenizer)
            made[kind] = PreferenceTrainer(
                tiny_llama(len(tiny_tokenizer)), config, rows, processing_class=tiny_tokenizer
            )
            with torch.no_grad():
                for parameter in made[kind].model.parameters():
                    parameter.mul_(1.01)
        made[kind].create_accelerator_and_postprocess()  # settings made in between have put it out
        return made[kind]

    return make


def token_rows(method, tokenizer, *, weighted=False, margins=False):
    """Four rows of text with everything that a method may ask for, read and tokenised as a run does it."""
    terms = terms_of_data(method, weighted=weighted, margins=margins)
    style, settings = PromptStyle.of(tokenizer, "auto"), EncodeSettings()
    if method.data == "lists":
        return encode_lists(read_lists(_heavy(list_rows(4)), terms=terms).rows, style, settings).rows
    if method.data == "answers":
        labelled = _heavy(labelled_rows(4))
        return encode_answers(read_preferences(labelled, unpaired=True, terms=terms).rows, style, settings).rows
    rows = token_weighted(gold_rows(4), tokenizer)
    terms = [*terms, "is_tie"]  # else ties are left out
    return encode_pairs(read_preferences(rows, unpaired=False, terms=terms).rows, style, settings).rows


def _heavy(rows):
    """The rows with a weight each."""
    return [row | {"weight": 0.5 + index} for index, row in enumerate(rows)]


def step(trainer, name, rows, **settings):
    """The loss and gradient of one step by a method."""
    trainer.method, trainer.args.method, trainer.running = get_method(name), name, Running()
    before = {option: getattr(trainer.args, option) for option in settings}
    for option, value in settings.items():
        setattr(trainer.args, option, value)
    trainer.estimates_z_ref = trainer.args.estimates_z_ref
    trainer.model.zero_grad()
    loss = trainer.training_step(trainer.model, {"rows": rows})
    metrics = trainer.meter.take(trainer.accelerator)
    for option, value in before.items():
        setattr(trainer.args, option, value)
    return loss.item(), sum(p.grad.square().sum() for p in trainer.model.parameters() if p.grad is not None), metrics


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_a_step(trainers, tiny_tokenizer, name):
    trainer = trainers(METHODS[name].data)
    loss, size, metrics = step(trainer, name, token_rows(METHODS[name], tiny_tokenizer))
    assert math.isfinite(loss) and 0 < size < math.inf
    assert all(map(math.isfinite, metrics.values())) and "rewards/chosen" in metrics


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", METHODS)
def test_every_option_is_taken_or_refused_in_words(tmp_path, name, option):
    try:
        config = PreferenceConfig(output_dir=str(tmp_path), method=name, use_cpu=True, **OPTIONS[option])
    except InputError as refusal:
        told = str(refusal)
        assert repr(name) in told and "\n" not in told
        assert any(word in told for word in ("no place", "no effect", "whole distribution", "there is none"))
        config = None
    method, taken = METHODS[name], config is not None
    if option == "length_normalize":
        assert taken == (not {"lengths", "token statistics", "vocabulary statistics"} & set(method.needs))
    if option == "weighted":
        assert taken == ("reduction" in inspect.signature(method.loss).parameters)
    if option == "beta_end":
        assert taken == ("beta" in method.constants)
    if option == "z_ref":
        assert taken == ("z_ref" in method.inputs)
    if option == "margins":
        assert not taken or method.data == "pairs"
        assert taken or name not in TAKE_MARGINS
        assert not taken or name not in REFUSE_MARGINS
    if option == "reference_store":
        reads = [name for name in method.inputs if name.endswith(("_kl", "_entropy"))]
        assert taken == (method.needs_reference and not reads)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["length_normalize", "weighted", "margins", "beta_end", "z_ref"])
@pytest.mark.parametrize("name", METHODS)
def test_an_option_that_is_taken_changes_the_loss(trainers, tiny_tokenizer, tmp_path, monkeypatch, name, option):
    setting = {"z_ref": "1.5"} if option == "z_ref" else OPTIONS[option]
    try:
        PreferenceConfig(output_dir=str(tmp_path), method=name, use_cpu=True, **setting)
    except InputError:
        return  # refused, which the test before holds to its words
    columns = {"weighted": option == "weighted", "margins": option == "margins"}
    rows = token_rows(METHODS[name], tiny_tokenizer, **columns)
    trainer = trainers(METHODS[name].data)
    monkeypatch.setattr(trainer.state, "max_steps", 2)
    monkeypatch.setattr(trainer.state, "global_step", 1)  # the last step, at which beta has reached its end
    before, after = (step(trainer, name, rows, **given)[:2] for given in ({}, setting))
    assert any(old != pytest.approx(float(new), rel=1e-6) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["dpo", "simpo", "ipo", "alphapo", "aot", "tpo_l", "tpo"])
def test_a_margin_is_taken_from_the_score(trainers, tiny_tokenizer, name):
    """Of DPO, -log sigmoid(z - margin); of the others, what their formula makes of a difference that much smaller."""
    if name == "alphapo":
        with pytest.raises(InputError, match="no function of the difference"):
            PreferenceConfig(output_dir="x", method=name, use_cpu=True, margins=True)
        return
    rows = token_rows(METHODS[name], tiny_tokenizer, margins=True)
    trainer = trainers("pairs")
    plain, _, _ = step(trainer, name, rows)
    found, _, _ = step(trainer, name, rows, margins=True)
    with torch.no_grad(), trainer._engaged():
        record = trainer.recorder.record(trainer.model, rows, torch.zeros(()))
    margin = np.array([row.numbers["margin"] for row in rows])
    order = np.argsort([float(n) for n in record.numbers["margin"]])
    if name == "dpo":
        z = 0.1 * (record.log_ratio_w - record.log_ratio_l).numpy()
        expected = np.logaddexp(0, record.numbers["margin"].numpy() - z).mean()
    elif name == "simpo":
        gap = record.chosen_logps / record.chosen_lengths - record.rejected_logps / record.rejected_lengths
        expected = np.logaddexp(0, 0.5 + record.numbers["margin"].numpy() - 2.0 * gap.numpy()).mean()
    elif name == "ipo":
        gap = (record.log_ratio_w - record.log_ratio_l).numpy()
        expected = np.square(gap - record.numbers["margin"].numpy() / 0.1 - 5).mean()
    elif name == "tpo":
        z = 0.01 * (record.chosen_logps - record.rejected_logps).numpy()
        rest = -(record.gold_logps / record.gold_lengths).numpy()
        expected = (np.logaddexp(0, record.numbers["margin"].numpy() - z) + rest).mean()
    else:
        assert found > plain and len(order) == 4 and margin.max() > 0
        return
    assert found == pytest.approx(expected, rel=1e-5) and found > plain


def test_the_model_card_marks_a_default_that_no_source_confirms(tmp_path):
    for constants, told in (({}, "beta=0.1? (?: a default"), ({"beta": 0.1}, "beta=0.1, by penchant")):
        config = PreferenceConfig(output_dir=str(tmp_path), method="minor_dpo", use_cpu=True, constants=constants)
        write_card(tmp_path, get_method("minor_dpo"), config, {}, "penchant train")
        assert told in (tmp_path / "README.md").read_text()


def test_a_sum_is_shown_by_the_rewards_of_its_parts(trainers, tiny_tokenizer):
    trainer = trainers("pairs")
    rows = token_rows(METHODS["dpo"], tiny_tokenizer)
    of = {name: step(trainer, name, rows)[2]["rewards/chosen"] for name in ("dpo", "ipo")}
    of["sum"] = step(trainer, "3*dpo + ipo(beta=0.4) + nll", rows)[2]["rewards/chosen"]
    assert of["sum"] == pytest.approx((3 * of["dpo"] + 4 * of["ipo"]) / 4, rel=1e-6)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        (4, 4, "is 1 to 1, within"),
        (2, 8, "is 0.25 to 1; KTO's authors advise 1 to 4/3: --desirable-weight 5 "),
        (9, 3, "is 3 to 1; KTO's authors advise 1 to 4/3: --undesirable-weight 3 "),
        (3, 0, "of one class alone"),
    ],
)
def test_class_weights_are_suggested_from_the_data(good, bad, words):
    rows = [type("Row", (), {"label": index < good}) for index in range(good + bad)]
    assert words in weight_report(rows, METHODS["kto"].constants)


def test_class_weights_are_printed_by_a_run(tmp_path, tiny_model_folder, labelled_file):
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=200)
    options = {"batch_size": 4, "max_steps": 1, "use_cpu": True, "console": console, "report": False}
    penchant.train(
        model=str(tiny_model_folder), data=str(labelled_file), method="kto", output_dir=tmp_path / "run", **options
    )
    assert "classes    12 desirable and 12 undesirable answers" in console.file.getvalue()
