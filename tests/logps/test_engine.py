"""Packed rows give what plain rows give, on every family that is claimed; the others are refused, with the reason."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tests_support import has_native_attention, tiny_llama
from transformers import AutoConfig, AutoModelForCausalLM

from penchant.errors import InputError
from penchant.logps import Engine, PackedBatch, choose_engine
from penchant.logps import attention as attention_room

SIZES = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
NATIVE = has_native_attention()
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
PACKED = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "mistral": {"sliding_window": 4},
    "gemma": {},
    "gemma2": {"sliding_window": 4, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0},
    "gemma3_text": {"sliding_window": 4, "query_pre_attn_scalar": 8},
    "olmo2": {},
    "olmo3": {"sliding_window": 4},
    "phi3": {},
    "granite": {},
    "smollm3": {},
    "cohere2": {"sliding_window": 4},
    "glm4": {},
    "mixtral": {"num_local_experts": 4, "sliding_window": None},
    "gpt_oss": {"num_local_experts": 4, "sliding_window": 4, "num_experts_per_tok": 2},
    "deepseek_v3": {
        "num_key_value_heads": 4,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "moe_intermediate_size": 32,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 16,
        "v_head_dim": 8,
        "head_dim": 8,
    },
    "gpt2": GPT,
    "gpt_neox": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32, "dropout": 0.0, "attention_dropout": 0.0},
}
NOT_PACKED = {
    "bloom": ("cached", {"n_layer": 2, "n_head": 4, "hidden_dropout": 0.0, "attention_dropout": 0.0}),
    "gptj": ("cached", GPT | {"rotary_dim": 4}),
    "stablelm": ("cached", {}),
    "llama4_text": ("cached", {"intermediate_size_mlp": 64, "num_local_experts": 2}),
    "lfm2": ("plain", {"layer_types": ["conv", "full_attention"]}),
    "mamba": ("plain", {}),
    "mamba2": ("plain", {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1}),
    "jamba": ("plain", {"num_experts": 2}),
    "qwen3_next": ("plain", {}),
    "recurrent_gemma": ("plain", {}),
}
GROUPS = [
    ([5, 6, 7, 8, 9, 10], [[20, 21, 22, 23, 24, 25, 26], [27, 28, 2]]),
    ([11], [[30], [31, 32, 33, 34, 35, 36]]),
    ([12, 13, 14], [[40, 41], [42], [43, 44, 45, 46]]),
    ([15, 16], [[50, 51, 2]]),
]


def tiny(family, changes, dtype=torch.float32):
    torch.manual_seed(0)
    sizes = {name: value for name, value in SIZES.items() if not (family == "falcon" and name == "head_dim")}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **(sizes | changes)))
    return model.to(dtype).train()


def run(model, engine, groups):
    """Log-probs, and gradients of an uneven sum of them by every weight."""
    with engine.engaged(model):
        logps = engine.logps(model, engine.lay_out(groups, "cpu"))
        weights = torch.linspace(-1.0, 2.0, len(logps), dtype=logps.dtype)
        gradients = torch.autograd.grad((weights * logps).sum(), list(model.parameters()), allow_unused=True)
    return logps.detach(), torch.cat([g.flatten() for g in gradients if g is not None])


@pytest.mark.parametrize("asked", ["packed", "packed-tiled"])
@pytest.mark.parametrize("family", PACKED)
def test_packed_equals_plain_in_value_and_gradient(family, asked):
    model = tiny(family, PACKED[family])
    engine = choose_engine(model, 0, asked=asked)
    assert engine.packed, engine.description
    assert engine.native == (NATIVE if asked == "packed" and family not in ("gemma2", "gpt_oss") else "")
    expected, slopes = run(model, Engine(), GROUPS)
    found, others = run(model, engine, GROUPS)
    assert ((found - expected).abs() <= 1e-5 * (1 + expected.abs())).all()
    assert (others - slopes).norm() <= 1e-5 * slopes.norm()
    shuffled, _ = run(model, engine, GROUPS[::-1])
    by_group = torch.split(shuffled, [1, 3, 2, 2])
    torch.testing.assert_close(torch.cat(by_group[::-1]), found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("common", [1, 3, 9])
@pytest.mark.parametrize("asked", ["packed", "packed-tiled"])
@pytest.mark.parametrize("family", PACKED)
def test_what_all_prompts_begin_with_is_computed_once(family, asked, common):
    model = tiny(family, PACKED[family])
    engine = choose_engine(model, 0, asked=asked)
    groups = [([100 + place for place in range(common)] + prompt, answers) for prompt, answers in GROUPS]
    row = PackedBatch.of(groups, device="cpu")
    assert row.ids_1T.shape[1] == PackedBatch.of(GROUPS, device="cpu").ids_1T.shape[1] + common
    expected, slopes = run(model, Engine(), groups)
    found, others = run(model, engine, groups)
    assert ((found - expected).abs() <= 1e-5 * (1 + expected.abs())).all()
    assert (others - slopes).norm() <= 1e-5 * slopes.norm()
    with engine.engaged(model):
        _, aside = engine.logps_aside(model, row, groups)
    assert ((aside - expected).abs() <= 1e-5 * (1 + expected.abs())).all()


def test_a_prompt_that_another_begins_with_keeps_its_last_token():
    groups = [([7, 8, 9], [[20, 21]]), ([7, 8, 9, 10, 11], [[22, 23]]), ([7, 8, 9], [[24], [25, 26, 27]])]
    row = PackedBatch.of(groups, device="cpu")
    assert row.ids_1T.tolist() == [[7, 8, 9, 20, 9, 10, 11, 22, 9, 25, 26]]
    assert row.position_1T.tolist() == [[0, 1, 2, 3, 2, 3, 4, 5, 2, 3, 4]]
    assert row.predict_N.tolist() == [2, 3, 6, 7, 8, 8, 9, 10]
    model = tiny("llama", {})
    expected, _ = run(model, Engine(), groups)
    found, _ = run(model, Engine("packed", True), groups)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("asked", ["packed", "packed-tiled"])
@pytest.mark.parametrize("family", PACKED)
def test_answers_that_go_on_from_kept_prompts_are_those_of_plain_rows(family, asked, checkpointing):
    """The others' log-probs; and the gradient of the answers whose prompts were kept is what it is without them."""
    model = tiny(family, PACKED[family])
    engine = choose_engine(model, 0, asked=asked)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    others = [(prompt, [[60 + len(prompt), 61, 62], [63]]) for prompt, _ in GROUPS]
    expected, _ = run(model, Engine(), others)
    _, slopes = run(model, engine, GROUPS)
    with engine.engaged(model):
        logps, found = engine.logps_aside(model, engine.lay_out(GROUPS, "cpu"), others)
        weights = torch.linspace(-1.0, 2.0, len(logps), dtype=logps.dtype)
        gradients = torch.autograd.grad((weights * logps).sum(), list(model.parameters()), allow_unused=True)
    assert not found.requires_grad
    assert ((found - expected).abs() <= 1e-5 * (1 + expected.abs())).all()
    assert torch.equal(torch.cat([g.flatten() for g in gradients if g is not None]), slopes)


def test_prompts_kept_wrongly_are_caught_by_the_self_check(monkeypatch):
    right = PackedBatch.going_on.__func__

    def wrong(cls, groups, prompts, *, device):
        batch = right(cls, groups, prompts, device=device)
        return dataclasses.replace(batch, position_1T=batch.position_1T + 1)

    monkeypatch.setattr(PackedBatch, "going_on", classmethod(wrong))
    engine = choose_engine(tiny("llama", {}), 0)
    assert not engine.packed
    assert "differ" in engine.reason


@pytest.mark.parametrize("native", ["", NATIVE])
@pytest.mark.parametrize("streamed", [True, False])
def test_no_answer_sees_another_one(streamed, native):
    """Other tokens in one answer change no bit of the others: not of its prompt's, not of the rest of the row."""
    model, engine = tiny("llama", {}), Engine("packed", streamed, native)
    before, _ = run(model, engine, GROUPS)
    names = [(group, answer) for group, (_, answers) in enumerate(GROUPS) for answer in range(len(answers))]
    for place, (group, answer) in enumerate(names):
        changed = [(prompt, [list(ids) for ids in answers]) for prompt, answers in GROUPS]
        changed[group][1][answer] = [ids + 60 for ids in changed[group][1][answer]]
        after, _ = run(model, engine, changed)
        others = torch.arange(len(names)) != place
        assert torch.equal(after[others], before[others])
        assert after[place] != before[place]


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_low_precision_is_no_further_from_the_truth_than_plain_rows_are(family):
    """Mean error of 256 answers in bfloat16 against the same weights in float64."""
    generator = torch.Generator().manual_seed(3)
    draw = lambda count: torch.randint(3, 128, (count,), generator=generator).tolist()  # noqa: E731
    groups = [(draw(1 + i % 9), [draw(3 + i % 11), draw(2 + i % 7)]) for i in range(128)]
    model = tiny(family, PACKED[family], torch.bfloat16)
    plain, _ = run(model, Engine(), groups)
    tiled, _ = run(model, Engine("packed", True), groups)
    native, _ = run(model, Engine("packed", True, NATIVE), groups)
    exact, _ = run(model.double(), Engine(), groups)
    errors = [(found.double() - exact).abs().mean() for found in (plain, tiled, native)]
    assert errors[0] > 1e-4, "nothing was rounded, so nothing was compared"
    assert max(errors[1:]) <= 1.1 * errors[0]


@pytest.mark.parametrize("family", NOT_PACKED)
def test_what_cannot_be_packed_drops_a_tier_and_says_why(family):
    rows, changes = NOT_PACKED[family]
    model = tiny(family, changes)
    before = model.config._attn_implementation
    engine = choose_engine(model, 0)
    assert engine.rows == rows, engine.description
    assert engine.reason and engine.streamed, engine.description
    assert model.config._attn_implementation == before
    expected, slopes = run(model, Engine(), GROUPS)
    found, others = run(model, engine, GROUPS)
    assert ((found - expected).abs() <= 1e-5 * (1 + expected.abs())).all()
    assert (others - slopes).norm() <= 1e-5 * slopes.norm()


def test_checkpointing_rules_the_cache_out():
    model = tiny("gptj", GPT | {"rotary_dim": 4})
    model.gradient_checkpointing_enable()
    engine = choose_engine(model, 0)
    assert engine.rows == "plain"
    assert "checkpointing" in engine.reason


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_and_activation_checkpointing(checkpointing):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny("llama", {}), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    engine = choose_engine(model, 0)
    assert engine.packed, engine.description
    trained = [p for p in model.parameters() if p.requires_grad]
    sides = []
    for choice in (Engine(), engine):
        with choice.engaged(model):
            logps = choice.logps(model, choice.lay_out(GROUPS, "cpu"))
            sides.append(torch.cat([g.flatten() for g in torch.autograd.grad(logps.sum(), trained)]))
    assert (sides[1] - sides[0]).norm() <= 1e-5 * sides[0].norm()


def broken(name, whole):
    """The engine's attention with one mistake."""

    def wrong(query, key, value, scoring, sinks=None):
        if name == "prompt":
            key, value = key[:, -query.shape[1] :], value[:, -query.shape[1] :]
        if name == "sinks":
            sinks = None
        change = {"window": {"window": None}, "softcap": {"softcap": None}, "scale": {"scale": 0.5}}
        return whole(query, key, value, dataclasses.replace(scoring, **change.get(name, {})), sinks)

    return wrong


@pytest.mark.parametrize(
    ("mistake", "family"),
    [("window", "mistral"), ("softcap", "gemma2"), ("scale", "llama"), ("prompt", "llama"), ("sinks", "gpt_oss")],
)
def test_a_broken_attention_is_caught_by_the_self_check(monkeypatch, mistake, family):
    for way in ("causal_attention", "_native"):
        monkeypatch.setattr(attention_room, way, broken(mistake, getattr(attention_room, way)))
    engine = choose_engine(tiny(family, PACKED[family]), 0)
    assert not engine.packed
    assert "differ" in engine.reason


def test_broken_positions_are_caught_by_the_self_check(monkeypatch):
    right = PackedBatch.of.__func__

    def wrong(cls, groups, *, device):
        batch = right(cls, groups, device=device)
        row = torch.arange(batch.ids_1T.shape[1])[None]
        return dataclasses.replace(batch, position_1T=row)

    monkeypatch.setattr(PackedBatch, "of", classmethod(wrong))
    assert not choose_engine(tiny("llama", {}), 0).packed


def test_no_tensor_of_tokens_by_vocabulary_is_made():
    """The widest tensor of a forward and backward pass, by number of entries, against N x V."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Widest(TorchDispatchMode):
        entries = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else [result]:
                if isinstance(tensor, torch.Tensor):
                    self.entries = max(self.entries, tensor.numel())
            return result

    vocabulary = 20_000
    groups = [([5, 6, 7], [list(range(20, 60)), list(range(60, 90))])] * 3
    for trained_head, streamed in ((False, True), (True, True), (True, False)):
        model = tiny_llama(vocabulary, tie_word_embeddings=False)
        model.get_input_embeddings().requires_grad_(False)
        model.lm_head.requires_grad_(trained_head)
        engine = dataclasses.replace(choose_engine(model, 0), streamed=streamed)
        with Widest() as widest, engine.engaged(model):
            engine.logps(model, engine.lay_out(groups, "cpu")).sum().backward()
        assert (widest.entries >= 210 * vocabulary) == (not streamed), widest.entries


def test_attention_is_the_models_own_outside_the_engine():
    model = tiny_llama(64)
    before = model.config._attn_implementation
    engine = choose_engine(model, 0)
    with engine.engaged(model):
        assert model.config._attn_implementation == engine.attention
    assert model.config._attn_implementation == before


def test_an_adapter_s_dropout_is_no_difference_between_engines():
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(target_modules="all-linear", lora_dropout=0.5, task_type="CAUSAL_LM")
    model = get_peft_model(tiny("llama", {}), config).train()
    before = torch.get_rng_state()
    assert choose_engine(model, 0).packed
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in model.modules())


def test_attention_dropout_is_refused():
    engine = choose_engine(tiny("llama", {"attention_dropout": 0.5}), 0)
    assert not engine.packed
    assert "dropout" in engine.reason


@pytest.mark.parametrize(
    ("asked", "rows", "streamed"),
    [
        ("packed", "packed", True),
        ("packed-tiled", "packed", True),
        ("cached", "cached", True),
        ("plain-streamed", "plain", True),
        ("plain", "plain", False),
    ],
)
def test_each_way_can_be_asked_for(asked, rows, streamed):
    model = tiny_llama(64)
    engine = choose_engine(model, 0, asked=asked)
    assert (engine.rows, engine.streamed) == (rows, streamed)
    assert engine.reason.startswith("asked for")
    assert engine.native == (NATIVE if asked == "packed" else "")
    with engine.engaged(model):
        found = engine.logps(model, engine.lay_out(GROUPS, "cpu"))
    torch.testing.assert_close(found, Engine().logps(model, Engine().lay_out(GROUPS, "cpu")), rtol=1e-5, atol=1e-5)


def test_a_way_that_does_not_agree_is_refused_where_it_is_asked_for():
    with pytest.raises(InputError, match=r"--engine: .*cannot be computed as asked for \(got packed: .*dropout"):
        choose_engine(tiny("llama", {"attention_dropout": 0.5}), 0, asked="packed")
    with pytest.raises(InputError, match=r"no such engine.*packed, packed-tiled, cached, plain-streamed, plain"):
        choose_engine(tiny_llama(64), 0, asked="padded")


def test_a_head_that_cannot_be_streamed_is_refused_only_where_it_must_be():
    model = tiny_llama(64)
    model.lm_head = torch.nn.Sequential(model.lm_head, torch.nn.Tanh())
    engine = choose_engine(model, 0, asked="packed")
    assert engine.packed and not engine.streamed and "not a plain linear layer" in engine.reason
    with pytest.raises(InputError, match="plain-streamed: the head is not a plain linear layer"):
        choose_engine(model, 0, asked="plain-streamed")


def test_layout_computes_each_prompt_once():
    batch = PackedBatch.of(GROUPS, device="cpu")
    assert batch.ids_1T.shape[1] == sum(len(p) + sum(len(a) - 1 for a in answers) for p, answers in GROUPS)
    assert batch.lengths.tolist() == [7, 3, 1, 6, 2, 1, 4, 3]
    assert batch.position_1T[0, :14].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 6, 7]


def test_gradients_are_compared_piece_by_piece(monkeypatch):
    """As in one piece, with gradients that one side does not have."""
    from penchant.logps import choice

    torch.manual_seed(0)
    ours = [torch.randn(7, 5), torch.randn(3).bfloat16(), None, torch.randn(2), None]
    theirs = [torch.randn(7, 5), torch.randn(3), torch.randn(4), None, None]
    here, there = (
        torch.cat(
            [
                torch.zeros(size) if one is None else one.float().flatten()
                for one, size in zip(side, (35, 3, 4, 2, 0), strict=True)
            ]
        )
        for side in (ours, theirs)
    )
    expected = float((here - there).norm() / there.norm())
    for piece in (1 << 20, 4):
        monkeypatch.setattr(choice, "_PIECE", piece)
        assert choice._distance(ours, theirs) == pytest.approx(expected, rel=1e-6)
