"""``import penchant`` needs NumPy alone: no torch, no JAX, no transformers, neither loaded nor missed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

HEAVY = ("torch", "jax", "jaxlib", "transformers", "peft", "accelerate", "datasets", "safetensors")

BLOCK = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked here")

sys.meta_path.insert(0, Blocker())
"""

LOSSES = """
import numpy as np
import penchant

rows = {
    "dpo": ([-12.0, -12.0], [-30.0, -30.0], [-14.0, -14.0], [-29.0, -29.0]),
    "ipo": ([2.0, 2.0], [-1.0, -1.0]),
    "kto": ([2.0, 2.0], [True, True], [0.5, 0.5]),
    "simpo": ([-12.0, -12.0], [-30.0, -30.0], [8, 8], [15, 15]),
    "orpo": ([-12.0, -12.0], [-30.0, -30.0], [8, 8], [15, 15]),
}
for name, columns in rows.items():
    method = penchant.METHODS[name]
    constants = method.constants
    number = method.loss(*(column[0] for column in columns), **constants)
    assert type(number) is float, name
    assert method.loss(*columns, **constants, reduction="none") == [number, number], name
    arrays = method.loss(*map(np.array, columns), **constants, reduction="none")
    assert type(arrays) is np.ndarray and arrays.tolist() == [number, number], name
    print(name, number)
print(penchant.sigmoid(0.0), penchant.log_sigmoid([-800.0]))
"""

EXPECTED = [
    ("dpo", 0.554355244468527),
    ("ipo", 4.0),
    ("kto", 0.462570154656250),
    ("simpo", 0.474076984180107),
    ("orpo", 1.54349888068705),
]


def run(program: str) -> str:
    """The program's output in a fresh interpreter that finds what this one finds."""
    paths = f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
    done = subprocess.run([sys.executable, "-c", paths + textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["torch", "jax", "transformers"])
def test_the_blocker_blocks(name):
    with pytest.raises(AssertionError, match=f"{name} is blocked here"):
        run(BLOCK + f"import {name}")


def test_losses_work_without_any_heavy_library():
    *losses, sigmoids = run(BLOCK + LOSSES).splitlines()
    assert [line.split()[0] for line in losses] == [name for name, _ in EXPECTED]
    assert [float(line.split()[1]) for line in losses] == pytest.approx([value for _, value in EXPECTED], rel=1e-13)
    assert sigmoids == "0.5 [-800.0]"


def test_import_loads_no_heavy_library():
    program = f"""
        import penchant
        assert penchant.dpo_loss([-1.0], [-2.0], [-1.0], [-2.0]) > 0
        print([name for name in {HEAVY!r} if name in sys.modules])
    """
    assert run("import sys\n" + textwrap.dedent(program)) == "[]\n"
