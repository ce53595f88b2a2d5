# SPDX-License-Identifier: Apache-2.0
"""Numbers from labels and margins: ranking, losses, calibration, intervals, paired tests."""
