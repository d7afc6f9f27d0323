"""No row, however strange, stops an examination or is lost by it."""

from __future__ import annotations

import json

import msgspec
from doctor.cases import pair
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.write import refused_path
from penchant.doctor import examine, read_rows
from penchant.doctor.fix import write_fixed
from penchant.doctor.text import _shared_start

TEXT = st.text(max_size=30) | st.sampled_from(["<|im_end|>", "\ufffd", "\x00", " ", "```", "[/INST]", "x" * 99])
TURN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "other"]), "content": TEXT})
VALUE = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | st.lists(TURN, max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ROW = st.fixed_dictionaries({"prompt": VALUE, "chosen": VALUE, "rejected": VALUE}) | st.builds(pair, TEXT, TEXT, TEXT)


@given(rows=st.lists(ROW | VALUE, max_size=12))
@settings(max_examples=150, deadline=None)
def test_every_row_is_examined_and_written_to_one_of_two_files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    path, out = folder / "data.jsonl", folder / "clean.jsonl"
    rows = [pair(), *rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    examination = examine(read_rows([str(path)]))
    assert examination.report.rows == len(rows)
    passed, dropped = write_fixed(read_rows([str(path)]), examination.reasons, out)
    assert passed + dropped == len(rows)
    assert dropped == len(examination.reasons) >= examination.report.refused
    kept = [msgspec.json.decode(line) for line in out.read_bytes().splitlines()]
    refused = refused_path(out).read_bytes().splitlines() if dropped else []
    left = [msgspec.json.decode(line)["row"] for line in refused]
    assert sorted(map(repr, kept + left)) == sorted(map(repr, rows))
    assert not any(result.rule.drops for result in examine(read_rows([str(out)])).report.results)


@given(shared=st.text(max_size=40), a=st.text(max_size=40), b=st.text(max_size=40))
def test_the_shared_start_is_found_by_halving(shared, a, b):
    first, second = shared + a, shared + b
    naive = next(
        (k for k, (x, y) in enumerate(zip(first, second, strict=False)) if x != y), min(map(len, (first, second)))
    )
    assert _shared_start(first, second) == naive
