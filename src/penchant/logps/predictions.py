"""What a model says at each answer token: the log-prob of the token itself, and on request sums over the vocabulary.

The vocabulary is walked over in tiles wherever only hidden states are kept, so that no tensor of tokens by vocabulary
is made. p is the policy's distribution at a token and q the reference's. The divergence

    KL(q, p) = sum_v q_v (logit_q,v - logit_p,v) - log sum_v exp(logit_q,v) + log sum_v exp(logit_p,v)

has the derivative p - q by p's logits; KL(p, q) has p_v (d_v - sum_u p_u d_u) with d = logit_p - logit_q. The forward
pass walks once through both heads, the backward pass once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from penchant.errors import InputError
from penchant.logps.head import TILE, Head, Shaping, tiles, walk_back
from penchant.logps.plain import token_logps


class Spread(NamedTuple):
    """How a distribution over the vocabulary is spread at N tokens; shape ``(N,)``, no gradient.

    Attributes:
        entropy_N: ``-sum_v p_v log p_v``, nats.
        log_collision_N: ``log sum_v p_v^2``: log of the probability that two draws are the same token; nats.
    """

    entropy_N: Tensor
    log_collision_N: Tensor


class Predictions(Protocol):
    """A model's distributions over the vocabulary at N answer tokens."""

    @property
    def vocabulary(self) -> int:
        """Entries of the distributions."""
        ...

    def token_logps(self, target_N: Tensor) -> Tensor:
        """Log-prob of each answer token: nats, float32 or wider, shape ``(N,)``."""
        ...

    def tiles(self, tile: int) -> Iterator[Tensor]:
        """The logits, ``tile`` entries of the vocabulary at a time, float32 or wider, without a gradient."""
        ...

    def spread(self) -> Spread:
        """Entropy and collision probability at each token."""
        ...

    def kl_from(self, reference: Predictions) -> Tensor:
        """KL(reference, this model) at each token: nats, shape ``(N,)``; a gradient flows into this model alone.

        Args:
            reference: The reference's predictions at the same tokens.

        Raises:
            InputError: if its vocabulary has another size.
        """
        ...

    def kl_to(self, reference: Predictions) -> Tensor:
        """KL(this model, reference) at each token, as :meth:`kl_from`."""
        ...


@dataclass(frozen=True, slots=True)
class FromLogits:
    """Predictions with their logits kept, shape ``(N, V)``."""

    logits_NV: Tensor

    @property
    def vocabulary(self) -> int:
        return int(self.logits_NV.shape[1])

    def token_logps(self, target_N: Tensor) -> Tensor:
        return token_logps(self.logits_NV, target_N)

    @torch.no_grad()
    def spread(self) -> Spread:
        logp_NV = self._log_softmax()
        return Spread(-(logp_NV.exp() * logp_NV).sum(1), torch.logsumexp(2 * logp_NV, 1))

    @torch.no_grad()
    def tiles(self, tile: int) -> Iterator[Tensor]:
        yield from self._exact().detach().split(tile, dim=1)

    def kl_from(self, reference: Predictions) -> Tensor:
        ref_NV, own_NV = self._beside(reference)
        return (ref_NV.exp() * (ref_NV - own_NV)).sum(1)

    def kl_to(self, reference: Predictions) -> Tensor:
        ref_NV, own_NV = self._beside(reference)
        return (own_NV.exp() * (own_NV - ref_NV)).sum(1)

    def _beside(self, reference: Predictions) -> tuple[Tensor, Tensor]:
        _check_vocabulary(self, reference)
        return torch.log_softmax(torch.cat(list(reference.tiles(TILE)), 1), 1), self._log_softmax()

    def _exact(self) -> Tensor:
        return self.logits_NV if self.logits_NV.dtype == torch.float64 else self.logits_NV.float()

    def _log_softmax(self) -> Tensor:
        return torch.log_softmax(self._exact(), 1)


@dataclass(frozen=True, slots=True)
class FromHidden:
    """Predictions as hidden states and the head they go through, shape ``(N, H)``."""

    head: Head
    hidden_NH: Tensor

    @property
    def vocabulary(self) -> int:
        return len(self.head.weight_VH)

    def token_logps(self, target_N: Tensor) -> Tensor:
        return self.head.token_logps(self.hidden_NH, target_N)

    @torch.no_grad()
    def spread(self) -> Spread:
        return _spread(self.head, self.hidden_NH, TILE)

    @torch.no_grad()
    def tiles(self, tile: int) -> Iterator[Tensor]:
        head = self.head
        for _, logits_Nv, _ in tiles(self.hidden_NH, head.weight_VH, head.bias_V, head.shaping, tile):
            yield logits_Nv

    def kl_from(self, reference: Predictions) -> Tensor:
        return self._divergence(reference, turned=False)

    def kl_to(self, reference: Predictions) -> Tensor:
        return self._divergence(reference, turned=True)

    def _divergence(self, reference: Predictions, *, turned: bool) -> Tensor:
        _check_vocabulary(self, reference)
        head = self.head
        found: Tensor = SequenceKL.apply(
            self.hidden_NH, head.weight_VH, head.bias_V, head.shaping, reference, turned, TILE
        )
        return found


def _check_vocabulary(policy: Predictions, reference: Predictions) -> None:
    if policy.vocabulary != reference.vocabulary:
        raise InputError(
            "the policy's distributions and the reference's are not over the same tokens",
            got=f"{policy.vocabulary} and {reference.vocabulary} of them",
            fix="Choose a reference whose head has the policy's size, or a method that reads no whole distribution",
        )


def _spread(head: Head, hidden_NH: Tensor, tile: int) -> Spread:
    """One walk with running sums of e^l, l e^l and e^2l, each scaled by the highest logit l so far."""
    top_N, total_N, moment_N, square_N = _running(hidden_NH, 4)
    for _, logits_Nv, _ in tiles(hidden_NH, head.weight_VH, head.bias_V, head.shaping, tile):
        new_top_N, shrink_N, weights_Nv = _rescaled(top_N, logits_Nv)
        total_N = total_N * shrink_N + weights_Nv.sum(1)
        moment_N = moment_N * shrink_N + (weights_Nv * logits_Nv).sum(1)
        square_N = square_N * shrink_N**2 + weights_Nv.square_().sum(1)
        top_N = new_top_N
    log_total_N = total_N.log()
    return Spread(top_N + log_total_N - moment_N / total_N, square_N.log() - 2 * log_total_N)


class SequenceKL(torch.autograd.Function):
    """KL(reference, policy) at each token, with ``turned`` KL(policy, reference); from the policy's hidden states."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        shaping: Shaping,
        reference: Predictions,
        turned: bool,
        tile: int,
    ) -> Tensor:
        top_N, total_N, ref_total_N, lead_N = _running(hidden_NH, 4)
        ref_top_N = top_N
        policy_tiles = tiles(hidden_NH, weight_VH, bias_V, shaping, tile)
        for (_, logits_Nv, _), ref_Nv in zip(policy_tiles, reference.tiles(tile), strict=True):
            new_N, shrink_N, weights_Nv = _rescaled(top_N, logits_Nv)
            ref_new_N, ref_shrink_N, ref_weights_Nv = _rescaled(ref_top_N, ref_Nv)
            total_N = total_N * shrink_N + weights_Nv.sum(1)
            ref_total_N = ref_total_N * ref_shrink_N + ref_weights_Nv.sum(1)
            if turned:
                lead_N = lead_N * shrink_N + weights_Nv.mul_(logits_Nv - ref_Nv).sum(1)
            else:
                lead_N = lead_N * ref_shrink_N + ref_weights_Nv.mul_(ref_Nv - logits_Nv).sum(1)
            top_N, ref_top_N = new_N, ref_new_N
        log_total_N, ref_log_total_N = top_N + total_N.log(), ref_top_N + ref_total_N.log()
        mean_N = lead_N / (total_N if turned else ref_total_N)
        ctx.shaping, ctx.reference, ctx.turned, ctx.tile = shaping, reference, turned, tile
        ctx.save_for_backward(hidden_NH, weight_VH, bias_V, log_total_N, ref_log_total_N, mean_N)
        apart_N = log_total_N - ref_log_total_N
        divergence: Tensor = mean_N - apart_N if turned else mean_N + apart_N
        return divergence

    @staticmethod
    def backward(ctx: Any, slope_N: Tensor) -> tuple[Tensor | None, ...]:
        hidden_NH, weight_VH, bias_V, log_total_N, ref_log_total_N, mean_N = ctx.saved_tensors
        ref_tiles = ctx.reference.tiles(ctx.tile)

        def slopes(part: slice, logits_Nv: Tensor) -> Tensor:
            ref_Nv = next(ref_tiles)
            policy_Nv = torch.exp(logits_Nv - log_total_N[:, None])
            if ctx.turned:
                pull_Nv = policy_Nv.mul_(logits_Nv - ref_Nv - mean_N[:, None])
            else:
                pull_Nv = policy_Nv.sub_(torch.exp(ref_Nv - ref_log_total_N[:, None]))
            return pull_Nv.mul_(slope_N[:, None])

        trained = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        pulled = walk_back(hidden_NH, weight_VH, bias_V, ctx.shaping, ctx.tile, slopes, trained=trained)
        return *pulled, None, None, None, None


def _running(hidden_NH: Tensor, count: int) -> list[Tensor]:
    """Running sums at no tile yet: the highest logit, and zeros."""
    wide = torch.promote_types(hidden_NH.dtype, torch.float32)
    zero_N = torch.zeros(len(hidden_NH), dtype=wide, device=hidden_NH.device)
    return [zero_N - torch.inf, *(zero_N.clone() for _ in range(count - 1))]


def _rescaled(top_N: Tensor, logits_Nv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The highest logit with a tile in view, the factor that brings earlier sums to it, and the tile's weights."""
    new_top_N = torch.maximum(top_N, logits_Nv.amax(1))
    return new_top_N, torch.exp(top_N - new_top_N), torch.exp(logits_Nv - new_top_N[:, None])
