"""The order of the rows over several processes: the steps of a shuffled epoch, each shared out by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class SharedOrder(Sampler[int]):
    """Another sampler's rows, step by step in its order, but within a step so that processes get equally many tokens.

    A step's rows are the same as on one process. accelerate gives its first part to the first process and so on; every
    process gets as many rows as every other, and the longest row left goes to the one with the fewest tokens so far.

    Args:
        inner: The order of the rows; the same on every process.
        sizes: Tokens of each row.
        per_step: Rows in an optimiser step.
        processes: How many share a step; divides per_step.
    """

    def __init__(
        self, inner: Sampler[int], sizes: Sequence[int] | NDArray[np.int32], per_step: int, processes: int
    ) -> None:
        self.inner, self.sizes, self.per_step, self.processes = inner, sizes, per_step, processes

    def __len__(self) -> int:
        assert isinstance(self.inner, Sized)
        return len(self.inner)

    def __iter__(self) -> Iterator[int]:
        step: list[int] = []
        for index in self.inner:
            step.append(index)
            if len(step) == self.per_step:
                yield from self._shared(step)
                step = []
        yield from step

    def set_epoch(self, epoch: int) -> None:
        """Another order for another epoch."""
        if hasattr(self.inner, "set_epoch"):
            self.inner.set_epoch(epoch)

    def _shared(self, step: list[int]) -> Iterator[int]:
        shares: list[list[int]] = [[] for _ in range(self.processes)]
        for index in sorted(step, key=self.sizes.__getitem__, reverse=True):
            open_shares = [share for share in shares if len(share) < self.per_step // self.processes]
            min(open_shares, key=lambda share: sum(self.sizes[one] for one in share)).append(index)
        for share in shares:
            yield from share
