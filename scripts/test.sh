#!/usr/bin/env bash
# test.sh [ARGUMENT…]: everything; or, without the checks, what `cargo test` makes of the arguments.
# With REAL=1 a real server that cannot be had is a failure; without, its tests are skipped with a line.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
if [ $# = 0 ]; then
  scripts/check.sh
  set -- --workspace
fi
TOKENSMITH_TARBALL=$(scripts/build.sh)
TOKENSMITH_VENV=$(scripts/python.sh tools)
TOKENSMITH_CORES=$(scripts/python.sh cores)
# The staged collection and the executable are what lies in the tarball.
TOKENSMITH_STAGE=$ROOT/dist/stage/ansible_collections/tokensmith/redhat
TOKENSMITH_EXECUTABLE=$TOKENSMITH_STAGE/plugins/bin/tokensmith_$(uname -m)
TOKENSMITH_PYTHON=$TOKENSMITH_VENV/bin/python
TOKENSMITH_CACHE=$CACHE
REAL=${REAL:-}
# Status 77: this machine lacks Java or Maven, and a line said so.
TOKENSMITH_KEYCLOAK=$(scripts/keycloak.sh) || { [ $? = 77 ] && [ -z "$REAL" ]; }
export TOKENSMITH_TARBALL TOKENSMITH_VENV TOKENSMITH_CORES TOKENSMITH_STAGE TOKENSMITH_EXECUTABLE TOKENSMITH_PYTHON TOKENSMITH_CACHE TOKENSMITH_KEYCLOAK REAL
cargo test --locked "$@"
