#!/usr/bin/env bash
# bench.sh: the time of a task, side by side with the usual ways. Prints a table and leaves the figures in target/bench.json.
# With BENCH_README=1 the table goes into README.md too.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
target_folder=${CARGO_TARGET_DIR:-$ROOT/target}
say "building the collection (minutes on the first run, seconds afterwards)"
tarball=$(ARCHES=${ARCHES:-$(uname -m)} scripts/build.sh)
venv=$(scripts/python.sh ansible)
cargo build --quiet --locked -p tokensmith-sandbox
say "measuring (some minutes)"
cargo run --quiet --locked -p xtask -- bench ${BENCH_README:+--readme} "$tarball" "$venv" "$target_folder/debug/tokensmith-sandbox" "$target_folder/bench.json"
say "the figures are in $target_folder/bench.json"
