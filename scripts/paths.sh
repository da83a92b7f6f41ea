#!/usr/bin/env bash
# paths.sh [ARGUMENT…]: the whole suite of playbooks by each way to run an executable, with what is left of the arguments of `cargo test`.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
for way in direct fast classic; do
  say "the suite of playbooks, $way"
  TOKENSMITH_WAY=$way scripts/test.sh -p tokensmith-tests --test playbooks "$@"
done
