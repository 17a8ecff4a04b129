# What a person types. `make` alone lists it; CI calls the same targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Where rustup puts cargo: a shell older than the installation does not know it yet.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
# Tools that `make check` compiles once; the folder outlives `cargo clean` of one profile only.
export TOOLS := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/tools

PROFILE ?= dev
TEST_CONTAINERS ?= yes
$(if $(filter yes no,$(TEST_CONTAINERS)),,$(error TEST_CONTAINERS is yes or no, not "$(TEST_CONTAINERS)"))

# Asked by the recipe, by which time `setup` has installed the compiler.
host = $$(rustc -vV | sed -n 's/^host: //p')
devcluster = $(or $(CARGO_TARGET_DIR),target)/$(host)/debug/devcluster
step = infra/scripts/step.sh
only_system = $(if $(SYSTEM),--system $(SYSTEM))
skip_containers = $(if $(filter no,$(TEST_CONTAINERS)),--skip containers::)

##@ Look around

.PHONY: help
help: ## List the targets
	@infra/scripts/help.sh $(firstword $(MAKEFILE_LIST))

##@ Run on this machine

.PHONY: setup
setup: ## Install what building needs and this machine lacks
	@infra/scripts/setup.sh

.PHONY: devcluster
devcluster: setup
	@cargo build --workspace --bin devcluster

# What `devcluster` cannot build.
.PHONY: front-door
front-door:
	@infra/scripts/setup.sh nginx
	@infra/scripts/setup.sh postgresql

.PHONY: up
up: devcluster $(if $(filter-out web,$(or $(SYSTEM),web)),,front-door) ## Start every system, wait until healthy, load samples: [SYSTEM=provchain] [NODES=3]
	@$(devcluster) up $(if $(NODES),--nodes $(NODES)) $(only_system)

.PHONY: status
status: devcluster ## Show each node, its ports, its leader and its health: [JSON=1]
	@$(devcluster) status $(if $(JSON),--json)

.PHONY: logs
logs: devcluster ## Show what the nodes wrote: [SYSTEM=…] [NODE=…]
	@$(devcluster) logs $(only_system) $(if $(NODE),--node $(NODE))

.PHONY: down
down: devcluster ## Stop the nodes; their data stays: [SYSTEM=…]
	@$(devcluster) down $(only_system)

.PHONY: clean
clean: devcluster ## Stop the nodes and delete their data
	@$(devcluster) clean

##@ Change

.PHONY: check check-format check-house check-scripts check-dependencies check-lints check-docs
check: check-format check-house check-scripts check-dependencies check-lints check-docs ## Everything that is checked without running it; writes nothing
check-format: setup
	@$(step) "format" cargo fmt --all --check
check-house: setup
	@$(step) "rules of the house" cargo run --locked --example house -- check
check-scripts: setup
	@infra/scripts/setup.sh shellcheck
	@$(step) "scripts" shellcheck --external-sources --source-path SCRIPTDIR .ci/run infra/scripts/*.sh
check-dependencies: setup
	@infra/scripts/setup.sh cargo-deny
	@$(step) "licences, bans and sources of dependencies" $(TOOLS)/bin/cargo-deny --locked check licenses bans sources
check-lints: setup
	@$(step) "lints" cargo clippy --locked --workspace --all-targets -- --deny warnings
# With the examples, so that the dependencies are those that the lints have read.
check-docs: setup
	@RUSTDOCFLAGS="--deny warnings" $(step) "documentation of the crates" cargo doc --locked --workspace --no-deps --lib --examples

.PHONY: fix
fix: setup ## Format, apply the lints' suggestions, redraw what is drawn from the sources
	@$(step) "lints" cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets
	@$(step) "format" cargo fmt --all
	@$(step) "crate diagram" cargo run --example house -- diagram --write

.PHONY: docs
docs: check-docs ## Build the documentation of the crates and say where it lies
	@echo "$(or $(CARGO_TARGET_DIR),target)/$(host)/doc/index.html"

##@ Test

.PHONY: docker
docker:
	@infra/scripts/docker.sh --with-compose

.PHONY: test
test: setup $(if $(skip_containers),,docker) ## Run every test but the long ones: [TEST_CONTAINERS=no] [PAGES_SCREENSHOTS=…] (a folder)
	@infra/scripts/setup.sh strace
	@infra/scripts/setup.sh chromium
	@infra/scripts/setup.sh redis
	@infra/scripts/setup.sh prometheus
	@infra/scripts/setup.sh nginx
	@infra/scripts/setup.sh postgresql
	@$(step) "tests" cargo test --workspace --no-fail-fast -- --skip soak:: $(skip_containers)

.PHONY: test-containers
test-containers: setup docker ## Run only the tests in containers
	@infra/scripts/named-tests.sh containers

.PHONY: test-conformance
test-conformance: setup ## Run the published suites: [RDF_CANON_SUITE=…] [GS1_EPCIS_SUITE=…] [MERKLE_SUITE=…] [EVENT_HASH_SUITE=…] (checkouts)
	@infra/scripts/conformance.sh

.PHONY: test-monitoring
test-monitoring: setup ## Test the rules, dashboards and alerts, with a real Prometheus and Alertmanager
	@infra/scripts/setup.sh prometheus
	@infra/scripts/named-tests.sh monitoring

.PHONY: test-newcomer
test-newcomer: ## Follow the README in a bare Debian container: up, its commands, down, test (long)
	@infra/scripts/newcomer.sh

.PHONY: soak
soak: setup docker ## Run the long tests: [MINUTES=60] [HISTORY_SEED=…]
	@infra/scripts/setup.sh strace
	@infra/scripts/named-tests.sh soak --nocapture --test-threads 1

.PHONY: bench
bench: setup ## Measure for release, print tables with ratios: [BENCH_SECONDS=…] [BENCH_ROUNDS=…] [BENCH_EVENTS=…]
	@$(step) "benchmarks" infra/scripts/bench.sh

##@ Ship

.PHONY: images
images: setup docker ## Build the image of every system: [SYSTEM=…] [PROFILE=release]
	@PROFILE=$(PROFILE) infra/scripts/images.sh $(SYSTEM)
