"""The file door: images and tables in and out, point spread functions in, folders expanded, files replaced safely.

Whatever the format, `read` gives an `Image` and `write` takes one; axes, sampling, channel names, frame interval and history
survive the round trip. `read_localizations` and `write_localizations` do so for tables of single molecules. Damaged, coloured or
otherwise unusable files are refused with one line before memory is spent on them. Submodules hold one format each and are not
meant to be imported from outside.
"""

from superlens.io.blockwise import BlockFormat, BlockWriter, block_format, create_blocks, open_blocks
from superlens.io.described import ImageFile
from superlens.io.filesets import find_images
from superlens.io.lazy import LazyImage
from superlens.io.mrc import OTF, read_otf
from superlens.io.opening import open_image
from superlens.io.paths import (
    IMAGE_SUFFIXES,
    check_target,
    is_zarr,
    put_in_place,
    replacing,
    write_failure,
)
from superlens.io.reading import read, read_psf
from superlens.io.sequence import SequenceAxis, open_sequence, read_sequence
from superlens.io.tables import read_localizations, write_localizations
from superlens.io.writing import NGFF, Compression, write

__all__ = [
    "IMAGE_SUFFIXES",
    "NGFF",
    "OTF",
    "BlockFormat",
    "BlockWriter",
    "Compression",
    "ImageFile",
    "LazyImage",
    "SequenceAxis",
    "block_format",
    "check_target",
    "create_blocks",
    "find_images",
    "is_zarr",
    "open_blocks",
    "open_image",
    "open_sequence",
    "put_in_place",
    "read",
    "read_localizations",
    "read_otf",
    "read_psf",
    "read_sequence",
    "replacing",
    "write",
    "write_failure",
    "write_localizations",
]
