#!/usr/bin/env bash
# A platform gateway for the tests: the library that holds the real one's token code, on a small site.
#
#   gateway-site.sh [prepare]                       print the folder of a ready template, making it first if need be
#   gateway-site.sh run TEMPLATE FOLDER PORT [RELEASE]
#                                                   run a copy of the template in FOLDER until standard input closes,
#                                                   then take FOLDER away; FOLDER/aap-gateway-manage is its command
#
# The template has the site, older releases of the library and a database for each: making it takes half a minute, starting a
# copy of it a second or two. It lies in the cache, named by what it was made from.
# Exit status 77: this machine lacks something (Python, the way to PyPI); the last line on standard error says what.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

OLDER_RELEASES=(2025.5.8 2026.3.19)
SITE=$ROOT/tests/gateway_site
SITE_FILES=(aap-gateway-manage constraints.txt gateway seed.py)
RELEASE=$(sed -n 's/^django-ansible-base==//p' "$SITE/constraints.txt")
server_pid=

main() {
  case "${1:-prepare}" in
    prepare) prepare ;;
    run) shift && run "$@" ;;
    *) fail "gateway-site.sh knows 'prepare' and 'run', not '$1'." ;;
  esac
}

prepare() {
  find_python 3.12 3.13 3.11 >/dev/null || unavailable "this machine has no Python 3.11, 3.12 or 3.13 with venv and ssl"
  local venv template made_from
  venv=$("$ROOT/scripts/python.sh" gateway) || unavailable "the Python packages could not be installed from PyPI"
  made_from=$(cd "$SITE" && find "${SITE_FILES[@]}" -type f ! -name '*.pyc' | LC_ALL=C sort | xargs sha256sum)
  template=$CACHE/gateway-site-$(digest "$venv" "${OLDER_RELEASES[*]}" "$made_from" "$(sha256sum <"${BASH_SOURCE[0]}")")
  once "$template" make_template "$venv"
  echo "$template"
}

make_template() {
  local venv=$1 template=$2 release
  ln -s "$venv" "$template/venv"
  mkdir "$template/site"
  (cd "$SITE" && cp -R "${SITE_FILES[@]}" "$template/site")
  find "$template/site" -name __pycache__ -prune -exec rm -rf {} +
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
  for release in "${OLDER_RELEASES[@]}"; do
    say "installing django-ansible-base==$release"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$template/releases/$release" \
      "django-ansible-base==$release" || unavailable "django-ansible-base $release could not be installed from PyPI"
  done
  for release in "${OLDER_RELEASES[@]}" "$RELEASE"; do
    say "making the database of a gateway with django-ansible-base $release"
    make_database "$template" "$release" >"$template/$release.log" 2>&1 \
      || fail_with_log "The database of release $release could not be made" "$template/$release.log"
  done
  # Some machines forbid Python to do it later.
  "$venv/bin/python" -m compileall -q "$template/site"
}

make_database() {
  local manage=$1/databases/$2.manage
  # A chain, because `set -e` is lost behind ||.
  mkdir -p "$1/databases" && write_command "$1" "$1/databases/$2.sqlite3" "$2" "$manage" \
    && "$manage" migrate --run-syncdb --verbosity 0 && "$manage" shell --verbosity 0 <"$1/site/seed.py" && rm "$manage"
}

# write_command TEMPLATE DATABASE RELEASE PATH: the management command for that database.
write_command() {
  cat >"$4" <<COMMAND
#!/bin/sh
export GATEWAY_DATABASE='$2' PYTHONPATH='$(module_path "$1" "$3")'
exec '$1/venv/bin/python' '$1/site/aap-gateway-manage' "\$@"
COMMAND
  chmod 755 "$4"
}

# An older release stands before the installed one.
module_path() {
  local path=$1/site
  [ "$2" = "$RELEASE" ] || path=$1/releases/$2:$path
  echo "$path"
}

run() {
  [ $# = 3 ] || [ $# = 4 ] || fail "Usage: gateway-site.sh run TEMPLATE FOLDER PORT [RELEASE]"
  local template=$1 port=$3 release=${4:-$RELEASE}
  # Not local: the trap at the end of the script reads it.
  folder=$2
  [ -f "$template/databases/$release.sqlite3" ] \
    || fail "There is no gateway of release $release in '$template'; make one with: scripts/gateway-site.sh"
  [ ! -e "$folder" ] || fail "'$folder' exists already, and is not taken away for a copy of the gateway."
  mkdir -p "$folder"
  trap 'stop_server; rm -rf "$folder"' EXIT
  trap 'exit 0' TERM INT
  cp "$template/databases/$release.sqlite3" "$folder/database.sqlite3"
  write_command "$template" "$folder/database.sqlite3" "$release" "$folder/aap-gateway-manage"
  start_server "$template" "$port" "$release"
  # The end of standard input is the one sign that cannot be missed when the tests are killed.
  local status=0
  while kill -0 "$server_pid" 2>/dev/null; do
    status=0
    read -r -t 1 || status=$?
    [ "$status" != 1 ] || exit 0
  done
  fail_with_log "The gateway ended by itself" "$folder/server.log"
}

# Sets server_pid, which is the id of a process group too.
start_server() {
  set -m
  GATEWAY_DATABASE=$folder/database.sqlite3 PYTHONPATH=$(module_path "$1" "$3") DJANGO_SETTINGS_MODULE=gateway.settings \
    "$1/venv/bin/gunicorn" --bind "127.0.0.1:$2" --threads 4 --log-level warning --no-control-socket \
    'django.core.wsgi:get_wsgi_application()' </dev/null >"$folder/server.log" 2>&1 &
  server_pid=$!
  set +m
}

stop_server() {
  [ -n "$server_pid" ] || return 0
  # At once: on TERM it waits for clients that keep their connections.
  kill -QUIT -- "-$server_pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 -- "-$server_pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$server_pid" 2>/dev/null || true
}

unavailable() {
  say "No gateway for the tests: $1."
  exit 77
}

fail_with_log() {
  tail -n 30 "$2" >&2
  fail "$1."
}

main "$@"
