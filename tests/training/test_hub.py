"""A finished run on its way to the hub: whole, with penchant's card, and without the data."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import RepoUrl
from tests_support import pair_rows, tiny_llama, write_jsonl

import penchant
from penchant.errors import InputError
from penchant.training import hub


@pytest.fixture
def sent(monkeypatch):
    """What a hub that takes everything was sent, with the files as they were then."""
    found = []

    class Api:
        def create_repo(self, name, private, exist_ok):
            found.append({"made": name, "private": private})
            return RepoUrl(f"https://huggingface.co/{name if '/' in name else f'me/{name}'}")

        def upload_folder(self, folder_path, **options):
            files = {str(path.relative_to(folder_path)) for path in Path(folder_path).rglob("*") if path.is_file()}
            left = {name for name in files if any(fnmatch(name, one) for one in options["ignore_patterns"])}
            card = (Path(folder_path) / "README.md").read_text(encoding="utf-8")
            found.append({"files": files - left, "card": card} | options)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return found


def train(top, tokenizer, **options):
    tiny_llama(len(tokenizer)).save_pretrained(top / "model")
    tokenizer.save_pretrained(top / "model")
    data = str(write_jsonl(top / "pairs.jsonl", pair_rows(4)))
    settings = {"batch_size": 2, "output_dir": str(top / "mine"), "use_cpu": True, "push_to_hub": True}
    return penchant.train(model=str(top / "model"), data=data, **settings | options)


def test_a_run_is_pushed_when_it_has_ended_with_its_own_card(tiny_tokenizer, tmp_path, sent):
    train(tmp_path, tiny_tokenizer, hub_private_repo=True, save_steps=1)
    opened, again, pushed = sent
    assert opened == again == {"made": "mine", "private": True}
    assert {"README.md", "adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= pushed["files"]
    assert pushed["card"] == (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "penchant.train(" in pushed["card"]
    assert not {name for name in pushed["files"] if name.startswith(("checkpoint", "record", "report"))}
    assert (tmp_path / "mine" / "report.html").is_file()
    assert pushed["repo_id"] == "me/mine"


def test_a_repository_that_cannot_be_opened_stops_a_run_before_it_begins(tiny_tokenizer, tmp_path, monkeypatch, sent):
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda *_, **__: 1 / 0)
    with pytest.raises(InputError, match="the hub opens no repository") as caught:
        train(tmp_path, tiny_tokenizer, hub_model_id="them/theirs")
    assert caught.value.where == "them/theirs"
    assert not (tmp_path / "mine").exists()


def test_a_run_that_the_hub_does_not_take_is_whole(tiny_tokenizer, tmp_path, monkeypatch, sent):
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", lambda *_, **__: 1 / 0)
    with pytest.raises(InputError, match=r"the hub took nothing.*hf upload me/other"):
        train(tmp_path, tiny_tokenizer, hub_model_id="me/other")
    assert (tmp_path / "mine" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("pushes", [True, False])
def test_a_token_is_refused_unread(tiny_tokenizer, tmp_path, sent, pushes):
    with pytest.raises(InputError, match="would be written into the run's folder") as caught:
        train(tmp_path, tiny_tokenizer, hub_token="hf_secret", push_to_hub=pushes)
    assert "hf_secret" not in str(caught.value)
    assert not (tmp_path / "mine").exists() and not sent


def test_pushing_at_every_checkpoint_is_refused(tiny_tokenizer, tmp_path, sent):
    with pytest.raises(InputError, match="pushed once, when it has ended"):
        train(tmp_path, tiny_tokenizer, hub_strategy="all_checkpoints")
    assert not sent


def test_a_folder_is_pushed_to_the_repository_that_is_named(tmp_path, sent):
    (tmp_path / "README.md").write_text("a card")
    assert hub.push(tmp_path, "me/model", private=True).endswith("me/model")
    assert sent[-1]["repo_id"] == "me/model"
