# What each target does is in scripts/. ARCHES: the architectures to build for; where one is enough, this machine's own unless said otherwise.
.DEFAULT_GOAL := help
.PHONY: help demo test matrix paths bench check docs build dist reproduce clean
export ARCHES REAL BENCH_README MATRIX_DOCS KEY

help: ## this list
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

demo: ## build, install and run the collection against stand-ins of Red Hat SSO and Quay
	@scripts/demo.sh

test: ## everything: check, Rust, playbooks, real servers (REAL=1: a real server that is missing is a failure)
	@scripts/test.sh

matrix: ## all that Ansible can say around a task, on every ansible-core, by every way (MATRIX_DOCS=1: the table goes into docs/matrix.md)
	@TOKENSMITH_WHOLE_MATRIX=1 scripts/test.sh -p tokensmith-tests --test matrix

paths: ## the whole suite of playbooks by each way to run an executable
	@scripts/paths.sh

bench: ## the time of a task, side by side with the usual ways (BENCH_README=1: the tables go into the README and docs)
	@scripts/bench.sh

check: ## format, lints, documentation
	@scripts/check.sh

docs: ## the guides and all options as a site of static pages in dist/docs
	@scripts/docs.sh

build: ## the collection's tarball in dist/, with static executables for x86_64 and aarch64
	@scripts/build.sh

dist: ## the same for others, with checksums and bill of materials (KEY=ID: and signed by that GnuPG key): refused unless it is static and committed
	@scripts/dist.sh

reproduce: ## the proof that the sources alone decide what is built: twice from fresh clones, and compared (some ten minutes)
	@scripts/reproduce.sh

clean: ## what was built here; toolchains and venvs stay in the cache
	@scripts/clean.sh
