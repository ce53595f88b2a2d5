# SPDX-License-Identifier: Apache-2.0
"""Cross tables: detectors that differ in nothing but what they were trained on, tested on the same
parts of the same data (platforms, sets, generators, psis).

Rows that differ in anything else (archives, laundering, split, test images, recipe, seed, code)
never share a table: they get tables of their own. ``runs`` are what a table is made of, ``lock``
tells what they were made with, ``tables`` groups them, and ``report`` puts them into words.
"""
