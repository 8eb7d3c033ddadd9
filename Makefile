# SPDX-License-Identifier: Apache-2.0
#
# The front door. Meson and Ninja do the building; `make help` lists what there is.

PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= python3
FUZZ_SECONDS ?= 60
SEED ?= $(shell date +%s)
HOURS ?=
BUILD = build
BUILD_OPTIONS ?=
SANITIZERS = -Db_sanitize=address,undefined -Db_lundef=false

.DEFAULT_GOAL := all
.PHONY: all build install uninstall wheel image demo examples test test-asan test-compat bench bench-image sim sim-plants fuzz format docs tidy clean help
export PYTHON
# Of the engine torch; a server would build it beside the handler that serves its model meanwhile.
BUILD_ENGINE = build/bin/sconce engines build torch --python .venv-demo/bin/python

all: build ## build into build/ (installs what is missing first)

build:
	@tools/setup.sh build
	@test -f build/build.ninja || meson setup build $(BUILD_OPTIONS)
	@ninja -C build

install: build ## install under PREFIX (default /usr/local), or DESTDIR/PREFIX
	@meson configure build --prefix="$(abspath $(PREFIX))"
	@ninja -C build
	@DESTDIR="$(DESTDIR)" meson install -C build --no-rebuild

uninstall: ## remove what `make install` has put there (the same PREFIX and DESTDIR)
	@$(PYTHON) tools/uninstall.py $(BUILD) "$(abspath $(PREFIX))" "$(DESTDIR)"

wheel: ## make dist/sconce-….whl, which needs no compiler and no libraries (ARCH=arm64)
	@ARCH=$(ARCH) tools/wheel.sh

image: build ## build a container image of Debian packages (VARIANT=core|python|onnx|torch ARCH=arm64)
	@tools/setup.sh image
	@ARCH="$(ARCH)" BUILD="$(filter-out build,$(BUILD))" deploy/image/build.sh $(or $(VARIANT),core)

deb: build ## make dist/sconce_….deb for this Debian (deploy/systemd/README.md)
	@tools/setup.sh deb
	@tools/deb.sh dist $(BUILD)

demo: build ## serve a photograph classifier and ask it (KEEP=1: keep serving)
	@tools/setup.sh demo
	@$(BUILD_ENGINE)
	@.venv-demo/bin/python tools/demo.py $(if $(filter-out 0,$(KEEP)),--keep)

examples: build ## install what the examples need (examples/README.md)
	@tools/setup.sh examples

test: ## run every test, with and without sanitizers (STEPS=tidy,unit: only these)
	@tools/setup.sh test
	@test -n "$(SCONCE_SKIP_COMPAT)$(STEPS)" || tools/setup.sh compat || \
		echo "setup: without TorchServe the step compat is skipped" >&2
	@.venv/bin/python tools/run_tests.py $(if $(STEPS),--only $(STEPS))

test-asan: ## run the tests of the build with address and undefined-behaviour sanitizers
	@tools/setup.sh test
	@.venv/bin/python tools/run_tests.py --only asan-unit,asan-e2e

test-compat: ## compare the answers of TorchServe 0.12 and sconce (docs/compatibility.md)
	@tools/setup.sh compat
	@.venv/bin/python tools/run_tests.py --only compat

bench: build ## measure beside TorchServe (ROUNDS=5 ONLY=noop1,ping SERVERS=sconce)
	@tools/setup.sh $(if $(filter sconce,$(SERVERS)),bench-sconce,bench)
	@ninja -C build bench/bare/bare >/dev/null
	@$(BUILD_ENGINE)
	@.venv-demo/bin/python bench/run.py $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(SERVERS),--server $(SERVERS))

bench-image: build ## measure pictures beside Pillow, Pillow-SIMD, torchvision and OpenCV (FILE=photo.jpg ROUNDS=31)
	@tools/setup.sh bench-image
	@ninja -C build bench/image/image_bench >/dev/null
	@.venv-image/bin/python bench/image/compare.py $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(or $(FILE),.cache/demo/china.jpg)

sim: ## run the front in a simulator (SEED=7 VERBOSE=1: this one again; HOURS=1: fresh seeds)
	@tools/setup.sh build
	@test -f build-asan/build.ninja || meson setup build-asan -Dtests=enabled $(SANITIZERS)
	@ninja -C build-asan tests/sim/sim
	@build-asan/tests/sim/sim --seed $(SEED) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(HOURS),--hours $(HOURS)) \
		$(if $(filter-out 0,$(VERBOSE)),--verbose)

sim-plants: ## plant faults, one at a time, and let the simulator find each (half an hour)
	@tools/setup.sh build
	@$(PYTHON) tests/sim/plants.py

fuzz: ## fuzz every parser for FUZZ_SECONDS each (default 60)
	@tools/setup.sh fuzz
	@test -f build-fuzz/build.ninja || \
		CC=clang meson setup build-fuzz -Dfuzz=true $(SANITIZERS) \
		-Dc_args=-fsanitize=fuzzer-no-link
	@ninja -C build-fuzz
	@$(PYTHON) tools/run_fuzz.py build-fuzz --seconds $(FUZZ_SECONDS)

format: ## lay out the C sources
	@tools/setup.sh format
	@git ls-files -co --exclude-standard -- '*.c' '*.h' '*.cpp' | xargs clang-format -i

docs: ## make a site of the documents in .cache/site
	@tools/setup.sh docs
	@.venv-docs/bin/python -m mkdocs build --strict -q -f tools/site/mkdocs.yml -d ../../.cache/site
	@echo "docs: open .cache/site/index.html (to search: python3 -m http.server -d .cache/site)"

tidy: ## check the rules of the tree (part of `make test`)
	@$(PYTHON) tools/tidy.py

clean: ## remove the build directories and dist/ (not the environments .venv*)
	rm -rf dist build build-asan build-tsan build-fuzz

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
