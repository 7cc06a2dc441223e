# make report            a report of the quick preset on this machine
# make report PRESET=paper DEVICE=cuda
# make test              the test suite;  make lint  ruff and mypy;  make verify  what takes longer
# make docs              the documentation, into site/, every warning an error
# make cuda              what only a machine with a GPU can tell, into results/<its name>
# make wheels            into .wheels what make cuda needs on a machine without a registry
# make fuzz              coverage-guided fuzzing of every reader of foreign input, ten minutes
# make strangers         models of six other libraries, one call each, into docs/strangers.md
# make integrations      the callbacks in the real trainers of transformers and Lightning
# NO_INSTALL=1           use PYTHON as it is and install nothing

PYTHON ?= python3
VENV ?= .venv
PRESET ?= quick
DEVICE ?= auto

ifdef NO_INSTALL
RUN := $(PYTHON)
READY :=
else
RUN := $(VENV)/bin/python
READY := $(VENV)/.installed
endif

.PHONY: report test lint docs verify cuda wheels fuzz strangers integrations clean

report: $(READY)
	$(RUN) -m bench run --preset $(PRESET) --device $(DEVICE)

# Two files at a time; what is there to be timed runs alone.
test: $(READY)
	$(RUN) -m pytest --numprocesses 2 --dist loadfile --benchmark-disable --ignore tests/performance
	$(RUN) -m pytest tests/performance

verify: $(READY)
	$(RUN) -m pytest -m long

cuda: $(READY)
	PYTHON=$(RUN) DEVICE=$(DEVICE:auto=cuda) .ci/cuda

# For Python 3.12 on x86-64 Linux; what torch itself needs is there already.
wheels: $(READY)
	$(RUN) -m pip download --quiet --no-deps --only-binary :all: --python-version 3.12 \
		--platform manylinux_2_17_x86_64 --platform manylinux_2_28_x86_64 \
		--constraint constraints.txt --dest .wheels msgspec tomli-w filelock pooch

# A bug's input is kept as crash-*; the fuzzer is installed here alone.
fuzz: $(READY)
ifndef NO_INSTALL
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[test,fuzz]"
endif
	$(RUN) tests/fuzz/fuzz_parsers.py

# Goes on where it was ended; runs/strangers.csv holds what is done. Then make verify runs some, too.
strangers: $(READY)
ifndef NO_INSTALL
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[strangers]"
endif
	$(RUN) tests/strangers --page docs/strangers.md

integrations: $(READY)
ifndef NO_INSTALL
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[test,integrations]"
endif
	$(RUN) -m pytest -m integrations tests/teleport_core/integrations

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

docs: $(READY)
ifndef NO_INSTALL
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
endif
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test,lint,tensorboard]"
	touch $@

clean:
	rm -rf $(VENV) .wheels runs site
