"""Detectors that are trained once per condition, and what their score maps are worth."""
