#!/usr/bin/env bash
# test.sh [ARGUMENT…]: everything; or, without the checks, what `cargo test` makes of the arguments.
# With REAL=1 a real server that cannot be had is a failure; without, its tests are skipped with a line.
. "$(dirname "$0")/common.sh"

# These wait most of the time, for a server to start or for a clock, so they go on beside the others.
WAITING=' dest_credential galaxy_ng gateway_site keycloak runner sso_token '

# The names of the tests that cargo builds a program each of.
tests() {
  cargo metadata --locked --no-deps --format-version 1 | "$TOKENSMITH_PYTHON" -c '
import json, sys
print(*(target["name"] for package in json.load(sys.stdin)["packages"] for target in package["targets"] if "test" in target["kind"]))'
}

# In the background, one after the other: what tests/dist/reproducible.rs compares, as linking keeps one core busy for minutes, and `cargo test ARGUMENT…`.
go_on_beside() {
  export TOKENSMITH_BUILT_AGAIN
  TOKENSMITH_BUILT_AGAIN=$(mktemp -d)
  set -m
  {
    local status=0
    nice "$ROOT/scripts/reproduce.sh" "$TOKENSMITH_TARBALL" >"$TOKENSMITH_BUILT_AGAIN/sums" 2>"$TOKENSMITH_BUILT_AGAIN/said" || status=$?
    echo "$status" >"$TOKENSMITH_BUILT_AGAIN/status"
    cargo test --locked "$@" >"$TOKENSMITH_BUILT_AGAIN/tested" 2>&1
  } &
  beside=$!
  set +m
  trap 'kill -- "-$beside" 2>/dev/null || true; rm -rf "$TOKENSMITH_BUILT_AGAIN"' EXIT
}

# All of them, in two rows.
test_workspace() {
  local names name waiting=() others=() status=0
  # First by itself: in a loop its failure would go unnoticed, and no test would run.
  names=$(tests)
  for name in $names; do
    case "$WAITING" in *" $name "*) waiting+=(--test "$name") ;; *) others+=(--test "$name") ;; esac
  done
  cargo test --locked --no-run "$@"
  go_on_beside "${waiting[@]}" "$@"
  cargo test --locked --lib --bins "${others[@]}" "$@" || status=$?
  cargo test --locked --doc "$@" || status=$?
  wait "$beside" || status=$?
  cat "$TOKENSMITH_BUILT_AGAIN/tested"
  return "$status"
}

cd "$ROOT"
if [ $# = 0 ]; then
  scripts/check.sh
  set -- --workspace
fi
# The other architecture costs minutes, and one test needs it.
case " $* " in
  *" --workspace "* | *" architectures "*) ;;
  *) export ARCHES=${ARCHES:-$(uname -m)} ;;
esac
install_programs strace curl sudo sshd:openssh-server setfacl:acl qemu-aarch64-static:qemu-user-static gpg:gnupg
TOKENSMITH_TARBALL=$(scripts/build.sh)
TOKENSMITH_VENV=$(scripts/python.sh tools)
TOKENSMITH_CORES=$(scripts/python.sh cores)
TOKENSMITH_MATRIX=$(scripts/python.sh matrix)
scripts/python.sh docs >/dev/null
TOKENSMITH_MITOGEN=$(scripts/python.sh mitogen)
TOKENSMITH_COLLECTIONS=$(scripts/python.sh posix)
# The staged collection and the executable are what lies in the tarball.
TOKENSMITH_STAGE=$ROOT/dist/stage/ansible_collections/tokensmith/redhat
TOKENSMITH_EXECUTABLE=$TOKENSMITH_STAGE/plugins/bin/tokensmith_$(uname -m)
TOKENSMITH_PYTHON=$TOKENSMITH_VENV/bin/python
TOKENSMITH_CACHE=$CACHE
REAL=${REAL:-}
# Status 77: this machine lacks what the server needs, and a line said so.
TOKENSMITH_KEYCLOAK=$(scripts/keycloak.sh) || { [ $? = 77 ] && [ -z "$REAL" ]; }
TOKENSMITH_GATEWAY_SITE=$(scripts/gateway-site.sh) || { [ $? = 77 ] && [ -z "$REAL" ]; }
TOKENSMITH_GALAXY_NG=$(scripts/galaxy-ng.sh) || { [ $? = 77 ] && [ -z "$REAL" ]; }
TOKENSMITH_SSH_HOSTS=$(scripts/ssh-hosts.sh) || { [ $? = 77 ] && [ -z "$REAL" ]; }
export TOKENSMITH_TARBALL TOKENSMITH_VENV TOKENSMITH_CORES TOKENSMITH_MATRIX TOKENSMITH_MITOGEN TOKENSMITH_COLLECTIONS TOKENSMITH_STAGE TOKENSMITH_EXECUTABLE TOKENSMITH_PYTHON TOKENSMITH_CACHE TOKENSMITH_KEYCLOAK TOKENSMITH_GATEWAY_SITE TOKENSMITH_GALAXY_NG TOKENSMITH_SSH_HOSTS REAL
case " $* " in
  *" --test "*) cargo test --locked "$@" ;;
  *" --workspace "*) test_workspace "$@" ;;
  *) cargo test --locked "$@" ;;
esac
