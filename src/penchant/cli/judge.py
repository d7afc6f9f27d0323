"""``penchant judge``: answers rated or compared by a function, a command or a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from penchant.errors import InputError

if TYPE_CHECKING:
    from penchant.evaluation.comparison import Comparison
    from penchant.evaluation.judge import Judged
    from penchant.evaluation.judges import Judge
    from penchant.evaluation.judges.cache import VerdictCache


_PROGRAM = ("time_limit", "retries", "jobs")
_IMPLICIT = ("reference", "method", "beta")
_MODEL = ("chat_template", "dtype", "trust_remote_code")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """Who judges, and how patiently.

    Parameters
    ----------
    judge
        FILE.py:FUNCTION, "command:SHELL COMMAND", reward:MODEL or implicit:MODEL.
    mode
        Whether a command is asked to rate an answer or to compare two; the other judges say it themselves.
    cache
        The folder where verdicts are kept, so that none is paid for twice.
    again
        Ask anew where the judge gave a malformed verdict before.
    time_limit
        Seconds that a function or command may take for one answer.
    retries
        Further tries after a malformed verdict, a hang or a death.
    jobs
        Functions or commands at work at once.
    reference
        The reference model of an implicit reward. [default: the adapter's base]
    method
        Whose implicit reward. [default: that of the policy's run folder with its constants, else dpo]
    beta
        Its beta. [default: the method's]
    max_length
        Most tokens that a model rates. [default: the model's limit]
    chat_template
        auto (the tokenizer's, if it has one) or none (plain text).
    dtype
        Type of a model's weights: float32, bfloat16, float16 or float64.
    trust_remote_code
        Let code that comes with a model run.
    """

    judge: Annotated[str, Parameter(name=("--judge", "--rule"))]
    mode: Literal["rate", "compare"] | None = None
    cache: Path = Path("judge-cache")
    again: bool = False
    time_limit: float = 60.0
    retries: int = 2
    jobs: int = 1
    reference: str | None = None
    method: str | None = None
    beta: float | None = None
    max_length: int | None = None
    chat_template: str = "auto"
    dtype: str = "float32"
    trust_remote_code: bool = False

    def open(self, *, samples: bool = False) -> tuple[Judge, VerdictCache]:
        """The judge and the cache; ``samples``: whether models are loaded by the same options to answer."""
        self._refuse_foreign(samples)
        from penchant.evaluation.judges import judge_named
        from penchant.evaluation.judges.cache import VerdictCache
        from penchant.evaluation.judges.question import ModelSettings, Patience

        if self.judge.startswith(("reward:", "implicit:")):
            from penchant.cli.train import require_models

            require_models()
        models = ModelSettings(
            reference=self.reference,
            method=self.method,
            beta=self.beta,
            max_length=self.max_length,
            chat_template=self.chat_template,
            dtype=self.dtype,
            trust_remote_code=self.trust_remote_code,
        )
        patience = Patience(self.time_limit, self.retries, self.jobs)
        judge = judge_named(self.judge, mode=self.mode, patience=patience, models=models)
        return judge, VerdictCache(self.cache)

    def _refuse_foreign(self, samples: bool) -> None:
        """An option of another kind of judge would be ignored."""
        model, implicit = self.judge.startswith(("reward:", "implicit:")), self.judge.startswith("implicit:")
        foreign = set(_PROGRAM if model else ("max_length",)) | set(() if implicit else _IMPLICIT)
        foreign |= set(() if model or samples else _MODEL)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in foreign and value != field.default:
                option = f"--{field.name.replace('_', '-')}"
                raise InputError(f"{option} says nothing to this judge", got=f"{value!r} for {self.judge!r}")


def judge(
    answers: Annotated[list[Path], Parameter(consume_multiple=True, negative="")],
    *,
    output: Path,
    options: JudgeOptions,
    keep_ties: bool = False,
    json: bool = False,
) -> None:
    """Rate or compare answers, and write preference data. Called again after a kill, it goes on.

    A function that takes (prompt, answer) rates; one that takes (prompt, first, second) compares, and sees each two
    answers in both orders. A command reads {"prompt", "answer"} or {"prompt", "first", "second"} as JSON and writes
    {"score": 3.5}, or {"preference": 0.7}, "first", "second" or "tie".

    Parameters
    ----------
    answers
        Files of answers: from "penchant sample", with columns such as prompt and completion, or preference pairs.
    output
        A .jsonl file: ratings (prompt, completions, scores), or pairs (prompt, chosen, rejected, preference_prob).
    keep_ties
        Write pairs without a preference too, marked is_tie.
    json
        Print the numbers as JSON.
    """
    from penchant.evaluation.judge import judge_files

    who, cache = options.open()
    if keep_ties and not who.compares:
        raise InputError("--keep-ties is of pairs, and this judge rates", got=options.judge, fix="Leave it out")
    result = judge_files(
        who,
        answers,
        output,
        cache,
        keep_ties=keep_ties,
        again=options.again,
        on_reply=progress(quiet=json),
    )
    if json:
        from penchant.cli.show import print_json

        print_json(result)
    else:
        _show(result, output, compares=who.compares, kept_ties=keep_ties)


def progress(*, quiet: bool) -> Callable[[int, int], None]:
    """Prints how far it is, at each tenth."""
    told = [0]

    def tell(done: int, total: int) -> None:
        tenth = 10 * done // total
        if tenth > told[0] and not quiet:
            told[0] = tenth
            print(f"           {done:,} of {total:,} questions", flush=True)

    return tell


def _show(result: Judged, output: Path, *, compares: bool, kept_ties: bool) -> None:
    repeats = f" ({result.repeats:,} repeats left out)" if result.repeats else ""
    print(f"answers    {result.answers:,} to {result.prompts:,} prompts{repeats}")
    print(f"judge      {result.judge}: {result.asked:,} questions asked now, the rest known")
    for line in verdict_lines(result):
        print(line)
    if result.faults:
        print(f"no verdict {result.faults:,} questions, kept in {result.faults_file}")
    kept = f"{result.rows:,} {'pairs' if compares else 'prompts with ratings'}"
    what = "prompts whose answers have one rating"
    if compares:
        what = "ties among them" if kept_ties else "ties left out (--keep-ties writes them)"
    print(f"saved      {kept} in {output}" + (f"; {what}: {result.ties:,}" if result.ties else ""))


def verdict_lines(result: Judged | Comparison) -> list[str]:
    """What the order and the length do to verdicts."""
    lines = []
    if result.bias is not None:
        lines.append(f"order      {result.bias.first_wins} of verdicts go to the answer shown first (no bias: 50%)")
        lines.append(f"           {result.bias.agree} of pairs get the same verdict in both orders")
    if result.longer_wins is not None:
        lines.append(f"length     {result.longer_wins} of verdicts go to the longer answer")
    return lines
