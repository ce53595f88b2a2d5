"""Numbers from labels and margins: ranking, intervals, calibration, paired tests."""
