# SPDX-License-Identifier: Apache-2.0
"""Explanation methods, one family a module; each registers itself."""
