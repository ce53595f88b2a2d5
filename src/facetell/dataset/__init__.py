# SPDX-License-Identifier: Apache-2.0
"""From archives to a manifest with splits: sources, layouts, copies, leaks, the audit."""
