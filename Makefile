# The lab's front door. Where there is no make: see "Install" in README.md.
# ARGS are passed on: make lab ARGS="--port 9000", make test ARGS="-k accounting".
PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check
UV := .venv/bin/uv pip

.PHONY: lab demo workshop test federated bench lock wheelhouse

lab: .venv/installed
	@.venv/bin/python -m privlab lab $(ARGS)

demo: .venv/installed
	@.venv/bin/python -m privlab demo $(ARGS)

# Is this machine ready for a room? make workshop N=12
workshop: .venv/installed
	@.venv/bin/python -m privlab workshop --people $(or $(N),1) $(if $(wildcard wheelhouse),--wheelhouse wheelhouse) $(ARGS)

test: .venv/installed-test
	@.venv/bin/python -m privlab test $(ARGS)

federated: .venv/installed-federated
	@.venv/bin/python -m privlab federated $(ARGS)

bench: .venv/installed-peers
	@.venv/bin/python -m tests.benchmarks $(ARGS)

# Renew the pins: make lock ARGS=--upgrade
lock: .venv/installed
	$(UV) compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	    --custom-compile-command "make lock" --extra test $(ARGS) --output-file requirements.lock pyproject.toml

# Everything a room needs to install without a network, for this system and Python version.
wheelhouse: .venv/installed
	rm -rf wheelhouse
	$(PIP) wheel --quiet --constraint requirements.lock --wheel-dir wheelhouse .
	@echo "In the room: python -m pip install --no-index --find-links wheelhouse privlab"

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "privlab needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make lab PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet uv

.venv/installed: .venv/bin/uv pyproject.toml requirements.lock
	$(UV) install --quiet --compile-bytecode --python .venv/bin/python --constraint requirements.lock --editable .
	@touch $@

.venv/installed-test: .venv/installed
	$(UV) install --quiet --compile-bytecode --python .venv/bin/python --constraint requirements.lock --editable ".[test]"
	@touch $@

.venv/installed-federated: .venv/installed
	$(UV) install --quiet --compile-bytecode --python .venv/bin/python --constraint requirements.lock --editable ".[federated]"
	@touch $@

# pip, which heeds its own settings for where to find torch: without any, Linux gets the large CUDA build.
.venv/installed-peers: .venv/installed-test
	$(PIP) install --quiet --constraint requirements.lock --editable ".[test,peers]"
	@touch $@
