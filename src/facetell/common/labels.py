# SPDX-License-Identifier: Apache-2.0
"""The names of splits and classes, in one order throughout."""

SPLITS = ("train", "valid", "test")
UNUSED = "unused"  # the split of images that are neither trained on nor tested
CLASSES = ("real", "fake")  # index = label: 1 means fake, everywhere
