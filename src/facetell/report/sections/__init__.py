# SPDX-License-Identifier: Apache-2.0
"""The sections of the report on detectors, one module each: lists of Markdown paragraphs."""
