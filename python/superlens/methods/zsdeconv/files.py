"""Prediction from file to file with models of this method; see `superlens.predicting`."""

from __future__ import annotations

from pathlib import Path

from superlens import predicting
from superlens.io import ImageFile
from superlens.methods.zsdeconv.adapt import Adapter
from superlens.methods.zsdeconv.predictor import opened
from superlens.model import load_model
from superlens.predicting import BlockOptions, Preview
from superlens.progress import Progress, silent

__all__ = ["adapting", "predict_file", "preview"]


def predict_file(
    model: Path | str,
    source: ImageFile | Path | str,
    out: Path | str,
    *,
    options: BlockOptions | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Apply a trained model to an image of any size; see `superlens.predicting.predict_file`.

    Examples
    --------
    >>> predict_file("model.zip", "huge.ome.zarr", "huge_sr.ome.zarr")  # doctest: +SKIP
    """
    return predicting.predict_file(
        model, source, out, opened=opened, adapting=adapting, options=options, progress=progress
    )


def preview(
    model: Path | str, source: ImageFile | Path | str, out: Path | str, *, options: BlockOptions | None = None
) -> Preview:
    """Say what `predict_file` will take, without writing anything; the arguments are the same."""
    return predicting.preview(model, source, out, opened=opened, options=options)


def adapting(model: Path, steps: int) -> Adapter:
    """What trains the model of a file so many steps further on one image after another."""
    return Adapter(load_model(model), steps)
