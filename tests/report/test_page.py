"""The page from run folders: numbers over all rows, what others wrote stays text, bad folders cost one line."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from report.runs import HOSTILE, facts, hostile_run, log_lines, rows, token_row, write_run

from penchant.errors import InputError
from penchant.evaluation.statistics import higher_share, wilson
from penchant.report import record, write_report
from penchant.report.charts import MOST_POINTS, MOST_SCATTERED, _smoothed
from penchant.report.numbers import pair_numbers
from penchant.report.page import _asset
from penchant.report.read import read_run
from penchant.report.text import percents, visible


class Page(HTMLParser):
    """Every element with its attributes, all text, and the chart data."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.data, self._in = [], [], [], []
        self.feed(html)
        self.charts = {chart["id"]: chart for chart in json.loads("".join(self.data))}

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self._in.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if self._in and self._in[-1][0] == tag:
            self._in.pop()

    def handle_data(self, text):
        if not self._in:
            self.text.append(text)
        elif self._in[-1][1].get("type") == "application/json":
            self.data.append(text)


def page_of(*folders, output=None):
    return Page(write_report(folders, output).read_text(encoding="utf-8"))


def test_numbers_are_over_all_rows(tmp_path):
    page = page_of(write_run(tmp_path / "mine"))
    right = [float(row.rewards[0] > row.rewards[1]) for row in rows(50)]
    share = wilson(right)
    words = " ".join("".join(page.text).split())
    assert f"{100 * share.value:.0f} % of 50 held-out pairs" in words
    assert f"95 % interval {100 * share.low:.0f} % to {100 * share.high:.0f} %" in words
    bins = page.charts["r1-by-length"]
    assert sum(int(re.search(r"n = ([\d,]+)", name)[1]) for name in bins["names"]) == 50
    assert sum(page.charts["r1-reward-margins"]["series"][0]["y"]) == 50
    assert page.charts["r1-loss"]["series"][0]["y"][-1] == pytest.approx(0.393)


def ranked_list(index, rewards, scores):
    """A list of answers, best first, each a token longer than the one before."""
    count = len(scores)
    numbers = {"before": [-5.0] * count, "start_rewards": [0.0] * count, "after": [-4.0] * count}
    return record.Row(
        f"l.jsonl:{index}", index, [9 + at for at in range(count)], rewards=rewards, scores=scores, **numbers
    )


def test_a_list_counts_as_its_pairs_of_answers_with_different_ratings(tmp_path):
    """Three pairs of the first list, two of them right; of the second two, both right: its last answers are tied."""
    lists = [ranked_list(1, [0.5, 0.7, 0.1], [3.0, 2.0, 1.0]), ranked_list(2, [0.4, 0.1, 0.2], [2.0, 1.0, 1.0])]
    roles = [record.TokenAnswerFacts(f"rated {score}", 0.1, [record.Token("so", -2.0, -1.0)]) for score in (3, 2, 1)]
    shown = [record.TokenRow("best", "l.jsonl:1", "Why?", roles)]
    folder = write_run(tmp_path / "mine", of_facts=facts(unit="lists"), of_rows=lists, tokens=shown)
    page = page_of(folder)
    words = " ".join("".join(page.text).split())
    assert (
        "The better rated answer has the higher reward in 80.0 % of 5 pairs of answers from 2 held-out lists" in words
    )
    assert "Best rated on top50.0 %" in words
    assert "rated 3 reward 0.1" in words and ", margin" not in words
    found = pair_numbers(read_run(folder))
    assert found.margin.value == pytest.approx((-0.2 + 0.4 + 0.6 + 0.3 + 0.2) / 5)
    assert found.length_difference.tolist() == [-1, -2, -1, -1, -2]


def moved_rows(count, *, start, change, longer=0.0):
    """Pairs whose margins were ``start`` before training (of normal noise) and changed by ``change``, in nats both;
    ``longer`` of the change for each token that the chosen answer is longer.
    """
    draw = np.random.default_rng(1)
    for index in range(count):
        before, lengths = start + float(draw.normal()), draw.integers(5, 50, 2).tolist()
        after = before + change + longer * (lengths[0] - lengths[1]) + 0.01 * float(draw.normal())
        yield record.Row(
            f"h.jsonl:{index}", index, lengths, [after, 0.0], [after, 0.0], [before, 0.0], [before, 0.0]
        )  # fmt: skip


def outcome_of(folder, of_rows, **changes):
    page = page_of(write_run(folder, of_rows=list(of_rows), of_facts=facts(**changes)))
    words = " ".join("".join(page.text).split())
    return words[words.index("Outcome") : words.index("Alarms")]


def test_what_the_base_model_did_already_is_not_learnt(tmp_path):
    still = outcome_of(tmp_path / "still", moved_rows(60, start=3.0, change=0.0), reference=False)
    assert "Before training it was so in 100 %: no change shown (0.0 points, 0.0 to 0.0)." in still
    better = outcome_of(tmp_path / "better", moved_rows(60, start=0.0, change=3.0), reference=False)
    assert re.search(r"Before training it was so in \d\d %: better than before \(\+\d\d\.\d points", better)
    worse = outcome_of(tmp_path / "worse", moved_rows(60, start=0.0, change=-3.0), reference=False)
    assert "worse than before" in worse
    assert "Before training" not in outcome_of(tmp_path / "dpo", rows(50)), "margins against the start begin at 0"


def test_margins_that_followed_length_before_are_not_said_to_have_learnt_it(tmp_path):
    of_base = [
        record.Row(
            f"h.jsonl:{at}", at, [5 + at, 30], [at - 25.0, 0.0], [at - 25.0, 0.0], [at - 25.0, 0.0], [at - 25.0, 0.0]
        )
        for at in range(50)
    ]
    assert "learnt" not in outcome_of(tmp_path / "base", of_base, reference=False)
    learnt = outcome_of(tmp_path / "learnt", moved_rows(50, start=0.0, change=0.0, longer=0.1), reference=False)
    assert "What margins changed by follows length" in learnt and "prefer longer answers" in learnt


def test_a_start_that_is_not_known_is_not_passed_over(tmp_path):
    unknown = [record.Row(f"h.jsonl:{at}", at, [9, 9], [1.0, 0.0], [1.0, 0.0]) for at in range(9)]
    assert "How often it was so before training is not known." in outcome_of(tmp_path / "mine", unknown)


@pytest.mark.parametrize(
    ("rejected", "says"),
    [(-4.0, "by pushing both down"), (-2.001, "no change of the margin is shown"), (-1.0, "and more so than")],
)
def test_displacement_is_said_of_a_difference_that_is_shown(tmp_path, rejected, says):
    draw = np.random.default_rng(2)
    of_rows = []
    for at in range(60):
        after = [-2 + float(draw.normal()), rejected + float(draw.normal())]
        of_rows.append(record.Row(f"h.jsonl:{at}", at, [9, 9], after, after, [0.0, 0.0], [0.0, 0.0]))
    assert says in outcome_of(tmp_path / "mine", of_rows)


def test_percents_do_not_contradict_the_sentence(tmp_path):
    nearly = [record.Row(f"h.jsonl:{at}", at, [9, 9], [0.0, 0.0], [float(at > 2), 0.5]) for at in range(1000)]
    words = outcome_of(tmp_path / "nearly", nearly)
    assert "in 99.7 % of 1,000 held-out pairs (95 % interval 99.1 % to 99.9 %): better than chance" in words
    half = [record.Row(f"h.jsonl:{at}", at, [9, 9], [0.0, 0.0], [float(at < 50_500), 0.5]) for at in range(100_000)]
    assert "50.5 % of 100,000 held-out pairs (95 % interval 50.2 % to 50.8 %)" in outcome_of(tmp_path / "half", half)


def labelled(label, rewards, *, prompts=None):
    """One measured answer for each reward, to prompts of their own unless given."""
    return [
        record.Row(f"k.jsonl:{at}", (prompts or range(100))[at], [4], [-9.0], [reward], [-8.0], [0.0], label=label)
        for at, reward in enumerate(rewards)
    ]


@pytest.mark.parametrize(("prompts", "count"), [(None, 4), ([7, 8, 7, 8], 2)])
def test_answers_are_ranked_with_an_interval(tmp_path, prompts, count):
    """15 of 16 comparisons are right; answers to one prompt count once in the interval."""
    up, down = [0.4, 0.3, 0.2, 0.1], [0.0, -0.1, 0.15, -0.3]
    of_rows = labelled(True, up, prompts=prompts) + labelled(False, down, prompts=prompts)
    method = record.MethodFacts("kto", "λ(1 - σ(±β(r - z)))", "thumbs up or down")
    folder = write_run(tmp_path / "mine", of_facts=facts(unit="answers", method=method), of_rows=of_rows)
    words = " ".join("".join(page_of(folder).text).split())
    wanted = higher_share(np.array(up), np.array(down), (count, count))
    value, low, high = percents(wanted.value, wanted.low, wanted.high)
    interval = f"{low} to {high}"
    verdict = "better than chance" if count == 4 else "no difference from chance shown"
    assert f"in {value} of all 4 × 4 comparisons (95 % interval {interval}): {verdict}." in words
    assert f"{interval}; 8 held-out answers" in words


def test_answers_say_what_they_were_before(tmp_path):
    of_rows = labelled(True, [0.4, 0.3]) + labelled(False, [0.2, 0.1])
    for row in of_rows:
        row.start_rewards = list(row.rewards)
    method = record.MethodFacts("kto", "λ(1 - σ(±β(r - z)))", "thumbs up or down")
    words = outcome_of(tmp_path / "mine", of_rows, unit="answers", method=method)
    assert "Before training it was so in 100 %" in words


def test_many_rows_are_sampled_for_drawing_and_exact_in_the_numbers(tmp_path):
    many = rows(20_000)
    folder = write_run(tmp_path / "mine", of_rows=many, log=log_lines(30_000))
    page = page_of(folder)
    assert (folder / "report.html").stat().st_size < 3e6
    scatter = page.charts["r1-length-scatter"]
    assert len(scatter["x"]) == MOST_SCATTERED
    assert "1,500 of 20,000 pairs drawn" in scatter["alt"]
    assert sum(page.charts["r1-reward-margins"]["series"][0]["y"]) == 20_000
    assert all(len(chart["x"]) <= MOST_POINTS + 2 for chart in page.charts.values() if chart["kind"] == "lines")
    found = pair_numbers(read_run(folder))
    margins = np.array([row.rewards[0] - row.rewards[1] for row in many])
    assert found.margin.value == pytest.approx(margins.mean(), abs=1e-9)
    assert found.margin.high - found.margin.low == pytest.approx(2 * 1.96 / np.sqrt(20_000), rel=0.05)


def test_thinned_curves_keep_their_extremes(tmp_path):
    log = log_lines(20_000)
    log[12_345]["loss"] = 99.0
    page = page_of(write_run(tmp_path / "mine", log=log))
    assert 99.0 in page.charts["r1-loss"]["series"][0]["y"]


def test_what_others_wrote_stays_text(tmp_path):
    page = page_of(hostile_run(tmp_path / "mine"), write_run(tmp_path / "other"), output=tmp_path / "both.html")
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not [attributes for _, attributes in page.elements if "style" in attributes]
    html = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert not set(html) & set("\u202e\u2066\u2028")
    assert "".join(page.text).count(visible(HOSTILE)) > 20
    assert "null" in json.dumps(page.charts["r1-loss"]["series"][0]["y"]), "a loss that is no number is a gap"


def test_nothing_is_fetched_and_only_our_script_may_run(tmp_path):
    html = write_report([write_run(tmp_path / "mine", tokens=[token_row("best", "Yes")])]).read_text(encoding="utf-8")
    page = Page(html)
    links = [
        a for _, attributes in page.elements for name, a in attributes.items() if name in ("src", "href", "action")
    ]
    assert {link for link in links if not link.startswith("#")} == {"data:,", "https://arxiv.org/abs/2305.18290"}
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert "@import" not in html and "url(" not in html


def test_the_charting_library_is_the_one_that_was_published():
    published = "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"  # uplot 1.6.32 on npm
    assert hashlib.sha256(_asset("uplot/uPlot.iife.min.js").encode()).hexdigest() == published
    assert "MIT" in _asset("uplot/LICENSE")


def test_headings_do_not_jump_and_charts_say_what_they_show(tmp_path):
    page = page_of(write_run(tmp_path / "a"), write_run(tmp_path / "b"), output=tmp_path / "both.html")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(second - first <= 1 for first, second in itertools.pairwise(levels))
    plots = [attributes for _, attributes in page.elements if attributes.get("class") == "plot"]
    assert len(plots) == len(page.charts) > 20
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 20 for plot in plots)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") == 3
    assert {"header", "main", "nav", "footer"} <= set(tags)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)


def test_runs_are_compared_on_the_same_rows_alone(tmp_path):
    better = facts(constants={"beta": 0.3}, kl=[0.2, 0.3])
    first = write_run(tmp_path / "a", of_rows=rows(400, shift=0.0))
    second = write_run(tmp_path / "b", of_rows=rows(400, shift=1.0), of_facts=better)
    words = " ".join(" ".join(page_of(first, second, output=tmp_path / "c.html").text).split())
    assert "mine (2) orders more pairs rightly" in words
    assert "Reward margins depend on beta" in words
    third = write_run(tmp_path / "d", of_rows=rows(30))
    words = " ".join(" ".join(page_of(first, third, output=tmp_path / "c.html").text).split())
    assert "not measured on the same rows" in words
    page = page_of(first, second, output=tmp_path / "c.html")
    assert page.charts["frontier"]["x"] == pytest.approx([0.02, 0.25])


def test_side_by_side_says_what_was_trained_on(tmp_path):
    no_eval = [line for line in log_lines(20) if "eval_loss" not in line]
    held_out = write_run(tmp_path / "a")
    fitted = [write_run(tmp_path / name, of="training", log=no_eval) for name in ("b", "c")]
    page = page_of(held_out, fitted[0], output=tmp_path / "mixed.html")
    words = " ".join(" ".join(page.text).split())
    assert "Measured on rows that were trained on: mine (2). That says how well those were fitted" in words
    assert "of 50 (trained on)" in words
    assert "mine (2) and mine (1) are not tested: of the two, mine (2) alone was trained on the rows." in words
    assert [one["label"] for one in page.charts["frontier"]["series"]] == [
        "frontier",
        "mine (1)",
        "mine (2) (trained on)",
    ]
    page = page_of(*fitted, output=tmp_path / "both.html")
    words = " ".join(" ".join(page.text).split())
    assert "50 pairs (trained on)." in words
    assert page.charts["all-rewards-accuracies"]["title"] == "Reward accuracy, rows trained on"
    words = " ".join(page_of(held_out, held_out, output=tmp_path / "held.html").text)
    assert "(trained on)" not in words and "Measured on rows" not in words


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300])
def test_a_smoothed_curve_has_a_gap_where_a_value_is_not_finite_and_nowhere_else(odd):
    curve = _smoothed({float(step): odd if step == 20 else 1.0 for step in range(100)})
    away = [value for step, value in curve.items() if abs(step - 20) > 2]
    assert away == pytest.approx([1.0] * len(away))
    beside = [curve[18.0], curve[22.0]]
    if math.isfinite(odd):
        assert all(value > 1e290 for value in beside)
    else:
        assert beside == pytest.approx([1.0, 1.0])
        assert math.isnan(curve[20.0])


def test_alarms_from_before_the_first_step_are_marked_in_sight(tmp_path):
    alarms = [
        {"id": name, "step": step, "sentence": "s", "remedy": "r"} for name, step in (("b", 0), ("a", 0), ("c", 7))
    ]
    page = page_of(write_run(tmp_path / "mine", alarms=alarms))
    assert page.charts["r1-loss"]["marks"] == [[1, "a, b"], [7, "c"]]


def test_a_run_that_goes_on_says_so(tmp_path):
    folder = write_run(tmp_path / "mine", of_facts=facts(finished=None, kl=None), of_rows=[])
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 21, "lo')
    words = " ".join("".join(page_of(folder).text).split())
    assert "has not ended, or was stopped: the log reaches step 20 of 20" in words
    assert "still being written" in words


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    folder = tmp_path / "mine"
    record.write_json(folder, record.RUN, facts(finished=None, kl=None))
    assert "Nothing has been logged yet." in " ".join(page_of(folder).text)


def damage(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("record/run.json", '"version": 1', '"version": 2', "a newer penchant wrote this run .got version 2, this one"),
        ("record/rows.jsonl", '"version":1', '"version":9', "rows.jsonl:1: a newer penchant wrote this run"),
        ("record/run.json", '"steps": 20', '"steps": "x"', "run.json: the record of the run is damaged"),
        ("record/run.json", "{", "", "run.json: the record of the run is damaged"),
        ("record/rows.jsonl", '"prompt":3', '"prompt":"3"', "rows.jsonl:5: the record of the run is damaged"),
        ("record/rows.jsonl", '"after":[', '"after":[1.0,', "rows.jsonl:2: the record of the run is damaged"),
        ("record/doctor.json", '"results": []', '"results": [', "doctor.json: the record of the run is damaged"),
        ("log.jsonl", '"step": 2,', '"stop": 2,', "log.jsonl:2: the log is damaged"),
        ("log.jsonl", '{"step": 7', '\x00"step": 7', "log.jsonl:7: the log is damaged"),
    ],
)
def test_a_damaged_or_newer_folder_costs_one_line(tmp_path, name, old, new, says):
    folder = write_run(tmp_path / "mine")
    damage(folder, name, old, new)
    with pytest.raises(InputError, match=says) as caught:
        write_report([folder])
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_other_folders_and_names_cost_one_line(tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        write_report([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"this is no run folder .got an empty folder"):
        (tmp_path / "empty").mkdir()
        write_report([tmp_path / "empty"])
    with pytest.raises(InputError, match="the report cannot be written"):
        write_report([write_run(tmp_path / "mine")], tmp_path / "nowhere" / "report.html")
    with pytest.raises(InputError, match="several runs need a name"):
        write_report([tmp_path / "mine", tmp_path / "mine"])


def test_the_command_needs_no_torch(tmp_path):
    folder = write_run(tmp_path / "mine")
    code = (
        "import sys; from penchant.cli import main\n"
        f"main(['report', {str(folder)!r}])\n"
        "assert not {'torch', 'transformers', 'penchant.training'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(folder / "report.html")
