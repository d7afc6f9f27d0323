"""Sampling into a file: what a kill leaves is gone on from, and ends as if there had been none."""

from __future__ import annotations

import pytest
from tests_support import write_jsonl
from tokenizers.processors import TemplateProcessing

from penchant.errors import InputError
from penchant.evaluation.prompts import read_prompts
from penchant.evaluation.sample import Answer
from penchant.evaluation.sampling import SampleSettings, sample_to_file
from penchant.models import load_model
from penchant.tokens import PromptStyle, prompt_ids

SETTINGS = SampleSettings(samples=2, max_new_tokens=6, temperature=1.0, batch_size=3, seed=5)


@pytest.fixture
def prompts(tmp_path):
    rows = [{"prompt": f"Why is {'very ' * i}it {i}?"} for i in range(4)]
    chat = {"prompt": [{"role": "user", "content": "Name a river"}]}
    return read_prompts(write_jsonl(tmp_path / "p.jsonl", [*rows, chat, rows[0]]))


def test_a_killed_run_goes_on_to_the_same_file(tmp_path, tiny_model_folder, prompts):
    loaded = load_model(str(tiny_model_folder))
    whole = sample_to_file(loaded, prompts, tmp_path / "whole.jsonl", SETTINGS)
    assert (prompts.repeats, whole.answers, whole.drawn) == (1, 10, 10)
    data = whole.path.read_bytes()
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.jsonl").write_bytes(data[:cut])
        sample_to_file(loaded, prompts, tmp_path / "cut.jsonl", SETTINGS)
        assert (tmp_path / "cut.jsonl").read_bytes() == data
    assert sample_to_file(loaded, prompts, whole.path, SETTINGS).drawn == 0


def test_other_settings_do_not_mix_into_a_file(tmp_path, tiny_model_folder, prompts):
    loaded = load_model(str(tiny_model_folder))
    sample_to_file(loaded, prompts, tmp_path / "a.jsonl", SETTINGS)
    with pytest.raises(InputError, match="other settings"):
        sample_to_file(loaded, prompts, tmp_path / "a.jsonl", SampleSettings(samples=2, max_new_tokens=7))
    with pytest.raises(InputError, match="other settings"):
        sample_to_file(load_model(str(tiny_model_folder), dtype="bfloat16"), prompts, tmp_path / "a.jsonl", SETTINGS)


def test_prompts_are_tokenised_as_training_does(tmp_path, tiny_model_folder):
    """A tokenizer that ends a plain text with its end-of-sequence token: the answer comes before that."""
    loaded = load_model(str(tiny_model_folder))
    tokenizer, seen = loaded.tokenizer, []
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    prompt = read_prompts(write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}]))

    def draw(batch, seed):
        seen.extend(batch)
        return [Answer("Because.", 1, True) for _ in batch]

    settings = SampleSettings(max_new_tokens=4, chat_template="none")
    sample_to_file(loaded, prompt, tmp_path / "o.jsonl", settings, draw=draw)
    (trained,) = prompt_ids(["Why?"], PromptStyle.of(tokenizer, "none"))
    assert seen == [trained]
    assert tokenizer.eos_token_id not in trained


def test_a_foreign_file_is_not_appended_to(tmp_path, tiny_model_folder, prompts):
    foreign = tmp_path / "a.jsonl"
    foreign.write_text('{"x": 1}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:1"):
        sample_to_file(load_model(str(tiny_model_folder)), prompts, foreign, SETTINGS)
    assert foreign.read_text() == '{"x": 1}\n'


def test_a_prompt_of_100_kb_is_left_out_and_named(tmp_path, tiny_model_folder):
    path = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "why " * 25000}, {"prompt": "Why?"}])
    result = sample_to_file(load_model(str(tiny_model_folder)), read_prompts(path), tmp_path / "o.jsonl", SETTINGS)
    assert (result.answers, result.too_long) == (2, [f"{path}:1"])


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no prompts"), ('{"prompt": ""}\n', "empty"), ('{"prompt": 3}\n', "p.jsonl:1"), ("[1]\n", "not an object")],
)
def test_bad_prompt_files_cost_one_line(tmp_path, text, words):
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(InputError, match=words):
        read_prompts(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"temperature": 0.0, "samples": 2}]
)
def test_settings_out_of_their_domain_are_refused(wrong):
    with pytest.raises(InputError):
        SampleSettings(**wrong)
