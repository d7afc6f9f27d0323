"""The reference store: what it gives is what was computed, by this very model, whatever happened in between."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import torch
from tests_support import tiny_llama

from penchant.errors import InputError
from penchant.logps import Engine, ReferenceStore, Source, choose_engine
from penchant.logps.store import address, hash_weights
from penchant.training.stored import computed, fill, owner

GROUPS = [([5, 6, 7], [[8, 9], [10]]), ([5, 6], [[7, 8, 9], [11, 12]]), ([9], [[10, 11, 12, 13], [14]])]


@pytest.fixture(scope="module")
def model():
    return tiny_llama(64)


@pytest.fixture(scope="module")
def engine(model):
    return choose_engine(model, 0)


def opened(folder, model, engine):
    return ReferenceStore(folder, Source.of(model, engine))


def filled(folder, model, engine, groups=GROUPS):
    store = opened(folder, model, engine)
    return store, fill(store, model, engine, groups, device="cpu", max_tokens=20)


def test_a_second_opening_gives_what_was_computed(tmp_path, model, engine):
    filled(tmp_path / "s", model, engine)
    store, filling = filled(tmp_path / "s", model, engine)
    assert (filling.asked, filling.computed, filling.checked) == (3, 0, 3)
    batch = engine.lay_out(GROUPS, "cpu")
    with torch.no_grad(), engine.engaged(model):
        live = engine.logps(model, batch)
    torch.testing.assert_close(store.logps(batch), live, rtol=1e-5, atol=1e-5)
    plain = Engine().lay_out(GROUPS, "cpu")
    assert torch.equal(store.logps(plain), store.logps(batch))


def test_tokens_are_kept_in_float32_and_sum_to_the_answer(tmp_path, model, engine):
    import pyarrow.parquet as pq

    store, _ = filled(tmp_path / "s", model, engine)
    (shard,) = store.folder.glob("*.parquet")
    for row in pq.read_table(shard).to_pylist():
        assert row["tokens"] == len(row["token_logps"])
        assert sum(row["token_logps"]) == pytest.approx(row["logp"], rel=1e-6)


def test_only_what_is_missing_is_computed(tmp_path, model, engine):
    filled(tmp_path / "s", model, engine, GROUPS[:1])
    store, filling = filled(tmp_path / "s", model, engine)
    assert (filling.computed, filling.checked) == (2, 1)
    assert store.missing([*GROUPS, ([1], [[2]]), ([1], [[2]])]) == [([1], [[2]])]


def test_rows_that_stand_twice_are_computed_once(tmp_path, model, engine):
    twice = [(list(prompt), [list(one) for one in answers]) for prompt, answers in GROUPS * 2]
    _, filling = filled(tmp_path / "s", model, engine, twice)
    assert (filling.asked, filling.computed, filling.checked) == (2 * len(GROUPS), len(GROUPS), 0)


def test_other_weights_types_and_engines_are_other_rows(model, engine):
    key = Source.of(model, engine).key
    assert Source.of(tiny_llama(64), engine).key == key
    moved = tiny_llama(64)
    with torch.no_grad():
        moved.model.norm.weight[3] += 1e-6
    others = [
        Source.of(moved, engine),
        Source.of(tiny_llama(64).to(torch.bfloat16), engine),
        Source.of(model, Engine("plain")),
    ]
    assert len({key, *(other.key for other in others)}) == 4


def test_an_adapter_around_the_model_does_not_change_its_hash(model):
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(tiny_llama(64), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    assert hash_weights(wrapped) == hash_weights(model)


def test_where_prompt_ends_is_part_of_the_address():
    assert len({address([1, 2], [3]), address([1], [2, 3]), address([1, 2, 3], [])}) == 3


def test_half_written_shards_are_not_seen_and_damaged_ones_are_named(tmp_path, model, engine):
    store, _ = filled(tmp_path / "s", model, engine)
    (shard,) = store.folder.glob("*.parquet")
    (store.folder / ".half.parquet.1.partial").write_bytes(shard.read_bytes()[:50])
    assert len(opened(tmp_path / "s", model, engine)) == 6
    shard.write_bytes(shard.read_bytes()[:-20])
    again = opened(tmp_path / "s", model, engine)
    assert len(again) == 0 and len(again.damaged) == 1
    filling = fill(again, model, engine, GROUPS, device="cpu", max_tokens=99)
    assert filling.computed == 3 and f"damaged shard left out ({shard.name}" in str(filling)


def test_damage_among_the_log_probs_per_token_is_one_line(tmp_path, model, engine):
    store, _ = filled(tmp_path / "s", model, engine)
    (shard,) = store.folder.glob("*.parquet")
    column = pq.ParquetFile(shard).metadata.row_group(0).column(3)
    data = bytearray(shard.read_bytes())
    for place in range(column.data_page_offset, column.data_page_offset + 40):
        data[place] ^= 0xFF
    shard.write_bytes(bytes(data))
    again = opened(tmp_path / "s", model, engine)
    assert len(again) == 6 and not again.damaged
    with pytest.raises(InputError, match="log-probs per token cannot be read") as caught:
        again.token_logps(engine.lay_out(GROUPS, "cpu"))
    assert shard.name in str(caught.value)


def test_a_weight_without_dimensions_is_hashed():
    model = tiny_llama(64)
    model.register_parameter("temperature", torch.nn.Parameter(torch.tensor(1.0)))
    one = hash_weights(model)
    model.temperature.data.fill_(2.0)
    assert hash_weights(model) != one


def test_a_store_whose_rows_were_changed_is_refused(tmp_path, model, engine):
    store = opened(tmp_path / "s", model, engine)
    wrong = [(address(p, a), [x - 0.01 for x in t]) for (p, g), ts in
             computed(model, engine, GROUPS, "cpu", 99) for a, t in zip(g, ts, strict=True)]  # fmt: skip
    store.add(wrong)
    with pytest.raises(InputError, match="does not hold what this model computes"):
        fill(opened(tmp_path / "s", model, engine), model, engine, GROUPS, device="cpu", max_tokens=99)


def test_rows_that_were_never_computed_are_an_error(tmp_path, model, engine):
    store, _ = filled(tmp_path / "s", model, engine, GROUPS[:1])
    with pytest.raises(InputError, match="lacks 4"):
        store.logps(engine.lay_out(GROUPS, "cpu"))


def test_other_folders_and_damaged_manifests_are_refused(tmp_path, model, engine):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not a reference store.*notes\.txt"):
        opened(tmp_path, model, engine)
    with pytest.raises(InputError, match="must be a folder"):
        opened(tmp_path / "notes.txt", model, engine)
    store, _ = filled(tmp_path / "s", model, engine)
    assert json.loads((store.folder / "manifest.json").read_text())["engine"] == engine.computes
    assert engine.computes.startswith("packed, streamed head")
    (store.folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest.*damaged"):
        opened(tmp_path / "s", model, engine)


def test_processes_that_open_the_store_at_different_times_leave_no_row_out(tmp_path, model, engine):
    """The second opens it when the first has written its share, and so finds less missing."""
    groups = [([5, 6, n], [[n, 9], [10, n]]) for n in range(10, 40)]
    assert {owner(group, 2) for group in groups} == {0, 1}
    for rank in range(2):
        store = opened(tmp_path / "s", model, engine)
        fill(store, model, engine, groups, device="cpu", max_tokens=99, process=(rank, 2))
    assert not opened(tmp_path / "s", model, engine).missing(groups)


def test_autocast_is_part_of_the_address(model, engine):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = Source.of(model, engine)
    assert (low.autocast, Source.of(model, engine).autocast) == ("bfloat16", "")
    assert low.key != Source.of(model, engine).key
