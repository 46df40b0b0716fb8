"""`Engine`: what must be known of the library that Keras computes with; and `Card`, a graphics card as it sees one."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from superlens.errors import SuperlensError

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Card", "Engine", "Trouble", "card_of"]

Trouble = Literal["memory", "card"]
"""Memory does not suffice; or the card, or its driver, has failed."""


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card.

    Attributes
    ----------
    model : str
        What it calls itself.
    bfloat16 : bool
        Whether it multiplies bfloat16 matrices faster than float32.
    """

    model: str
    bfloat16: bool


class Engine(abc.ABC):
    """The library that Keras computes with.

    Attributes
    ----------
    words : str
        What it is called.
    fast_bfloat16 : bool
        Whether it trains faster in bfloat16 on a processor that multiplies such matrices.
    """

    words: str
    fast_bfloat16: bool = False

    @abc.abstractmethod
    def cards(self) -> Sequence[Card]:
        """The cards that it can use, by number."""

    @abc.abstractmethod
    def use(self, card: int | None, threads: int | None) -> None:
        """Compute on a card, or on the processor, with so many threads.

        Raises
        ------
        RuntimeError
            When that can no longer be chosen.
        """

    @abc.abstractmethod
    def card(self) -> Card | None:
        """The card that is in use; None on the processor."""

    @abc.abstractmethod
    def threads(self) -> int | None:
        """Threads that were chosen; None for as many as there are processors."""

    def outputs(self, network: keras.Model, batch: NDArray[np.float32]) -> Sequence[Any]:
        """The outputs of a network for a batch."""
        made = network.predict_on_batch(batch)
        return made if isinstance(made, list | tuple) else [made]

    @abc.abstractmethod
    def trouble(self, error: BaseException) -> Trouble | None:
        """What an error means that the library raised; None for an error of another kind."""


def card_of(device: str | None, cards: Sequence[Card], engine: str) -> int | None:
    """The number of the card that is asked for; None for the processor.

    Parameters
    ----------
    device : str or None
        "cpu", "gpu" or "gpu:1"; None takes the first card if there is one.
    cards : sequence of Card
    engine : str
        What sees these cards, for a refusal.

    Raises
    ------
    SuperlensError
        If there is no such device.
    """
    kind, _, number = (device or "").partition(":")
    if kind not in ("", "cpu", "gpu") or (number and not number.isdigit()):
        raise SuperlensError(f"device is {device!r}; expected cpu, gpu or gpu:N")
    if kind == "cpu" or (kind == "" and not cards):
        return None
    at = int(number or 0)
    if at >= len(cards):
        usable = f"{len(cards)} graphics card{'s' * (len(cards) != 1)}"
        raise SuperlensError(
            f"device is {device!r} and {engine} can use {usable} here; `superlens doctor` says why, and what reaches a card. "
            "device cpu uses the processor"
        )
    return at
