# Everything a newcomer or CI runs. Each target installs what it needs, or says in one sentence how to get it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build generate size check test unit e2e composite platforms dashboard docs lint demo bench growth compat attack storm outage \
	blame real fuzz package clean rust

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

rust:
	@command -v cargo >/dev/null || ./module/build.sh

build: ## leave dist/<root_id>.wasm
	./module/build.sh

size: build ## fail if a module is larger than its budget: 1 MiB for a filter, 1.75 MiB for all in one
	@! find dist -maxdepth 1 -name '*.wasm' \( -name tidegate.wasm -size +1792k -o ! -name tidegate.wasm -size +1024k \) \
		-printf '%p has %s bytes, more than its budget\n' | grep .

check: rust ## tell what is wrong with CONFIG=file, or what it will do (MODULE=root_id for a document alone, FORMAT=json)
	@test -n "$(CONFIG)" || { echo "make check CONFIG=file [MODULE=root_id] [FORMAT=json]" >&2; exit 2; }
	@cargo run --quiet --package tidegate-check -- $(if $(FORMAT),--format $(FORMAT)) "$(CONFIG)" $(MODULE)

test: ## run every test, and tell how many each stage ran and all that failed
	@rm -rf target/test-results
	@$(MAKE) --keep-going --no-print-directory unit e2e composite platforms; python3 tests/count.py $$?

unit: rust ## run the tests that need neither Envoy nor a wasm toolchain
	./tests/stage.sh unit

e2e: build ## run the tests against a real Envoy
	./module/build.sh store-contract task-contract
	./tests/stage.sh e2e

composite: build ## run the filters' end-to-end tests against the composite module
	./tests/stage.sh composite

platforms: build ## test what envoy/ ships for Istio, Envoy Gateway, Kubernetes, Compose, Prometheus and Grafana
	./tests/deploy/run.sh

dashboard: build ## draw the Grafana dashboard from a real Prometheus' data
	./tests/deploy/run.sh picture

compat: build ## run the smoke tests in every supported release of Envoy
	./tests/compat/run.sh

docs: rust ## test what the documentation says: links, examples, tables, and what is generated from the code
	cargo test --quiet --package tidegate-check --package tidegate-generate

generate: rust ## write the files that name every filter, the schemas and the reference, after a change of the list or of a filter
	cargo run --quiet --package tidegate-generate
	cargo run --quiet --package tidegate-check -- schema envoy/schema
	cargo run --quiet --package tidegate-check -- reference docs/reference

lint: rust ## check format, lints and scripts
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets --exclude tidegate-module -- --deny warnings
	for filter in $(notdir $(patsubst %/surface.txt,%,$(wildcard filters/*/surface.txt))) store-contract task-contract; do \
		cargo clippy --quiet --package tidegate-module --features $$filter -- --deny warnings || exit 1; done
	./tests/lint-scripts.sh

demo: build ## a real model behind Tidegate, a flood, and a client that notices nothing (UPSTREAM=http://… for your own)
	./demo/run.sh

bench: build ## what every filter costs, side by side with Envoy alone, its own filters and empty ones
	./module/build.sh empty scan
	./tests/lab/run.sh bench

growth: build ## how that cost grows with clients, limits, bodies and workers
	./tests/lab/run.sh bench.growth

attack: build ## slow attacks against Envoy's defaults, Envoy's best settings and Tidegate, and what honest clients see (QUICK=--quick)
	./tests/lab/run.sh attack $(QUICK)

package: build ## leave an OCI image of each module in target/oci/ (REGISTRY=host/path to push them, too)
	python3 envoy/package.py $(REGISTRY)

storm: build ## what retries do to a cluster that fails half its requests, with and without the retry budget (QUICK=--quick)
	./tests/lab/run.sh storm $(QUICK)

real: build ## streams of a real model, in every API that it has, through every filter
	./tests/lab/run.sh real

outage: build ## what clients get while the model server is dead, or slow, with and without degradation (QUICK=--quick)
	./tests/lab/run.sh outage $(QUICK)

blame: build ## what honest clients get beside one whose requests fail, hang or drip, and after an outage (QUICK=--quick)
	./tests/lab/run.sh blame $(QUICK)

fuzz: rust ## look for inputs that break the parsers of hostile input (SECONDS=3600 for each target, TARGETS="json_lexer …")
	./fuzz/run.sh $(or $(SECONDS),3600) $(TARGETS)

clean: ## remove everything that was built or installed into the checkout
	rm -rf target dist .venv fuzz/{artifacts,corpus,target,tool}
