"""Explanations on the host: recomputed, checked, put into words and pictures."""
