"""The file door: images in and out, point spread functions in, folders expanded, files replaced safely.

Whatever the format, `read` gives an `Image` and `write` takes one; axes, sampling, channel names, frame interval and history
survive the round trip. Damaged, coloured or otherwise unusable files are refused with one line before memory is spent on
them. Submodules hold one format each and are not meant to be imported from outside.
"""

from superlens.io.mrc import OTF, read_otf
from superlens.io.paths import IMAGE_SUFFIXES, find_images, replacing
from superlens.io.reading import read, read_psf
from superlens.io.tiff_out import Compression, write

__all__ = ["IMAGE_SUFFIXES", "OTF", "Compression", "find_images", "read", "read_otf", "read_psf", "replacing", "write"]
