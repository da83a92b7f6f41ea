#!/usr/bin/env bash
# clean.sh: removes what was built here.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
cargo clean --quiet
rm -rf dist .demo.*
say "toolchains and venvs are kept in $CACHE"
