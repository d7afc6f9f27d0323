"""Layers below the first trained one stay out of the graph, with activation checkpointing and without."""

from __future__ import annotations

import pytest
import torch
from tests_support import tiny_llama

import penchant
from penchant.errors import InputError
from penchant.logps import Engine, choose_engine
from penchant.training import PreferenceConfig
from penchant.training.adapters import add_adapter
from penchant.training.checkpointing import checkpoint_activations

GROUPS = [([5, 6, 7], [[8, 9], [10, 11, 12]]), ([13], [[14], [15, 16]])]


def adapted(tmp_path, checkpointing=None, **settings):
    config = PreferenceConfig(output_dir=str(tmp_path), use_cpu=True, **settings)
    model = add_adapter(tiny_llama(64, num_hidden_layers=6), config).train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    if checkpointing is not None:
        checkpoint_activations(model, checkpointing)
    return model


def graph_nodes(tensor):
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return len(seen)


def run(model, engine):
    """The layers whose outputs carry a gradient, the size of the graph, and the gradients."""
    layers = model.get_base_model().model.layers
    carrying, hooks = [], []
    for index, layer in enumerate(layers):
        note = lambda module, given, output, index=index: carrying.append(index) if output.requires_grad else None  # noqa: E731
        hooks.append(layer.register_forward_hook(note))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with engine.engaged(model):
        total = engine.logps(model, engine.lay_out(GROUPS, "cpu")).sum()
        nodes = graph_nodes(total)
        found, slopes = sorted(carrying), torch.autograd.grad(total, trained)
    for hook in hooks:
        hook.remove()
    return found, nodes, torch.cat([slope.flatten() for slope in slopes])


@pytest.mark.parametrize("packed", [True, False])
def test_the_graph_begins_at_the_first_trained_layer(tmp_path, packed):
    sides = {}
    for name, checkpointing in (("off", None), ("on", {}), ("every second", {"every_n_layers": 2})):
        model = adapted(tmp_path, checkpointing, lora_layers=2)
        engine = choose_engine(model, 0) if packed else Engine()
        assert engine.packed is packed
        carrying, nodes, slopes = run(model, engine)
        assert carrying == [4, 5]
        sides[name] = nodes, slopes
    assert sides["on"][0] <= sides["off"][0]
    for _, slopes in sides.values():
        torch.testing.assert_close(slopes, sides["off"][1], rtol=1e-5, atol=1e-7)
    whole = adapted(tmp_path)
    assert run(whole, choose_engine(whole, 0))[0] == list(range(6))


def test_transformers_own_way_lets_gradients_into_frozen_layers(tmp_path):
    model = adapted(tmp_path, lora_layers=2)
    model.get_base_model().activation_checkpointing_enable()
    carrying, _, _ = run(model, Engine())
    assert carrying == list(range(6)), "transformers changed; checkpoint_activations may have become superfluous"


def test_a_run_on_the_last_layer_with_checkpointing(tmp_path, tiny_model_folder, pairs_file, capsys):
    settings = {"model": str(tiny_model_folder), "data": str(pairs_file), "max_steps": 2, "batch_size": 4}
    settings |= {"use_cpu": True, "lora_layers": 1, "report": False}
    plain = penchant.train(output_dir=tmp_path / "a", **settings)
    checkpointed = penchant.train(output_dir=tmp_path / "b", activation_checkpointing=True, **settings)
    assert "of the last 1 layers" in " ".join(capsys.readouterr().out.split())
    losses = [[line["loss"] for line in result.history if "loss" in line] for result in (plain, checkpointed)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    trained = {name.split(".layers.")[1][0] for name, p in checkpointed.model.named_parameters() if p.requires_grad}
    assert trained == {"1"}


def test_more_layers_than_there_are_is_refused(tmp_path):
    with pytest.raises(InputError, match="fewer layers"):
        adapted(tmp_path, lora_layers=7)
