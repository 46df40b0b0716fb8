"""PyTorch as an engine: NVIDIA's cards, AMD's with a build for ROCm, Intel's, and Apple's."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from superlens.training.backends.engines import Card, Engine, Trouble

__all__ = ["ENGINE"]

_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_FAILED = ("CUDA error", "CUDA driver", "cuDNN error", "HIP error", "MPS backend", "device-side")


class _Torch(Engine):
    words = "PyTorch"

    def cards(self) -> Sequence[Card]:
        if torch.cuda.is_available():
            return [_nvidia(at) for at in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            return [Card("Apple graphics", bfloat16=False)]
        if torch.xpu.is_available():
            return [Card(torch.xpu.get_device_name(at), bfloat16=True) for at in range(torch.xpu.device_count())]
        return []

    def use(self, card: int | None, threads: int | None) -> None:
        here = _kind() != "cpu"
        if (card is None) == here:
            wanted = "cpu" if card is None else "a card"
            raise RuntimeError(
                f"Keras has chosen {_kind()} for PyTorch; set KERAS_TORCH_DEVICE to {wanted} before Python starts"
            )
        if card is not None and _kind() == "cuda":
            torch.cuda.set_device(card)
        if card is not None and _kind() == "xpu":
            torch.xpu.set_device(card)
        if threads is not None:
            torch.set_num_threads(threads)

    def card(self) -> Card | None:
        kind = _kind()
        if kind == "cpu":
            return None
        at = {"cuda": torch.cuda.current_device, "xpu": torch.xpu.current_device}.get(kind, lambda: 0)()
        cards = self.cards()
        return cards[int(at)]

    def threads(self) -> int | None:
        return int(torch.get_num_threads())

    def trouble(self, error: BaseException) -> Trouble | None:
        if not isinstance(error, RuntimeError):
            return None
        told = str(error)
        if isinstance(error, torch.OutOfMemoryError) or any(words in told for words in _MEMORY):
            return "memory"
        return "card" if any(words in told for words in _FAILED) else None


def _kind() -> str:
    """What Keras puts tensors on: "cpu", "cuda", "mps" or "xpu"."""
    from keras import ops

    return str(ops.convert_to_tensor(0.0).device.type)


def _nvidia(at: int) -> Card:
    return Card(torch.cuda.get_device_name(at), torch.cuda.get_device_capability(at) >= (8, 0))


ENGINE = _Torch()
