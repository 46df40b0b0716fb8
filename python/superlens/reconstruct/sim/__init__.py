"""Structured illumination."""
