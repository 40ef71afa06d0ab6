"""How much memory a training takes on each device, by arithmetic, and what to change where that is too much.

Weights, gradients and optimiser state are counted exactly. Activations follow Korthikanti et al. 2022, "Reducing Activation
Recomputation in Large Transformer Models" (arXiv 2205.05198), section 4, term by term for layers of today: gated feed-forward
layers, grouped queries, norms in float32, attention kernels that keep no map. What allocators waste, and the keys and values of
on-policy samples, are not counted.
"""

from pydantic import BaseModel, ConfigDict, computed_field

from tasks.core.errors import SettingsError
from tasks.preflight_checks.shape import ModelShape
from tasks.training.settings import LoraSettings, TrainingSettings

_GIB = 1 << 30
_FLOAT32, _BFLOAT16, _NF4 = 4, 2, 0.55  # bytes a weight; NF4 with its doubly quantised scales and what stays unquantised
_ADAM = 2 * _FLOAT32
_LOGIT_COPIES = 3  # the logits, what the loss makes of them, and their gradient


class MemoryEstimate(BaseModel):
    """Bytes on each device, at the worst moment of a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: int
    """Weights of the student, trained and frozen."""
    rows: int
    """Rows in one forward pass."""
    checkpointing: bool
    """Whether activations are recomputed."""
    weights: int
    """The student's weights, and their copies in the format of the matrix products."""
    gradients: int
    optimizer: int
    activations: int
    logits: int
    """Logits of one chunk, and the head's gradient."""
    teacher: int
    """Weights and states of a teacher that is held in memory."""

    @computed_field
    @property
    def total(self) -> int:
        """All of these together."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.teacher


def estimate_training_bytes(
    shape: ModelShape, settings: TrainingSettings, max_tokens: int, teacher: ModelShape | None = None, *, cuda: bool = True
) -> MemoryEstimate:
    """Return how much memory a training takes on each device.

    Args:
        shape: The student's shape.
        settings: How it is trained.
        max_tokens: Longest row, prompt and answer.
        teacher: The shape of a teacher that is held in memory, whole on every device; None without one.
        cuda: Whether the device is a GPU, which decides the settings that are left open.
    """
    runtime = settings.runtime
    devices = runtime.processes * runtime.nodes
    shards = devices if runtime.sharding == "full" else 1
    element = _BFLOAT16 if settings.precision == "bfloat16" or (settings.precision == "auto" and cuda) else _FLOAT32
    checkpointing = cuda if runtime.gradient_checkpointing is None else runtime.gradient_checkpointing
    share = max(settings.batch_size // devices, 1)
    rows = min(runtime.device_batch_size or share, share)
    tokens = rows * max_tokens
    trained = shape.parameters if settings.lora is None else _adapter_weights(shape, settings.lora)
    chunk = min(runtime.loss_chunk_tokens, tokens) * shape.vocabulary_rows * _FLOAT32 * _LOGIT_COPIES
    head = 0 if settings.lora is not None else shape.vocabulary_rows * shape.hidden_size * (_FLOAT32 + element)
    buckets = 2 if devices > 1 and shards == 1 else 1  # DDP averages gradients in buffers of its own
    return MemoryEstimate(
        parameters=shape.parameters,
        rows=rows,
        checkpointing=checkpointing,
        weights=_weights(shape, settings.lora, trained, element, shards, cuda),
        gradients=trained * _FLOAT32 * buckets // shards,
        optimizer=trained * _ADAM // shards,
        activations=_activations(shape, settings, tokens, max_tokens, element, checkpointing),
        logits=chunk + head,
        teacher=0 if teacher is None else _teacher(teacher, settings, tokens, max_tokens, element),
    )


def require_memory(estimate: MemoryEstimate, device_gib: float, settings: TrainingSettings) -> None:
    """Refuse a training that does not fit on its device.

    Args:
        estimate: What it takes.
        device_gib: Memory of one device, in GiB.
        settings: How it is trained; the remedies are what may still be changed in them.

    Raises:
        SettingsError: If it does not fit.
    """
    if estimate.total <= device_gib * _GIB:
        return
    parts = ("weights", "gradients", "optimizer", "activations", "logits", "teacher")
    shown = ", ".join(f"{part} {_gib(getattr(estimate, part))}" for part in parts if getattr(estimate, part))
    raise SettingsError(
        f"the training takes about {_gib(estimate.total)} GiB on each device ({shown}), and a device has {device_gib:g} GiB; in "
        f"this order, try: {'; '.join(_remedies(estimate, device_gib * _GIB, settings))}"
    )


def _weights(shape: ModelShape, lora: LoraSettings | None, trained: int, element: int, shards: int, cuda: bool) -> int:
    if lora is None:
        whole, inner = trained * _FLOAT32, shape.parameters - shape.embedding_parameters
        copies = inner * element if element < _FLOAT32 else 0  # autocast keeps them until the pass is over
    else:
        frozen = element if cuda else _FLOAT32
        inner = (shape.parameters - shape.embedding_parameters) * (_NF4 if lora.quantise else frozen)
        whole, copies = int(inner + shape.embedding_parameters * frozen + trained * _FLOAT32), 0
    if shards == 1:
        return whole + copies
    gathered = shape.embedding_parameters + 2 * _layer_weights(shape)  # the layer at work, and the next one on its way
    return whole // shards + gathered * element


def _activations(
    shape: ModelShape, settings: TrainingSettings, tokens: int, max_tokens: int, element: int, checkpointing: bool
) -> int:
    layer = _layer_activations(shape, max_tokens, element, eager=_is_eager(settings))
    kept = layer + shape.layers * _FLOAT32 * shape.hidden_size if checkpointing else shape.layers * layer
    ends = 3 * _FLOAT32 * shape.hidden_size  # embeddings, and the last norm with its input
    return tokens * (kept + layer + ends)  # the layer that is gone back through has its gradients beside its activations


def _layer_activations(shape: ModelShape, max_tokens: int, element: int, *, eager: bool) -> int:
    """Return the bytes that one layer keeps of one token for its backward pass."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    norms = 4 * _FLOAT32 * shape.hidden_size  # two norms, each with its input and that input normalised
    inputs = 2 * element * shape.hidden_size  # of the attention and the feed-forward layer
    attention = element * (3 * queries + 2 * keys)  # queries, keys, values, output, and that output for its projection
    maps = shape.heads * max_tokens * (_FLOAT32 + element) if eager else 0
    feed_forward = 4 * element * shape.intermediate_size  # gate, its activation, up, and their product
    return norms + inputs + attention + maps + feed_forward


def _teacher(shape: ModelShape, settings: TrainingSettings, tokens: int, max_tokens: int, element: int) -> int:
    """Return a teacher's weights, and what its forward pass holds: one layer at work, and all states where they are matched."""
    states = shape.layers * shape.hidden_size * element if settings.method == "hidden_states" else 0
    maps = shape.layers * shape.heads * max_tokens * element if settings.hidden_states.attention_weight and states else 0
    working = _layer_activations(shape, max_tokens, element, eager=_is_eager(settings))
    return shape.parameters * element + tokens * (states + maps + working)


def _is_eager(settings: TrainingSettings) -> bool:
    wants_maps = settings.method == "hidden_states" and settings.hidden_states.attention_weight > 0
    return wants_maps or settings.runtime.attention == "eager"


def _adapter_weights(shape: ModelShape, lora: LoraSettings) -> int:
    targets = lora.target_modules
    chosen = [
        features
        for name, features in shape.linear_modules.items()
        if not targets or any(name == target or name.endswith(f".{target}") for target in targets)
    ]
    return lora.rank * sum(chosen)


def _layer_weights(shape: ModelShape) -> int:
    return (shape.parameters - shape.embedding_parameters) // max(shape.layers, 1)


def _remedies(estimate: MemoryEstimate, device_bytes: float, settings: TrainingSettings) -> list[str]:
    runtime, found = settings.runtime, list[str]()
    devices = runtime.processes * runtime.nodes
    state = estimate.weights + estimate.gradients + estimate.optimizer
    per_row = max(estimate.activations / estimate.rows, 1)
    fitting = int((device_bytes - state - estimate.logits - estimate.teacher) / per_row)
    if estimate.rows > 1:
        share = max(settings.batch_size // devices, 1)
        size = next((size for size in range(min(fitting, estimate.rows - 1), 0, -1) if share % size == 0), None)
        found.append(f"training.runtime.device_batch_size: {size or 1}{'' if size else ', which is not enough by itself'}")
    if not estimate.checkpointing:
        found.append("training.runtime.gradient_checkpointing: true")
    if settings.lora is None:
        found.append(f"training.lora, with which the weights take about {_gib(estimate.parameters * _BFLOAT16)} GiB")
    if settings.lora is None or not settings.lora.quantise:
        found.append(f"training.lora.quantise: true, with which they take about {_gib(estimate.parameters * _NF4)} GiB")
    room = device_bytes - per_row - estimate.logits - estimate.teacher
    if room > 0:
        shards = devices if runtime.sharding == "full" else 1
        needed = max(-int(-(state * shards) // room), devices + 1)
        found.append(f"training.runtime.sharding: full over {needed} or more devices (runtime.processes and runtime.nodes)")
    return [*found, "a smaller student, or shorter rows"]


def _gib(count: float) -> str:
    return f"{count / _GIB:.3g}"
