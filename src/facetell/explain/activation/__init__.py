# SPDX-License-Identifier: Apache-2.0
"""What single channels respond to: activation maps and activation maximisation."""
