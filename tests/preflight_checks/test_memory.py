"""The estimate agrees with counts by hand and with a real training; what does not fit is refused with what to change."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import SettingsError
from tasks.preflight_checks.memory import MemoryEstimate, estimate_training_bytes, require_memory
from tasks.preflight_checks.shape import ModelShape
from tasks.training.settings import TrainingSettings

GIB = 1 << 30
BILLION = 1_000_000_000
LLAMA_8B = ModelShape(
    architecture="LlamaForCausalLM",
    parameters=8 * BILLION,
    embedding_parameters=BILLION,
    tied=False,
    layers=32,
    hidden_size=4096,
    intermediate_size=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary_rows=128_256,
    attention="separate",
    linear_modules={"self_attn.q_proj": 32 * 8192, "self_attn.v_proj": 32 * 5120, "mlp.down_proj": 32 * 18432},
)


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings.model_validate(changes)


def estimate(max_tokens: int = 1024, teacher: ModelShape | None = None, cuda: bool = True, **changes: Any) -> MemoryEstimate:
    return estimate_training_bytes(LLAMA_8B, settings(**changes), max_tokens, teacher, cuda=cuda)


def test_every_weight_trained_takes_sixteen_bytes_and_its_copy_for_the_matrix_products() -> None:
    found = estimate(precision="float32")
    assert found.weights + found.gradients + found.optimizer == 16 * LLAMA_8B.parameters
    assert estimate().weights - found.weights == 2 * 7 * BILLION, "embeddings are looked up, not multiplied"
    assert found.total == sum(
        getattr(found, part) for part in ("weights", "gradients", "optimizer", "activations", "logits", "teacher")
    )


def test_adapters_leave_the_rest_in_half_precision_on_a_gpu_and_in_float32_elsewhere() -> None:
    lora = {"rank": 8, "target_modules": ["q_proj", "self_attn.v_proj"]}
    adapters = 8 * 32 * (8192 + 5120)

    found = estimate(lora=lora)
    assert found.weights == 2 * LLAMA_8B.parameters + 4 * adapters
    assert (found.gradients, found.optimizer) == (4 * adapters, 8 * adapters)
    assert estimate(lora=lora, cuda=False).weights == 4 * LLAMA_8B.parameters + 4 * adapters
    assert estimate(lora={"rank": 8}).optimizer == 8 * 8 * 32 * (8192 + 5120 + 18432)


def test_four_bits_take_about_a_quarter_of_half_precision() -> None:
    quantised, half = estimate(lora={"quantise": True}).weights, estimate(lora={}).weights

    assert quantised == pytest.approx(0.55 * 7 * BILLION + 2 * BILLION, rel=0.02), "embeddings are not quantised"
    assert quantised < 0.4 * half


def test_sharding_divides_the_state_and_data_parallelism_alone_does_not() -> None:
    one, many = estimate(), {"processes": 4, "nodes": 2, "rendezvous": "host:29500"}
    replicated, sharded = estimate(runtime=many), estimate(runtime={**many, "sharding": "full"})

    assert sharded.gradients + sharded.optimizer == (one.gradients + one.optimizer) // 8
    assert one.weights / 8 < sharded.weights < one.weights / 4, "with the layer at work whole"
    assert replicated.weights == one.weights
    assert replicated.gradients == 2 * one.gradients, "the buffers in which they are averaged"


def test_activations_grow_with_rows_and_tokens_and_shrink_when_they_are_recomputed() -> None:
    small = estimate(runtime={"device_batch_size": 2})

    assert small.rows == 2
    assert estimate().activations == 8 * small.activations
    assert estimate(max_tokens=512).activations == estimate().activations // 2
    assert estimate(batch_size=16, runtime={"processes": 4}).rows == 4
    kept = estimate(runtime={"gradient_checkpointing": False})
    assert estimate().activations < kept.activations / 5
    assert estimate(cuda=False).checkpointing is False


def test_activations_of_a_plain_layer_are_those_of_the_paper() -> None:
    """Korthikanti et al. count 34 bytes a token and unit of width, with norms in 16 bits and feed-forward layers without gate."""
    plain = LLAMA_8B.model_copy(update={"kv_heads": 32, "intermediate_size": 4 * 4096})
    kept = settings(runtime={"gradient_checkpointing": False, "device_batch_size": 1})
    per_layer = estimate_training_bytes(plain, kept, 1024).activations / (1024 * 4096 * 32)

    assert 34 < per_layer < 2 * 34


def test_eager_attention_keeps_its_maps() -> None:
    kept = {"gradient_checkpointing": False, "device_batch_size": 1}
    maps = estimate(runtime={**kept, "attention": "eager"}).activations - estimate(runtime=kept).activations

    assert maps == (32 + 1) * 32 * 1024**2 * (4 + 2), "and the gradients of one layer's"


def test_logits_are_held_for_one_chunk() -> None:
    chunk = {"loss_chunk_tokens": 256}
    assert estimate(lora={}, runtime=chunk).logits == 256 * 128_256 * 4 * 3
    assert estimate(lora={}, max_tokens=4, batch_size=2).logits == 8 * 128_256 * 4 * 3
    assert estimate(runtime=chunk).logits - estimate(lora={}, runtime=chunk).logits == 128_256 * 4096 * (4 + 2)


def test_a_teacher_in_memory_is_counted_whole_on_every_device() -> None:
    sharded = {"processes": 8, "sharding": "full"}
    assert estimate().teacher == 0
    assert 2 * LLAMA_8B.parameters < estimate(teacher=LLAMA_8B, method="on_policy", runtime=sharded).teacher < 2.2 * 8 * BILLION
    states = estimate(teacher=LLAMA_8B, method="hidden_states").teacher - estimate(teacher=LLAMA_8B, method="on_policy").teacher
    assert states == 16 * 1024 * 32 * 4096 * 2


def test_what_fits_is_taken() -> None:
    found = estimate()
    require_memory(found, found.total / GIB + 0.01, settings())
    with pytest.raises(SettingsError):
        require_memory(found, found.total / GIB - 0.01, settings())


def test_what_does_not_fit_is_refused_with_the_figures_and_the_remedies_in_order() -> None:
    kept = settings(runtime={"gradient_checkpointing": False})
    found = estimate_training_bytes(LLAMA_8B, kept, 1024)

    with pytest.raises(SettingsError) as caught:
        require_memory(found, 80, kept)

    message = str(caught.value)
    assert f"takes about {found.total / GIB:.3g} GiB on each device (weights {found.weights / GIB:.3g}, gradients 29.8" in message
    assert "a device has 80 GiB" in message
    order = [
        "device_batch_size: 1, which is not enough by itself",
        "gradient_checkpointing: true",
        "training.lora, with which the weights take about 14.9 GiB",
        "training.lora.quantise: true, with which they take about 4.1 GiB",
        "sharding: full over",
        "a smaller student",
    ]
    places = [message.index(part) for part in order]
    assert places == sorted(places)


def test_a_batch_that_fits_is_named_and_does_fit() -> None:
    lora = {"lora": {}, "batch_size": 24, "runtime": {"gradient_checkpointing": False}}
    found = estimate(**lora)
    device = estimate(**{**lora, "runtime": {"gradient_checkpointing": False, "device_batch_size": 7}}).total / GIB

    with pytest.raises(SettingsError, match=r"device_batch_size: 6;"):  # the largest divisor of 24 up to 7
        require_memory(found, device, settings(**lora))
    fitting = {**lora, "runtime": {"gradient_checkpointing": False, "device_batch_size": 6}}
    require_memory(estimate(**fitting), device, settings(**fitting))


def test_the_devices_named_are_enough() -> None:
    found = estimate(runtime={"device_batch_size": 1})
    with pytest.raises(SettingsError, match="sharding: full over 2 or more devices"):
        require_memory(found, 80, settings(runtime={"device_batch_size": 1}))
    sharded = {"device_batch_size": 1, "processes": 2, "sharding": "full"}
    require_memory(estimate(runtime=sharded), 80, settings(runtime=sharded))


def test_remedies_that_are_taken_already_are_not_named_again() -> None:
    done = settings(lora={"quantise": True}, batch_size=1)
    with pytest.raises(SettingsError) as caught:
        require_memory(estimate_training_bytes(LLAMA_8B, done, 1024), 1, done)

    assert str(caught.value).endswith("in this order, try: a smaller student, or shorter rows")


_TRAINING = """
import json, sys
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from tasks.core.memory import PeakMemory
from tasks.training.chunked_head import add_chunked_head
rows, tokens, checkpointing = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"
config = LlamaConfig(vocab_size=8192, hidden_size=384, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=6,
                     num_key_value_heads=2)
ids = torch.randint(0, 8192, (rows, tokens))
with PeakMemory() as memory:
    model = LlamaForCausalLM(config)
    add_chunked_head(model, 256)
    if checkpointing:
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    positions = torch.ones_like(ids, dtype=torch.bool)
    targets = ids[positions]
    for _ in range(2):
        loss = model(input_ids=ids, positions=positions,
                     answer_loss=lambda logits, chunk: nn.functional.cross_entropy(logits, targets[chunk], reduction="sum"))
        loss["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
print(memory.peak_bytes)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "tokens", "checkpointing"), [(8, 256, False), (8, 256, True)])
def test_a_real_training_takes_about_as_much(tmp_path: Path, rows: int, tokens: int, checkpointing: bool) -> None:
    from transformers import LlamaConfig

    from tasks.preflight_checks.architecture import read_shape

    LlamaConfig(
        vocab_size=8192,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=8,
        num_attention_heads=6,
        num_key_value_heads=2,
    ).save_pretrained(tmp_path)
    trained = settings(
        precision="float32", batch_size=rows, runtime={"gradient_checkpointing": checkpointing, "loss_chunk_tokens": 256}
    )
    command = [sys.executable, "-c", _TRAINING, str(rows), str(tokens), str(checkpointing)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    estimated = estimate_training_bytes(read_shape(tmp_path), trained, tokens, cuda=False).total
    assert measured / 2 < estimated < measured * 2, (measured / 2**20, estimated / 2**20)
    print(measured / 2**20, estimated / 2**20)
