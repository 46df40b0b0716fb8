"""``superlens demo``: the bundled image through `enhance`, so that a new user sees a result and its report in a minute."""

from __future__ import annotations

from pathlib import Path

import click

from superlens.cli.failures import say

__all__ = ["demo"]

# Optics as the normal-light image of the same field looks.
_SAID = ("--na", "1.1", "--wavelength-nm", "525", "--haze", "separate")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("superlens-demo"),
    show_default=True,
    help="Folder for the results.",
)
@click.pass_context
def demo(context: click.Context, out: Path) -> None:
    """Super-resolve the bundled image and name its report.

    The image shows microtubules at low light. Its optics are not recorded; NA 1.1 and emission at 525 nm fit it. Much of its light is out of
    focus, and is separated.
    """
    from superlens.samples import sample_path

    sample = sample_path()
    say(f"superlens enhance {sample.name} {' '.join(_SAID)} --out {out}")
    group = context.find_root().command
    group.main(["enhance", str(sample), *_SAID, "--out", str(out)], "superlens", standalone_mode=False)
