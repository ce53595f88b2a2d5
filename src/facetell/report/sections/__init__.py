"""The sections of the report on detectors, one module each: lists of Markdown paragraphs."""
