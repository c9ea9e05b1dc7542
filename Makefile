.PHONY: all help build man install release test realapps lint fuzz bench bench-check check

all: build

help: ## lists the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## bin/passenger
	CGO_ENABLED=0 go build -o bin/passenger ./cmd/passenger

man: ## the manual pages, made from what --help says
	CGO_ENABLED=0 go run ./cmd/passenger man bin/man/man1

PREFIX ?= /usr/local
TOOLS = passenger-status passenger-memory-stats passenger-config flying-passenger

install: build ## the program, its tools and units, below PREFIX and DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 bin/passenger $(DESTDIR)$(PREFIX)/bin/passenger
	for tool in $(TOOLS); do ln -sf passenger $(DESTDIR)$(PREFIX)/bin/$$tool; done
	install -m 644 packaging/systemd/* $(DESTDIR)$(PREFIX)/lib/systemd/system

release: ## archives for each system in dist
	./scripts/release

test: ## installs what the tests need and runs them all
	./scripts/test

realapps: ## applications of all frameworks; "make test" runs those that install quickly
	./scripts/realapps

lint: ## the linter, in the version that counts
	./scripts/lint

fuzz: ## each fuzz target for FUZZTIME, 10 s if not given
	./scripts/fuzz

# Results go to docs/benchmarks.md by hand, with the machine they are from.
bench: ## the benchmarks, each beside its peer
	./scripts/bench

bench-check: ## what a request costs, beside another commit: make bench-check BEFORE=HEAD~1
	./scripts/bench-check $(BEFORE)

check: ## all that CI runs
	./.ci/run
