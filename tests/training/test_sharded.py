"""Weights sharded over two processes (FSDP2) give the losses and the weights of one process that holds them whole."""

from __future__ import annotations

import pytest
from tests_two_processes import CASES, check_goes_on, check_same, on_two, settings_of

import penchant


def test_two_sharded_processes_equal_one(tiny_tokenizer, tmp_path):
    settings, _ = settings_of("kto, full", tmp_path, tiny_tokenizer)
    on_two([settings | {"output_dir": str(tmp_path / "two")}], tmp_path)
    penchant.train(**settings, output_dir=str(tmp_path / "one"), use_cpu=True)
    check_same(tmp_path / "one", tmp_path / "two")


@pytest.fixture(scope="module")
def sharded_runs(tiny_tokenizer, tmp_path_factory):
    """Every case on two processes, and the settings without what only they have."""
    top = tmp_path_factory.mktemp("sharded")
    both = {name: settings_of(name, top, tiny_tokenizer) for name in CASES}
    on_two([settings | store | {"output_dir": str(top / name)} for name, (settings, store) in both.items()], top)
    return top, {name: settings for name, (settings, _) in both.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_method_and_reference(name, sharded_runs, tmp_path):
    top, settings = sharded_runs
    penchant.train(**settings[name], output_dir=str(tmp_path / "one"), use_cpu=True)
    check_same(tmp_path / "one", top / name)
    if settings[name]["report"]:
        assert (top / name / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo, full", "dpo, lora"])
def test_a_run_goes_on_from_a_checkpoint(name, tiny_tokenizer, tmp_path):
    """To the bit as if it had not been stopped; the checkpoint holds the weights as others load them, too."""
    settings, _ = settings_of(name, tmp_path, tiny_tokenizer)
    check_goes_on(settings, tmp_path)
