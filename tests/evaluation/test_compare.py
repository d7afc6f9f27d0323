"""Comparisons: the right side is shown to be preferred, and no difference where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests_support import write_jsonl

from penchant.cli import main
from penchant.errors import InputError
from penchant.evaluation.answers import read_answers
from penchant.evaluation.compare import compare_answers
from penchant.evaluation.comparison import examples
from penchant.evaluation.judges import judge_named
from penchant.evaluation.judges.cache import VerdictCache
from penchant.evaluation.judges.question import ModelSettings, Patience

RULES = """
def words(prompt, answer): return len(answer.split())
def more(prompt, first, second):
    a, b = len(first.split()), len(second.split())
    return 0.5 if a == b else float(a > b)
def sloppy(prompt, first, second): return "tie" if "3" not in first + second else "what?"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def answers(path, add, prompts=80, samples=1, seed=0):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(3, 12, (prompts, samples)) + add
    rows = [{"prompt": f"q{i}", "completion": "w " * size + f"{path.stem}{k}"} for i, part in enumerate(sizes)
            for k, size in enumerate(part)]  # fmt: skip
    return str(write_jsonl(path, rows))


def compared(here, first, second, rule="rules.py:more"):
    judge = judge_named(rule, mode=None, patience=Patience(5.0, 0), models=ModelSettings())
    cache = VerdictCache(here / "cache")
    return compare_answers(judge, ("a", "b"), read_answers([first]), read_answers([second]), cache)


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stop:
        main(["compare", *arguments])
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out, captured.err


@pytest.mark.parametrize("rule", ["rules.py:more", "rules.py:words"])
def test_a_better_side_is_preferred_and_equal_sides_show_no_difference(here, rule):
    plain, longer = answers(here / "a.jsonl", 0), answers(here / "b.jsonl", 3, seed=1)
    other = answers(here / "c.jsonl", 0, seed=2)
    result, _ = compared(here, longer, plain, rule)
    assert (result.verdict, result.coverage.pairs, result.wins > result.losses) == ("a is preferred", 80, True)
    assert result.win_rate.value == pytest.approx((result.wins + result.ties / 2) / 80)
    assert compared(here, plain, longer, rule)[0].verdict == "b is preferred"
    assert compared(here, plain, other, rule)[0].verdict == "no difference shown"
    assert result.lengths[0].words.value - result.lengths[1].words.value == pytest.approx(3, abs=1)
    assert result.longer_wins.value > 0.9


def test_samples_of_one_prompt_are_not_independent_evidence(here):
    """The same verdicts, once over 72 prompts and once 12 times over 6: the second shows nothing."""
    verdicts = [True] * 48 + [False] * 24
    for name, per_prompt in (("alone", 1), ("together", 12)):
        for side, better in (("a", True), ("b", False)):
            rows = [{"prompt": f"q{i // per_prompt}", "completion": f"{'w ' * (5 if wins == better else 2)}{side}{i}"}
                    for i, wins in enumerate(verdicts)]  # fmt: skip
            write_jsonl(here / f"{name}-{side}.jsonl", rows)
    alone, together = (compared(here, f"{name}-a.jsonl", f"{name}-b.jsonl")[0] for name in ("alone", "together"))
    assert alone.win_rate.value == together.win_rate.value == pytest.approx(2 / 3)
    assert (alone.coverage.prompts, together.coverage.prompts) == (72, 6)
    assert (alone.verdict, together.verdict) == ("a is preferred", "no difference shown")


def test_ties_do_not_hide_wins_and_few_prompts_prove_nothing(here):
    """Eleven wins, one loss and 48 ties are a difference; two prompts with three wins each are none."""
    for name, verdicts, per_prompt in (("ties", [1] * 11 + [-1] + [0] * 48, 1), ("few", [1] * 6, 3)):
        for side, sign in (("a", 1), ("b", -1)):
            rows = [{"prompt": f"q{i // per_prompt}", "completion": "w " * (5 + sign * wins) + f"{side}{i}"}
                    for i, wins in enumerate(verdicts)]  # fmt: skip
            write_jsonl(here / f"{name}-{side}.jsonl", rows)
    ties, few = (compared(here, f"{name}-a.jsonl", f"{name}-b.jsonl")[0] for name in ("ties", "few"))
    assert (ties.wins, ties.ties, ties.losses, ties.verdict) == (11, 48, 1, "a is preferred")
    assert (few.win_rate.value, few.verdict) == (1.0, "no difference shown")


def test_equal_answers_are_ties_that_nobody_is_asked_about(here):
    first = write_jsonl(here / "a.jsonl", [{"prompt": f"q{i}", "completion": "same"} for i in range(5)])
    second = write_jsonl(here / "b.jsonl", [{"prompt": f"q{i}", "completion": "same"} for i in range(1, 7)])
    result, _ = compared(here, first, second)
    assert (result.coverage.asked, result.coverage.identical, result.ties) == (0, 4, 4)
    assert (result.coverage.only_first, result.coverage.only_second) == (1, 2)
    assert result.verdict == "no difference shown"


def test_pairs_without_a_verdict_are_in_no_number(here):
    first, second = answers(here / "a.jsonl", 0, prompts=12, samples=4), answers(here / "b.jsonl", 1, 12, 4)
    result, found = compared(here, first, second, "rules.py:sloppy")
    assert (result.coverage.faults, result.coverage.pairs, len(found)) == (12, 36, 48)
    assert result.ties == 36


def test_examples_are_the_clearest_of_each_side(here):
    _, found = compared(here, answers(here / "a.jsonl", 1), answers(here / "b.jsonl", 0, seed=3))
    wins, losses = examples(found)
    assert (len(wins), len(losses)) == (3, 3)
    assert all(len(match.first.split()) > len(match.second.split()) for match in wins)


def test_nothing_in_common_is_said(here):
    write_jsonl(here / "b.jsonl", [{"prompt": "other", "completion": "x"}])
    with pytest.raises(InputError, match="no prompt in common"):
        compared(here, answers(here / "a.jsonl", 0), here / "b.jsonl")


def test_the_command_on_files(here, capsys):
    sides = answers(here / "a.jsonl", 3), answers(here / "b.jsonl", 0)
    code, out, _ = run(capsys, *sides, "--judge", "rules.py:more")
    assert code == 0 and "a.jsonl is preferred" in out and "same verdict in both orders" in out
    numbers = json.loads((here / "runs/compare/comparison.json").read_text())
    rows = [json.loads(line) for line in (here / "runs/compare/matches.jsonl").read_text().splitlines()]
    assert numbers["win_rate"]["value"] == pytest.approx(np.mean([row["preference"] for row in rows]))


def test_the_command_samples_models(here, capsys, tiny_model_folder):
    prompts = write_jsonl(here / "p.jsonl", [{"prompt": f"Why {i}?"} for i in range(4)])
    given = write_jsonl(here / "a.jsonl", [{"prompt": f"Why {i}?", "completion": f"Because of {i}."} for i in range(9)])
    arguments = ["--prompts", str(prompts), "--judge", "rules.py:words", "--max-new-tokens", "5", "--json"]
    code, out, _ = run(capsys, str(tiny_model_folder), str(given), *arguments)
    numbers = json.loads(out)
    assert (code, numbers["coverage"]["pairs"], numbers["coverage"]["only_second"]) == (0, 4, 0)
    assert len((here / "runs/compare/first.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.jsonl", "a.jsonl", "--judge", "rules.py:more"], "both sides are the same"),
        (["a.jsonl", "model", "--judge", "rules.py:more"], "a model needs prompts"),
        (["a.jsonl", "b.jsonl", "--judge", "rules.py:more", "--beta", "1"], "--beta says nothing to this judge"),
        (
            ["a.jsonl", "b.jsonl", "--judge", "rules.py:more", "--dtype", "float64"],
            "--dtype says nothing to this judge",
        ),
        (
            ["a.jsonl", "b.jsonl", "--judge", "rules.py:more", "--samples", "2"],
            "--samples is given, and both sides are",
        ),
        (["a.jsonl", "none.jsonl", "--judge", "rules.py:more"], "none.jsonl: no such file"),
    ],
)
def test_mistakes_cost_one_line(here, capsys, arguments, words):
    answers(here / "a.jsonl", 0)
    code, _, err = run(capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
