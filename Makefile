# Everything you can do with estop. `make dev` serves it here; `make test` checks all of it.
.DEFAULT_GOAL := help
.PHONY: help dev check test model soak build dist cost latency bench bench-quick bench-page scale scale-big screenshots deploy login setup

latency = $(abspath $(or $(CARGO_TARGET_DIR),target))/release/examples/latency
demo_key = $(shell awk -F'"' '/^pub const LOCAL_DEMO/ { print $$2 }' src/key.rs)
page_sources := $(shell find dashboard -type f -not -path 'dashboard/node_modules/*' -not -path 'dashboard/generated/*') openapi.yaml
sources := $(shell find src protocol/src -type f) Cargo.toml Cargo.lock protocol/Cargo.toml rust-toolchain.toml package-lock.json build.rs openapi.yaml

help: ## This list
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

dev: ## Serve on http://127.0.0.1:8787 with an embedded database (PORT=, STATE=, DEMO=0)
	@exec scripts/dev

check: ## Format, lints, native tests: for every edit, two or three minutes
	@scripts/check

test: ## `make check`, and then everything else: the Worker in workerd, the CLI, faults, races, crashes, conformance
	@scripts/test

model: ## Explore a model of the protocol in every order of events, with every single fault (a minute or two)
	@cargo run --quiet --release --package estop-model

soak: ## The long tests: races, random requests, and kill -9 under load (about ten minutes)
	@scripts/soak

build: build/index_bg.wasm build/page/index.html ## Build the Worker and its page into build/

build/index_bg.wasm: $(sources) scripts/build scripts/setup
	@scripts/build

build/page/index.html: $(page_sources) scripts/page
	@scripts/page

dist: ## Make what is installed without Rust: binaries, npm packages and wheels, in target/dist (PLATFORMS=)
	@scripts/dist $(PLATFORMS)

cost: ## Measure the rows that each request reads and writes at D1, what fits in a free day, and what a month costs
	@scripts/with-servers cargo test --quiet --workspace --test http budget -- --nocapture

latency: build ## Measure how long a cancel takes to reach the tests, with push and without (RUNS=200)
	@cargo build --quiet --release --package estop-cli --bins --examples
	@scripts/with-servers sh -c 'ESTOP_URL=$$ESTOP_TEST_URL ESTOP_KEY=$(demo_key) $(latency) $(or $(RUNS),200)'
	@echo "the same, 20 ms from the database:"
	@ESTOP_LATENCY=$(latency) RUNS=$(or $(RUNS),200) cargo test --quiet --workspace --test rig latency_with -- --ignored --nocapture

bench: build ## Compare estop with the alternatives; writes bench/results.md and .svg (Linux)
	@cargo bench --quiet --bench peers

bench-quick: build ## A two-minute version that reports missed goals but does not fail (Linux)
	@cargo bench --quiet --bench peers -- --quick

scale: build ## What every operation costs in databases of a thousand to a million runs, and a day of a million (RUNS=, Linux)
	@cargo bench --quiet --bench scale
	@cargo bench --quiet --bench day -- $(if $(RUNS),--runs $(RUNS))

scale-big: build ## The same with ten million runs, too: a quarter of an hour, 15 GB of disk (Linux)
	@cargo bench --quiet --bench scale -- --big

bench-page: ## Measure the page: its JavaScript, its first rows, its frames a second
	@scripts/with-servers scripts/page-tests --bench

screenshots: ## Take the pictures of the page in docs/page/
	@scripts/with-servers scripts/page-tests --screenshots

deploy: build ## Put it on your Cloudflare account: database, schema, admin token, cron
	@scripts/deploy

login: setup ## Log wrangler in to your Cloudflare account
	@eval "$$(scripts/setup --env)" && "$$WRANGLER_BIN" login

setup: ## Install the pinned tools (the other targets do so themselves)
	@scripts/setup
