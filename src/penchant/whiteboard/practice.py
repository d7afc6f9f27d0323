"""Exercises in growing order: a file to fill in each, graded like any other code, with progress kept in the folder."""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from penchant.errors import InputError, suggest
from penchant.whiteboard.check import check
from penchant.whiteboard.sandbox import Sandbox, Stopped
from penchant.whiteboard.tasks import TASKS, grade_task
from penchant.whiteboard.verdict import Verdict

PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True)
class Exercise:
    """One file to fill in; ``refused`` names remarks of the checker that are mistakes here, since the text forbids them."""

    name: str
    subject: str
    imports: str
    signature: str
    doc: str
    hints: tuple[str, ...]
    refused: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        return self.signature.split("(")[0]

    def blank(self) -> str:
        """The file before it is filled in."""
        return f'{self.imports}\n\n\ndef {self.signature}:\n    """{self.doc}"""\n    raise NotImplementedError\n'


_NUMPY, _TORCH = "import numpy as np", "import torch\nimport torch.nn.functional as F"
_PAIR = "policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps"
_LENGTHS = "chosen_logps, rejected_logps, chosen_lengths, rejected_lengths"
EXERCISES = (
    Exercise(
        "01_log_sigmoid",
        "log_sigmoid",
        _NUMPY,
        "log_sigmoid(x)",
        "log σ(x) of an array, right for x = -1000 and x = 1000.",
        ("log σ(x) = -log(1 + e^-x).", "Which NumPy function is log(e^a + e^b)?"),
    ),
    Exercise(
        "02_dpo_numpy",
        "dpo",
        _NUMPY,
        f"dpo_loss({_PAIR}, beta=0.1)",
        "DPO's loss, averaged over the pairs.",
        ("Four log-probs, two subtractions, one more.", "Then beta, log-sigmoid, minus, mean."),
    ),
    Exercise(
        "03_dpo_torch",
        "dpo",
        _TORCH,
        f"dpo_loss({_PAIR}, beta=0.1)",
        "The same in PyTorch; no gradient may reach the reference.",
        ("F.logsigmoid is safe at both ends.", "detach() makes a constant."),
        ("reference-gradient",),
    ),
    Exercise(
        "04_ipo",
        "ipo",
        _NUMPY,
        "ipo_loss(log_ratio_w, log_ratio_l, beta=0.1)",
        "IPO's loss, averaged over the pairs.",
        ("A square, no sigmoid.", "The difference goes to 1 / (2β)."),
    ),
    Exercise(
        "05_kto",
        "kto",
        _NUMPY,
        "kto_loss(log_ratio, is_desirable, z_ref=0.0, beta=0.1)",
        "KTO's loss as in the paper, averaged over the answers.",
        (
            "Desirable answers above z_ref, undesirable ones below.",
            "1 - σ(u), not -log σ(u).",
            "Labels may come as 1 and 0.",
        ),
    ),
    Exercise(
        "06_simpo",
        "simpo",
        _TORCH,
        f"simpo_loss({_LENGTHS}, beta=2.0, gamma=0.5)",
        "SimPO's loss, averaged over the pairs.",
        ("Log-probs per token.", "gamma is taken off after beta is multiplied in."),
    ),
    Exercise(
        "07_orpo",
        "orpo",
        _TORCH,
        f"orpo_loss({_LENGTHS}, lambda_=0.1)",
        "ORPO's loss, averaged over the pairs.",
        (
            "Fine-tuning on the chosen answer, plus lambda times a log-sigmoid.",
            "log odds = p̄ - log(1 - e^p̄); how do you compute 1 - e^p̄ when p̄ is nearly 0?",
        ),
    ),
    Exercise(
        "08_label_smoothing",
        "dpo",
        _NUMPY,
        f"dpo_loss({_PAIR}, beta=0.1, label_smoothing=0.0)",
        "DPO where a share of the labels is taken to be flipped.",
        ("At label_smoothing 0 nothing changes.", "(1 - ε) goes with log σ(z), ε with log σ(-z)."),
    ),
    Exercise(
        "09_sequence_logps",
        "sequence_logps",
        _TORCH,
        "sequence_logps(logits, input_ids, mask)",
        "Log-prob of each answer, shape (rows,): logits (rows, time, vocabulary), ids and mask (rows, time).",
        (
            "The logits at a place predict the next token.",
            "The mask is shifted like the ids.",
            "gather, then a sum over time.",
        ),
    ),
    Exercise(
        "10_dpo_step",
        "dpo_step",
        _TORCH,
        "dpo_step(weights, ref_weights, chosen, rejected, learning_rate, beta)",
        "One step of gradient descent on DPO's mean loss; returns the policy's new weights.\n\n"
        "    The model: the logits after token i are weights[i], shape (vocabulary, vocabulary). chosen and rejected are ids,\n"
        "    shape (pairs, time); all tokens after the first count. The reference is frozen.\n    ",
        (
            "log_softmax of the weights, indexed by this token and the next, summed over time.",
            "requires_grad_() on a copy of weights; torch.autograd.grad.",
        ),
    ),
)


@dataclass
class Progress:
    """What is kept in the folder."""

    solved: list[str] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    interview: dict[str, float] = field(default_factory=dict)  # exercise -> when its time is over, in Unix seconds

    @classmethod
    def read(cls, folder: Path) -> Progress:
        """The folder's progress, or a fresh one.

        Raises:
            InputError: if the file is not what this command wrote.
        """
        path = folder / PROGRESS
        if not path.exists():
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(
                "this is not a progress file", where=str(path), fix="Move it away to start again"
            ) from error

    def write(self, folder: Path) -> None:
        (folder / PROGRESS).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def exercise(name: str) -> Exercise:
    """An exercise by its name, with or without its number.

    Raises:
        InputError: if there is none.
    """
    for found in EXERCISES:
        if name.zfill(2) in (found.name, found.name[3:], found.name[:2]):
            return found
    raise InputError(f"no exercise {name!r}", fix=suggest(name, [found.name for found in EXERCISES]))


def start(folder: Path) -> Progress:
    """Lay out the files that are not there yet; what is there is left alone.

    Raises:
        InputError: if they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for found in EXERCISES:
            path = folder / f"{found.name}.py"
            if not path.exists():
                path.write_text(found.blank(), encoding="utf-8")
    except OSError as error:
        what = f"the exercises cannot be laid out there: {error.strerror}"
        raise InputError(what, where=str(folder), fix="Give a folder: --folder NAME") from error
    return Progress.read(folder)


def current(progress: Progress) -> Exercise | None:
    """The first exercise that is not solved."""
    return next((found for found in EXERCISES if found.name not in progress.solved), None)


def grade_exercise(found: Exercise, path: Path) -> Verdict:
    """The verdict on a filled-in file."""
    if found.subject not in TASKS:
        return _refused(check(path, found.function, found.subject), found)
    library = "torch" if "torch" in found.imports else "numpy"
    try:
        with Sandbox(library) as sandbox:
            parameters, error = sandbox.load(path, found.function)
            if error:
                return Verdict(
                    found.subject, "failed", f"{path.name} cannot be run: {error['type']}: {error['message']}"
                )
            return grade_task(sandbox, TASKS[found.subject](), parameters, path.name)
    except Stopped as stopped:
        return Verdict(found.subject, "failed", f"{path.name} cannot be graded: {stopped}.")


def _refused(verdict: Verdict, found: Exercise) -> Verdict:
    """The verdict with remarks that the exercise does not allow as what is wrong."""
    findings = tuple(replace(one, wrong=one.wrong or one.code in found.refused) for one in verdict.findings)
    added = [one.sentence for one in findings if one.code in found.refused]
    if verdict.kind != "right" or not added:
        return verdict
    sentence = f"{verdict.sentence.removesuffix('.')}, but not all that was asked: {'; '.join(added)}."
    return replace(verdict, kind="wrong", sentence=sentence, findings=findings)


def attempt(folder: Path, progress: Progress, found: Exercise, now: float | None = None) -> tuple[Verdict, str]:
    """Grade an exercise, keep the progress, and say how it stands."""
    path = folder / f"{found.name}.py"
    if "raise NotImplementedError" in path.read_text(encoding="utf-8"):
        verdict = Verdict(found.subject, "failed", f"{path} is still blank: fill it in and run this again.")
        return verdict, _standing(progress, found)
    verdict = grade_exercise(found, path)
    progress.attempts[found.name] = progress.attempts.get(found.name, 0) + 1
    words = ""
    if verdict.kind == "right":
        if found.name not in progress.solved:
            progress.solved.append(found.name)
        end = progress.interview.pop(found.name, None)
        if end is not None:
            left = end - (time.time() if now is None else now)
            words = (
                f"In time, with {left / 60:.1f} minutes left. "
                if left >= 0
                else f"Right, but {-left / 60:.1f} minutes late. "
            )
    progress.write(folder)
    return verdict, words + _standing(progress, found)


def _standing(progress: Progress, found: Exercise) -> str:
    following = current(progress)
    left = f"Next: {following.name}.py" if following else "All solved"
    end = progress.interview.get(found.name)
    minutes = (end - time.time()) / 60 if end else 0.0
    clock = (f" {minutes:.1f} minutes left." if minutes > 0 else " The time is up; go on without it.") if end else ""
    return f"{len(progress.solved)} of {len(EXERCISES)} solved. {left}.{clock}"


def hint(folder: Path, progress: Progress, found: Exercise) -> str:
    """The next hint, and a note of it in the progress."""
    given = progress.hints.get(found.name, 0)
    if given >= len(found.hints):
        more = "--reveal" if found.subject in TASKS else f"`penchant explain {found.subject}`"
        return f"{found.name}: no more hints. {more} says the rest."
    progress.hints[found.name] = given + 1
    progress.write(folder)
    return f"{found.name}, hint {given + 1} of {len(found.hints)}: {found.hints[given]}"


def interview(folder: Path, progress: Progress, minutes: float, seed: int | None = None) -> Exercise:
    """Pick an exercise, blank its file, and start the clock; what the file held is kept beside it."""
    found = random.Random(seed).choice(EXERCISES)  # noqa: S311 - no secret
    path = folder / f"{found.name}.py"
    if "raise NotImplementedError" not in path.read_text(encoding="utf-8"):
        path.rename(path.with_suffix(f".{int(time.time())}.py"))
    path.write_text(found.blank(), encoding="utf-8")
    progress.interview = {found.name: time.time() + 60 * minutes}
    progress.solved = [name for name in progress.solved if name != found.name]
    progress.write(folder)
    return found
