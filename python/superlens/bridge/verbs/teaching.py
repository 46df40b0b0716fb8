"""Training a model into a file: what ``train`` does for every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from superlens.bridge.calls import Call, start_engine
from superlens.bridge.protocol import Response
from superlens.bridge.telling import said
from superlens.cli.folders import OutputFolder

if TYPE_CHECKING:
    from superlens.model import ChannelModels, Model

__all__ = ["train_into"]


def train_into(
    target: Path, call: Call, learned: Callable[[], Model | ChannelModels], sources: Sequence[Path], room: int
) -> Response:
    """Train, write the model to its file, and answer.

    Parameters
    ----------
    target : Path
        Where the model goes; whether it can is looked at before the training.
    call : Call
    learned : callable
        Does the training; called once the engine runs.
    sources : sequence of Path
        Files that are learned from, which the model may not overwrite.
    room : int
        Bytes that the model takes.

    Returns
    -------
    Response

    Raises
    ------
    SuperlensError
        When the file cannot be written or the training cannot begin.
    """
    folder = OutputFolder(target.parent, tuple(sources))
    with folder.prepared([target.name], room):
        device = start_engine(call)
        model = learned()
        call.progress.check()
        with folder.delivery() as staging:
            model.save(staging / target.name)
    ends = _ends(model)
    stopped = "cancelled" if "cancelled" in ends else ends[0]
    return Response(
        files=(str(target),),
        text=said(call, device),
        early=stopped == "cancelled",
        info={"device": device, "seconds": round(call.progress.seconds, 2), "stopped": stopped},
    )


def _ends(model: Model | ChannelModels) -> list[str]:
    """Why the training of each channel ended."""
    from superlens.model import ChannelModels

    models = model.models if isinstance(model, ChannelModels) else (model,)
    return [str(one.config.provenance.get("stopped", "")) for one in models]
