"""Checkpoints as the Trainer writes them, as far as names go."""

from pathlib import Path

from tasks.training.checkpoints.local import seal_checkpoint

IDENTITY = "0123456789abcdef" * 4


def write_checkpoint(folder: Path, step: int) -> Path:
    """Write a checkpoint that is not sealed; its tokenizer is that of every step."""
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "nested").mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt", "trainer_state.json", "nested/.rng_state.pth"):
        (checkpoint / name).write_bytes(f"{name} at step {step}".encode() * 50)
    (checkpoint / "tokenizer.json").write_bytes(b"tokens" * 50)
    return checkpoint


def sealed(folder: Path, step: int, identity: str = IDENTITY) -> Path:
    """Write a checkpoint and seal it."""
    checkpoint = write_checkpoint(folder, step)
    seal_checkpoint(checkpoint, step, 1, identity)
    return checkpoint


def contents(checkpoint: Path) -> dict[str, bytes]:
    """Return the content of every file of a checkpoint by its path."""
    return {path.relative_to(checkpoint).as_posix(): path.read_bytes() for path in checkpoint.rglob("*") if path.is_file()}
