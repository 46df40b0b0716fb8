"""Keeps pytest out of this folder: what lies here measures for hours and asserts nothing. Run it by ``make quality``."""

collect_ignore_glob = ["*.py", "suite/*.py"]
