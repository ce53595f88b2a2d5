# SPDX-License-Identifier: Apache-2.0
"""The sub-commands of ``facetell``, one module each.

A module has one function, whose annotated arguments are the command's. What takes long to import
is imported inside of it, so that help and completion come at once.
"""
