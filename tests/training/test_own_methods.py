"""Methods that are not in the catalogue: a function of one's own, a file's, and sums of methods."""

from __future__ import annotations

import functools
import json

import pytest
import torch
import torch.nn.functional as F
from tests_support import write_jsonl
from transformers import TrainerCallback

import penchant
from penchant import InputError
from penchant.objectives import METHODS, get_method
from penchant.objectives.catalogue.own import settled

LEAF = functools.partial(torch.tensor, requires_grad=True)

SOURCE = """
import torch.nn.functional as F

def by_row(log_ratio_w, log_ratio_l, beta=0.1):
    return -F.logsigmoid(beta * (log_ratio_w - log_ratio_l))

def by_batch(log_ratio_w, log_ratio_l, beta=0.1):
    return by_row(log_ratio_w, log_ratio_l, beta).mean()

def unknown(log_ratio_win, beta=0.1):
    return log_ratio_win

def bare(log_ratio_w, log_ratio_l, beta):
    return log_ratio_w

def mixes(log_ratio_w, chosen_logps, is_desirable):
    return log_ratio_w

def breaks(log_ratio_w, log_ratio_l):
    return log_ratio_w.no_such_thing

def in_numpy(log_ratio_w, log_ratio_l, *, reduction="mean"):
    import numpy
    return numpy.logaddexp(0, numpy.asarray(log_ratio_l - log_ratio_w))

def detached(log_ratio_w, log_ratio_l):
    return -F.logsigmoid((log_ratio_w - log_ratio_l).detach())

def meaning(log_ratio_w, log_ratio_l, *, reduction="mean"):
    return by_row(log_ratio_w, log_ratio_l).mean()

def wide(log_ratio_w, log_ratio_l):
    return log_ratio_w[:, None] - log_ratio_l
"""


def by_row(log_ratio_w, log_ratio_l, beta=0.1):
    return -F.logsigmoid(beta * (log_ratio_w - log_ratio_l))


def losses(tmp_path, name, method, model, data, **options):
    settings = {"max_steps": 3, "learning_rate": 1e-2, "batch_size": 4, "use_cpu": True, "seed": 1, "report": False}
    result = penchant.train(
        model=str(model), data=str(data), method=method, output_dir=tmp_path / name, **(settings | options)
    )
    return [line["loss"] for line in result.history if "loss" in line], result


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_loss_of_ones_own_trains_as_the_methods_it_equals(tmp_path, file, tiny_model_folder, pairs_file):
    expected, _ = losses(tmp_path, "dpo", "dpo", tiny_model_folder, pairs_file)
    assert expected[0] != expected[-1]
    for name, method in (
        ("row", f"{file}:by_row"),
        ("batch", f"{file}:by_batch"),
        ("callable", by_row),
        ("sum", "0.25*dpo + 0.75*dpo(beta=0.1)"),
    ):
        found, result = losses(tmp_path, name, method, tiny_model_folder, pairs_file, micro_batch_size=1)
        assert found == pytest.approx(expected, rel=1e-4), name
        assert "Trained with" in (result.output_dir / "README.md").read_text()
        json.loads((result.output_dir / "environment.json").read_text())


def test_a_file_that_is_edited_or_lost_meanwhile_changes_nothing(tmp_path, file, tiny_model_folder, pairs_file):
    class Edit(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            file.write_text("nothing of use") if state.global_step == 1 else file.unlink(missing_ok=True)

    expected, _ = losses(tmp_path, "dpo", "dpo", tiny_model_folder, pairs_file)
    options = {"callbacks": [Edit()], "micro_batch_size": 1, "report": True}
    found, result = losses(tmp_path, "row", f"{file}:by_row", tiny_model_folder, pairs_file, **options)
    assert found == pytest.approx(expected, rel=1e-4)
    assert "by_row" in (result.output_dir / "README.md").read_text()


def test_constants_of_ones_own_loss_are_options(tmp_path, file, tiny_model_folder, pairs_file):
    expected, _ = losses(tmp_path, "dpo", "dpo", tiny_model_folder, pairs_file, beta=0.5)
    found, _ = losses(tmp_path, "row", f"{file}:by_row", tiny_model_folder, pairs_file, beta=0.5)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_sum_is_the_sum_of_its_parts():
    terms = {"policy_chosen_logps": -3.0, "policy_rejected_logps": -5.0, "ref_chosen_logps": -4.0}
    terms |= {"ref_rejected_logps": -4.5, "chosen_logps": -3.0, "chosen_lengths": 4.0}
    terms |= {"log_ratio_w": 1.0, "log_ratio_l": -0.5}
    method = get_method("0.8*dpo(beta=0.2, label_smoothing=0.1) + ipo + 1.5*nll")
    dpo, ipo = ({name: terms[name] for name in METHODS[part].inputs} for part in ("dpo", "ipo"))
    expected = 0.8 * penchant.dpo_loss(**dpo, beta=0.2, label_smoothing=0.1) + penchant.ipo_loss(**ipo) + 1.5 * 3 / 4
    assert method.loss(**{name: terms[name] for name in method.inputs}) == pytest.approx(expected, rel=1e-12)
    assert method.data == "pairs" and method.needs_reference and method.uses_lengths and not method.couples_rows


def test_which_functions_couple_rows(file):
    assert not settled(get_method(f"{file}:by_row"), LEAF).couples_rows
    assert settled(get_method(f"{file}:by_batch"), LEAF).couples_rows
    weights = torch.tensor([1.0, 2.0])
    once = settled(get_method(f"{file}:by_row"), LEAF).loss(log_ratio_w=weights, log_ratio_l=-weights, reduction="sum")
    assert once == pytest.approx(float(by_row(weights, -weights).sum()))


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("FILE:unknown", ("'log_ratio_win'", "log_ratio_w", "vocabulary")),
        ("FILE:bare", ("'beta' has no default",)),
        ("FILE:mixes", ("pairs", "answers")),
        ("FILE:breaks", ("no_such_thing",)),
        ("FILE:wide", ("shape (rows,)",)),
        ("FILE:in_numpy", ("fails on three rows of torch arrays", "numpy()")),
        ("FILE:detached", ("no gradient",)),
        ("FILE:meaning", ("shape (rows,) for reduction='none'",)),
        ("FILE:by_rows", ("no function 'by_rows'", "by_row")),
        ("nowhere.py:loss", ("no such file",)),
        ("0.8*dpo +", ("cannot be read",)),
        ("dpo*0.5", ("cannot be read",)),
        ("-1*dpo + ipo", ("cannot be read",)),
        ("dpo - ipo", ("cannot be read", "Write sums like")),
        ("+".join(["dpo"] * 5000), ("cannot be read",)),
        ("0*dpo + ipo", ("above 0",)),
        ("dpo + kto", ("different rows",)),
        ("dpo + dop", ("no method 'dop'",)),
        ("dpo(gamma=1)", ("no constant 'gamma'",)),
        ("dpo(beta=open)", ("number or a word",)),
        ("dpo(beta=-1)", ("beta",)),
        ("dpo + dr_dpo", ("one loss for all rows",)),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path, file, tiny_model_folder, method, words):
    data = write_jsonl(tmp_path / "two.jsonl", [{"prompt": "a?", "chosen": "b", "rejected": "c"}] * 2)
    with pytest.raises(InputError) as caught:
        losses(tmp_path, "run", method.replace("FILE", str(file)), tiny_model_folder, data)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_decorated_function_is_checked_like_any_other():
    @functools.wraps(by_row)
    def wrapped(*args, **kwargs):
        return by_row(*args, **kwargs)

    with pytest.raises(InputError, match="shapes disagree"):
        get_method(wrapped).loss(log_ratio_w=torch.zeros(2), log_ratio_l=torch.zeros(3))


def test_one_prompt_will_do_where_no_baseline_is_estimated(tmp_path, tiny_model_folder):
    rows = [{"prompt": "Why?", "completion": f"It is {i}.", "label": i % 2 == 0} for i in range(8)]
    data = write_jsonl(tmp_path / "one.jsonl", rows)
    with pytest.raises(InputError, match="same prompt"):
        losses(tmp_path, "batch", "kto", tiny_model_folder, data)
    store = str(tmp_path / "store")
    found, _ = losses(tmp_path, "zero", "kto", tiny_model_folder, data, z_ref="zero", reference_store=store)
    assert found[0] == pytest.approx(0.5)


def test_a_file_that_fails(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("1 / 0\n")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        get_method(f"{path}:loss")
