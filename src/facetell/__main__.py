# SPDX-License-Identifier: Apache-2.0
"""``python -m facetell``, for where the command is not on the path."""

import sys

from facetell.app.command_line import main

if __name__ == "__main__":
    sys.exit(main())
