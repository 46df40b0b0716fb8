"""The command line: ``superlens enhance | train | predict | psf | evaluate | models | doctor | fiji``.

Every command only translates: options into the types of the package, results into files and lines. What it may not do is
decide anything about images. Nothing heavy is imported before a command runs, so that ``superlens --help`` answers at once,
and nothing ever prompts. `failures` turns whatever goes wrong into one line and an exit code: 2 when the request cannot be
carried out, 130 when it was stopped, 1 for a defect of the program.
"""

from __future__ import annotations

import click

from superlens import __version__
from superlens.cli.about import doctor, models
from superlens.cli.failures import Program
from superlens.cli.hosting import fiji
from superlens.cli.learn import enhance, predict, train
from superlens.cli.localize import localize
from superlens.cli.measure import evaluate, psf
from superlens.cli.simulate import simulate

__all__ = ["main"]


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", message="superlens %(version)s")
def main() -> None:
    """Super-resolution for fluorescence microscopy, learned from your own image.

    Start with `superlens enhance cell.tif --na 1.3 --wavelength-nm 525 --out out/` and open out/report.html.
    """


for _command in (enhance, train, predict, localize, simulate, psf, evaluate, models, doctor, fiji):
    main.add_command(_command)
