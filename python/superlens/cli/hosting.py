"""``superlens fiji``: Fiji or ImageJ inside this Python, with superlens behind its menus."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["fiji"]

path_type = click.Path(path_type=Path)


@click.command()
@click.option(
    "--fiji",
    "folder",
    type=path_type,
    help="Folder of a Fiji, or one with ij.jar; default: plain ImageJ, fetched once.",
)
@click.option("--check", is_flag=True, help="Start without a window, ask the engine through Java, and end.")
@click.option("--params", type=path_type, help="Only write the parameters of all menu items to this JSON file.")
def fiji(folder: Path | None, check: bool, params: Path | None) -> None:
    """Start Fiji with superlens in its menus, in this Python process.

    The images of Fiji and the networks of superlens share their memory. Needs Java 11 or newer; --fiji DIR names a Fiji, without it plain
    ImageJ is started.
    """
    if params is not None:
        from superlens.bridge.menu import export

        params.write_text(export(), encoding="utf-8")
        return
    from superlens.bridge import launch

    if check:
        click.echo(launch.check(folder))
        return
    running = launch.start(folder)
    click.echo(f"{running.kind} runs with superlens under Plugins > Superlens; closing it ends this program.")
    running.wait()
