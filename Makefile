# make run: the whole loop in the browser.  make test: everything that guards it.  Both install what they need.
#
# TORCH_INDEX  an extra index that offers the CPU build of torch, used where no GPU is seen
# PIP_FLAGS    further flags for pip
# BENCH        flags of benchmarks/side_by_side.py

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_FLAGS ?=
TORCH_INDEX ?=
BENCH ?=
INDEX := $(if $(TORCH_INDEX),$(if $(shell command -v nvidia-smi 2>/dev/null),,--extra-index-url $(TORCH_INDEX)))

.PHONY: run test test-fast soak bench check install install-dev browser clean

run: install
	$(BIN)/prefloop serve

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "PrefLoop needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "This Python has no ensurepip." \
		"On Debian and Ubuntu: sudo apt-get install python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet $(INDEX) $(PIP_FLAGS) -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(BIN)/pip install --quiet $(INDEX) $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	touch $@

# the browser tests drive a real Chromium: installed here where we may, else said in one line
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || test -n "$$CHROMIUM_PATH" || \
		{ if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
		else echo "The browser tests need Chromium: install it, or set CHROMIUM_PATH to one."; exit 1; fi; }

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the browser's tests run apart: their driver keeps an event loop, which other tests want for themselves; in their order,
# because by number of tests the longest file, the journey, would come last and alone
test: check browser
	$(BIN)/pytest -n 2 --dist loadfile -m "not browser and not soak"
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m browser

test-fast: install-dev
	$(BIN)/pytest -m "not slow and not browser and not soak" -q

# faults in every method, which take too long for every change
soak: install-dev
	$(BIN)/pytest -m soak -q -s

# our training beside TRL's, on a machine with nothing else to do: some minutes; BENCH=--short for a quick look
bench: install-dev
	$(BIN)/python benchmarks/side_by_side.py $(BENCH)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
