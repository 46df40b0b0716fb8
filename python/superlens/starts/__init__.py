"""How the shipped weights were trained: one curriculum a file, each run by ``python -m superlens.starts.NAME``."""
