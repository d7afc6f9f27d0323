"""A run that is killed, terminated or out of disk goes on as if nothing had happened: bit for bit."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from tests_support import pair_rows, write_jsonl
from transformers import TrainerCallback

import penchant
from penchant.cli import main
from penchant.errors import InputError
from penchant.training.checkpoints import checkpoints, fault

STEPS = 12

KILLED_WHILE_WRITING = """
import os, signal, sys
import safetensors.torch, torch
import penchant.training.checkpoints as checkpoints

where, turn = sys.argv.pop(1), int(sys.argv.pop(1))
calls = {"count": 0}

def dying(write, half):
    def call(*arguments, **options):
        calls["count"] += 1
        if calls["count"] == turn:
            half(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        return write(*arguments, **options)
    return call

def half_file(value, path, *rest, **options):
    open(path, "wb").write(b"half of it")

def nothing(*arguments, **options):
    pass

if where == "state":
    torch.save = dying(torch.save, half_file)
elif where == "weights":
    import transformers.trainer, peft.peft_model
    peft.peft_model.safe_save_file = dying(peft.peft_model.safe_save_file, half_file)
else:
    import penchant.training.saving as saving
    saving.seal = dying(saving.seal, nothing)

from penchant.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def command(tiny_model_folder, pairs_file, tmp_path):
    """The arguments of a run; the same with --resume goes on."""

    def command(folder, *more):
        settings = {"--batch-size": "8", "--learning-rate": "5e-3", "--max-steps": str(STEPS), "--save-steps": "2"}
        settings |= {"--use-cpu": "true", "--report": "false", "--lora-dropout": "0.1"} | dict(
            one.split("=") for one in more if "=" in one
        )
        if "--no-lora" in more:
            del settings["--lora-dropout"]
        given = [f"{name}={value}" for name, value in settings.items()] + [one for one in more if "=" not in one]
        where = ["--model", str(tiny_model_folder), "--data", str(pairs_file), "--output-dir", str(tmp_path / folder)]
        return ["train", *where, *given]

    return command


def start(arguments, program=("-m", "penchant"), **options):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def here(arguments):
    """A run that nothing kills needs no process of its own, which would take seconds to begin; one thread, as those."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    finally:
        torch.set_num_threads(threads)
    assert not ended.value.code


def finish(process):
    out, _ = process.communicate(timeout=300)
    return process.returncode, out


def weights(folder):
    from safetensors.torch import load_file

    path = folder / "adapter_model.safetensors"
    return load_file(path if path.exists() else folder / "model.safetensors")


def same(one, other):
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def losses(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if "loss" in line]


MOVING = ("--reference-every=3", "--reference-mix=0.6")


@pytest.mark.parametrize(
    ("where", "turn", "more"),
    [
        ("state", 8, MOVING),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("weights", 1, ()),
                ("weights", 3, ()),
                ("state", 5, ("--method=bco",)),
                ("seal", 1, ()),
                ("seal", 4, ("--save-total-limit=1",)),
                ("state", 7, ("--reference-every=3",)),
            ]
        ),
    ],
)
def test_killed_while_a_checkpoint_is_written(command, tmp_path, capsys, where, turn, more):
    """In the middle of a file, and between the last file and the seal."""
    here(command("whole", *more))
    killed = start([where, str(turn), *command("parts", *more)], ("-c", KILLED_WHILE_WRITING))
    assert finish(killed)[0] == -signal.SIGKILL
    capsys.readouterr()
    here(command("parts", "--resume", *more))
    assert "passed over: it was not written to its end" in capsys.readouterr().out
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        MOVING,
        ("--method=bco",),
        ("--method=kto", "--z-ref=ema"),
        ("--no-lora", "--learning-rate=1e-4"),
        ("--beta-end=0.2",),
    ],
    ids=["moving", "bco", "kto", "full", "beta"],
)
def test_killed_at_random_moments(command, tmp_path, more):
    """Again and again, anywhere between the start of the process and its end."""
    here(command("whole", *more))
    draw = random.Random(str(more))
    kills, code, resume = 0, None, ()
    while code != 0:
        process = start(command("parts", *resume, *more))
        if kills < 6:
            time.sleep(draw.uniform(4.0, 11.0))
            process.kill()
            kills += 1
        code, out = finish(process)
        assert code in (0, -signal.SIGKILL), out
        resume = ("--resume",) if (tmp_path / "parts" / "config.yaml").exists() else ()
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


@pytest.mark.slow
def test_two_processes_killed_and_resumed(command, tmp_path):
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29611", "-m", "penchant"]
    settings = ("--method=bco", *MOVING)
    assert finish(start(command("whole", *settings), launch))[0] == 0
    process = start(command("parts", *settings), launch, start_new_session=True)
    while not (tmp_path / "parts" / "checkpoint-6" / "checkpoint.json").exists():
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    code, out = finish(start(command("parts", "--resume", *settings), launch))
    assert code == 0, out
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_sigterm_saves_and_ends(command, tmp_path):
    process = start(command("parts", "--save-steps=1000", "--max-steps=2000", "--num-train-epochs=1000"))
    log = tmp_path / "parts" / "log.jsonl"
    while not (log.exists() and len(log.read_text().splitlines()) > 2):
        time.sleep(0.05)
        assert process.poll() is None
    process.terminate()
    code, out = finish(process)
    assert code == 128 + signal.SIGTERM, out
    assert "Traceback" not in out
    (checkpoint,) = checkpoints(tmp_path / "parts")
    assert f"--resume goes on from {checkpoint.name}" in out
    assert fault(checkpoint) is None
    assert not (tmp_path / "parts" / "README.md").exists(), "an unfinished run has no card"


def test_sigterm_in_an_epoch_s_last_step_owes_its_evaluation(settings, tmp_path):
    class Term(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    options = settings | {"max_steps": -1, "num_train_epochs": 2, "save_steps": 100, "eval_data": settings["data"]}
    whole = penchant.train(**options, output_dir=tmp_path / "whole")
    with pytest.raises(SystemExit):
        penchant.train(**options, output_dir=tmp_path / "parts", callbacks=[Term()])
    parts = penchant.train(**options, output_dir=tmp_path / "parts", resume=True)
    evaluated = [
        [(line["step"], line["eval_loss"]) for line in run.history if "eval_loss" in line] for run in (whole, parts)
    ]
    assert [step for step, _ in evaluated[0]] == [3, 6]
    assert evaluated[0] == evaluated[1]


@pytest.fixture(scope="module")
def settings(tiny_model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    settings = {"batch_size": 8, "learning_rate": 5e-3, "max_steps": 6, "save_steps": 2, "use_cpu": True}
    settings |= {"model": str(tiny_model_folder), "data": str(write_jsonl(folder / "data.jsonl", pair_rows(24)))}
    return settings | {"report": False}


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory):
    """A finished run with checkpoints at 2, 4 and 6."""
    return penchant.train(**settings, output_dir=tmp_path_factory.mktemp("finished") / "run").output_dir


@pytest.fixture
def saved(settings, finished, tmp_path):
    """A copy of the finished run, and how to run it."""
    shutil.copytree(finished, tmp_path / "run")
    return lambda **options: penchant.train(**(settings | options), output_dir=tmp_path / "run")


@pytest.mark.parametrize("damage", ["optimizer.pt", "adapter_model.safetensors", "rng_state.pth", "checkpoint.json"])
def test_a_damaged_checkpoint_is_passed_over(saved, tmp_path, capsys, damage):
    path = tmp_path / "run" / "checkpoint-6" / damage
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content if damage != "checkpoint.json" else content[: len(content) // 2])
    before = weights(tmp_path / "run")
    capsys.readouterr()
    saved(resume=True)
    out = capsys.readouterr().out
    assert f"checkpoint-6 is passed over: {damage} is damaged" in out
    assert "going on from checkpoint-4" in out
    assert fault(tmp_path / "run" / "checkpoint-6") is None
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path / "run").items())


def test_a_run_stopped_before_its_first_checkpoint_begins_again(saved, tmp_path, capsys):
    whole = weights(tmp_path / "run")
    for path in (tmp_path / "run").iterdir():
        if path.name not in ("config.yaml", "environment.json", "log.jsonl"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with (tmp_path / "run" / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    saved(resume=True)
    assert "the run begins again" in capsys.readouterr().out
    assert all(torch.equal(value, whole[name]) for name, value in weights(tmp_path / "run").items())
    assert [step for step, _ in losses(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_of_the_model_alone_is_told_as_such(settings, tmp_path):
    for turn in (False, True):
        given = settings | {"save_only_model": True, "max_steps": 2, "resume": turn, "output_dir": tmp_path / "run"}
        if turn:
            (tmp_path / "run" / "README.md").unlink()
            with pytest.raises(InputError, match=r"no optimiser state \(save_only_model\).*--model .*checkpoint-2"):
                penchant.train(**given)
        else:
            penchant.train(**given)


def test_a_full_disk_is_an_error_that_leaves_the_last_checkpoint(saved, tmp_path, monkeypatch):
    """No file may grow beyond a limit that the optimiser's state exceeds, as when a disk fills up."""
    shutil.rmtree(tmp_path / "run" / "checkpoint-6")
    size = (tmp_path / "run" / "checkpoint-4" / "optimizer.pt").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(InputError, match=r"cannot be written.*checkpoint-4 is whole: make room, then --resume"):
            saved(resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["checkpoint-4", "checkpoint-2"]
    assert fault(tmp_path / "run" / "checkpoint-4") is None
    saved(resume=True)
