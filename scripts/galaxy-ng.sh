#!/usr/bin/env bash
# The real private automation hub (galaxy-ng) for the tests.
#
#   galaxy-ng.sh [prepare]                       print the folder of a ready template, making it first if need be
#   galaxy-ng.sh run TEMPLATE FOLDER PORT CONTENT_PORT [approval]
#                                                run a copy of the template in FOLDER until standard input closes,
#                                                then take FOLDER away; what is published to it may be installed at once,
#                                                or when it was approved
#
# The template is a migrated database with an administrator, the key that its fields are encrypted with, and the venv that
# made it: making it costs minutes, starting a copy of it costs seconds. It lies in the cache, named by what it was made from.
# Exit status 77: this machine lacks something (Python 3.11, PostgreSQL, headers, the way to PyPI); the last line on standard
# error says what.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ADMIN="admin"
ADMIN_PASSWORD=hub-test-only
# PostgreSQL refuses to run as root.
DATABASE_USER=postgres
SERVERS=$CACHE/galaxy-ng
groups=()

main() {
  case "${1:-prepare}" in
    prepare) prepare ;;
    run) shift && run "$@" ;;
    *) fail "galaxy-ng.sh knows 'prepare' and 'run', not '$1'." ;;
  esac
}

prepare() {
  need flock sha256sum
  find_postgresql
  local venv template
  venv=$(venv)
  template=$SERVERS/$(digest "$venv" "$("$POSTGRESQL/postgres" --version)" "$ADMIN_PASSWORD" "$(declare -f make_template)")
  once "$template" make_template "$venv"
  echo "$template"
}

venv() {
  find_python 3.11 >/dev/null || missing "Python 3.11 with venv and ssl"
  need_headers
  "$ROOT/scripts/python.sh" galaxy-ng || unavailable "its packages could not be installed from PyPI"
}

need_headers() {
  command -v cc >/dev/null || missing "C compiler (cc)"
  has_headers || install_headers
  has_headers || missing "headers of OpenLDAP and SASL (on Debian and Ubuntu: apt-get install libldap2-dev libsasl2-dev)"
}

has_headers() {
  printf '#include <%s>\n' ldap.h sasl/sasl.h | cc -E - >/dev/null 2>&1
}

install_headers() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing libldap2-dev libsasl2-dev"
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends libldap2-dev libsasl2-dev; } >/dev/null || true
  fi
}

make_template() {
  # Not local: the trap reads it. Not in the cache: that may lie where PostgreSQL's user cannot go.
  folder=$(mktemp -d "${TMPDIR:-/tmp}/tokensmith-galaxy-ng.XXXXXX")
  trap 'stop_all; rm -rf "$folder"' EXIT
  trap 'exit 1' TERM INT
  local venv=$1 template=$2 log=$folder/making.log
  say "making the database of the hub (a minute, once)"
  chmod 755 "$folder"
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' >"$folder/fields.key"
  database_folder "$folder/database"
  as_database_user "$POSTGRESQL/initdb" --pgdata="$folder/database" --username=hub --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --wal-segsize=1 --no-sync >"$log" 2>&1 || fail_with_log "The database could not be made" "$log"
  start_database "$log"
  as_database_user "$POSTGRESQL/createdb" --host="$folder/socket" --username=hub hub
  write_settings 0 0
  manager "$venv" migrate --no-input >>"$log" 2>&1 || fail_with_log "The database could not be migrated" "$log"
  DJANGO_SUPERUSER_PASSWORD=$ADMIN_PASSWORD manager "$venv" createsuperuser --no-input --username "$ADMIN" --email admin@example.com \
    >>"$log" 2>&1 || fail_with_log "The administrator could not be made" "$log"
  stop_all
  cp -R "$folder/database" "$folder/fields.key" "$template/"
  ln -s "$venv" "$template/venv"
}

manager() {
  local venv=$1
  shift
  PULP_SETTINGS=$folder/settings.py "$venv/bin/pulpcore-manager" "$@"
}

run() {
  [[ "$# ${5:-}" = @("4 "|"5 approval") ]] || fail "Usage: galaxy-ng.sh run TEMPLATE FOLDER PORT CONTENT_PORT [approval]"
  local template=$1 port=$3 content_port=$4 approval=${5:+True}
  # Not local: the trap at the end of the script reads it.
  folder=$2
  [ -d "$template/database" ] || fail "There is no template of a hub in '$template'; make it with: scripts/galaxy-ng.sh"
  find_postgresql
  [ ! -e "$folder" ] || fail "'$folder' exists already, and is not taken away for a copy of the hub."
  mkdir -m 755 "$folder"
  trap 'stop_all; rm -rf "$folder"' EXIT
  trap 'exit 0' TERM INT
  database_folder "$folder/database"
  cp -R "$template/database/." "$folder/database/"
  own "$folder/database"
  cp "$template/fields.key" "$folder/"
  write_settings "$port" "$content_port" "$approval"
  start_database "$folder/database.log"
  export PULP_SETTINGS=$folder/settings.py HOME=$folder/home LC_ALL=C.UTF-8
  # galaxy-importer calls ansible-doc and ansible-lint by their names.
  export PATH=$template/venv/bin:$PATH
  # On a busy machine a start takes longer than gunicorn would wait.
  start api gunicorn pulpcore.app.wsgi:application --bind "127.0.0.1:$port" --timeout 300 --worker-class gthread --threads 8
  start content gunicorn pulpcore.content:server --bind "127.0.0.1:$content_port" --timeout 300 \
    --worker-class aiohttp.GunicornWebWorker
  start worker pulpcore-worker
  # The end of standard input is the one sign that cannot be missed when the tests are killed.
  local status=0
  while all_run; do
    status=0
    read -r -t 1 || status=$?
    [ "$status" != 1 ] || exit 0
  done
  tail -n 20 "$folder"/*.log >&2
  fail "A process of the hub ended by itself."
}

# The folders are made here, because each process would fail without them.
write_settings() {
  mkdir -p "$folder"/{home,media,static,work}
  cat >"$folder/settings.py" <<SETTINGS
SECRET_KEY = "galaxy-ng-test-only"
DB_ENCRYPTION_KEY = "$folder/fields.key"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "$folder/socket", "NAME": "hub", "USER": "hub"}}
DEPLOY_ROOT = "$folder"
MEDIA_ROOT = "$folder/media"
STATIC_ROOT = "$folder/static"
WORKING_DIRECTORY = "$folder/work"
FILE_UPLOAD_TEMP_DIR = "$folder/work"
WORKER_TTL = 300
CONTENT_APP_TTL = 300
CACHE_ENABLED = False
TOKEN_AUTH_DISABLED = True
GALAXY_REQUIRE_CONTENT_APPROVAL = ${3:-False}
CONTENT_ORIGIN = "http://127.0.0.1:$2"
ANSIBLE_API_HOSTNAME = "http://127.0.0.1:$1"
ANSIBLE_CONTENT_HOSTNAME = "http://127.0.0.1:$2/pulp/content"
X_PULP_CONTENT_HOST = "127.0.0.1"
X_PULP_CONTENT_PORT = $2
SETTINGS
}

# Only on a socket that no other user reaches, and without care for power cuts.
start_database() {
  database_folder "$folder/socket"
  start_as_database_user "$1" "$POSTGRESQL/postgres" -D "$folder/database" -k "$folder/socket" \
    -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB
  local _
  for _ in $(seq 600); do
    ! as_database_user "$POSTGRESQL/pg_isready" --quiet --host="$folder/socket" --username=hub --dbname=template1 || return 0
    kill -0 "${groups[0]}" 2>/dev/null || fail_with_log "PostgreSQL ended at its start" "$1"
    sleep 0.1
  done
  fail_with_log "PostgreSQL was not ready after a minute" "$1"
}

database_folder() {
  mkdir -m 700 "$1"
  own "$1"
}

own() {
  [ "$(id -u)" != 0 ] || chown -R "$DATABASE_USER" "$1"
}

as_database_user() {
  (cd / && "${become[@]}" "$@")
}

# Each process leads a group of its own, and the first group is PostgreSQL's.
start_as_database_user() {
  local log=$1
  shift
  set -m
  (cd / && exec "${become[@]}" "$@") </dev/null >>"$log" 2>&1 9>&- &
  groups+=($!)
  # Else the shell would tell how each ended.
  disown
  set +m
}

start() {
  local name=$1
  shift
  set -m
  "$@" </dev/null >"$folder/$name.log" 2>&1 &
  groups+=($!)
  # Else the shell would tell how each ended.
  disown
  set +m
}

all_run() {
  local group
  for group in "${groups[@]}"; do
    kill -0 "$group" 2>/dev/null || return 1
  done
}

# PostgreSQL last: the others speak to it as they end. It ends at once when interrupted, but waits for its users when terminated.
stop_all() {
  local group
  for group in "${groups[@]:1}"; do
    kill -TERM -- "-$group" 2>/dev/null || true
  done
  for group in "${groups[@]:1}"; do
    await_end "$group"
  done
  [ ${#groups[@]} = 0 ] || { kill -INT "${groups[0]}" 2>/dev/null || true; await_end "${groups[0]}"; }
  groups=()
}

await_end() {
  local _
  for _ in $(seq 200); do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.05
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}

# Sets POSTGRESQL, the folder of its programs, and become, the words that run one of them.
find_postgresql() {
  local candidate
  POSTGRESQL=
  for candidate in "$(dirname "$(command -v postgres || echo /)")" /usr/pgsql-*/bin /usr/lib/postgresql/*/bin; do
    ! has_postgresql "$candidate" || POSTGRESQL=$candidate
  done
  [ -n "$POSTGRESQL" ] || missing "PostgreSQL server (on Debian and Ubuntu: apt-get install postgresql)"
  become=(env)
  [ "$(id -u)" = 0 ] || return 0
  need setpriv
  id "$DATABASE_USER" >/dev/null 2>&1 || missing "user $DATABASE_USER, whom PostgreSQL runs as"
  become=(setpriv "--reuid=$DATABASE_USER" "--regid=$(id -g "$DATABASE_USER")" --clear-groups env HOME=/)
}

has_postgresql() {
  local program
  for program in initdb postgres createdb pg_isready; do
    [ -x "$1/$program" ] || return 1
  done
}

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || missing "$tool"
  done
}

missing() {
  unavailable "this machine has no $1"
}

unavailable() {
  say "No automation hub for the tests: $1."
  exit 77
}

fail_with_log() {
  tail -n 30 "$2" >&2
  fail "$1."
}

main "$@"
