"""The token budget: read off two trials as a straight line, bounded by memory, speed and step; and a run with it."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

import penchant
from penchant.errors import InputError
from penchant.records import TokenPair
from penchant.training.memory import Peak, Trial, fit, parse_memory, probes, reach, settle_budget, within
from penchant.training.microbatch import taken

count = partial(taken, packed=True)
SMALL, LARGE = Trial(256, 1.5e9, 0.4), Trial(1280, 2.5e9, 1.4)  # 1 GB and a second for each 1024 tokens


@pytest.mark.parametrize(
    ("limit", "most", "tokens", "words"),
    [
        (100e9, 10**6, 2816, "rate"),  # 0.15 s before the first token: 19 times as long is 2918 tokens
        (3.5e9, 10**6, 2304, "limit is 3.5 GB"),
        (100e9, 1500, 1408, "whole step"),
        (1e9, 10**6, 128, "limit"),
    ],
)
def test_the_least_of_three_bounds(limit, most, tokens, words):
    budget = fit([SMALL, LARGE], limit=limit, longest=1000, most=most)
    assert budget.tokens == tokens
    assert words in str(budget)


def test_a_pass_without_a_start_keeps_what_was_tried():
    steep = [Trial(256, 1e9, 0.2), Trial(1280, 2e9, 1.0)]
    assert fit(steep, limit=1e12, longest=100, most=10**6).tokens == 1280
    assert fit(steep, limit=1e12, longest=1700, most=10**6).tokens == 1664


def test_a_larger_pass_that_took_less_promises_no_less_than_was_measured():
    budget = fit([Trial(256, 2.0e9, 0.4), Trial(1024, 1.9e9, 1.4)], limit=100e9, longest=1000, most=10**6)
    assert budget.peak == 1.9e9


def test_the_peak_of_a_block_is_seen():
    with Peak(torch.device("cpu")) as before:
        pass
    with Peak(torch.device("cpu")) as peak:
        held = torch.ones(60_000_000)
        del held
    assert 200e6 < peak.bytes - before.bytes < 400e6


@pytest.mark.parametrize(
    ("lengths", "small", "large"),
    [
        ([100] * 30, 200, 1000),  # many short rows fill both parts
        ([900, 700, 800, 950], 700, 1500),  # rows over the smaller part, and over half of the larger
        ([500, 800], 500, 1300),
        ([200, 1200], 200, 1400),
        ([600], 600, 600),
    ],
)
def test_the_trials_differ_in_size_whatever_the_rows(lengths, small, large):
    rows = [
        TokenPair([3 + place] * (length - 20), [1] * 10, [2] * 10, str(length)) for place, length in enumerate(lengths)
    ]
    assert [count(part) for part in probes(rows, count)] == [small, large]


@pytest.mark.parametrize(
    ("text", "amount"), [("auto", None), ("8GB", 8 * 10**9), ("1.5GiB", 3 * 2**29), ("500 mb", 5 * 10**8)]
)
def test_amounts(text, amount):
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "8", "lots", "-1GB", "0GB", "8TBs"])
def test_other_words_are_refused(text):
    with pytest.raises(InputError, match="auto or an amount"):
        parse_memory(text)


def train(folder, model, data, **options):
    return penchant.train(
        model=str(model), data=str(data), output_dir=folder, max_steps=2, batch_size=8, use_cpu=True,
        report=False, **options
    )  # fmt: skip


def test_a_run_chooses_and_says_so_and_trains_as_without(tmp_path, tiny_model_folder, pairs_file, capsys):
    plain = train(tmp_path / "plain", tiny_model_folder, pairs_file)
    chosen = train(tmp_path / "auto", tiny_model_folder, pairs_file, memory="auto")
    said = capsys.readouterr().out
    assert "tokens at once, a peak of about" in said
    assert [line["loss"] for line in chosen.history if "loss" in line] == pytest.approx(
        [line["loss"] for line in plain.history if "loss" in line], rel=1e-5
    )
    written = (tmp_path / "auto" / "config.yaml").read_text()
    assert "memory: auto" in written and "micro_batch_tokens" not in written


def test_the_trial_passes_draw_nothing_from_training(tmp_path, tiny_model_folder, pairs_file, monkeypatch):
    states = []

    def settle(*arguments):
        states.append(torch.get_rng_state())
        said = settle_budget(*arguments)
        states.append(torch.get_rng_state())
        return said

    monkeypatch.setattr("penchant.training.run.settle_budget", settle)
    train(tmp_path / "a", tiny_model_folder, pairs_file, memory="auto", lora_dropout=0.3)
    assert torch.equal(*states)


@pytest.mark.slow
def test_an_amount_that_holds_all_rows(tmp_path, tiny_model_folder, pairs_file):
    assert train(tmp_path / "a", tiny_model_folder, pairs_file, memory="64GB").metrics["loss"] > 0


def test_an_amount_that_holds_no_row_is_refused(tmp_path, tiny_model_folder, pairs_file):
    with pytest.raises(InputError, match="does not hold the longest row"):
        train(tmp_path / "a", tiny_model_folder, pairs_file, memory="1MB")
    assert not (tmp_path / "a").exists()


def test_both_settings_are_refused(tmp_path, tiny_model_folder, pairs_file):
    with pytest.raises(InputError, match="both are given"):
        train(tmp_path / "a", tiny_model_folder, pairs_file, memory="auto", micro_batch_tokens=100)


def test_measuring_does_not_go_over_the_limit_itself():
    """The larger pass is made as small as the line through what is idle and the smaller pass asks for."""
    idle, small = Trial(0, 1e9, 0.0), Trial(250, 1.5e9, 1.0)
    assert reach(idle, small, 2e9) == pytest.approx(500)
    assert reach(idle, small, 1.2e9) == pytest.approx(100)  # less than was tried: nothing more is
    assert reach(idle, Trial(250, 1e9, 1.0), 2e9) == math.inf
    rows = [TokenPair([place] * 100, [1] * 50, [1] * 50, "row") for place in range(4)]
    assert [len(within(rows, most, count)) for most in (math.inf, 650, 150)] == [4, 3, 0]
