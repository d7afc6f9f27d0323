"""Training from stored reference log-probs is training with the reference live, for every method that has one."""

from __future__ import annotations

import json

import pytest

import penchant
from penchant.errors import InputError


def trained(folder, model, data, method, **options):
    return penchant.train(
        model=str(model), data=str(data), method=method, output_dir=folder, max_steps=3, batch_size=4, use_cpu=True,
        learning_rate=1e-3, report=False, **options,
    )  # fmt: skip


def losses(result):
    return [line["loss"] for line in result.history if "loss" in line]


@pytest.mark.parametrize(
    ("method", "lora"),
    [
        ("dpo", True),
        ("kto", False),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in (("dpo", False), ("kto", True))),
    ],
)
def test_the_losses_are_those_of_a_live_reference(
    tmp_path, tiny_model_folder, pairs_file, labelled_file, method, lora, capsys
):
    data = pairs_file if method == "dpo" else labelled_file
    live = trained(tmp_path / "live", tiny_model_folder, data, method, lora=lora)
    store = str(tmp_path / "store")
    first = trained(tmp_path / "a", tiny_model_folder, data, method, lora=lora, reference_store=store)
    capsys.readouterr()
    second = trained(tmp_path / "b", tiny_model_folder, data, method, lora=lora, reference_store=store, seed=7)
    assert losses(first) == pytest.approx(losses(live), rel=1e-5)
    said = capsys.readouterr().out
    assert "from the store" in said and "computed now" not in said
    assert len(second.history) == len(first.history)


def test_a_method_without_reference_refuses_the_option(tmp_path, tiny_model_folder, pairs_file):
    with pytest.raises(InputError, match="has no reference"):
        trained(tmp_path / "a", tiny_model_folder, pairs_file, "simpo", reference_store=str(tmp_path / "s"))


def test_the_command_fills_what_training_finds(tmp_path, tiny_model_folder, pairs_file, capsys):
    from penchant.cli import main

    store = str(tmp_path / "store")
    with pytest.raises(SystemExit) as ended:
        main(["logps", str(pairs_file), "--model", str(tiny_model_folder), "--store", store])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "24 computed now" in said and "48 answers" in said
    trained(tmp_path / "a", tiny_model_folder, pairs_file, "ipo", reference_store=store)
    said = " ".join(capsys.readouterr().out.split())
    assert "24 of 24 prompts found, 4 of them checked" in said
    (manifest,) = (tmp_path / "store").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["dtype"] == "float32"
