"""A Trainer whose data loader gives token rows as they are: a process's share of a step, and all rows to evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import SequentialSampler

from penchant.training.fillers import marked
from penchant.training.microbatch import positions
from penchant.training.order import SharedOrder
from penchant.training.recorder import Rows
from penchant.training.sharing import SharingTrainer


class LoadingTrainer(SharingTrainer):
    """What differs from transformers' way with data: order, rows left over, and that rows stay rows."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """transformers' order of the rows; over several processes, each step shared out by length."""
        rows = self.train_dataset if train_dataset is None else train_dataset
        if self.accelerator.num_processes == 1:
            return super()._get_train_sampler(rows)
        shuffled = str(self.args.train_sampling_strategy) == "random"
        # accelerate's own order on one process
        inner = SeedableRandomSampler(rows, data_seed=self.args.data_seed) if shuffled else SequentialSampler(rows)
        sizes = np.fromiter(map(positions, rows), np.int32, len(rows))
        return SharedOrder(inner, sizes, self.args.batch_size, self.accelerator.num_processes)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """All rows: ``dataloader_drop_last`` is about the steps of training, transformers applies it here too."""
        drops, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.args.dataloader_drop_last = drops

    def _marked(self, rows: Sequence[Any], epoch: int) -> Rows:
        return marked(rows, self.accelerator, epoch)

    def _prepare_inputs(self, inputs: dict[str, Rows]) -> dict[str, Rows]:
        return inputs

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the Trainer's estimate assumes padded next-token batches."""
        return 0
