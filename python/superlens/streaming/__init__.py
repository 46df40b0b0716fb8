"""Work on images larger than memory: which blocks there are, what each needs to know, which are done, and who does them.

A `BlockPlan` numbers the blocks of all planes. What depends on the whole image (camera, offset, level of noise, where it is clipped)
is `measure`-d once on a sample and travels with the plan, so that a block is a pure function of its pixels and its halo, and the
result does not depend on how the image is split. A `Ledger` beside the output records finished blocks. `here` and `on_cluster` do
the blocks that are left, in this process or on Dask workers. `windows` is the other direction: parts of the image to learn from.
"""

from superlens.streaming.cluster import Workers, on_cluster
from superlens.streaming.ledger import Ledger, part_of
from superlens.streaming.plan import Block, BlockPlan, choose_block, choose_volume_block, chunk_sides
from superlens.streaming.sample import Measured, measure, observe_block
from superlens.streaming.windows import TRAINING_BYTES, WINDOW, for_training, windows

__all__ = [
    "TRAINING_BYTES",
    "WINDOW",
    "Block",
    "BlockPlan",
    "Ledger",
    "Measured",
    "Workers",
    "choose_block",
    "choose_volume_block",
    "chunk_sides",
    "for_training",
    "measure",
    "observe_block",
    "on_cluster",
    "part_of",
    "windows",
]
