#!/usr/bin/env bash
# test.sh [ARGUMENT…]: everything; or, without the checks, what `cargo test` makes of the arguments.
# With REAL=1 a real server that cannot be had is a failure; without, its tests are skipped with a line.
. "$(dirname "$0")/common.sh"

# What tests/dist/reproducible.rs compares. Linking keeps one core busy for minutes, so it goes on beside the tests.
build_again() {
  export TOKENSMITH_BUILT_AGAIN
  TOKENSMITH_BUILT_AGAIN=$(mktemp -d)
  set -m
  {
    local status=0
    nice "$ROOT/scripts/reproduce.sh" "$TOKENSMITH_TARBALL" >"$TOKENSMITH_BUILT_AGAIN/sums" 2>"$TOKENSMITH_BUILT_AGAIN/said" || status=$?
    echo "$status" >"$TOKENSMITH_BUILT_AGAIN/status"
  } &
  building=$!
  set +m
  trap 'kill -- "-$building" 2>/dev/null || true; rm -rf "$TOKENSMITH_BUILT_AGAIN"' EXIT
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
  *" --workspace "*)
    cargo test --locked --no-run "$@"
    build_again
    ;;
esac
cargo test --locked "$@"
