"""Reference log-probs kept on disk: content-addressed, append-only, shared between runs, methods and processes.

A store is a folder. Inside it, one folder for each thing that computes (weights, type, engine, library), named by a
hash of all of them, with a manifest that says what they were and any number of Parquet shards. A row is addressed by a
hash of its prompt's and answer's token ids. A shard appears under its name only once it is whole, so a run may be
killed at any moment; nothing is ever rewritten.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penchant.errors import InputError
from penchant.logps.engine import Batch, Engine, base_model
from penchant.logps.layout import Group
from penchant.spool import Chosen
from penchant.whole import write_whole

KERNELS = 2
"""Raised whenever the engine's numbers may change, so that older rows are not taken for new ones."""

_MANIFEST = "manifest.json"
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
_LOW_PRECISION = 3e-2


@dataclass(frozen=True, slots=True)
class Source:
    """What computes a reference log-prob; every field is part of the address.

    Attributes:
        weights: SHA-256 of the weights without an adapter, names and types included.
        dtype: Type of the weights.
        engine: The engine's way of computing.
        kernels: Version of the engine's numbers.
        torch: PyTorch's version.
        products: The setting of float32 matrix products.
        device: The kind of device.
        autocast: The type that autocast computes in, if it is on.
    """

    weights: str
    dtype: str
    engine: str
    kernels: int = KERNELS
    torch: str = torch.__version__
    products: str = ""
    device: str = "cpu"
    autocast: str = ""

    @classmethod
    def of(cls, model: Any, engine: Engine) -> Source:
        """The model without its adapter, as this engine computes it here and under the autocast that is in force."""
        weight = base_model(model).get_input_embeddings().weight
        device = weight.device.type
        low = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else ""
        return cls(
            hash_weights(model),
            str(weight.dtype).removeprefix("torch."),
            engine.computes,
            products=torch.get_float32_matmul_precision(),
            device=device,
            autocast=low.removeprefix("torch."),
        )

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that stand for all of it."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def hash_weights(model: Any) -> str:
    """SHA-256 of a model's parameters without its adapter; the same with and without an adapter around it."""
    digest = hashlib.sha256()
    for name, parameter in base_model(model).named_parameters():
        if "lora_" in name:
            continue
        digest.update(f"{name.replace('.base_layer.', '.')} {parameter.dtype} {tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def address(prompt: Sequence[int], answer: Sequence[int]) -> bytes:
    """Sixteen bytes that stand for a prompt's and an answer's token ids."""
    ids = np.array([len(prompt), *prompt, *answer], dtype=np.int64)
    return hashlib.sha256(ids.tobytes()).digest()[:16]


class ReferenceStore:
    """The rows of one source in a store folder, in memory as sums; the tokens' log-probs are read when asked for.

    Args:
        folder: The store; made if it is not there.
        source: What computes.
        about: What else the manifest should say, for people: the model's name, the template.

    Raises:
        InputError: if the folder is something else, cannot be written, or its manifest is damaged.
    """

    def __init__(self, folder: str | Path, source: Source, about: dict[str, str] | None = None) -> None:
        self.root, self.source = Path(folder), source
        self.folder = self.root / source.key
        self.sums: dict[bytes, float] = {}
        self.by_token: dict[bytes, Any] = {}
        self.shards, self.tokens, self.damaged = 0, 0, list[str]()
        _check_root(self.root)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / _MANIFEST).exists():
                fields = {name: getattr(source, name) for name in source.__slots__}
                text = json.dumps(fields | {"about": about or {}}, indent=2) + "\n"
                write_whole(self.folder / _MANIFEST, text)
        except OSError as error:
            raise InputError(f"the store cannot be written: {error.strerror}", where=str(folder)) from error
        self.reload()

    def reload(self) -> None:
        """Read all whole shards; a damaged one is left out and named in ``damaged``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.sums, self.shards, self.tokens, self.damaged = {}, 0, 0, []
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                table = pq.read_table(path, columns=["address", "logp", "tokens"])
            except (pa.ArrowException, OSError) as error:
                self.damaged.append(f"{path.name}: {' '.join(str(error).split())[:100]}")
                continue
            self.shards += 1
            self.sums |= dict(zip(table["address"].to_pylist(), table["logp"].to_pylist(), strict=True))
            self.tokens += int(sum(table["tokens"].to_pylist()))

    def __len__(self) -> int:
        return len(self.sums)

    def report(self) -> list[str]:
        """What the store holds, line by line."""
        size = sum(path.stat().st_size for path in self.folder.glob("*.parquet"))
        source = self.source
        return [
            f"store      {self.folder}: {len(self):,} answers, {self.tokens:,} tokens, {self.shards} shards, "
            f"{size / 1e6:.1f} MB",
            f"made by    weights {source.weights[:12]}, {source.dtype}, {source.engine} (version {source.kernels}), "
            f"torch {source.torch} on {source.device}, float32 products {source.products!r}"
            f"{f', autocast {source.autocast}' if source.autocast else ''}",
            *(f"damaged    {damage}; its rows were computed again" for damage in self.damaged),
        ]

    def holds(self, group: Group) -> bool:
        """Whether all answers of a group are in the store."""
        prompt, answers = group
        return all(address(prompt, answer) in self.sums for answer in answers)

    def missing(self, groups: Sequence[Group]) -> Chosen[Group]:
        """The groups of which an answer is not in the store, each once."""
        seen: set[bytes] = set()
        places = array("q")
        for place, (prompt, answers) in enumerate(groups):
            addresses = [address(prompt, answer) for answer in answers]
            if not all(one in self.sums for one in addresses):
                whole = b"".join(addresses)
                if whole not in seen:
                    places.append(place)
                seen.add(whole)
        return Chosen(groups, places)

    def add(self, rows: Sequence[tuple[bytes, list[float]]]) -> None:
        """Append rows as one shard: an address, and the tokens' log-probs in nats.

        Raises:
            InputError: if the shard cannot be written; what was there stays as it was.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not rows:
            return
        sums = [float(np.sum(np.array(logps, dtype=np.float64))) for _, logps in rows]
        table = pa.table(
            {
                "address": pa.array([one for one, _ in rows], pa.binary(16)),
                "logp": pa.array(sums, pa.float64()),
                "tokens": pa.array([len(logps) for _, logps in rows], pa.int32()),
                "token_logps": pa.array([logps for _, logps in rows], pa.list_(pa.float32())),
            }
        )
        name = f"{uuid.uuid4().hex}.parquet"
        try:
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink)
            write_whole(self.folder / name, sink.getvalue().to_pybytes())
        except OSError as error:
            fix = "What was computed before is kept; make room and start again"
            raise InputError(f"the store cannot be written: {error.strerror}", where=str(self.root), fix=fix) from error
        self.sums |= dict(zip((one for one, _ in rows), sums, strict=True))
        self.shards, self.tokens = self.shards + 1, self.tokens + sum(len(logps) for _, logps in rows)

    def logps(self, batch: Batch) -> Tensor:
        """Stored log-probs of a batch's answers, float64, shape ``(answers,)``.

        Raises:
            InputError: if a row was never computed.
        """
        addresses = self._addresses(batch)
        return torch.tensor([self.sums[one] for one in addresses], dtype=torch.float64, device=batch.target_N.device)

    def token_logps(self, batch: Batch) -> Tensor:
        """Stored log-probs of a batch's answer tokens, float32, shape ``(N,)``. The first call reads them all: 4 bytes
        a token.

        Raises:
            InputError: if a row was never computed.
        """
        addresses = self._addresses(batch)
        if any(one not in self.by_token for one in addresses):
            self.by_token = dict(self._read_tokens())
        found = np.concatenate([self.by_token[one] for one in addresses])
        return torch.from_numpy(found).to(batch.target_N.device)

    def _read_tokens(self) -> Iterator[tuple[bytes, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in sorted(self.folder.glob("*.parquet")):
            if not any(damage.startswith(path.name) for damage in self.damaged):
                try:
                    table = pq.read_table(path, columns=["address", "token_logps"])
                except (pa.ArrowException, OSError) as error:
                    what = f"a shard's log-probs per token cannot be read: {' '.join(str(error).split())[:100]}"
                    fix = "Delete the shard: its rows are computed again"
                    raise InputError(what, where=str(path), fix=fix) from error
                for chunk in table.to_batches():
                    lists = chunk["token_logps"]
                    values, starts = lists.values.to_numpy(), lists.offsets.to_numpy()
                    pieces = (values[i:j].astype(np.float32) for i, j in itertools.pairwise(starts))
                    yield from zip(chunk["address"].to_pylist(), pieces, strict=True)

    def _addresses(self, batch: Batch) -> list[bytes]:
        """Where a batch's answers are."""
        addresses = [address(prompt, answer) for prompt, answers in batch.groups for answer in answers]
        absent = sum(one not in self.sums for one in addresses)
        if absent:
            raise InputError(f"the store lacks {absent} of a batch's rows", where=str(self.folder), fix="Fill it first")
        return addresses

    def check(self, groups: Sequence[Group], computed: Tensor) -> None:
        """Compare stored rows with the same rows computed now.

        Raises:
            InputError: if they differ by more than rounding.
        """
        stored = [self.sums[address(prompt, answer)] for prompt, answers in groups for answer in answers]
        values = torch.tensor(stored, dtype=torch.float64)
        gap = ((values - computed.cpu()).abs() / (1 + values.abs())).max().item() if stored else 0.0
        dtype = getattr(torch, self.source.autocast or self.source.dtype)
        tolerance = _TOLERANCE.get(dtype, _LOW_PRECISION)
        if not gap <= tolerance:
            raise InputError(
                "the reference store does not hold what this model computes",
                where=str(self.folder),
                got=f"stored rows differ by {gap:.2g} of their size",
                fix="Something changed it from outside; delete this folder and fill it again",
            )


def _check_root(root: Path) -> None:
    """A store folder holds folders with manifests, and nothing else."""
    if root.exists() and not root.is_dir():
        raise InputError("the reference store must be a folder", where=str(root))
    for path in sorted(root.iterdir()) if root.exists() else ():
        if not path.is_dir() or len(path.name) != 16:
            raise InputError("this folder is not a reference store", where=str(root), got=f"it holds {path.name}")
        manifest = path / _MANIFEST
        try:
            if manifest.exists():
                json.loads(manifest.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            fix = "Delete this folder; its rows are computed again"
            raise InputError("a manifest of the reference store is damaged", where=str(manifest), fix=fix) from error
