"""Sums over the vocabulary at each token, against float64 through ordinary logits, on every tier."""

from __future__ import annotations

import copy

import pytest
import torch
from tests_support import tiny_llama

from penchant.errors import InputError
from penchant.logps import Engine, FrozenCopy
from penchant.logps.head import Head
from penchant.logps.predictions import FromHidden, FromLogits, SequenceKL, _spread

TOKENS, WIDTH, VOCABULARY = 7, 5, 23
TIERS = [Engine(rows, streamed) for rows in ("packed", "cached", "plain") for streamed in (True, False)]
GROUPS = [([5, 6, 7, 8], [[20, 21, 22, 23, 24, 25, 26], [27, 28, 2]]), ([11], [[30], [31, 32, 33]])]


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heads(bias, scale, softcap):
    both = [Head(draw(s, VOCABULARY, WIDTH), draw(s + 1, VOCABULARY) if bias else None, scale, softcap) for s in (1, 3)]
    return both, [draw(5, TOKENS, WIDTH), draw(6, TOKENS, WIDTH)]


def logits(head, hidden):
    raw = torch.nn.functional.linear(hidden, head.weight_VH, head.bias_V) * head.scale
    return raw if head.softcap is None else head.softcap * torch.tanh(raw / head.softcap)


@pytest.mark.parametrize("tile", [1, 4, 23, 100])
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize(("bias", "scale"), [(False, 1.0), (True, 0.3)])
@pytest.mark.parametrize(("trained", "turned"), [(False, False), (True, False), (True, True), (False, True)])
def test_divergence_and_its_gradients(tile, softcap, bias, scale, trained, turned):
    (policy, reference), (hidden, ref_hidden) = heads(bias, scale, softcap)
    leaves = [
        hidden.requires_grad_(),
        *(t.requires_grad_() for t in (policy.weight_VH, policy.bias_V) if trained and t is not None),
    ]
    upstream = draw(9, TOKENS)
    log_p, log_q = (torch.log_softmax(logits(h, x), 1) for h, x in ((policy, hidden), (reference, ref_hidden)))
    first, second = (log_p, log_q) if turned else (log_q, log_p)
    expected = (first.exp() * (first - second)).sum(1)
    found = SequenceKL.apply(
        hidden, policy.weight_VH, policy.bias_V, policy.shaping, FromHidden(reference, ref_hidden), turned, tile
    )
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    for one, other in zip(
        torch.autograd.grad((upstream * found).sum(), leaves),
        torch.autograd.grad((upstream * expected).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_reference_on_another_tier_gives_the_same(streamed):
    (policy, reference), (hidden, ref_hidden) = heads(True, 0.3, None)
    kinds = [FromHidden(policy, hidden), FromLogits(logits(policy, hidden))]
    others = [FromHidden(reference, ref_hidden), FromLogits(logits(reference, ref_hidden))]
    torch.testing.assert_close(
        kinds[streamed].kl_from(others[streamed]), kinds[streamed].kl_from(others[1 - streamed]), rtol=1e-11, atol=1e-12
    )


def test_a_reference_with_another_vocabulary_is_refused():
    (policy, _), (hidden, _) = heads(False, 1.0, None)
    with pytest.raises(InputError, match="23 and 22"):
        FromHidden(policy, hidden).kl_from(FromLogits(torch.zeros(TOKENS, VOCABULARY - 1)))


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_a_model_does_not_diverge_from_itself(size):
    (policy, _), (hidden, _) = heads(True, 1.0, None)
    hidden = (size * hidden).requires_grad_()
    found = FromHidden(policy, hidden).kl_from(FromHidden(policy, hidden))
    (slope,) = torch.autograd.grad(found.sum(), hidden)
    assert found.abs().max() == 0 and slope.abs().max() == 0


def test_a_divergence_without_bound_is_finite_far_away():
    (policy, reference), (hidden, ref_hidden) = heads(False, 1.0, None)
    found = FromHidden(policy, 1e3 * hidden).kl_from(FromHidden(reference, 1e3 * ref_hidden))
    assert torch.isfinite(found).all() and (found > 10).all()


@pytest.mark.parametrize("tile", [1, 4, 23])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_entropy_and_collision(tile, size):
    (head, _), (hidden, _) = heads(True, 0.3, None)
    found = _spread(head, size * hidden, tile)
    log_p = torch.log_softmax(logits(head, size * hidden), 1)
    torch.testing.assert_close(found.entropy_N, -(log_p.exp() * log_p).sum(1), rtol=1e-11, atol=1e-10)
    torch.testing.assert_close(found.log_collision_N, torch.logsumexp(2 * log_p, 1), rtol=1e-11, atol=1e-10)


def truth(model, groups):
    """Log-probs over the vocabulary at each answer token, float64, one row at a time."""
    pieces = []
    for prompt, answers in groups:
        for answer in answers:
            whole = model(input_ids=torch.tensor([prompt + answer])).logits[0].double()
            pieces.append(torch.log_softmax(whole[len(prompt) - 1 : -1], 1))
    return torch.cat(pieces)


def weights_of(model):
    return [p for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("frozen_head", [False, True])
@pytest.mark.parametrize("engine", TIERS, ids=lambda one: f"{one.rows}-{'streamed' if one.streamed else 'logits'}")
def test_every_tier_gives_the_plain_truth(engine, frozen_head):
    """A reference with another head, as full training has it."""
    model = tiny_llama(64).double()
    model.get_output_embeddings().requires_grad_(not frozen_head)
    reference = FrozenCopy.of(model)
    with torch.no_grad():
        for index, parameter in enumerate(reference.model.parameters()):
            parameter.add_(0.05 * draw(index, *parameter.shape))
    log_p, log_q = truth(model, GROUPS), truth(reference.model, GROUPS).detach()
    upstream = torch.linspace(-1, 2, len(log_p), dtype=torch.float64)
    divergence = (log_q.exp() * (log_q - log_p)).sum(1)
    expected = torch.autograd.grad((upstream * divergence).sum(), weights_of(model))
    batch = engine.lay_out(GROUPS, "cpu")
    with engine.engaged(model, reference.model):
        far = reference.predict(engine, batch)
        near = engine.predict(model, batch)
        found, spread = near.kl_from(far), near.spread()
        assert isinstance(near, FromHidden if engine.streamed else FromLogits) and near.vocabulary == 64
        slopes = torch.autograd.grad((upstream * found).sum(), weights_of(model))
        other_way = near.kl_to(far)
    torch.testing.assert_close(found, divergence, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(other_way, (log_p.exp() * (log_p - log_q)).sum(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(spread.entropy_N, -(log_p.exp() * log_p).sum(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(spread.log_collision_N, torch.logsumexp(2 * log_p, 1), rtol=1e-5, atol=1e-6)
    assert not spread.entropy_N.requires_grad
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (slopes, expected))
    assert (one - other).norm() <= 1e-5 * other.norm()  # a Llama's own norms are float32


def test_no_tensor_of_tokens_by_vocabulary_is_made():
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
    model = tiny_llama(vocabulary)
    model.get_output_embeddings().requires_grad_(False)
    reference = FrozenCopy(copy.deepcopy(model))
    engine = Engine("packed", True)
    batch = engine.lay_out(groups, "cpu")
    with Widest() as widest, engine.engaged(model, reference.model):
        far = reference.predict(engine, batch)
        near = engine.predict(model, batch)
        (near.kl_from(far).sum() + near.token_logps(batch.target_N).sum() + near.spread().entropy_N.sum()).backward()
    assert widest.entries < len(batch.target_N) * vocabulary / 3
