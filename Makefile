.PHONY: all build man install release test realapps lint fuzz bench check

all: build

build:
	CGO_ENABLED=0 go build -o bin/passenger ./cmd/passenger

# The manual pages, which are made from what --help says.
man:
	CGO_ENABLED=0 go run ./cmd/passenger man bin/man/man1

PREFIX ?= /usr/local
TOOLS = passenger-status passenger-memory-stats passenger-config flying-passenger

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 bin/passenger $(DESTDIR)$(PREFIX)/bin/passenger
	for tool in $(TOOLS); do ln -sf passenger $(DESTDIR)$(PREFIX)/bin/$$tool; done
	install -m 644 packaging/systemd/* $(DESTDIR)$(PREFIX)/lib/systemd/system

release:
	./scripts/release

test:
	./scripts/test

# Applications of all frameworks that docs/frameworks.md names; "make test" runs those that install quickly.
realapps:
	./scripts/realapps

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
