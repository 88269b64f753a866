# Every target explains itself: make help
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

export PYTHON ?= python3
BIN := .venv/bin
RESOLVE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --fork-strategy fewest --custom-compile-command "make lock"

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: install ## Claims of a sandbox tenant become posted vouchers in ./.demo, by the real Airflow DAG
	@exec $(BIN)/python -m sandbox.demo

.PHONY: test
test: setup ## Every check and every test; installs what they need
	@exec scripts/check.sh

.PHONY: install
install: ## Install the product into ./.venv
	@scripts/install.sh requirements.txt

.PHONY: setup
setup: ## Install the product and the test tools into ./.venv
	@scripts/install.sh requirements-dev.txt

.PHONY: lint
lint: setup ## Style, security and Airflow rules
	@$(BIN)/ruff check .

.PHONY: types
types: setup ## Strict types of etl/
	@$(BIN)/mypy

.PHONY: golden
golden: setup ## Write the expected files of the case folders again (never finance's); review with git diff
	@$(BIN)/python -m pytest tests/cases --update-golden

.PHONY: dags
dags: setup ## Imports, house rules, task graphs and test runs of all DAGs
	@$(BIN)/python -m pytest tests/dags

.PHONY: bench
bench: setup ## CPU, wall time and memory of every stage; CLAIMS=100000 for the large run
	@exec $(BIN)/python -m benchmarks $(if $(CLAIMS),--claims $(CLAIMS))

.PHONY: faults
faults: setup ## Break real runs on purpose, some cases of every fault (under five minutes)
	@exec $(BIN)/python -m faults --slice

.PHONY: faults-full
faults-full: setup ## Every fault case (about an hour; goes on where it stopped) and docs/reliability.md
	@exec $(BIN)/python -m faults --full

.PHONY: docs
docs: install ## Write the generated pages and editor schemas again
	@$(BIN)/python -m etl.config.generate

.PHONY: lock
lock: ## Resolve requirements*.in into hashed lists for Python 3.11 to 3.13 (needs uv)
	$(RESOLVE) requirements.in --output-file requirements.txt
	$(RESOLVE) requirements-dev.in --constraints requirements.txt --output-file requirements-dev.txt

.PHONY: up
up: ## Start Airflow, PostgreSQL and the sandbox in containers, on loopback
	docker compose up --build --detach --wait

.PHONY: down
down: ## Stop the containers; their volumes stay
	docker compose down

.PHONY: clean
clean: ## Remove the environment, the demo and every cache
	rm -rf .venv .demo .faults .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
