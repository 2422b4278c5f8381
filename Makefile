# make demo    set everything up, decode the example frames, read the example page
# make test    set everything up and run all tests
# make long    count memory over a hundred thousand decodes and a million frames, some minutes
# make bench   measure this commit with asv and publish the dashboard to .asv/html; QUICK=1 runs all that is timed once, BENCH=name some
# make compare measure fastctc beside every peer, in an environment of its own, into compare/; QUICK=1 takes a look
# make fuzz    look for files that break what reads them; SECONDS=60 for each kind, TARGETS="arpa pdf" some
# make clean   remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
SOURCES := pyproject.toml setup.py $(wildcard fastctc/compiled/*.pyx fastctc/compiled/*.px[di] fastctc/compiled/*.h)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test long bench compare fuzz clean

demo: $(VENV)/reading
	$(BIN)/python examples/demo.py

test: $(VENV)/dev
	$(BIN)/python -m pytest

long: $(VENV)/dev
	$(BIN)/python -m pytest --long-runs tests/test_long_runs.py

bench: $(VENV)/dev
	$(BIN)/asv machine --yes
	$(BIN)/asv run --python $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') --show-stderr $(if $(QUICK),--quick) --bench '$(or $(BENCH),$(if $(QUICK),[.]time,.))' HEAD^!
	$(BIN)/asv publish
	$(BIN)/python -m bench.dashboard .asv/html
	@echo "The dashboard is in .asv/html: $(BIN)/asv preview shows it; it needs no network."

compare: $(PEERS)/made
	$(PEERS)/bin/python -m bench.compare --fetch-fonts $(if $(QUICK),--quick) $(ARGS)

fuzz: $(VENV)/dev
	@$(PIP) install atheris || echo "atheris does not install here: the corpus is mutated at random instead."
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGETS)

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("fastctc needs Python 3.11 or later, this is %d.%d: make PYTHON=python3.12" % v[:2])'
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@touch $@

$(VENV)/core: $(VENV)/pip $(SOURCES)
	@echo "Compiling and installing fastctc (under a minute) ..."
	@$(PIP) --quiet install --editable .
	@touch $@

$(VENV)/reading: $(VENV)/core
	@echo "Installing what reading images needs ..."
	@$(PIP) install "pillow>=11" "scipy>=1.13"
	@touch $@

$(VENV)/dev: $(VENV)/core
	@echo "Installing what tests and benchmarks need (TensorFlow among it, some hundred MB) ..."
	@$(PIP) install --group dev
	@touch $@

$(PEERS)/made: $(VENV)/pip $(SOURCES)
	@echo "Installing fastctc and everybody it is compared with in $(PEERS) (some GB) ..."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --group peers --editable .
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) .asv .fonts compare demo.png build dist *.egg-info fastctc/compiled/*.c fastctc/compiled/*.so
