"""Whether a map can be believed: planted truth, faithfulness, sanity, stability."""
