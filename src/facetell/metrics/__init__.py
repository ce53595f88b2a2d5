"""Numbers from labels and margins: ranking, losses, calibration, intervals, paired tests."""
