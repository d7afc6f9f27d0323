"""Trainings on two CPU processes under DeepSpeed: accelerate 1.15 runs it on accelerators alone.

Started with a JSON file of settings, one training after the other. accelerate is told that CPU processes are many, as
it is of GPUs; all that follows is its own and DeepSpeed's, on gloo.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from accelerate.state import PartialState
from accelerate.utils import DistributedType
from shard_on_cpu import forked

from penchant.training import run, sharding


def zero_on_cpu():
    os.environ["DS_ACCELERATOR"] = "cpu"
    PartialState._prepare_backend = lambda *args: ("gloo", DistributedType.MULTI_CPU)
    sharding.accelerate_shards = lambda device: True


if __name__ == "__main__":
    forked()
    zero_on_cpu()
    for settings in json.loads(Path(sys.argv[1]).read_text()):
        run.train(**settings)
