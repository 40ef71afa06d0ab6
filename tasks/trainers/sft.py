"""Supervised fine-tuning on answers, with TRL: sequence-level distillation (Kim and Rush 2016, arXiv 1606.07947).

Rows are tokenised here, by the code that renders prompts for generation and evaluation too, and only the answer's tokens
count in the loss. Only they are scored, too: the head over a vocabulary of tens of thousands costs more than a small student's
layers, and prompts are most of a row.
"""

from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from tasks.core.environment import has_cuda
from tasks.core.records import EXAMPLES, Example
from tasks.core.rendering import render_example
from tasks.core.tables import read_table
from tasks.trainers.callbacks import MetricsFile, SealedCheckpoints, StopOnSignal
from tasks.trainers.checkpoints import newest_checkpoint
from tasks.trainers.settings import TrainingJob, TrainingSettings

_IGNORED = -100


class AnswerTrainer(SFTTrainer):
    """TRL's trainer with the same loss, computed from the logits of answer positions alone."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean negative log-likelihood of the answers' tokens, in nats.

        Args:
            model: The model being trained, maybe wrapped.
            inputs: ``input_ids``, ``attention_mask`` and ``labels``, each of shape ``[rows, tokens]``; ignored labels are -100.
            return_outputs: Also return the model's output.
            num_items_in_batch: Answer tokens in all micro-batches of the step; those of this batch when None.
        """
        targets = inputs.pop("labels")[:, 1:]
        columns = (targets != _IGNORED).any(dim=0).nonzero().squeeze(1)
        output = model(**inputs, use_cache=False, logits_to_keep=columns)
        targets = targets[:, columns]
        counted = targets != _IGNORED
        logits, wanted = output.logits[counted].float(), targets[counted]
        items = counted.sum() if num_items_in_batch is None else num_items_in_batch
        loss = nn.functional.cross_entropy(logits, wanted, reduction="sum") / items
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the items were counted over all devices, and DDP averages
        right = (logits.argmax(dim=-1) == wanted).float().mean().item()
        self._metrics["train" if model.training else "eval"]["mean_token_accuracy"].append(right)
        return (loss, output) if return_outputs else loss


def train(job: TrainingJob) -> bool:
    """Train from the newest whole checkpoint, or from the start, and write the trained weights.

    Args:
        job: What to train, on what, and where to write.

    Returns:
        Whether the training finished; False when it was told to stop and left a checkpoint.
    """
    settings = job.settings
    tokenizer = AutoTokenizer.from_pretrained(job.weights)
    model = AutoModelForCausalLM.from_pretrained(job.weights, dtype=torch.float32)
    stored_dtype = AutoConfig.from_pretrained(job.weights).dtype or torch.float32
    rows = list(read_table(job.examples, EXAMPLES))
    stop = StopOnSignal()
    trainer = AnswerTrainer(
        model=model,
        args=_arguments(job),
        train_dataset=_tokenise(tokenizer, [row for row in rows if row["split"] == "train"]),
        eval_dataset=_tokenise(tokenizer, [row for row in rows if row["split"] == "validation"]) or None,
        processing_class=tokenizer,
        peft_config=_adapters(settings),
        callbacks=[MetricsFile(job.metrics), SealedCheckpoints(), stop],
    )
    checkpoint = newest_checkpoint(job.checkpoints)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if stop.stopped:
        return False
    trained: Any = trainer.model
    if isinstance(trained, PeftModel):
        trained = trained.merge_and_unload(safe_merge=True)
    trained.to(dtype=stored_dtype).save_pretrained(job.output)
    tokenizer.save_pretrained(job.output)
    return True


def _tokenise(tokenizer: Any, rows: list[Example]) -> Dataset:
    columns: dict[str, list[list[int]]] = {"input_ids": [], "completion_mask": []}
    for row in rows:
        prompt, completion = render_example(tokenizer, row["messages"], row["text"], row["completion"])
        columns["input_ids"].append(prompt + completion)
        columns["completion_mask"].append([0] * len(prompt) + [1] * len(completion))
    return Dataset.from_dict(columns)


def _arguments(job: TrainingJob) -> SFTConfig:
    settings, cuda = job.settings, has_cuda()
    device_batch = min(settings.runtime.device_batch_size or settings.batch_size, settings.batch_size)
    return SFTConfig(
        output_dir=str(job.checkpoints),
        use_cpu=not cuda,
        bf16=_uses_bfloat16(settings),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        per_device_train_batch_size=device_batch,
        per_device_eval_batch_size=device_batch,
        gradient_accumulation_steps=-(-settings.batch_size // device_batch),
        gradient_checkpointing=cuda,  # memory is what a GPU lacks, time what a CPU lacks
        train_sampling_strategy="group_by_length",  # rows of one batch are of like length, so little is padded
        max_length=None,  # over-long rows were rejected, with a reason, by the dataset's length filter
        completion_only_loss=True,
        eval_strategy="epoch",
        save_strategy="steps",
        save_steps=settings.runtime.checkpoint_steps,
        save_total_limit=2,
        logging_steps=5,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
        seed=settings.seed,
        data_seed=settings.seed,
    )


def _adapters(settings: TrainingSettings) -> LoraConfig | None:
    if settings.lora_rank is None:
        return None
    return LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")


def _uses_bfloat16(settings: TrainingSettings) -> bool:
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    return torch.cuda.is_bf16_supported() if has_cuda() else torch.backends.mkldnn.is_available() and _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
