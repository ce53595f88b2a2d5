# SPDX-License-Identifier: Apache-2.0
"""Measurements, each a module to run: the machine is used as the stages use it."""

import pipeline  # noqa: F401  (puts this checkout's library first, and sets what torch reads)
