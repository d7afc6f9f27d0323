"""The live view in a terminal, and plain lines where there is none."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from tests_support import pair_rows, write_jsonl

import penchant
from penchant.training.progress import ProgressBar


def train(model, folder, console, **options):
    data = write_jsonl(folder / "pairs.jsonl", pair_rows(24))
    settings = {"batch_size": 8, "use_cpu": True, "max_steps": 4, "report": False} | options
    return penchant.train(
        model=str(model), data=str(data), output_dir=folder / "run", console=console, learning_rate=5e-3, **settings
    )


def test_a_terminal_sees_one_view_with_bars_and_alarms(tiny_model_folder, tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    train(tiny_model_folder, tmp_path, console, eval_split=0.3)
    text = console.file.getvalue()
    last = text[text.rindex("training ") :]
    assert "4/4" in last and "pairs/s" in last
    assert any(bar in last for bar in "▁▂▃▄▅▆▇█")
    assert "accuracies" in last and "alarms " in last
    assert "step 1/4" not in text


@pytest.mark.parametrize(("width", "bars"), [(100, 24), (60, 16), (40, 0)])
def test_a_narrow_terminal_keeps_the_numbers(width, bars):
    """And one that shows ASCII alone has bars of ASCII."""
    from transformers import TrainerState

    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    for file, shapes in ((io.StringIO(), "▁▂▃▄▅▆▇█"), (plain, "_.:-=+*#")):
        console = Console(file=file, force_terminal=True, width=width, color_system=None)
        bar, state = ProgressBar(console, "pairs", 8), TrainerState(max_steps=30)
        for step in range(30):
            bar.on_log(None, state, None, logs={"loss": 100 - step / 7, "rewards/accuracies": 0.5})
        with console.capture() as seen:
            console.print(bar._view())
        (loss,) = [line for line in seen.get().splitlines() if line.startswith("loss")]
        assert "95.8571" in loss and "…" not in seen.get()
        assert sum(one in shapes for one in loss.replace("95.8571", "")) == bars


def test_a_file_gets_plain_lines(tiny_model_folder, tmp_path):
    console = Console(file=io.StringIO(), width=100)
    train(tiny_model_folder, tmp_path, console)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("step ")]
    assert len(lines) == 4 and "loss 0.69" in lines[0]
    assert "\x1b" not in console.file.getvalue() and "▁" not in console.file.getvalue()


def test_an_error_leaves_the_terminal_as_it_was(tiny_model_folder, tmp_path):
    from transformers import TrainerCallback

    class Fail(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            raise RuntimeError("stop")

    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with pytest.raises(RuntimeError, match="stop"):
        train(tiny_model_folder, tmp_path, console, callbacks=[Fail()])
    assert console.file.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


def test_tensorboard_and_mlflow_hold_the_log(tiny_model_folder, tmp_path, monkeypatch):
    """One run that reports to both, on files."""
    import mlflow
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    console = Console(file=io.StringIO())
    result = train(tiny_model_folder, tmp_path, console, report_to=["tensorboard", "mlflow"], max_steps=2)
    wanted = pytest.approx(logged(result, "rewards/margins"), rel=1e-5)
    (events,) = {path.parent for path in result.output_dir.rglob("events.out.tfevents*")}
    read = EventAccumulator(str(events))
    read.Reload()
    assert {event.step: event.value for event in read.Scalars("train/rewards/margins")} == wanted
    client = mlflow.tracking.MlflowClient(store)
    (experiment,) = [one for one in client.search_experiments() if client.search_runs([one.experiment_id])]
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "rewards/margins")
    assert {one.step: one.value for one in history} == wanted
    assert run.data.params["method"] == "dpo"


def logged(result, name):
    lines = [json.loads(line) for line in (result.output_dir / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}
