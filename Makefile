# make study        install, then compare buying policies on the embedded panel (ARGS="--quick" for less work)
# make test         install with what tests need, then formatting, lint, types and tests
# make check        the same without the tests
# make slow         the tests that take minutes each
# make docs         build the site of docs/ into build/site
# make clean        remove what these made, runs/ aside

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
ARGS ?=
RUN = "$(VENV)/bin/python" -P -m

# $(call install,EXTRAS,STAMP): install the working tree, in the versions of constraints.txt. The stamp holds the
# folder that was installed, so that nothing is done twice and a moved clone is noticed.
define install
@if [ "$$(cat "$(VENV)/$(2)" 2>/dev/null)" != "$$PWD" ] \
    || [ pyproject.toml -nt "$(VENV)/$(2)" ] || [ constraints.txt -nt "$(VENV)/$(2)" ]; then \
  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || { echo "error: '$(PYTHON)' is not Python 3.11 or later; name one: make PYTHON=/path/to/python3" >&2; exit 1; }; \
  echo "Installing into $(VENV) (minutes, the first time)"; \
  "$(PYTHON)" -m venv "$(VENV)" \
    && "$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$(1)" \
    && for stamp in $(2) $(3); do echo "$$PWD" > "$(VENV)/$$stamp"; done; \
fi
endef

.PHONY: study test check slow docs clean install install-docs install-test

study: install
	@$(RUN) fractile study $(ARGS)

test: check
	@OMP_NUM_THREADS=1 $(RUN) pytest -q -n $(WORKERS)

slow: install-test
	@OMP_NUM_THREADS=1 $(RUN) pytest -q -n $(WORKERS) -m slow

# mypy finds the package under its name through a link that lies outside the checkout.
check: install-test
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@types=$$(mktemp -d); trap 'rm -rf "$$types"' EXIT; ln -s "$$PWD" "$$types/fractile"; MYPYPATH="$$types" $(RUN) mypy

docs: install-docs
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build

install:
	$(call install,,.installed)

install-docs:
	$(call install,[docs],.installed-docs,.installed)

install-test:
	$(call install,[test],.installed-test,.installed)

clean:
	rm -rf "$(VENV)" build dist fractile.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
