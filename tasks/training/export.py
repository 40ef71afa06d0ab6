"""From trained weights to a student that any engine loads: adapters merged, the stored number format, tokenizer beside it."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tasks.training.job import TrainingJob


def export_student(trained: Path, job: TrainingJob) -> None:
    """Write the student.

    The model is loaded anew, so that nothing a method hung onto it for training (projections, say) is exported.

    Args:
        trained: Folder of whole weights, or of adapters, as the Trainer saved them.
        job: Where the student started and where it goes; its number format is that of the starting weights.
    """
    stored_dtype = AutoConfig.from_pretrained(job.weights).dtype or torch.float32
    if job.settings.lora is None:
        student: Any = AutoModelForCausalLM.from_pretrained(trained, dtype=torch.float32)
    else:
        # Quantised weights are not merged into: what they stand for is loaded, in the format of the start.
        start = AutoModelForCausalLM.from_pretrained(job.weights, dtype=torch.float32)
        student = PeftModel.from_pretrained(start, str(trained)).merge_and_unload(safe_merge=True)
    student.to(dtype=stored_dtype).save_pretrained(job.output)
    AutoTokenizer.from_pretrained(job.weights).save_pretrained(job.output)
