"""Judges: what they say is kept, what they fail at is counted, and nothing is paid for twice."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests_support import tiny_llama, write_jsonl

from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.evaluation.judge import judge_files
from penchant.evaluation.judges import judge_named
from penchant.evaluation.judges.cache import VerdictCache
from penchant.evaluation.judges.question import ModelSettings, Patience, Question, read_reply

RULES = """
from pathlib import Path

def rate(prompt, answer):
    print("a print is no verdict")
    Path("asked.txt").open("a").write("x")
    return len(answer)

def shorter(prompt, first, second):
    Path("asked.txt").open("a").write("x")
    return {"winner": "first" if len(first) < len(second) else "second"}

def always_first(prompt, first, second): return 1.0
def soft(prompt, first, second): return {"preference": 0.8 if len(first) < len(second) else 0.4}
def odd(prompt, answer): return "good!" if "2" in answer else 1.5
def never(prompt, answer): return "good!"
def hangs(prompt, answer):
    while True: pass
def dies(prompt, answer):
    import os
    print("the last words")
    os._exit(3)
def raises(prompt, answer): raise KeyError("colour")
def one(prompt): return 1.0
def huge(prompt, answer): return float("inf")
def array(prompt, answer):
    import numpy
    return numpy.float32(len(answer))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with rules and twelve answers to four prompts; the same answer stands twice under each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.py").write_text(RULES)
    rows = [{"prompt": f"q{i}", "completion": f"answer {'very ' * k}{k}"} for i in range(4) for k in (0, 1, 2, 0)]
    write_jsonl(tmp_path / "answers.jsonl", rows)
    return tmp_path


def judged(
    here, spec, *, mode=None, output="out.jsonl", patience=None, models=None, answers="answers.jsonl", **options
):
    judge = judge_named(spec, mode=mode, patience=patience or Patience(5.0, 0), models=models or ModelSettings())
    result = judge_files(judge, [here / answers], here / output, VerdictCache(here / "cache"), **options)
    return result, [json.loads(line) for line in (here / output).read_text().splitlines()]


def times_asked(here):
    return len((here / "asked.txt").read_text())


def test_a_rule_rates_each_answer_once(here):
    result, rows = judged(here, "rules.py:rate")
    assert (result.answers, result.repeats, result.asked, times_asked(here)) == (12, 4, 12, 12)
    assert [set(row) >= {"prompt", "completions", "scores"} for row in rows] == [True] * 4
    assert rows[0]["scores"] == [len(answer) for answer in rows[0]["completions"]]
    again, same = judged(here, "rules.py:rate", output="again.jsonl")
    assert (again.asked, times_asked(here), same) == (0, 12, rows)


def test_ratings_are_read_as_pairs_of_the_best_and_the_worst(here):
    judged(here, "rules.py:rate")
    read = read_preferences(here / "out.jsonl", unpaired=False)
    assert [(len(row.chosen) > len(row.rejected)) for row in read.rows] == [True] * 4


@pytest.mark.parametrize("output", ["answers.jsonl", "data.jsonl", "noise.jsonl", "other.jsonl"])
def test_a_file_that_is_not_the_judge_s_own_is_not_written_over(here, output):
    write_jsonl(here / "data.jsonl", [{"prompt": "q", "chosen": "a", "rejected": "b"}])
    (here / "noise.jsonl").write_text("not JSON\n")
    judged(here, "rules.py:shorter", output="other.jsonl")
    before = (here / output).read_bytes()
    with pytest.raises(InputError, match=r"one of the files of answers|not by this judge"):
        judged(here, "rules.py:rate", output=output)
    assert (here / output).read_bytes() == before


def test_a_changed_rule_is_another_judge(here):
    judged(here, "rules.py:rate")
    (here / "rules.py").write_text(RULES.replace("return len(answer)", "return -len(answer)"))
    result, rows = judged(here, "rules.py:rate")
    assert result.asked == 12
    assert max(rows[0]["scores"]) < 0


def test_a_rule_compares_in_both_orders_and_its_pairs_can_be_trained_on(here):
    result, rows = judged(here, "rules.py:shorter")
    assert (result.rows, result.asked, times_asked(here)) == (12, 24, 24)
    assert all(len(row["chosen"]) < len(row["rejected"]) for row in rows)
    assert (result.bias.first_wins.value, result.bias.agree.value, result.longer_wins.value) == (0.5, 1.0, 0.0)
    read = read_preferences(here / "out.jsonl", unpaired=False, terms=["preference_probs"])
    assert [row.numbers["preference_probs"] for row in read.rows] == [1.0] * 12


def test_position_bias_is_seen_and_makes_no_preferences(here):
    result, rows = judged(here, "rules.py:always_first")
    assert (result.bias.first_wins.value, result.bias.agree.value) == (1.0, 0.0)
    assert (rows, result.ties) == ([], 12)
    _, rows = judged(here, "rules.py:always_first", keep_ties=True)
    assert {(row["preference_prob"], row["is_tie"]) for row in rows} == {(0.5, True)}


def test_soft_verdicts_are_averaged_over_the_orders(here):
    result, rows = judged(here, "rules.py:soft")
    assert {round(row["preference_prob"], 12) for row in rows} == {0.7}
    assert result.bias.first_wins.value == pytest.approx(0.6)
    assert all(len(row["chosen"]) < len(row["rejected"]) for row in rows)


def test_malformed_verdicts_are_counted_and_kept_and_not_asked_again(here):
    result, rows = judged(here, "rules.py:odd")
    assert (result.faults, result.rows) == (4, 4)
    assert all("2" not in answer for row in rows for answer in row["completions"])
    kept = [json.loads(line) for line in result.faults_file.read_text().splitlines()]
    assert {(row["reply"], row["answer"]) for row in kept} == {('"good!"', "answer very very 2")}
    assert judged(here, "rules.py:odd")[0].asked == 0
    assert judged(here, "rules.py:odd", again=True)[0].asked == 4


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("never", "failed 10 times in a row, the last time so: the verdict is not a finite number but 'good!'"),
        ("hangs", "the rule gave no answer in 0.1 s"),
        ("dies", r"the rule died \(exit status 3\): the last words"),
        ("raises", r"the rule raised KeyError: 'colour' \(rules.py:"),
        ("huge", "not a finite number but inf"),
        ("one", r"must take \(prompt, answer\) to rate or \(prompt, first, second\) to compare, not \(prompt\)"),
        ("none", "no function 'none'"),
    ],
)
def test_a_judge_beyond_hope_ends_in_clear_words(here, rule, words):
    with pytest.raises(InputError, match=words):
        judged(here, f"rules.py:{rule}", patience=Patience(0.1, 0))
    assert not (here / "out.jsonl").exists()


def test_one_fault_is_tried_again_and_the_rest_goes_on(here):
    once = (
        "from pathlib import Path\ndef rate(prompt, answer):\n    if not Path('x').exists():\n        Path('x').touch()"
    )
    (here / "rules.py").write_text(once + "\n        while True: pass\n    return 1.0\n")
    result, _ = judged(here, "rules.py:rate", patience=Patience(0.3, 1))
    assert (result.faults, result.rows) == (0, 4)


def test_a_rule_may_return_a_number_of_another_library(here):
    assert judged(here, "rules.py:array")[1][0]["scores"] == [8.0, 13.0, 18.0]


COMMAND = f"command:{sys.executable} judge.py"


def command(here, body):
    (here / "judge.py").write_text(f"import json, sys\nrow = json.load(sys.stdin)\n{body}\n")


def test_a_command_reads_and_writes_json(here):
    command(here, "print(json.dumps({'score': len(row['answer']), 'why': 'length'}))")
    result, rows = judged(here, COMMAND, mode="rate", patience=Patience(20.0, 0, jobs=2))
    assert result.asked == 12
    assert rows[0]["scores"] == [len(answer) for answer in rows[0]["completions"]]


def test_commands_that_fail_are_told_apart(here):
    rows = write_jsonl(here / "one.jsonl", [{"prompt": "q", "completion": "a"}])
    cases = {
        "sys.exit('no key')": "exit status 1.*no key",
        "print('x' * 3_000_000)": "over 1 MB",
        "import os, time; os.close(1); time.sleep(9)": "no answer in 1.5 s",
    }
    for body, words in cases.items():
        command(here, body)
        with pytest.raises(InputError, match=words):
            judged(here, COMMAND, mode="rate", patience=Patience(1.5, 0), answers=rows.name)


@pytest.mark.parametrize("kind", ["command", "rule"])
def test_who_stops_listening_does_not_wait_for_the_judge(here, kind):
    command(here, "import time; time.sleep(60 if row['answer'] == 'slow' else 0); print(1.0)")
    wait = "def slow(prompt, answer):\n    while answer == 'slow': pass\n    return 1.0\n"
    (here / "rules.py").write_text(wait)
    spec, mode = (COMMAND, "rate") if kind == "command" else ("rules.py:slow", None)
    judge = judge_named(spec, mode=mode, patience=Patience(50.0, 3, jobs=2), models=ModelSettings())
    began = time.monotonic()
    replies = judge.replies([Question("p", ("slow",)), Question("p", ("quick",))])
    assert next(replies)[1].value == 1.0
    replies.close()
    assert time.monotonic() - began < 30
    assert [reply.value for _, reply in judge.replies([Question("p", ("quick",))])] == [1.0]


def test_workers_end_with_their_judge(here):
    """One that was never asked, and one that was."""
    rows = [Question("p", ("a",))]
    for asked in (False, True):
        judge = judge_named("rules.py:rate", mode=None, patience=Patience(5.0, 0), models=ModelSettings())
        (child,) = judge._children
        assert child._process.poll() is None
        assert not asked or [reply.value for _, reply in judge.replies(rows)] == [1.0]
        del judge
        gc.collect()
        assert child._process.poll() is not None


def test_a_prompt_of_100_kb_reaches_rule_and_command(here):
    write_jsonl(here / "long.jsonl", [{"prompt": "why \u00e9 " * 20_000, "completion": "x" * 100_000}])
    assert judged(here, "rules.py:rate", answers="long.jsonl")[1][0]["scores"] == [100_000]
    command(here, "print(len(row['prompt']))")
    assert judged(here, COMMAND, mode="rate", answers="long.jsonl", output="command.jsonl")[1][0]["scores"] == [120_000]


def test_a_killed_run_has_paid_for_what_it_was_told(here):
    slow = RULES.replace("return len(answer)", "import time; time.sleep(0.2); return len(answer)")
    (here / "rules.py").write_text(slow)
    program = [sys.executable, "-c", "from penchant.cli import main; main()", "judge", "answers.jsonl"]
    options = ["--output", "out.jsonl", "--rule", "rules.py:rate", "--cache", "cache"]
    run = subprocess.Popen([*program, *options], stdout=subprocess.DEVNULL, start_new_session=True)
    while not (here / "asked.txt").exists() or times_asked(here) < 4:
        assert run.poll() is None
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert not (here / "out.jsonl").exists()
    time.sleep(0.3)
    before = times_asked(here)
    result, rows = judged(here, "rules.py:rate")
    assert result.asked <= 12 - (before - 2)
    assert (len(rows), result.faults) == (4, 0)


def test_a_foreign_cache_is_refused(here):
    (here / "cache").mkdir()
    (here / "cache" / "verdicts.sqlite").write_text("no database " * 100)
    with pytest.raises(InputError, match="cache of verdicts"):
        judged(here, "rules.py:rate")


@pytest.fixture(scope="module")
def reward_folder(tmp_path_factory, tiny_tokenizer):
    import torch
    from transformers import LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("reward") / "model"
    config = tiny_llama(len(tiny_tokenizer), num_labels=1, pad_token_id=tiny_tokenizer.pad_token_id).config
    torch.manual_seed(1)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_reward_model_rates_in_batches_as_one_by_one(here, reward_folder, tiny_tokenizer):
    import torch
    from transformers import AutoModelForSequenceClassification

    _, rows = judged(here, f"reward:{reward_folder}")
    model = AutoModelForSequenceClassification.from_pretrained(reward_folder).eval()
    for row in rows:
        for answer, score in zip(row["completions"], row["scores"], strict=True):
            turns = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": answer}]
            ids = tiny_tokenizer.apply_chat_template(turns, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                assert score == pytest.approx(float(model(ids).logits), rel=1e-5, abs=1e-6)
    assert judged(here, f"reward:{reward_folder}")[0].asked == 0


def test_a_model_leaves_out_what_is_too_long(here, reward_folder):
    long = [{"prompt": "why " * 25_000, "completion": str(i)} for i in range(15)]
    write_jsonl(here / "long.jsonl", [*long, {"prompt": "Why?", "completion": "Yes"}])
    result, rows = judged(here, f"reward:{reward_folder}", answers="long.jsonl")
    assert (result.faults, len(rows)) == (15, 1)
    assert "tokens, more than" in json.loads(result.faults_file.read_text().splitlines()[0])["fault"]


def test_a_language_model_is_no_reward_model(here, tiny_model_folder):
    with pytest.raises(InputError, match="would be random"):
        judged(here, f"reward:{tiny_model_folder}")


def test_an_implicit_reward_is_the_scaled_log_ratio(here, tmp_path, tiny_model_folder, tiny_tokenizer):
    import torch

    from penchant.models import load_model

    other = tiny_llama(len(tiny_tokenizer))
    other.lm_head.weight.data.mul_(1.3)
    other.save_pretrained(tmp_path / "policy")
    tiny_tokenizer.save_pretrained(tmp_path / "policy")
    settings = ModelSettings(reference=str(tiny_model_folder), beta=0.5)
    _, rows = judged(here, f"implicit:{tmp_path / 'policy'}", models=settings)
    prompt, answer = rows[1]["prompt"], rows[1]["completions"][2]
    head = tiny_tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True)
    ids = torch.tensor([head["input_ids"] + tiny_tokenizer(answer + "<|im_end|>")["input_ids"]])
    sums = []
    for model in (other, load_model(str(tiny_model_folder)).model):
        with torch.no_grad():
            logps = model.eval()(ids[:, :-1]).logits.double().log_softmax(-1)
        sums.append(float(logps.gather(2, ids[:, 1:, None])[0, len(head["input_ids"]) - 1 :].sum()))
    assert rows[1]["scores"][2] == pytest.approx(0.5 * (sums[0] - sums[1]), rel=1e-4)
    with pytest.raises(InputError, match="needs a reference"):
        judged(here, f"implicit:{tmp_path / 'policy'}")


@pytest.mark.parametrize(
    ("spec", "mode", "words"),
    [
        ("rule.py", None, "no such judge"),
        ("none.py:f", None, "no such file"),
        ("command:cat", None, "does not say whether it rates or compares"),
        ("rules.py:rate", "compare", "the judge rates, and --mode compare is asked for"),
        ("reward:none/at/all", None, "cannot load the reward model"),
    ],
)
def test_bad_names_cost_one_line(here, spec, mode, words):
    with pytest.raises(InputError, match=words):
        judged(here, spec, mode=mode)


@pytest.mark.parametrize("value", [None, [], {}, "third", 1.5, -0.1, float("nan"), {"preference": "x"}, 10**400])
def test_a_comparison_is_a_probability(value):
    assert read_reply(value, "raw", compares=True).fault is not None


def test_known_ways_to_say_it():
    for value in (1, True, 1.0, "first", " First ", {"winner": "first"}, {"preference": 1}):
        assert read_reply(value, "", compares=True).value == 1.0
    for value in (3, 3.0, {"score": 3, "why": "x"}):
        assert read_reply(value, "", compares=False).value == 3.0
    assert Question("p", ("a",)).key("j") != Question("p", ("a",)).key("k")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no answers"),
        ([{"prompt": "p"}], 'no answer under "completion"'),
        ([{"prompt": "p", "completion": 3}], "must be a string"),
        ([{"prompt": "p", "completions": "x"}], "must be a list"),
        ([{"completion": "x"}], "columns"),
    ],
)
def test_bad_answer_files_cost_one_line(here, rows, words):
    write_jsonl(here / "bad.jsonl", rows)
    with pytest.raises(InputError, match=words):
        judged(here, "rules.py:rate", answers="bad.jsonl")
    write_jsonl(here / "bad.jsonl", [{"prompt": "p", "completion": "x"}])
    with pytest.raises(InputError, match="no prompt has two different answers"):
        judged(here, "rules.py:shorter", answers="bad.jsonl")


def test_preference_pairs_can_be_judged_again(here):
    write_jsonl(here / "pairs.jsonl", [{"prompt": "p", "chosen": "a long answer", "rejected": "short"}])
    assert judged(here, "rules.py:shorter", answers="pairs.jsonl")[1][0]["chosen"] == "short"


@pytest.mark.parametrize(
    "columns",
    [
        {"completion_a": "a long answer", "completion_b": "short", "comparison": "same"},
        {"answers": [{"answer": "a long answer", "rank": 1}, {"answer": "short", "rank": 2}]},
        {"responses": ["a long answer", [{"role": "assistant", "content": "short"}]]},
        {"chosen": [{"role": "assistant", "content": "a long answer"}], "rejected": "short"},
    ],
)
def test_answers_are_found_in_many_layouts_whatever_was_said_of_them(here, columns):
    write_jsonl(here / "rows.jsonl", [{"prompt": "p"} | columns])
    assert judged(here, "rules.py:shorter", answers="rows.jsonl")[1][0]["chosen"] == "short"
