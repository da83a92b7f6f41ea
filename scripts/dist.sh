#!/usr/bin/env bash
# dist.sh: the tarball for others, with its checksum beside it.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed, so nobody could build this again."
tarball=$("$ROOT/scripts/build.sh" --release)
cd "$(dirname "$tarball")"
sha256sum "$(basename "$tarball")" | tee "$(basename "$tarball").sha256"
