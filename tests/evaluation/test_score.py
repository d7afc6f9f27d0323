"""Tables of log-probs: the same numbers as the losses, from every kind of file, and one line for what is wrong."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from scipy import stats

from penchant.errors import InputError
from penchant.evaluation.from_tables import evaluate_tables
from penchant.evaluation.score import score_table
from penchant.evaluation.tables import open_table
from penchant.objectives import METHODS, dpo_loss, dr_dpo_loss, get_method, kto_loss, lipo_loss, rao_kupper_loss

COLUMNS = {
    "policy_chosen_logps": [-10.5, -20.0, -3.0],
    "policy_rejected_logps": [-12.25, -18.0, -3.0],
    "ref_chosen_logps": [-11.0, -19.0, -3.0],
    "ref_rejected_logps": [-11.5, -19.0, -3.0],
    "chosen_lengths": [4, 9, 2],
    "rejected_lengths": [5, 7, 2],
}
HEADER = ",".join(list(COLUMNS)[:4])
TRL = {
    "policy_chosen_logps": "logps/chosen",
    "policy_rejected_logps": "logps/rejected",
    "ref_chosen_logps": "ref_logps/chosen",
    "ref_rejected_logps": "ref_logps/rejected",
    "chosen_lengths": "chosen_length",
    "rejected_lengths": "rejected_length",
}


def write(path, columns):
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("names", [dict(zip(TRL, TRL, strict=True)), TRL])
def test_every_kind_of_file_gives_the_losses_numbers(tmp_path, suffix, names):
    path = write(tmp_path / f"t{suffix}", {names[name]: values for name, values in COLUMNS.items()})
    (one,) = score_table(path, method="dpo", constants={"beta": 0.2}).scores
    values = [COLUMNS[name] for name in list(COLUMNS)[:4]]
    assert one.loss.value == pytest.approx(dpo_loss(*values, beta=0.2), rel=1e-14)
    assert one.margins.value == pytest.approx(0.2 * (1.25 - 2.0 + 0.0) / 3, rel=1e-12)
    assert (one.accuracy.value, one.ties) == (0.5, 1)


def test_all_methods_are_computed_or_say_what_they_lack(tmp_path):
    full = score_table(write(tmp_path / "full.csv", COLUMNS), method="all")
    assert {one.method for one in full.scores} | set(full.lacking) == set(METHODS)
    assert {"dpo", "ipo", "simpo", "orpo", "kto"} <= {one.method for one in full.scores}
    partial = score_table(write(tmp_path / "few.csv", dict(list(COLUMNS.items())[:2])), method="all")
    assert partial.lacking["dpo"] == "ref_chosen_logps, ref_rejected_logps"
    assert partial.lacking["simpo"] == "chosen_lengths, rejected_lengths"


def test_a_pair_is_two_labelled_answers_for_kto(tmp_path):
    (one,) = score_table(write(tmp_path / "t.csv", COLUMNS), method="kto").scores
    ratios = [0.5, -1.0, 0.0, -0.75, 1.0, 0.0]
    expected = kto_loss(ratios, [True] * 3 + [False] * 3, value_function="sigmoid")
    assert one.loss.value == pytest.approx(expected, rel=1e-14)
    assert "z_ref = 0.0 (no such column)" in one.notes


def test_the_two_answers_of_a_pair_are_no_independent_rows(tmp_path):
    """Where what one answer gains is what the other gains too, the interval is that of the pairs, not half as wide."""
    shift = np.random.default_rng(0).normal(0, 2, 50)
    ratios = {"policy_chosen_logps": shift - 50, "policy_rejected_logps": -shift - 50}
    columns = ratios | {name: np.full(50, -50.0) for name in ("ref_chosen_logps", "ref_rejected_logps")}
    (one,) = score_table(write(tmp_path / "t.csv", columns), method="kto").scores
    losses = kto_loss([*shift, *-shift], [True] * 50 + [False] * 50, value_function="sigmoid", reduction="none")
    pairs = np.reshape(losses, (2, 50)).mean(axis=0)
    low, high = stats.t.interval(0.95, 49, loc=pairs.mean(), scale=stats.sem(pairs))
    assert (one.loss.low, one.loss.high, one.rows) == (pytest.approx(low), pytest.approx(high), 100)
    assert any("one in the interval" in note for note in one.notes)


def test_a_reward_asks_for_nothing_that_it_does_not_use(tmp_path):
    logps = {name: COLUMNS[name] for name in ("policy_chosen_logps", "policy_rejected_logps")}
    (one,) = score_table(write(tmp_path / "few.csv", logps), method="slic").scores
    assert (one.accuracy.value, one.margins.n) == (0.5, 3)


def test_the_reward_of_a_sum_is_the_weighted_mean_of_its_parts(tmp_path):
    """One part takes log-ratios, the other log-probs per token; both commands say the same."""
    path = write(tmp_path / "t.csv", COLUMNS)
    (one,) = score_table(path, method="dpo + simpo").scores
    of_dpo, of_simpo = (score_table(path, method=name).scores[0].margins.value for name in ("dpo", "simpo"))
    assert one.margins.value == pytest.approx((of_dpo + of_simpo) / 2)
    method = get_method("dpo + simpo")
    found, _ = evaluate_tables([str(path)], method=method, constants=method.constants)
    assert found[0].margins.mean() == pytest.approx(one.margins.value)


def test_means_per_token_are_noticed(tmp_path):
    long = COLUMNS | {"chosen_lengths": [200, 300, 250], "rejected_lengths": [5, 7, 2]}
    remarks = score_table(write(tmp_path / "t.csv", long)).remarks
    assert [remark.partition(":")[0] for remark in remarks] == ["policy_chosen_logps", "ref_chosen_logps"]
    assert score_table(write(tmp_path / "sums.csv", COLUMNS)).remarks == ()


@pytest.mark.parametrize("method", ["dpo", "dr_dpo"])
def test_a_table_without_a_whole_row_is_said_so(tmp_path, method):
    path = write(tmp_path / "t.parquet", COLUMNS | {"policy_chosen_logps": [float("nan")] * 3})
    with pytest.raises(InputError, match="no row is whole"):
        score_table(path, method=method, skip_missing=True)


def test_labelled_answers(tmp_path):
    columns = {"logps": [-5.0, -6.0], "ref_logps": [-6.0, -5.5], "label": [True, False]}
    for suffix in (".csv", ".jsonl", ".parquet"):
        (one,) = score_table(write(tmp_path / f"a{suffix}", columns), method="kto").scores
        assert one.loss.value == pytest.approx(kto_loss([1.0, -0.5], [True, False], value_function="sigmoid"))
    with pytest.raises(InputError, match="needs pairs"):
        score_table(tmp_path / "a.csv", method="dpo")


def test_batches_do_not_change_the_numbers(tmp_path, monkeypatch):
    path = write(tmp_path / "t.parquet", {name: values * 50 for name, values in COLUMNS.items()})
    (whole,) = score_table(path).scores
    monkeypatch.setattr("penchant.evaluation.tables.BATCH_ROWS", 7)
    (cut,) = score_table(path).scores
    assert cut.loss.value == pytest.approx(whole.loss.value, rel=1e-13)
    assert cut.loss.high == pytest.approx(whole.loss.high, rel=1e-13)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("policy_chosen_logps", None, "t.csv:row 2: column 'policy_chosen_logps' holds no finite number"),
        ("ref_chosen_logps", float("inf"), "row 2"),
        ("policy_chosen_logps", 19.0, "log-prob above 0"),
        ("chosen_lengths", 0, "length below 1"),
    ],
)
def test_a_bad_value_is_named_by_row(tmp_path, column, value, words):
    columns = COLUMNS | {column: [COLUMNS[column][0], value, COLUMNS[column][2]]}
    with pytest.raises(InputError, match=words):
        score_table(write(tmp_path / "t.csv", columns))


def test_rows_with_gaps_are_left_out_on_request_and_counted(tmp_path):
    columns = COLUMNS | {"ref_chosen_logps": [-11.0, None, float("nan")]}
    result = score_table(write(tmp_path / "t.parquet", columns), skip_missing=True)
    assert (result.rows, result.skipped) == (1, 2)
    assert np.isnan(result.scores[0].loss.low)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", "", "empty"),
        ("t.csv", f"{HEADER}\n", "no rows"),
        ("t.csv", "a,b\n1,2\n", "no column is a log-prob"),
        ("t.csv", f"{HEADER}\nx,-2,-2,-2\n", "cannot be read"),
        ("t.csv", "logps/chosen,chosen_logprob\n-1,-2\n", "two columns stand for 'policy_chosen_logps'"),
        ("t.jsonl", '{"chosen_logps": -1', "cannot be read"),
        ("t.json", '[{"chosen_logps": -1}]', "one JSON array"),
        ("t.parquet", "no parquet", "cannot be read"),
        ("t.xlsx", "x", "not a known kind"),
    ],
)
def test_broken_tables_cost_one_line(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        score_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_unknown_constants_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", COLUMNS)
    with pytest.raises(InputError, match="no constant 'gamma'"):
        score_table(path, constants={"gamma": 1.0})
    with pytest.raises(InputError, match="no method has a constant 'gama'"):
        score_table(path, method="all", constants={"gama": 1.0})
    assert open_table(path).others == ()


def test_sums_of_methods_and_losses_of_ones_own(tmp_path):
    path = write(tmp_path / "t.csv", COLUMNS)
    dpo, ipo = (score_table(path, method=name).scores[0].loss.value for name in ("dpo", "ipo"))
    (mixed,) = score_table(path, method="0.5*dpo + 2*ipo").scores
    assert mixed.loss.value == pytest.approx(0.5 * dpo + 2 * ipo, rel=1e-12)
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import numpy as np\n"
        "def rows(log_ratio_w, log_ratio_l, beta=0.1):\n"
        "    return np.logaddexp(0, -beta * (log_ratio_w - log_ratio_l))\n"
        "def one(log_ratio_w, log_ratio_l, beta=0.1):\n"
        "    return rows(log_ratio_w, log_ratio_l, beta).mean()\n"
    )
    assert score_table(path, method=f"{mine}:rows").scores[0].loss.value == pytest.approx(dpo, rel=1e-12)
    assert score_table(path, method=f"{mine}:one").scores[0].loss.value == pytest.approx(dpo, rel=1e-12)


def test_a_loss_that_couples_its_rows_is_computed_of_all_or_not_at_all(tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv", COLUMNS)
    chosen, rejected = (
        np.subtract(COLUMNS[f"policy_{s}_logps"], COLUMNS[f"ref_{s}_logps"]) for s in ("chosen", "rejected")
    )
    (one,) = score_table(path, method="dr_dpo").scores
    assert one.loss.value == pytest.approx(float(dr_dpo_loss(chosen, rejected)), rel=1e-12)
    assert math.isnan(one.loss.low) and one.rows == len(chosen) and one.accuracy is not None
    monkeypatch.setattr("penchant.evaluation.score.AT_ONCE", len(chosen) - 1)
    with pytest.raises(InputError, match="one loss for all rows, which are held in memory, at most"):
        score_table(path, method="dr_dpo")
    assert "at most" in score_table(path, method="all").lacking["dr_dpo"]


def test_lists_of_answers(tmp_path):
    logps, ref, ratings = [[-3.0, -5.0, -4.0], [-2.0, -6.0, -1.5]], [-4.0, -4.5, -4.0], [[3, 1, 2], [1, 0, 5]]
    rows = [
        {"policy_list_logps": p, "ref_list_logps": ref, "list_scores": r} for p, r in zip(logps, ratings, strict=True)
    ]
    path = tmp_path / "lists.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    (one,) = score_table(path, method="lipo").scores
    expected = lipo_loss(np.array(logps), np.array([ref] * 2), np.array(ratings, float))
    assert one.loss.value == pytest.approx(float(expected), rel=1e-12) and (one.unit, one.rows) == ("lists", 2)
    for bad, words in (([-1.0, -2.0], "lists of 2 and of 3 answers"), ([-1.0, -2.0, 3.0], "log-prob above 0")):
        path.write_text("\n".join(map(json.dumps, [rows[0], rows[1] | {"policy_list_logps": bad}])))
        with pytest.raises(InputError, match=words):
            score_table(path, method="lipo")


def test_answers_with_ratings_and_ties_as_true_and_false(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"log_ratio": 2.0, "score": 1.0, "prompt_value": 0.2}))
    (one,) = score_table(path, method="dro", constants={"beta": 0.5}).scores
    assert one.loss.value == pytest.approx(0.02) and "is_desirable" in " ".join(one.notes)
    rows = [{"log_ratio_w": 2, "log_ratio_l": -1, "is_tie": tie} for tie in (True, False)]
    path.write_text("\n".join(map(json.dumps, rows)))
    (one,) = score_table(path, method="rao_kupper").scores
    expected = rao_kupper_loss([2.0, 2.0], [-1.0, -1.0], [True, False])
    assert one.loss.value == pytest.approx(float(np.mean(expected)), rel=1e-12)
