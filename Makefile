# The jobs stand in tasks.py, which also runs where there is no make: python tasks.py JOB.
PYTHON ?= python3
JOBS   := help setup repro test lint params docs clean

.DEFAULT_GOAL := help
.PHONY: $(JOBS)
$(JOBS):
	@$(PYTHON) tasks.py $@ $(ARGS)
