"""From archives to a manifest with splits: sources, layouts, copies, leaks, the audit."""
