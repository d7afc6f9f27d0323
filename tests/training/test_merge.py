"""A merged model is adapter plus base, in files that transformers loads, with a card that says what it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tests_support import pair_rows, write_jsonl

import penchant
from penchant.cli import main
from penchant.errors import InputError
from penchant.models import load_model
from penchant.training import merge as merging
from penchant.training.session import results


@pytest.fixture(scope="module")
def trained(tiny_model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return penchant.train(
        model=str(tiny_model_folder),
        data=str(write_jsonl(folder / "pairs.jsonl", pair_rows(24))),
        output_dir=folder / "run",
        batch_size=8,
        learning_rate=5e-3,
        eval_split=0.25,
        use_cpu=True,
        report=False,
    )


def test_a_merged_model_computes_what_adapter_and_base_do(trained, tmp_path, capsys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with pytest.raises(SystemExit, match="0"):
        main(["merge", str(trained.output_dir), str(tmp_path / "merged")])
    assert "log-probs are those of adapter and base to" in capsys.readouterr().out
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    expected = trained.model.eval()(ids).logits.log_softmax(-1)
    torch.testing.assert_close(loaded(ids).logits.log_softmax(-1), expected, rtol=1e-5, atol=1e-5)
    base = load_model(trained.model.peft_config["default"].base_model_name_or_path).model
    assert not torch.allclose(base(ids).logits.log_softmax(-1), expected, atol=1e-3)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert "model.safetensors" in names
    assert not any(name.startswith("adapter") for name in names)
    card = (tmp_path / "merged" / "README.md").read_text()
    assert "library_name: transformers" in card
    for part in ("beta=0.1", "pairs.jsonl", "held-out reward accuracy", "of 6 pairs", "2305.18290"):
        assert part in card, part
    low, high = card.partition("held-out reward accuracy**: ")[2].partition("[")[2].partition("]")[0].split(", ")
    assert 0 <= int(low.strip("%")) < int(high.strip("%")) <= 100


def test_what_cannot_be_merged_is_one_line(trained, tiny_model_folder, tmp_path, monkeypatch):
    from peft import PeftModel

    with pytest.raises(InputError, match="there is no adapter in this folder"):
        merging.merge(tiny_model_folder, tmp_path / "merged")
    with pytest.raises(InputError, match="the output folder is not empty"):
        merging.merge(trained.output_dir, trained.output_dir)

    def wrong(self):
        base = self.unload()
        base.get_input_embeddings().weight.data.mul_(1.01)
        return base

    monkeypatch.setattr(PeftModel, "merge_and_unload", wrong, raising=False)
    with pytest.raises(InputError, match="other log-probs than adapter and base"):
        merging.merge(trained.output_dir, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_the_card_gives_an_interval_where_it_holds_and_names_the_unit():
    rows = [SimpleNamespace(prompt_ids=[1, number]) for number in range(5)]
    history = [{"eval_loss": 0.5, "eval_rewards/accuracies": 0.6, "eval_rewards/margins": 0.25}]
    shown = {
        unit: results(history, held_out, unit)["held-out reward accuracy"]
        for unit, held_out in (("pairs", rows), ("lists", rows))
    }
    assert shown["pairs"] == "60% [23%, 88%] of 5 pairs; mean margin 0.2500"
    assert shown["lists"] == "60% of the pairs of answers in 5 lists; mean margin 0.2500"
    assert results(history, [*rows, rows[0]], "pairs")["held-out reward accuracy"].startswith("60% of 6 pairs")
    assert results([], rows, "pairs") == {}
