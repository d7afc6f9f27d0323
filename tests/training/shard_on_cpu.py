"""Trainings on two CPU processes with sharded weights as on GPUs: accelerate 1.15 runs DDP if FSDP is asked for there.

Started with a JSON file of settings, one training after the other. accelerate is told that it runs FSDP; all that
follows is accelerate's own preparing of the model, with torch's own ``fully_shard``, on gloo. The processes are forked
after the imports, which take most of a small training's time.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import wraps
from pathlib import Path

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from penchant.training import run, sharding

PROCESSES = 2
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


def forked():
    """The number of this process, one of those that the parent has made; the parent ends with them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    os.environ.update(where | {"WORLD_SIZE": str(PROCESSES), "LOCAL_WORLD_SIZE": str(PROCESSES)})
    children = []
    for rank in range(PROCESSES):
        child = os.fork()
        if not child:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            return
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children))


if __name__ == "__main__":
    forked()
    shard_on_cpu()
    for settings in json.loads(Path(sys.argv[1]).read_text()):
        run.train(**settings, use_cpu=True)
