"""The names of splits and classes, in one order throughout."""

SPLITS = ("train", "valid", "test")
CLASSES = ("real", "fake")  # index = label: 1 means fake, everywhere
