# SPDX-License-Identifier: Apache-2.0
"""Two or more versions of all results side by side, for code review.

``version`` holds what is known of one version, ``settings`` and ``verdicts`` find what differs,
``compared`` puts everything together, ``summary`` words it as Markdown and ``page`` as HTML.
"""
