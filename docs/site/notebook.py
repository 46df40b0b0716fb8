"""Run a notebook from top to bottom and keep what its cells show.

    python docs/site/notebook.py            # run docs/first-look.ipynb and store its outputs
    python docs/site/notebook.py --check    # run it; end with 1 if a cell fails or writes to standard error

Edit the code in Jupyter or in the file itself; the outputs are made here. The site shows the stored notebook.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PAGE = Path(__file__).resolve().parents[1] / "first-look.ipynb"


def run(page: Path = PAGE) -> nbformat.NotebookNode:
    """Run a notebook in an empty folder.

    Parameters
    ----------
    page : Path

    Returns
    -------
    NotebookNode
        With the outputs of this run, and without times, which differ in each.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    RuntimeError
        If a cell writes to standard error.
    """
    notebook = nbformat.read(page, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}, record_timing=False
        ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise RuntimeError(f"a cell wrote to standard error: {output['text'][:500]}\n{cell.source}")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="store nothing")
    check = parser.parse_args().check
    made = run()
    if not check:
        nbformat.write(made, PAGE)
