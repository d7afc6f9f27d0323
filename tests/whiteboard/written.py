"""Every method written by hand from its steps, as `penchant explain` shows them: right code for `penchant check`."""

from __future__ import annotations

from penchant.objectives import METHODS
from penchant.whiteboard import examples
from penchant.whiteboard.inputs import CATALOGUE_ROLES
from penchant.whiteboard.walkthroughs import WALKTHROUGHS

_HEAD = """import numpy as np

where, maximum, minimum, exp, log = np.where, np.maximum, np.minimum, np.exp, np.log


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def sigmoid(x):
    return np.exp(log_sigmoid(x))


def log1mexp(x):
    return np.where(x > -0.693, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


"""
_NAMES = {
    "pw": "policy_chosen_logps",
    "pl": "policy_rejected_logps",
    "rw": "ref_chosen_logps",
    "rl": "ref_rejected_logps",
    "m": "chosen_lengths",
    "n": "rejected_lengths",
    "p": "policy_logps",
    "r": "ref_logps",
    "y": "is_desirable",
    "z0": "z_ref",
}


def written(name: str) -> str:
    """The method as a file of NumPy."""
    method, steps = METHODS[name], WALKTHROUGHS[name].steps
    symbols = examples.symbols_of(method)
    constants = {key: value for key, value in method.constants.items() if not isinstance(value, str)}
    given = [_NAMES.get(symbol, symbol) for symbol in symbols] + [f"{key}={value}" for key, value in constants.items()]
    renamed = {symbol: _NAMES[symbol] for symbol in symbols if symbol in _NAMES}
    renamed |= {CATALOGUE_ROLES[key]: key for key in constants if key in CATALOGUE_ROLES}
    lines = [f"{short} = {long}" for short, long in renamed.items()]
    lines += [f"{step.name} = {step.expression}" for step in steps]
    body = "\n".join(f"    {line}" for line in [*lines, f"return {steps[-1].name}"])
    return f"{_HEAD}def {name}_loss({', '.join(given)}):\n{body}\n"
