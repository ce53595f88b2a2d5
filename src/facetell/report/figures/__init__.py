# SPDX-License-Identifier: Apache-2.0
"""Drawing only: tables and arrays in, figures out; nothing here touches a model."""
