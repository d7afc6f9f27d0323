"""``PYTHONPATH=tests python -m objectives.rows dpo_loss``: the numbers to type in the golden rows of a function."""

import sys

from . import ROWS
from .recipe import type_row

for row in ROWS:
    if row.function in sys.argv[1:]:
        print(f"{row}\n    {type_row(row, len(row.steep))}")
