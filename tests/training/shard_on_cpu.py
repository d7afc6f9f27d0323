"""Trainings on CPU processes with weights sharded as on GPUs: accelerate 1.15 runs DDP when FSDP is asked for there.

Started by ``torchrun`` with a JSON file of settings, one training after the other. accelerate is told that it runs
FSDP; all that follows is accelerate's own preparing of the model, with torch's own ``fully_shard``, on gloo.
"""

from __future__ import annotations

import json
import os
import sys
from functools import wraps
from pathlib import Path

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

import penchant
from penchant.training import sharding

ASKED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}


def shard_on_cpu():
    begin = AcceleratorState.__init__

    @wraps(begin)
    def begun(self, *args, fsdp_plugin=None, **options):
        begin(self, *args, fsdp_plugin=fsdp_plugin, **options)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP  # as accelerate ends it on a GPU

    AcceleratorState.__init__ = begun
    sharding.accelerate_shards = lambda device: True
    os.environ.update(ASKED)


if __name__ == "__main__":
    shard_on_cpu()
    for settings in json.loads(Path(sys.argv[1]).read_text()):
        penchant.train(**settings, use_cpu=True)
