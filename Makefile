# make demo    set everything up, decode the example frames, read the example page
# make check   set up what is quick and run the quick tests: no TensorFlow, no linters, no benchmarks
# make test    set everything up and run all tests; the last lines say what was skipped, and why
# make sanitize  run what touches compiled code with the address and undefined-behaviour sanitizers, in an environment of
#              its own; QUICK=1 runs the quick half
# make wheels  build the wheels for Linux into dist/, and test each where there is no compiler
# make long    count memory over a hundred thousand decodes and a million frames, some minutes
# make bench   measure this commit with asv and publish the dashboard to .asv/html; QUICK=1 runs all that is timed once, BENCH=name some
# make docs    build the documentation into docs/_build/html
# make compare measure fastctc beside every peer, in an environment of its own, into compare/; QUICK=1 takes a look
# make fuzz    look for files that break what reads them; SECONDS=60 for each kind, TARGETS="arpa pdf" some
# make clean   remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
SANITIZE := .venv-sanitize
WHEELS := .venv-wheels
SOURCES := pyproject.toml setup.py $(wildcard fastctc/compiled/*.pyx fastctc/compiled/*.px[di] fastctc/compiled/*.h)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: check sanitize wheels demo test long bench compare docs fuzz clean

demo: $(VENV)/reading
	$(BIN)/python examples/demo.py

# A quarter of make test's random cases.
check: $(VENV)/check
	$(BIN)/python -m pytest -n auto --maxprocesses 8 -q -rs --hypothesis-profile=quick -m "not slow" tests
	@echo "Left out, and run by make test: TensorFlow, linters, types, builds, benchmarks, clusters, OpenCL, Ctrl-C," \
	"large cases, doctests, and three of four random cases."

test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --maxprocesses 8 -rs

# Python's own allocator would hide from the sanitizer what NumPy and the package ask for; Python leaks at its end. The
# copy of the checkout keeps what was compiled, and nothing else.
# All tests but those of what is not compiled code of ours (drivers, builds, pages, style), those that need what the
# environment has not (a cluster, OpenCL, TensorFlow), those that measure, those that count memory, as the sanitizer does,
# and those of the reader, which take hours and have no compiled code but that of decoders and morphology.
NOT_SANITIZED := benchmarks broken_devices compare distributed documentation experiments handwriting imports languages \
	long_runs network onnx opencl packaging page_lines page_orientation plot_alignment plotting review searchable_pdf style \
	synthesis
SANITIZED := $(filter-out $(NOT_SANITIZED),$(patsubst tests/test_%.py,%,$(sort $(wildcard tests/test_*.py))))
SANITIZED_QUICK := alignment annotation arpa brute_force decoders fast_ctc_decode fusion lexicon loss metrics ngram processor search
sanitize: $(SANITIZE)/made
	@cd $(SANITIZE)/source && find . -type f ! -path './build/*' ! -name '*.c' ! -name '*.so' -delete
	@git ls-files -z | xargs -0 cp --parents --preserve=timestamps -t $(SANITIZE)/source
	@cd $(SANITIZE)/source/fastctc/compiled && for made in *.c *.so; do test -e "$${made%%.*}.pyx" || rm -f "$$made"; done
	@echo "Compiling with sanitizers in $(SANITIZE) ..."
	@cd $(SANITIZE)/source && FASTCTC_DEBUG=1 ../bin/python setup.py --quiet build_ext --inplace
	cd $(SANITIZE)/source && \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc PYTHONPATH="$$PWD" \
	../bin/python -m pytest -n auto --maxprocesses 8 -q -rs -p no:cacheprovider -m "not slow" $(if $(QUICK),--hypothesis-profile=quick) \
	$(or $(ARGS),$(patsubst %,tests/test_%.py,$(if $(QUICK),$(SANITIZED_QUICK),$(SANITIZED))))

wheels: $(WHEELS)/made
	$(WHEELS)/bin/python .ci/wheels.py $(ARGS)

long: $(VENV)/dev
	$(BIN)/python -m pytest --long-runs tests/test_long_runs.py

# Quick results go to a folder of their own: measured once, they are not to be compared with others.
ASV := $(BIN)/asv --config $(if $(QUICK),asv.quick.json,asv.conf.json)
DASHBOARD := .asv/$(if $(QUICK),quick/)html
bench: $(VENV)/dev
	$(BIN)/asv machine --yes
	@sed 's#"\.asv/\(results\|html\)"#".asv/quick/\1"#' asv.conf.json > asv.quick.json
	$(ASV) run --python $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') --show-stderr $(if $(QUICK),--quick) --bench '$(or $(BENCH),$(if $(QUICK),[.]time,.))' HEAD^!
	$(ASV) publish
	$(BIN)/python -m bench.dashboard $(if $(QUICK),--quick) $(DASHBOARD)
	@echo "The dashboard is $(DASHBOARD)/index.html. Its curves need a server, but no network: $(ASV) preview."

compare: $(PEERS)/made
	$(PEERS)/bin/python -m bench.compare --fetch-fonts $(if $(QUICK),--quick) $(ARGS)

docs: $(VENV)/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "The documentation is in docs/_build/html/index.html."

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
	@echo "Compiling and installing fastctc (two or three minutes) ..."
	@$(PIP) --quiet install --editable .
	@touch $@

$(VENV)/reading: $(VENV)/core
	@echo "Installing what reading images needs ..."
	@$(PIP) install "pillow>=11" "scipy>=1.13"
	@touch $@

$(VENV)/check: $(VENV)/core
	@echo "Installing what the quick tests need ..."
	@$(PIP) install --group check
	@touch $@

$(VENV)/dev: $(VENV)/core
	@echo "Installing what tests and benchmarks need (TensorFlow among it, some hundred MB) ..."
	@$(PIP) install --group dev
	@touch $@

$(VENV)/docs: $(VENV)/core
	@echo "Installing what builds the documentation ..."
	@$(PIP) install --group docs
	@touch $@

$(SANITIZE)/made: $(VENV)/pip pyproject.toml setup.py
	@echo "Installing what the tests need in $(SANITIZE) ..."
	@$(PYTHON) -m venv $(SANITIZE)
	@$(SANITIZE)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(SANITIZE)/bin/python -m pip --disable-pip-version-check --quiet install --group check
	@rm -rf $(SANITIZE)/source && mkdir -p $(SANITIZE)/source
	@touch $@

$(WHEELS)/made: $(VENV)/pip
	@echo "Installing Zig's compiler and auditwheel in $(WHEELS) ..."
	@$(PYTHON) -m venv $(WHEELS)
	@$(WHEELS)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(WHEELS)/bin/python -m pip --disable-pip-version-check --quiet install --group wheels
	@touch $@

$(PEERS)/made: $(VENV)/pip $(SOURCES)
	@echo "Installing fastctc and everybody it is compared with in $(PEERS) (some GB) ..."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --group peers --editable .
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(SANITIZE) $(WHEELS) .asv asv.quick.json .fonts compare docs/_build demo.png build dist *.egg-info fastctc/compiled/*.c fastctc/compiled/*.so
