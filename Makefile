# Parley.  `make demo` and `make test` do all their own set-up (tools/setup); ARGS goes to the program that is run.
PYTHON_IN_VENV := .venv/bin/python
CHECKED := chatcore relay tools tests benchmarks relay_server.py gui_client.py $(wildcard gui/*.py)
ARGS :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-vm lint trial fuzz deb bench clean

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

setup: ## install what is missing, and make .venv
	@tools/setup

demo: setup ## a relay and three people in one room; without a display, photographed into demo.png
	@$(PYTHON_IN_VENV) tools/demo.py $(ARGS)

test: setup ## run all tests, on as many cores as there are (four at most)
	@$(PYTHON_IN_VENV) -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

test-vm: setup ## boot a Debian, and try the relay's package and service in it (as root; some nine minutes)
	@$(PYTHON_IN_VENV) tests/vm/run.py $(ARGS)

lint: setup ## check format, lint and types
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m mypy $(wildcard $(CHECKED))

trial: setup ## try every attack and fault, and write down what came of it (docs/RELIABILITY.md; more than an hour)
	@$(PYTHON_IN_VENV) tests/trial.py $(ARGS)

fuzz: setup ## try inputs that nobody thought of on what strangers reach, ten minutes for each kind
	@$(PYTHON_IN_VENV) tests/fuzz.py $(ARGS)

deb: ## build the relay's Debian package
	@tools/make-deb

bench: setup ## measure the relay and the fan-out (benchmarks/README.md)
	@$(PYTHON_IN_VENV) -m benchmarks $(ARGS)

clean: ## remove .venv and everything made by running
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info demo.png demo-transcript.txt
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
