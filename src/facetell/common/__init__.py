# SPDX-License-Identifier: Apache-2.0
"""What every package uses: errors, files, progress, seeds, processes, the look of figures."""
