# SPDX-License-Identifier: Apache-2.0
"""Fits a network by a recipe: the trainer, its checkpoints, and what a recipe may name."""
