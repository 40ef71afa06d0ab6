"""From settings to vLLM's sampling parameters."""

from vllm import SamplingParams
from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind, StructuredOutputsParams

from tasks.teachers.settings import LogprobSettings, Sampling


def sampling_parameters(sampling: Sampling, logprobs: LogprobSettings | None) -> SamplingParams:
    """Return the parameters of every request, but for its seed.

    Args:
        sampling: How answers are sampled; ``structured_output.labels`` is resolved to ``choice`` by the caller.
        logprobs: Which log-probabilities are reported; None: none.
    """
    sampled = sampling.temperature > 0
    repetition = sampling.repetition
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p if sampled else 1.0,
        top_k=sampling.top_k or 0,
        min_p=sampling.min_p if sampled else 0.0,
        max_tokens=sampling.new_tokens,
        stop=list(sampling.stop) or None,
        structured_outputs=_structured_outputs(sampling),
        repetition_detection=repetition
        and RepetitionDetectionParams(
            max_pattern_size=repetition.max_pattern_tokens, min_pattern_size=1, min_count=repetition.min_count
        ),
        logprobs=None if logprobs is None else logprobs.top_k,
        flat_logprobs=logprobs is not None,
        detokenize=bool(sampling.stop),  # other answers are decoded whole, outside the engine's loop
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _structured_outputs(sampling: Sampling) -> StructuredOutputsParams | None:
    wanted = sampling.structured_output
    if wanted is None:
        return None
    if wanted.json_schema is not None:
        return StructuredOutputsParams(json=wanted.json_schema)
    if wanted.regex is not None:
        return StructuredOutputsParams(regex=wanted.regex)
    return StructuredOutputsParams(choice=list(wanted.choice))
