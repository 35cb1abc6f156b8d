# Two commands are all the set-up there is, on a bare Debian 12 with a Rust
# toolchain, as root:
#
#   make rehearse   a throw-away mail server from examples/mail.yaml
#   make test       every test, the end-to-end ones included

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

FILE ?= examples/mail.yaml
CARGO ?= cargo
TESTER := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo "$(CARGO) nextest run --no-fail-fast" || echo "$(CARGO) test --no-fail-fast")

# What building needs, and what rehearsal and tests run: real servers.
BUILD := build-essential pkg-config libssl-dev
LAB := mmdebstrap systemd-container nftables iproute2 openssh-client pdns-server pdns-backend-sqlite3 \
       sqlite3 unbound pebble debian-archive-keyring ca-certificates procps
TESTS := openssh-server knot bind9 bind9-dnsutils swaks libnet-ssleay-perl python3-dkim python3-venv sudo openssl curl

.PHONY: all build rehearse test lint record bench judges moto packages-build packages-lab packages-test clean

all: build

build: packages-build
	$(CARGO) build --locked

rehearse: packages-build packages-lab
	$(CARGO) build --locked
	target/debug/mailctl rehearse -f $(FILE)

test: packages-build packages-lab packages-test judges moto
	$(CARGO) build --locked --all-targets
	$(TESTER) --locked

lint: packages-build
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# Writes tests/plans/world anew, after a probe or a template has changed.
record: packages-build packages-lab
	$(CARGO) test --locked --test e2e -- --ignored record

bench: packages-build packages-lab packages-test judges
	$(CARGO) bench --locked --bench speed

# The Python programs that our verdicts and our speed are compared with, in a place of their own.
judges: packages-test
	@tools/python judges tests/judges/requirements.txt

# The Route 53 of the tests.
moto: packages-test
	@tools/python moto tests/zones/requirements.txt

packages-build:
	@tools/packages $(BUILD)

packages-lab:
	@tools/packages $(LAB)

packages-test:
	@tools/packages $(TESTS)

clean:
	$(CARGO) clean
