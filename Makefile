# Every step of CI is here: .ci/run calls `make test` and nothing else.

SOURCES := $(wildcard cmd config grants pkg storage docs)
LINTER  := .ci/bin/golangci-lint
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help build demo deps lint fmt test fuzz faults requirements generate clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the binary: .ci/bin/sallyport.
	@mkdir -p .ci/bin
	CGO_ENABLED=0 go build -trimpath -o .ci/bin/sallyport ./cmd/sallyport

demo: build ## See a login with a second factor. Needs Go and nothing else.
	@.ci/bin/sallyport demo

deps: ## Install what the tests need (Debian, Ubuntu); elsewhere say what is missing.
	@.ci/deps

lint: $(LINTER) ## Run the linters of .ci/golangci.yml.
	@$(LINTER) run --config .ci/golangci.yml ./...

fmt: ## Format the code.
	@gofmt -l -w $(SOURCES)

test: ## Run everything that CI runs.
	@.ci/test

fuzz: ## Fuzz every parser, one after another: make fuzz FUZZTIME=60s.
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

requirements: ## Print each requirement with the tests named after it.
	@.ci/requirements

faults: ## Break Redis, PostgreSQL and gateways under logins, and print what was seen.
	@.ci/faults

generate: ## Write the pages that are generated: docs/configuration.md.
	@mkdir -p .ci/bin
	go run ./cmd/sallyport config reference > .ci/bin/configuration.md
	@mv .ci/bin/configuration.md docs/configuration.md

clean: ## Remove what was built.
	rm -rf .ci/bin docs/examples/*/node_modules

# A module of its own keeps the linter's dependencies out of ours.
$(LINTER): .ci/lint/go.mod .ci/lint/go.sum
	@mkdir -p .ci/bin
	go build -C .ci/lint -trimpath -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
