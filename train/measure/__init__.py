"""Figures, plots and tables of a model."""
