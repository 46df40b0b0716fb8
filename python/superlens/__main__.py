"""``python -m superlens``: the command, where the folder of scripts is not on the path."""

from superlens.cli import main

main(prog_name="superlens")
