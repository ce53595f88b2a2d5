# SPDX-License-Identifier: Apache-2.0
"""Where a data set comes from: each module has ``fetch(target, **options)`` that writes one zip."""
