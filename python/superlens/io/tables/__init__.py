"""Tables of localizations in and out, in the formats of the programs that users already have.

`read_localizations` knows a file by its content and gives `Localizations`: nanometres from the outer corner of the image, frames from 1,
whatever the file counts in. `write_localizations` writes what ThunderSTORM and Picasso open. One submodule stands for each format and
turns a file into a `StoredTable`; `meaning` turns that into columns with units; none of them is meant to be imported from outside.
Files are parsed as numbers and text alone, and what they claim about their length is compared with what is there.
"""

from superlens.io.tables.door import TABLE_SUFFIXES, read_localizations, write_localizations

__all__ = ["TABLE_SUFFIXES", "read_localizations", "write_localizations"]
