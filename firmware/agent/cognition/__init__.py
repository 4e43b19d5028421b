"""Readings into features, forecasts, scores and their explanations."""
