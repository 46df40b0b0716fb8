"""Prediction: one function from a block to arrays by role, and what drives it over an image, a movie or a file.

A method gives a `Predictor`. `predict_whole` works on a plane or a volume in memory, tile by tile, and
`predict_image` on all of an image; `predict_frames` on the frames of a
movie, with their neighbours where the network wants them; `predict_file` from file to file, block by block. Nothing else cuts or
stitches.
"""

from superlens.predicting.file import Preview, predict_file, preview
from superlens.predicting.frames import FramePredictor, predict_frames
from superlens.predicting.image import as_images, first_look, predict_image
from superlens.predicting.predictor import Predictor
from superlens.predicting.request import BlockOptions
from superlens.predicting.whole import in_windows, predict_whole

__all__ = [
    "BlockOptions",
    "FramePredictor",
    "Predictor",
    "Preview",
    "as_images",
    "first_look",
    "in_windows",
    "predict_file",
    "predict_frames",
    "predict_image",
    "predict_whole",
    "preview",
]
