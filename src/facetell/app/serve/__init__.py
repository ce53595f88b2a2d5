# SPDX-License-Identifier: Apache-2.0
"""``facetell serve``: a page and a JSON API that judge and explain photos on this machine.

A request is read into memory, its photo is decoded, judged and explained by one thread, and all of
it is forgotten with the answer. Nothing of a photo is stored or logged.
"""
