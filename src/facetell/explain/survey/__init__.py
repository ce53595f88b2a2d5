# SPDX-License-Identifier: Apache-2.0
"""What a whole test set says of a detector: class means, face regions, examples."""
