#!/usr/bin/env bash
# The real Keycloak for the tests.
#
#   keycloak.sh [prepare]                          print the folder of a ready template, making it first if need be
#   keycloak.sh run TEMPLATE FOLDER PORT MANAGEMENT_PORT
#                                                  run a copy of the template in FOLDER until standard input closes,
#                                                  then take FOLDER away
#
# The template is a built server with all realms in its database and no session yet: making it costs minutes, starting a
# copy of it costs seconds. It lies in the cache, named by what it was made from.
# Exit status 77: this machine lacks something (Java, Maven, the way to Maven's repository); the last line on standard error says what.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

VERSION=26.7.4
SHA256=a286e98b4296d4e75ee88d8527c7cd463b307caa022f088c9f22cffccc741fa1
ADMIN="admin"
ADMIN_PASSWORD=keycloak-test-only
PREFIX=/auth

REALMS=$ROOT/tests/keycloak
SERVERS=$CACHE/keycloak
server_pid=

main() {
  case "${1:-prepare}" in
    prepare) prepare ;;
    run) shift && run "$@" ;;
    *) fail "keycloak.sh knows 'prepare' and 'run', not '$1'." ;;
  esac
}

prepare() {
  need flock sha256sum sed
  find_java
  mkdir -p "$SERVERS"
  local template
  template=$SERVERS/$VERSION-$(cat "${BASH_SOURCE[0]}" "$REALMS"/*.json | sha256sum | cut -c1-12)
  exec 9>"$SERVERS/lock"
  flock 9
  # Not behind ||: a function called there would lose `set -e`.
  if [ ! -d "$template" ]; then make_template "$template"; fi
  echo "$template"
}

make_template() {
  download
  scratch=$(mktemp -d "$SERVERS/making.XXXXXX")
  trap 'stop_server; rm -rf "$scratch"' EXIT
  trap 'exit 1' TERM INT
  say "unpacking and building the server (a minute or two, once)"
  unpack "$scratch"
  local server=$scratch/keycloak-$VERSION
  make_realms "$server/data/import"
  bash "$server/bin/kc.sh" build --db=dev-file --http-relative-path=$PREFIX --cache=local --health-enabled=true \
    >"$scratch/build.log" 2>&1 || fail_with_log "The server could not be built" "$scratch/build.log"
  say "importing the realms (a minute or two, once)"
  import_realms "$server"
  rm -rf "$server/data/import" "$server/data/tmp"
  mv "$server" "$1"
}

download() {
  local zip=$SERVERS/keycloak-quarkus-dist-$VERSION.zip
  if ! right_checksum "$zip"; then
    command -v mvn >/dev/null || missing "Maven (mvn), to get Keycloak $VERSION"
    say "getting Keycloak $VERSION by Maven (170 MB, once)"
    local scratch
    scratch=$(mktemp -d "$SERVERS/getting.XXXXXX")
    # The plugin's own repository is thrown away: it would keep a second copy of the archive.
    mvn -q -B dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:$VERSION:zip \
      -DoutputDirectory="$scratch" -Dmaven.repo.local="$scratch/repository" >"$scratch/maven.log" 2>&1 \
      || { tail -n 20 "$scratch/maven.log" >&2; rm -rf "$scratch"; unavailable "Maven could not get Keycloak $VERSION"; }
    mv "$scratch/${zip##*/}" "$zip"
    rm -rf "$scratch"
    right_checksum "$zip" || { rm -f "$zip"; fail "Keycloak $VERSION came with a wrong SHA-256; thrown away."; }
  fi
}

right_checksum() {
  [ -f "$1" ] && echo "$SHA256  $1" | sha256sum --check --status
}

unpack() {
  local zip=$SERVERS/keycloak-quarkus-dist-$VERSION.zip
  if command -v unzip >/dev/null; then
    unzip -q "$zip" -d "$1"
  elif [ -x "$JAVA_HOME/bin/jar" ]; then
    (cd "$1" && "$JAVA_HOME/bin/jar" xf "$zip")
  else
    missing "unzip"
  fi
}

# One realm per file, and the file must have the realm's name.
make_realms() {
  mkdir -p "$1"
  cp "$REALMS/redhat-external.json" "$1/"
  derive "$1" second ''
  derive "$1" rotating 's/"revokeRefreshToken": false/"revokeRefreshToken": true/'
  derive "$1" rotating-reuse-1 \
    's/"revokeRefreshToken": false/"revokeRefreshToken": true/; s/"refreshTokenMaxReuse": 0/"refreshTokenMaxReuse": 1/'
  derive "$1" tls-only 's/"sslRequired": "none"/"sslRequired": "all"/'
  derive "$1" limited \
    's/"offlineSessionMaxLifespanEnabled": false/"offlineSessionMaxLifespanEnabled": true/
         s/"offlineSessionIdleTimeout": 2592000/"offlineSessionIdleTimeout": 20, "offlineSessionMaxLifespan": 60/'
}

derive() {
  sed "s/\"realm\": \"redhat-external\"/\"realm\": \"$2\"/; $3" "$REALMS/redhat-external.json" >"$1/$2.json"
}

import_realms() {
  local server=$1 log=$1/data/import.log port management
  port=$(free_port)
  management=$(free_port)
  start_server "$server" "$port" "$management" "$log" --import-realm
  for _ in $(seq 600); do
    if ready "$management"; then
      stop_server
      return
    fi
    kill -0 "$server_pid" 2>/dev/null || fail_with_log "The server ended while importing the realms" "$log"
    sleep 1
  done
  stop_server
  fail_with_log "The server was not ready after ten minutes" "$log"
}

run() {
  [ $# = 4 ] || fail "Usage: keycloak.sh run TEMPLATE FOLDER PORT MANAGEMENT_PORT"
  local template=$1
  # Not local: the trap at the end of the script reads it.
  folder=$2
  [ -d "$template/data/h2" ] || fail "There is no Keycloak template in '$template'; make it with: scripts/keycloak.sh"
  find_java
  [ ! -e "$folder" ] || fail "'$folder' exists already, and is not taken away for a copy of Keycloak."
  mkdir -p "$folder/data"
  trap 'stop_server; rm -rf "$folder"' EXIT
  trap 'exit 0' TERM INT
  cp -R "$template/bin" "$template/conf" "$folder/"
  cp -R "$template/data/h2" "$folder/data/"
  ln -s "$template/lib" "$template/providers" "$template/themes" "$folder/"
  start_server "$folder" "$3" "$4" "$folder/server.log"
  # The end of standard input is the one sign that cannot be missed when the tests are killed.
  local status=0
  while kill -0 "$server_pid" 2>/dev/null; do
    status=0
    read -r -t 1 || status=$?
    [ "$status" != 1 ] || exit 0
  done
  fail_with_log "The server ended by itself" "$folder/server.log"
}

# Sets server_pid, which is the id of a process group too: the java process is a child of kc.sh.
start_server() {
  local server=$1 port=$2 management=$3 log=$4
  shift 4
  set -m
  KC_BOOTSTRAP_ADMIN_USERNAME=$ADMIN KC_BOOTSTRAP_ADMIN_PASSWORD=$ADMIN_PASSWORD \
    JAVA_OPTS_APPEND="-XX:TieredStopAtLevel=1 -Xmx512m" \
    bash "$server/bin/kc.sh" start --optimized --http-enabled=true --http-host=127.0.0.1 --http-port="$port" \
    --http-management-port="$management" --hostname-strict=false "$@" </dev/null >"$log" 2>&1 9>&- &
  server_pid=$!
  set +m
}

stop_server() {
  [ -n "$server_pid" ] || return 0
  kill -TERM -- "-$server_pid" 2>/dev/null || return 0
  for _ in $(seq 100); do
    kill -0 -- "-$server_pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$server_pid" 2>/dev/null || true
}

ready() {
  local status
  { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf 'GET %s/health/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$PREFIX" >&3
  read -r -t 10 status <&3 || status=
  exec 3>&-
  [[ $status == *" 200 "* ]]
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# Sets JAVA_HOME to a Java of version 17 or newer: the one given, else 25 (half the memory of 17), else any.
find_java() {
  local home
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/*25* /usr/lib/jvm/*21* /usr/lib/jvm/*17* "$(java_on_path)"; do
    if [ -n "$home" ] && [ "$(java_version "$home")" -ge 17 ]; then
      export JAVA_HOME=$home
      return
    fi
  done
  missing "Java 17 or newer"
}

java_on_path() {
  local java
  java=$(command -v java) || return 0
  dirname "$(dirname "$(readlink -f "$java")")"
}

java_version() {
  local version
  version=$("$1/bin/java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p') || true
  echo "${version:-0}"
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
  say "No Keycloak for the tests: $1."
  exit 77
}

fail_with_log() {
  tail -n 30 "$2" >&2
  fail "$1."
}

main "$@"
