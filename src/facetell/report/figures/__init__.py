# SPDX-License-Identifier: Apache-2.0
"""Drawing only: tables and arrays in, figures out; nothing here touches a model.

To add one, write a module beside this file and save its figure in ``pipeline/compare.py`` (over
all models) or ``pipeline/explain.py`` (of one).
"""
