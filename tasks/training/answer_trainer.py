"""TRL's SFTTrainer with a loss over answer positions: what all methods but on-policy distillation build on."""

import time
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from trl.trainer.sft_trainer import SFTTrainer

from tasks.core.environment import has_cuda
from tasks.core.memory import held_bytes
from tasks.training.chunked_head import add_chunked_head
from tasks.training.row_order import RowOrder, with_fillers
from tasks.training.training_rows import IGNORED

_COLUMNS = ["input_ids", "labels", "length", "weight", "row", "split"]
_EXTRAS = ("weights", "top_ids", "top_logprobs")
_ANSWER_TOKENS, _TOKENS, _LOSS = "answer tokens", "tokens", "total loss"


class AnswerTrainer(SFTTrainer):
    """Trains on the answers' tokens: ``loss_of`` says how wrong the logits of some positions are; here it is cross-entropy.

    A row's weight multiplies the losses of its tokens; their sum is divided by the number of answer tokens in the step.
    """

    loss_is_scaled_for_ga = True  # the loss is divided by the tokens of all micro-batches of a step

    def __init__(self, *args: Any, chunk_tokens: int, **kwargs: Any) -> None:
        """Prepare the training.

        Args:
            args: As SFTTrainer takes them.
            chunk_tokens: Positions whose logits are held at a time.
            kwargs: As SFTTrainer takes them.
        """
        super().__init__(*args, **kwargs)
        arguments: Any = self.args
        self._pass_rows = arguments.train_batch_size * arguments.world_size  # of one forward pass on all devices
        self._step_rows = self._pass_rows * arguments.gradient_accumulation_steps
        self._lengths = list(self.train_dataset["length"])  # pyright: ignore
        if arguments.world_size > 1:
            self.train_dataset: Any = with_fillers(self.train_dataset)  # pyright: ignore
            if self.eval_dataset is not None:
                rows: Any = self.eval_dataset
                self.eval_dataset: Any = with_fillers(rows, -len(rows) % self._pass_rows)
        unwrapped: Any = self.model
        add_chunked_head(unwrapped.get_base_model() if hasattr(unwrapped, "get_base_model") else unwrapped, chunk_tokens)
        self._sums: dict[str, dict[str, Any]] = {"train": {}, "eval": {}}
        self._logged_at = time.monotonic()

    def loss_of(self, logits: Tensor, targets: Tensor, extras: dict[str, Tensor], sums: dict[str, Tensor]) -> Tensor:
        """Return the loss of each of some positions, in nats.

        Args:
            logits: float32 [n, vocabulary].
            targets: The tokens that are there, [n].
            extras: What the collator brought for these positions, each [n, ...].
            sums: Figures to be logged are added here, as sums over positions.
        """
        del extras
        loss = nn.functional.cross_entropy(logits, targets, reduction="none")
        sums["ce_loss"] = sums.get("ce_loss", 0) + loss.detach().sum()
        return loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the weighted loss per answer token of the step.

        Args:
            model: The model being trained, maybe wrapped.
            inputs: A batch of ``AnswerCollator``.
            return_outputs: Also return the model's output.
            num_items_in_batch: Answer tokens in all micro-batches of the step, over all devices; those of this batch when None.
        """
        extras = {name: inputs.pop(name) for name in _EXTRAS if name in inputs}
        self._count(model, inputs)
        labels = inputs.pop("labels")
        positions = torch.zeros_like(labels, dtype=torch.bool)
        positions[:, :-1] = labels[:, 1:] != IGNORED
        targets = labels[:, 1:][positions[:, :-1]]
        weights = extras.pop("weights")
        sums: dict[str, Tensor] = {}

        def answer_loss(logits: Tensor, chunk: slice) -> Tensor:
            losses = self.loss_of(logits, targets[chunk], {name: values[chunk] for name, values in extras.items()}, sums)
            right = logits.detach().argmax(dim=-1) == targets[chunk]
            sums["mean_token_accuracy"] = sums.get("mean_token_accuracy", 0) + right.sum()
            return (losses * weights[chunk]).sum()

        output = model(**inputs, **self.wanted_outputs, answer_loss=answer_loss, positions=positions)
        items = positions.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        total = self.total_loss(output, inputs, positions, sums)
        loss = total / items
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the items were counted over all devices, and DDP averages
        self._add(model, {**sums, _LOSS: total.detach(), _ANSWER_TOKENS: positions.sum()})
        return (loss, output) if return_outputs else loss

    wanted_outputs: dict[str, bool] = {}  # noqa: RUF012 - a constant of each method
    """Further outputs that the method needs of the model's forward pass."""

    def total_loss(self, output: Any, inputs: dict[str, Any], positions: Tensor, sums: dict[str, Tensor]) -> Tensor:
        """Return the sum of all losses of a batch: those of the answer positions, and whatever a method adds."""
        del inputs, positions, sums
        return output["loss"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the figures per answer token with the speed since the last time, over all devices, and the memory held."""
        mode = "train" if self.model.training else "eval"  # pyright: ignore
        totals = self._take_totals(mode)
        tokens, answer_tokens, loss = (totals.pop(name, 0) for name in (_TOKENS, _ANSWER_TOKENS, _LOSS))
        if loss and "eval_loss" in logs:  # the Trainer's own is a mean of batches, whatever their sizes
            logs["eval_loss"] = loss / answer_tokens
        self._metrics[mode].update({name: [total / answer_tokens] for name, total in totals.items()})
        if "loss" in logs:
            now = time.monotonic()
            logs["tokens_per_second"] = round(tokens / max(now - self._logged_at, 1e-9), 1)
            logs["memory_bytes"] = torch.cuda.max_memory_allocated() if has_cuda() else held_bytes()
            self._logged_at = now
        super().log(logs, start_time)

    def _count(self, model: Any, inputs: dict[str, Any]) -> None:
        self._add(model, {_TOKENS: int(inputs.pop("num_tokens"))})

    def _add(self, model: Any, sums: dict[str, Any]) -> None:
        kept = self._sums["train" if model.training else "eval"]
        kept.update({name: kept.get(name, 0) + value for name, value in sums.items()})

    def _take_totals(self, mode: str) -> dict[str, float]:
        """Return the sums since the last log over all processes; one that had only fillers lacks some."""
        own = {name: float(value) for name, value in self._sums[mode].items()}
        self._sums[mode] = {}
        shares: list[dict[str, float]] = gather_object([own])
        return {
            name: sum(share.get(name, 0.0) for share in shares) for name in dict.fromkeys(n for share in shares for n in share)
        }

    def _get_train_sampler(self, train_dataset: Any = None) -> RowOrder:
        del train_dataset
        return RowOrder(self._lengths, self._step_rows, self.args.seed, self._pass_rows if self.args.world_size > 1 else 1)

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = _COLUMNS
