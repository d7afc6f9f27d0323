"""A plan before the first step: counted by hand, from a config alone, and honest about what does not fit."""

from __future__ import annotations

import json

import pytest
from tests_support import list_rows, tiny_llama

import penchant
from penchant.cli import main
from penchant.errors import InputError
from penchant.training.plan import GPUS, Rows, Shape, empty_model, make_plan


@pytest.fixture
def eight_billion(tmp_path):
    """Llama 3 8B's config, without a weight."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "tie_word_embeddings": False,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return str(tmp_path)


SETTINGS = {"dtype": "bfloat16", "batch_size": 16, "micro_batch_tokens": 1024, "epochs": 1.0}
ROWS = Rows.of([(256, [128, 128], 0)] * 160)


def test_parameters_and_steps_are_counted(eight_billion):
    full = make_plan(empty_model(eight_billion, rank=None), ROWS, lora=False, rank=0, second_model=True, **SETTINGS)
    assert full.trained == 8_030_261_248
    assert full.frozen == full.trained, "the reference is a second model"
    assert full.steps == 10
    assert full.tokens == 16 * 512
    lora = make_plan(empty_model(eight_billion, rank=16), ROWS, lora=True, rank=16, **SETTINGS)
    assert lora.trained == 41_943_040
    assert lora.frozen == 8_030_261_248


def test_memory_by_part_in_known_units(eight_billion):
    full = make_plan(empty_model(eight_billion, rank=None), ROWS, lora=False, rank=0, second_model=True, **SETTINGS)
    count = full.trained
    assert full.memory["weights"] == full.memory["reference"] == full.memory["gradients"] == 2 * count
    assert full.memory["optimiser"] == 4 * count
    assert full.peak == sum(full.memory.values())


def test_a_quantised_reference_is_smaller(eight_billion):
    """6.98 billion weights in layers, 1.05 in embeddings and head."""
    model, second = empty_model(eight_billion, rank=16), {"second_model": True} | SETTINGS
    whole, low = (
        make_plan(model, ROWS, lora=True, rank=16, reference_bits=bits, **second).memory["reference"]
        for bits in (None, 4)
    )
    assert whole == 2 * 8_030_261_248
    assert low == pytest.approx(6.98e9 / 2 + 2 * 1.05e9, rel=0.001)


def test_the_allocators_room_is_the_activations_of_all_layers(eight_billion):
    """Whether they are kept or made again: their blocks come and go all the same."""
    model, settings = empty_model(eight_billion, rank=16), {"lora": True, "rank": 16} | SETTINGS
    plain = make_plan(model, ROWS, **settings)
    assert "allocator" not in plain.memory
    for again in (False, True):
        on_cpu = make_plan(model, ROWS, **settings, checkpointing=again, glibc=True)
        assert on_cpu.memory["allocator"] == plain.memory["activations"]
    assert on_cpu.memory["activations"] < plain.memory["activations"] / 5


def test_head_and_backward_pass_do_not_meet(eight_billion):
    model, settings = empty_model(eight_billion, rank=16), {"lora": True, "rank": 16} | SETTINGS
    made = make_plan(model, ROWS, **settings).memory
    assert ("head" in made) != ("backward" in made)
    full = make_plan(empty_model(eight_billion, rank=None), ROWS, lora=False, rank=0, **SETTINGS).memory
    assert full["head"] >= 2 * 4096 * 128256, "the head's gradient"


def test_operations_are_those_of_the_published_count(eight_billion):
    """15.0 T of policy and 7.5 T of reference for an 8B adapter at (256, 128, 128), adapters' own products aside."""
    rows = Rows.of([(256, [128, 128], 0)])
    one = SETTINGS | {"batch_size": 1}
    lora = make_plan(empty_model(eight_billion, rank=16), rows, lora=True, rank=16, reference=False, **one)
    both = make_plan(empty_model(eight_billion, rank=16), rows, lora=True, rank=16, reference=True, **one)
    assert lora.operations == pytest.approx(15.0e12, rel=0.03)
    assert both.operations - lora.operations == pytest.approx(7.5e12, rel=0.03)


def test_operations_of_a_baseline_and_of_a_loss_that_couples_rows(eight_billion):
    """KTO's baseline takes a policy's pass over prompt and answer, and the answer alone of the reference."""
    model, one = empty_model(eight_billion, rank=16), SETTINGS | {"batch_size": 1, "lora": True, "rank": 16}

    def forward(answers):
        rows = Rows.of([(256, answers, 0)])
        return make_plan(model, rows, **one).operations - make_plan(model, rows, reference=False, **one).operations

    without, with_it = (make_plan(model, Rows.of([(256, [128], aside)]), **one).operations for aside in (0, 128))
    assert with_it - without == pytest.approx(forward([128]) + forward([128, 128]) - forward([128]))
    coupled = make_plan(model, Rows.of([(256, [128, 128], 0)]), coupled=True, **one).operations
    assert coupled == pytest.approx(
        make_plan(model, Rows.of([(256, [128, 128], 0)]), **one).operations + forward([128, 128])
    )


def test_what_all_prompts_begin_with_is_planned_once_a_micro_batch(eight_billion):
    """Ten rows of 700 + 2 x 50 tokens, of which 600 are the same, four in 1,400 positions: 200 tokens and 150 a row."""
    rows = Rows.of([(700, [50, 50], 0)] * 10, 600).together(1400, 10)
    assert (rows.prompt, rows.answers, rows.tokens) == (250, 100, 350)
    alone = Rows.of([(700, [50, 50], 0)] * 10, 600).together(800, 10)
    assert alone.prompt == 700
    two = Rows.of([(700, [50, 50], 0)] * 10, 600).together(1400, 2)
    assert two.prompt == 400, "no more than a step has"
    settings = SETTINGS | {"lora": True, "rank": 16, "micro_batch_tokens": 1400}
    model = empty_model(eight_billion, rank=16)
    known, unknown = (make_plan(model, Rows.of([(700, [50, 50], 0)] * 10, shared), **settings) for shared in (600, 0))
    assert known.tokens == 3500 and unknown.tokens == 8000
    assert known.operations < 0.5 * unknown.operations


def test_attention_is_counted_once_per_pair_of_positions():
    assert Rows.of([(2, [1, 3], 0)]).squares == 2 + 2 * 1 + 0.5 + 2 * 3 + 4.5


def test_what_attention_keeps_is_counted():
    """Prompt 4, answers 2 and 2: queries whole and once more but for the second answer, the prompt's keys twice."""
    pair, single = Rows.of([(4, [2, 2], 0)]), Rows.of([(4, [4], 0)])
    assert (pair.query_copies, pair.key_copies) == (1 + 6 / 8, 12 / 8)
    assert (single.query_copies, single.key_copies) == (1, 1)


def test_shape_reads_head_sizes():
    config = tiny_llama(100).config
    shape = Shape.of(config)
    assert (shape.layers, shape.width, shape.queries, shape.keys, shape.inner) == (2, 32, 32, 16, 64)


def test_a_mixture_counts_the_experts_that_a_token_goes_through():
    from transformers import MixtralConfig, Qwen3MoeConfig

    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
    assert Shape.of(MixtralConfig(**sizes, num_experts_per_tok=2)).inner == 96
    narrow = Qwen3MoeConfig(**sizes, num_experts_per_tok=4, moe_intermediate_size=16)
    assert Shape.of(narrow).inner == 64


def test_what_does_not_fit_says_what_to_change(eight_billion):
    full = make_plan(empty_model(eight_billion, rank=None), ROWS, lora=False, rank=0, second_model=True, **SETTINGS)
    told = " ".join(full.report("l4"))
    assert "does not fit l4 with its 24 GB" in told
    assert "--lora" in told
    lora = make_plan(empty_model(eight_billion, rank=16), ROWS, lora=True, rank=16, **SETTINGS)
    assert "fits h100" in " ".join(lora.report("h100"))
    with pytest.raises(InputError, match="no GPU 'h10'"):
        lora.report("h10")


def test_the_command_needs_a_config_alone(eight_billion, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["plan", eight_billion, "--gpu", "h100"])
    out = capsys.readouterr().out
    assert "41,943,040 parameters learn" in out
    assert "of 80 GB" in out
    with pytest.raises(SystemExit, match="2"):
        main(["plan", "./nowhere"])
    assert set(GPUS) >= {"h100", "a100", "t4"}


def test_a_file_is_counted_as_training_would(tiny_model_folder, pairs_file, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["plan", str(tiny_model_folder), "--data", str(pairs_file)])
    out = capsys.readouterr().out
    assert "counted    24 rows" in out
    assert "tokens     24 of 24 rows kept" in out


def test_rows_are_those_of_the_method(tiny_model_folder, tmp_path, capsys):
    (tmp_path / "lists.jsonl").write_text("".join(json.dumps(row) + "\n" for row in list_rows(4)))
    for method, count in (("plackett_luce", 4), ("dpo", 4), ("kto", 8)):
        with pytest.raises(SystemExit, match="0"):
            main(["plan", str(tiny_model_folder), "--data", str(tmp_path / "lists.jsonl"), "--method", method])
        assert f"counted    {count} rows" in capsys.readouterr().out
    for method, answers in (("dpo", "2 answers"), ("kto", "1 answer"), ("plackett_luce", "4 answers")):
        with pytest.raises(SystemExit, match="0"):
            main(["plan", str(tiny_model_folder), "--method", method])
        assert f"of each of {answers}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        *(["--" + name, "0"] for name in ("rows", "batch-size", "prompt-tokens", "micro-batch-tokens", "lora-r")),
        ["--num-train-epochs", "nan"],
        ["--num-train-epochs", "0"],
        ["--dtype", "foo"],
        ["--reference-bits", "3"],
        ["--gpu", "h100", "--gpus", "0"],
        ["--gpus", "2"],
        ["--max-length", "99"],
        ["--data", "pairs.jsonl", "--rows", "5"],
    ],
)
def test_what_cannot_be_planned_costs_a_line_or_a_box(tiny_model_folder, capsys, wrong):
    with pytest.raises(SystemExit, match=r"[12]"):
        main(["plan", str(tiny_model_folder), *wrong])
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert wrong[-2].lstrip("-") in told


def test_every_run_begins_with_its_plan(tiny_model_folder, pairs_file, tmp_path, capsys):
    settings = {"model": str(tiny_model_folder), "data": str(pairs_file), "max_steps": 1, "use_cpu": True}
    kept = []
    for name, options in (("plain", {}), ("again", {"activation_checkpointing": True}), ("last", {"lora_layers": 1})):
        penchant.train(**settings, **options, output_dir=tmp_path / name, report=False)
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("plan ")]
        assert "peak memory about" in line
        kept.append(float(line.partition("activations ")[2].split()[0]))
        assert name == "last" or "16,384 parameters learn" in line
    assert kept[1] < kept[0] > kept[2]
