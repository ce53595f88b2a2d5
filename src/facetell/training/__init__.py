"""Fits a network by a recipe: the trainer, its checkpoints, and what a recipe may name."""
