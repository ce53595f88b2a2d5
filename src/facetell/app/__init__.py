# SPDX-License-Identifier: Apache-2.0
"""What a person calls: the command line, and a photo of one's own."""
