.PHONY: all build test lint fuzz bench check

all: build

build:
	CGO_ENABLED=0 go build -o bin/passenger ./cmd/passenger

test:
	./scripts/test

lint:
	./scripts/lint

fuzz:
	./scripts/fuzz

# Results go to docs/benchmarks.md by hand, with the machine they are from.
bench:
	./scripts/bench

# All that CI runs.
check:
	./.ci/run
