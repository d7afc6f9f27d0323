"""Fixtures that every room's tests share: a tiny model with a real tokenizer and a chat template, and small data."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest
from tests_support import labelled_rows, pair_rows, tiny_llama, trained_tokenizer, write_jsonl

os.environ.setdefault("HF_HUB_OFFLINE", "1")
_frozen = {"modules": 0}


@pytest.fixture(autouse=True)
def _libraries_are_not_searched_for_garbage():
    """Each training run collects garbage once, which takes most of a tiny run's time where it walks over all that
    torch, transformers and jax have made: what large imports leave behind is taken out of the search.
    """
    yield
    if len(sys.modules) > _frozen["modules"] + 300:
        gc.collect()
        gc.freeze()
        _frozen["modules"] = len(sys.modules)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    return trained_tokenizer()


@pytest.fixture
def tiny_model(tiny_tokenizer):
    return tiny_llama(len(tiny_tokenizer))


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory, tiny_tokenizer) -> Path:
    """The tiny model saved as people save models."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_llama(len(tiny_tokenizer)).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def pairs_file(tmp_path) -> Path:
    return write_jsonl(tmp_path / "pairs.jsonl", pair_rows(24))


@pytest.fixture
def labelled_file(tmp_path) -> Path:
    return write_jsonl(tmp_path / "labelled.jsonl", labelled_rows(24))
