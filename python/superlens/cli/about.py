"""``superlens models`` and ``superlens doctor``: what comes with superlens, and what it runs on."""

from __future__ import annotations

from pathlib import Path

import click

from superlens.cli.failures import EXIT_DEFECT, in_flags
from superlens.cli.folders import megabytes
from superlens.cli.options import HostChoice, host_options
from superlens.progress import console

__all__ = ["card_line", "doctor", "models"]


@click.command()
def models() -> None:
    """List the models that come with superlens."""
    HostChoice(None, None, verbose=False).start()
    from superlens.model import shipped

    found = shipped()
    if not found:
        click.echo("this installation holds no models; reinstall superlens to get them, or use --from-scratch.")
    for name, path in found.items():
        click.echo(f"{name:<16} {megabytes(path.stat().st_size):>9}  {card_line(path.parent / 'card.md')}")


@click.command()
@click.option("--no-speed-test", is_flag=True, help="Leave out the ten-second training.")
@host_options
@click.pass_context
def doctor(context: click.Context, no_speed_test: bool, host: HostChoice) -> None:
    """Say what superlens runs on, how fast it is, and what is wrong."""
    host.start()
    from superlens.doctor import describe, examine

    with console() as progress:
        diagnosis = examine(speed_test=not no_speed_test, progress=progress)
    click.echo(in_flags(describe(diagnosis)))
    if any(finding.grade == "bad" for finding in diagnosis.findings):
        context.exit(EXIT_DEFECT)


def card_line(card: Path) -> str:
    """The first line of a model card that is neither a title nor empty."""
    if not card.is_file():
        return "(no card)"
    lines = (line.strip() for line in card.read_text(encoding="utf-8").splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")
