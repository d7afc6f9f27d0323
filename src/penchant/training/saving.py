"""What a checkpoint is made of: transformers' files and what else a run goes on from, sealed once all is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from penchant.training.checkpoints import seal, written_whole
from penchant.training.hub import open_repository, repository
from penchant.training.running import Kept
from penchant.training.zero import whole


class SavingTrainer(Trainer):
    """A Trainer whose checkpoints are whole or known not to be, and take along what its subclass keeps."""

    def _kept(self) -> Sequence[Kept]:
        """What a checkpoint takes along beside transformers' own files."""
        return ()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """transformers' checkpoint, sealed when every process has written its part; older ones go only after that."""
        folder = Path(self.args.output_dir, f"checkpoint-{self.state.global_step}")
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            with written_whole(folder):
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    seal(folder)
        finally:
            self.args.save_total_limit = limit
        if self.args.should_save:
            rotate_checkpoints(str(folder.parent), limit, self.state.best_model_checkpoint, use_mtime=True)
        self.accelerator.wait_for_everyone()

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            for kept in self._kept():
                kept.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            for kept in self._kept():
                kept.load(checkpoint)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The model as files that transformers and peft load; of an adapted model those that learn. What processes
        share is gathered first.
        """
        if not self.accelerator.is_fsdp2 and self.deepspeed is None:
            super().save_model(output_dir, _internal_call=True)  # a finished run is pushed whole, by hub.py
            return
        keep, learning = bool(self.args.should_save), {n for n, p in self.model.named_parameters() if p.requires_grad}
        adapted = hasattr(self.model, "peft_config")
        state = whole_state(self.model, lambda name: not adapted or name in learning, keep=keep)
        if keep:
            self._save(output_dir, state_dict=state)
        self.accelerator.wait_for_everyone()

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Open the repository before anything is trained."""
        if self.args.push_to_hub and self.is_world_process_zero():
            open_repository(repository(self.args), private=self.args.hub_private_repo)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Weights in safetensors and the tokenizer; no pickled arguments."""
        target = output_dir or self.args.output_dir
        model = self.accelerator.unwrap_model(self.model)
        # an adapter that serves as the reference stands beside the trained one and is not part of the result
        chosen = {"selected_adapters": model.active_adapters} if hasattr(model, "peft_config") else {}
        model.save_pretrained(target, state_dict=state_dict, is_main_process=self.args.should_save, **chosen)
        if self.args.should_save and self.processing_class is not None:
            self.processing_class.save_pretrained(target)


def whole_state(model: Any, wanted: Callable[[str], bool], *, keep: bool) -> dict[str, Any]:
    """A model's tensors by name, each gathered from all processes, one at a time; on the CPU.

    Args:
        model: The model, sharded or not; all processes call this together.
        wanted: Which names.
        keep: Whether this process wants the result; on the others it is empty.
    """
    first: dict[int, str] = {}  # of a weight that goes by several names
    alias = {name: first.setdefault(id(one), name) for name, one in model.named_parameters(remove_duplicate=False)}
    state: dict[str, Any] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if not wanted(name):
            continue
        if alias.get(name, name) != name:
            state[name] = state.get(alias[name])
            continue
        gathered = _gathered(tensor)
        state[name] = gathered.cpu() if keep else None
    return state if keep else {}


def _gathered(tensor: Any) -> Any:
    """A tensor, gathered from all processes where they share it; all of them call this together."""
    if hasattr(tensor, "ds_id"):
        return whole(tensor)
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor.detach()
