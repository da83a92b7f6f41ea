#!/usr/bin/env bash
# check.sh: format, lints, documentation.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps --locked
for script in scripts/*.sh .ci/run; do
  bash -n "$script"
done
if command -v shellcheck >/dev/null; then
  shellcheck scripts/*.sh .ci/run
fi
