"""The student as it is trained: number format, attention kernel and adapters, by what the device can do."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.import_utils import is_flash_attn_2_available

from tasks.core.environment import has_cpu_bfloat16, has_cuda
from tasks.core.errors import ModelError, SettingsError
from tasks.training.job import TrainingJob
from tasks.training.settings import TrainingSettings


def load_student(weights: Path, settings: TrainingSettings) -> Any:
    """Return the model to train: float32 weights, but those that LoRA freezes in bfloat16 on CUDA, or in 4 bits.

    Raises:
        SettingsError: If quantised weights are asked for where there is no CUDA device or no bitsandbytes.
    """
    options: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": attention_kernel(settings)}
    if settings.lora is not None and has_cuda():
        options["dtype"] = torch.bfloat16 if uses_bfloat16(settings) else torch.float32
    if settings.lora is not None and settings.lora.quantise:
        options["quantization_config"] = _four_bits()
    return AutoModelForCausalLM.from_pretrained(weights, **options)


def load_teacher(job: TrainingJob) -> Any:
    """Return the teacher that a method holds in memory, in the format of the matrix products.

    Raises:
        SettingsError: If there is none.
    """
    settings = job.settings
    if job.teacher is None:
        raise SettingsError(f"the method {settings.method} needs the teacher's weights in memory; give a teacher that is a model")
    return AutoModelForCausalLM.from_pretrained(
        job.teacher,
        dtype=torch.bfloat16 if uses_bfloat16(settings) else torch.float32,
        attn_implementation=attention_kernel(settings),
    )


def load_tokenizer(weights: Path) -> Any:
    """Return the student's tokenizer, with something to pad with."""
    tokenizer: Any = AutoTokenizer.from_pretrained(weights)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def adapters(settings: TrainingSettings) -> LoraConfig | None:
    """Return the adapters to train, or None to train every weight."""
    lora = settings.lora
    if lora is None:
        return None
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) or "all-linear",
        task_type="CAUSAL_LM",
    )


def attention_kernel(settings: TrainingSettings) -> str:
    """Return the attention kernel: the one asked for, or what suits the device and the method."""
    if settings.method == "hidden_states" and settings.hidden_states.attention_weight:
        return "eager"  # no other gives its maps away
    if settings.runtime.attention != "auto":
        return settings.runtime.attention
    return "flash_attention_2" if has_cuda() and is_flash_attn_2_available() and uses_bfloat16(settings) else "sdpa"


def uses_bfloat16(settings: TrainingSettings) -> bool:
    """Return whether matrix products are computed in bfloat16."""
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    if has_cuda():
        return torch.cuda.is_bf16_supported()
    return has_cpu_bfloat16()


@torch.no_grad()
def require_exact_packing(model: Any) -> None:
    """Try out that rows laid end to end do not see each other.

    Raises:
        ModelError: If they do: then packing would train on other contexts than the rows have.
    """
    was_training = model.training
    model.eval()
    one, other = torch.arange(3, 9, device=model.device), torch.arange(9, 13, device=model.device)
    apart = torch.cat([model(input_ids=row[None], use_cache=False).logits[0] for row in (one, other)])
    places = torch.cat([torch.arange(len(one)), torch.arange(len(other))]).to(model.device)
    together = model(input_ids=torch.cat([one, other])[None], position_ids=places[None], use_cache=False).logits[0]
    model.train(was_training)
    tolerance = 1e-3 if model.dtype == torch.float32 else 0.1
    if (apart - together).abs().max() > tolerance * apart.abs().max():
        raise ModelError(
            f"with packing, the rows of {type(model).__name__} see each other (attention {model.config._attn_implementation}): "
            "the student would learn from contexts that no row has; set student.training.packing to false"
        )


def _four_bits() -> Any:
    from transformers import BitsAndBytesConfig
    from transformers.utils.import_utils import is_bitsandbytes_available

    if not has_cuda() or not is_bitsandbytes_available():
        raise SettingsError(
            "lora.quantise holds the frozen weights in 4 bits, which needs a CUDA device and bitsandbytes 0.46.1 or newer "
            "(`pip install bitsandbytes`); set it to false, or train there"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
