"""The exercises: a right solution solves each, a wrong one does not, and the progress is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from whiteboard.templates import TEMPLATES

from penchant.errors import InputError
from penchant.whiteboard import practice

SOURCES = {template.name: template.source for template in TEMPLATES}
PAIR = "policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps"
BODIES = {
    "01_log_sigmoid": "    return -np.logaddexp(0, -x)\n",
    "02_dpo_numpy": "    z = beta * (policy_chosen_logps - ref_chosen_logps - policy_rejected_logps + ref_rejected_logps)\n"
    "    return np.logaddexp(0, -z).mean()\n",
    "03_dpo_torch": "    ref = (ref_chosen_logps - ref_rejected_logps).detach()\n"
    "    return -F.logsigmoid(beta * (policy_chosen_logps - policy_rejected_logps - ref)).mean()\n",
    "04_ipo": "    return np.mean((log_ratio_w - log_ratio_l - 1 / (2 * beta)) ** 2)\n",
    "05_kto": "    u = beta * (log_ratio - z_ref) * np.where(is_desirable, 1, -1)\n    return np.mean(0.5 - 0.5 * np.tanh(u / 2))\n",
    "06_simpo": "    z = beta * (chosen_logps / chosen_lengths - rejected_logps / rejected_lengths) - gamma\n"
    "    return F.softplus(-z).mean()\n",
    "07_orpo": "    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths\n"
    "    z = w - l - torch.log(-torch.expm1(w)) + torch.log(-torch.expm1(l))\n"
    "    return (lambda_ * F.softplus(-z) - w).mean()\n",
    "08_label_smoothing": "    z = beta * (policy_chosen_logps - ref_chosen_logps - policy_rejected_logps + ref_rejected_logps)\n"
    "    return np.mean(np.logaddexp(0, -z) + label_smoothing * z)\n",
    "09_sequence_logps": "    logps = logits[:, :-1].log_softmax(-1).gather(-1, input_ids[:, 1:, None])[..., 0]\n"
    "    return (logps * mask[:, 1:]).sum(-1)\n",
    "10_dpo_step": "    w = weights.clone().requires_grad_()\n"
    "    def total(model, ids):\n"
    "        return model.log_softmax(-1)[ids[:, :-1], ids[:, 1:]].sum(-1)\n"
    "    z = beta * (total(w, chosen) - total(ref_weights, chosen) - total(w, rejected) + total(ref_weights, rejected))\n"
    "    (slope,) = torch.autograd.grad(-F.logsigmoid(z).mean(), w)\n"
    "    return weights - learning_rate * slope\n",
}
WRONG = {
    "09_sequence_logps": ("logits[:, :-1]", "logits[:, 1:]", "shift-missing"),
    "10_dpo_step": ("weights - learning_rate", "weights + learning_rate", "ascent"),
    "08_label_smoothing": ("+ label_smoothing * z", "- label_smoothing * z", "unknown"),
    "05_kto": ("1, -1)", "1, 1)", "undesirable-sign"),
    "03_dpo_torch": (".detach()", "", "reference-gradient"),
}


def solved(found: practice.Exercise) -> str:
    return found.blank().replace("    raise NotImplementedError\n", BODIES[found.name])


def test_every_exercise_can_be_solved_in_order(tmp_path: Path) -> None:
    progress = practice.start(tmp_path)
    for found in practice.EXERCISES:
        assert practice.current(progress) is found
        (tmp_path / f"{found.name}.py").write_text(solved(found))
        verdict, standing = practice.attempt(tmp_path, progress, found)
        assert verdict.kind == "right", verdict.as_text()
        assert found.name in json.loads((tmp_path / practice.PROGRESS).read_text())["solved"]
    assert practice.current(progress) is None
    assert "10 of 10 solved" in standing


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_not_accepted(tmp_path: Path, name: str) -> None:
    old, new, code = WRONG[name]
    progress, found = practice.start(tmp_path), practice.exercise(name)
    source = solved(found)
    assert old in source
    (tmp_path / f"{name}.py").write_text(source.replace(old, new))
    verdict, _ = practice.attempt(tmp_path, progress, found)
    assert verdict.kind == "wrong"
    assert verdict.codes[0] == code
    assert practice.Progress.read(tmp_path).solved == []


def test_blank_files_hints_and_filled_files_are_kept(tmp_path: Path) -> None:
    progress = practice.start(tmp_path)
    found = practice.EXERCISES[0]
    assert "still blank" in practice.attempt(tmp_path, progress, found)[0].sentence
    assert "hint 1 of 2" in practice.hint(tmp_path, progress, found)
    assert practice.Progress.read(tmp_path).hints == {found.name: 1}
    (tmp_path / "01_log_sigmoid.py").write_text("mine")
    practice.start(tmp_path)
    assert (tmp_path / "01_log_sigmoid.py").read_text() == "mine"


def test_the_interview_keeps_time_and_the_old_file(tmp_path: Path) -> None:
    progress = practice.start(tmp_path)
    found = practice.interview(tmp_path, progress, minutes=5, seed=3)
    path = tmp_path / f"{found.name}.py"
    path.write_text(solved(found))
    end = progress.interview[found.name]
    verdict, standing = practice.attempt(tmp_path, progress, found, now=end + 120)
    assert verdict.kind == "right" and "2.0 minutes late" in standing
    assert practice.interview(tmp_path, progress, minutes=5, seed=3) == found
    kept = [p for p in tmp_path.glob(f"{found.name}.*.py") if "raise NotImplementedError" not in p.read_text()]
    assert kept


def test_a_strange_progress_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / practice.PROGRESS).write_text("[]x")
    with pytest.raises(InputError, match="not a progress file"):
        practice.start(tmp_path)
