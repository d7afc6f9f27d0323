"""The losses of TRL and Liger, by calling their own code on prepared tensors; nothing of it is written again here.

TRL computes a loss inside a trainer's method that runs a model first. The method is called with a stand-in for the
trainer, which holds its settings, and a stand-in for the model, which returns the log-probs that are to be compared.
Every function takes the rows by the names of `penchant.vocabulary` and returns one loss per row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch

Rows = Mapping[str, torch.Tensor]
POLICY = ("policy_chosen_logps", "policy_rejected_logps")
REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")
LENGTHS = ("chosen_lengths", "rejected_lengths")
COLLISIONS = ("chosen_mean_log_collision", "rejected_mean_log_collision")


def trl_dpo(rows: Rows, *loss_types: str, weights: tuple[float, ...] = (), **settings: Any) -> torch.Tensor:
    """``DPOTrainer``'s loss of each pair: a batch of one at a time, since the method returns a mean."""
    pairs = len(rows[POLICY[0]])
    single = ({name: values[i : i + 1] for name, values in rows.items()} for i in range(pairs))
    return torch.stack([trl_dpo_batch(row, *loss_types, weights=weights, **settings)[0] for row in single])


def trl_dpo_batch(
    rows: Rows, *loss_types: str, weights: tuple[float, ...] = (), **settings: Any
) -> tuple[torch.Tensor, dict[str, list[float]]]:
    """``DPOTrainer``'s loss of a whole batch, and the metrics it logs."""
    from trl import DPOTrainer

    trainer = SimpleNamespace(
        beta=0.1,
        label_smoothing=0.0,
        ld_alpha=None,
        f_divergence_type="reverse_kl",
        f_alpha_divergence_coef=0.5,
        use_weighting=False,
        args=SimpleNamespace(discopop_tau=settings.pop("discopop_tau", 0.05)),
        loss_types=list(loss_types),
        loss_weights=list(weights or [1.0] * len(loss_types)),
        precompute_ref_logps=True,
    )
    _furnish(trainer, settings)
    outputs, mask = _model_outputs([rows[name] for name in POLICY], [rows[name] for name in LENGTHS])
    if trainer.use_weighting:
        collisions = torch.cat([rows[name] for name in COLLISIONS])
        outputs.log_sum_sq_probs = collisions[:, None].expand_as(outputs.log_probs)
    inputs = {
        "input_ids": torch.zeros(mask.shape, dtype=torch.long),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        **{name: rows[name] for name in REFERENCE},
    }
    loss = DPOTrainer._compute_loss(trainer, lambda **kwargs: outputs, inputs, False)
    return loss, dict(trainer._metrics["eval"])


def trl_kto(rows: Rows, mismatched: torch.Tensor, loss_type: str = "kto", **settings: Any) -> torch.Tensor:
    """``KTOTrainer``'s mean loss over answers given as ``policy_logps``, ``ref_logps`` and ``is_desirable``.

    ``mismatched`` holds the log-ratios of answers set under other prompts, from which it takes its baseline.
    """
    from trl import KTOTrainer

    trainer = SimpleNamespace(
        beta=0.1,
        loss_type=loss_type,
        calculate_KL=loss_type == "kto",
        desirable_weight=1.0,
        undesirable_weight=1.0,
        precompute_ref_logps=True,
        _compute_kl_logps=lambda model, batch: mismatched,
    )
    _furnish(trainer, settings)
    outputs, mask = _model_outputs([rows["policy_logps"]], [torch.full_like(rows["policy_logps"], 4.0)])
    inputs = {
        "input_ids": torch.zeros(mask.shape, dtype=torch.long),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "label": rows["is_desirable"],
        "ref_logps": rows["ref_logps"],
        "ref_KL_logps": torch.zeros_like(mismatched),
    }
    return KTOTrainer._compute_loss(trainer, lambda **kwargs: outputs, inputs, False)


def trl_cpo(chosen: torch.Tensor, rejected: torch.Tensor, loss_type: str, **settings: Any) -> torch.Tensor:
    """``CPOTrainer``'s preference term; its trainer gives means over tokens to simpo and ipo, sums to the others."""
    from trl.experimental.cpo import CPOTrainer

    trainer = SimpleNamespace(beta=0.1, label_smoothing=0.0, alpha=0.0, simpo_gamma=0.5, loss_type=loss_type)
    _furnish(trainer, settings)
    return CPOTrainer.cpo_loss(trainer, chosen, rejected)[0]


def trl_orpo(chosen: torch.Tensor, rejected: torch.Tensor, beta: float = 0.1) -> torch.Tensor:
    """``ORPOTrainer``'s odds-ratio term of means over tokens; its trainer subtracts what this method returns."""
    from trl.experimental.orpo import ORPOTrainer

    trainer = SimpleNamespace(beta=beta)
    _furnish(trainer, {})
    return -ORPOTrainer.odds_ratio_loss(trainer, chosen, rejected)[0]


def liger(kind: str, *logps: torch.Tensor, **settings: Any) -> torch.Tensor:
    """Liger's loss of each row: ``kind`` is dpo, cpo, simpo or orpo; the reference's log-probs last, if any."""
    from importlib import import_module

    module = import_module(f"liger_kernel.chunked_loss.{kind}_loss")
    name = {"simpo": "SimPO"}.get(kind, kind.upper())
    function = getattr(module, f"LigerFusedLinear{name}Function").preference_loss_fn
    two_rows = torch.zeros(2, 1)
    return torch.stack([_first(function, row, two_rows, settings) for row in zip(*logps, strict=True)])


def liger_kto(rows: Rows, z_ref: torch.Tensor, beta: float = 0.1) -> torch.Tensor:
    """Liger's mean KTO loss, on a baseline given to it."""
    from liger_kernel.chunked_loss.kto_loss import LigerFusedLinearKTOFunction

    labels = rows["is_desirable"]
    return LigerFusedLinearKTOFunction.preference_loss_fn(
        rows["policy_logps"], labels, labels, rows["ref_logps"], beta=beta, kl=z_ref
    )[0]


def _first(function: Callable[..., Any], row: tuple[torch.Tensor, ...], target: torch.Tensor, settings: Any) -> Any:
    chosen, rejected, *reference = (value[None] for value in row)
    return function(chosen, rejected, target, *reference, **settings)[0]


def _furnish(trainer: SimpleNamespace, settings: Mapping[str, Any]) -> None:
    """Add what every method reads: one process without a device, and where it keeps its metrics.

    Raises:
        TypeError: if a setting is none that the trainer has.
    """
    for name, value in settings.items():
        if not hasattr(trainer, name):
            raise TypeError(f"no setting {name!r}")
        setattr(trainer, name, value)
    trainer.model = SimpleNamespace(training=False)
    trainer.accelerator = SimpleNamespace(device="cpu", gather_for_metrics=lambda x: x, gather=lambda x: x)
    trainer.aux_loss_enabled = False
    trainer._metrics = {"eval": defaultdict(list)}
    trainer._total_train_tokens = 0


def _model_outputs(sums: list[torch.Tensor], lengths: list[torch.Tensor]) -> tuple[SimpleNamespace, torch.Tensor]:
    """A model's outputs, whose log-probs per token add up to the sums, and the completion mask."""
    total, count = torch.cat(sums), torch.cat(lengths)
    answer = torch.arange(int(count.max())) < count[:, None]
    mask = torch.cat([torch.zeros(len(count), 1, dtype=torch.bool), answer], dim=1)
    nothing = torch.zeros_like(answer, dtype=total.dtype)
    outputs = SimpleNamespace(
        log_probs=(total / count)[:, None] * answer,
        entropy=nothing,
        mean_logits=nothing,
        is_top1=torch.zeros_like(answer),
    )
    return outputs, mask.long()
