# SPDX-License-Identifier: Apache-2.0
"""The report as one self-contained page.

Data flow one way: ``inputs`` holds what was read, ``sections``, ``claims``, ``charts``, ``cross``
and ``browser`` make plain values of it, and ``render`` makes HTML of those with the templates,
style sheet and scripts in ``facetell/report/templates``.
"""
