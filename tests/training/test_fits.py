"""Rows that a model cannot take are named before anything is computed."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from tests_support import pair_rows, tiny_llama
from transformers import GPT2Config, GPT2LMHeadModel

import penchant
from penchant.errors import InputError
from penchant.models import LoadedModel
from penchant.records import TokenAnswer
from penchant.training.fits import check_fits


def train(model, tokenizer, tmp_path):
    loaded = LoadedModel(model, tokenizer, "a model", "model")
    return penchant.train(model=loaded, data=pair_rows(4), max_steps=1, use_cpu=True, output_dir=tmp_path / "run")


def test_a_token_without_an_embedding(tiny_tokenizer, tmp_path):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.add_tokens(["<|extra|>"], special_tokens=True)
    tokenizer.chat_template = "<|extra|>" + tokenizer.chat_template
    with pytest.raises(InputError, match="no embedding for") as caught:
        train(tiny_llama(len(tiny_tokenizer)), tokenizer, tmp_path)
    assert caught.value.got == f"'<|extra|>', number {len(tiny_tokenizer)}"
    assert not (tmp_path / "run").exists()


def test_a_mismatched_answer_takes_positions_too(tiny_tokenizer, tmp_path):
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": len(tiny_tokenizer)}
    model = GPT2LMHeadModel(GPT2Config(n_positions=10, **sizes))
    row = TokenAnswer([1, 2, 3, 4, 5], [6], True, "f:1", [7, 8, 9])
    check_fits(model, tiny_tokenizer, [row])
    with pytest.raises(InputError, match="the row has 11 tokens and the model 10 positions"):
        check_fits(model, tiny_tokenizer, [replace(row, mismatched_ids=[7] * 6)])


def test_more_tokens_than_positions(tiny_tokenizer, tmp_path):
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": len(tiny_tokenizer)}
    model = GPT2LMHeadModel(GPT2Config(n_positions=12, **sizes))
    with pytest.raises(InputError, match=r"the row has \d+ tokens and the model 12 positions"):
        train(model, tiny_tokenizer, tmp_path)
