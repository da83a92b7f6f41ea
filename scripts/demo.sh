#!/usr/bin/env bash
# demo.sh: the main job, from the sources to a playbook run of the installed collection, against stand-ins of its peer systems on loopback.
. "$(dirname "$0")/common.sh"

main() {
  cd "$ROOT"
  local tarball venv
  say "building the collection (minutes on the first run, seconds afterwards)"
  tarball=$(ARCHES=${ARCHES:-$(uname -m)} scripts/build.sh)
  venv=$(scripts/python.sh ansible)
  cargo build --quiet --locked -p tokensmith-sandbox

  # A folder of its own, so that two demos of one checkout do not meet.
  demo=$(mktemp -d "$ROOT/.demo.XXXXXX")
  trap 'end_sandbox; rm -rf "$demo"' EXIT
  export ANSIBLE_HOME=$demo/ansible ANSIBLE_COLLECTIONS_PATH=$demo/collections ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOWS=1
  export PATH=$venv/bin:$PATH LC_ALL=C.UTF-8
  ansible-galaxy collection install --offline "$tarball" -p "$demo/collections" >/dev/null
  title "Installed: $(basename "$tarball"), with an executable of $(du -h --apparent-size "$demo"/collections/ansible_collections/tokensmith/redhat/plugins/bin/tokensmith_* | cut -f1 | paste -sd ' ')"

  start_sandbox
  install -m 0600 "$demo/sandbox/offline_token" "$demo/offline_token"

  title 'First run: the offline token is used, its successor is written back, an access token is handed over'
  keep_offline_token
  title 'Second run: the access token is still good, so nothing is sent and nothing is changed'
  keep_offline_token
  title '31 days later, without a run in between: Red Hat SSO has let the offline token die'
  control clock '{"advance": 2678400}'
  mv "$demo/access_token" "$demo/old_access_token"
  if keep_offline_token; then fail "the run should have failed."; fi

  title 'Quay: new tokens for all robots of an organization, each proven and put into its file'
  mkdir "$demo/robots"
  rotate_quay_robots

  title 'Platform gateway: a token that is created, proven and put in place, and then left alone'
  rotate_gateway_token
  rotate_gateway_token

  title 'Automation hub: the one token of a user, tried before it is replaced'
  rotate_hub_token

  title 'No token stands in anything printed above:'
  local token
  for token in "$demo/offline_token" "$demo/old_access_token" "$demo"/sandbox/*_token "$demo"/sandbox/*_password "$demo"/robots/* \
    "$demo/aap_token" "$demo/hub_token"; do
    ! grep -qFf "$token" "$demo/output" || fail "$(basename "$token") was printed."
  done
  echo "checked: $(wc -l <"$demo/output") lines. The same playbook with your own token:"
  echo
  echo '  ansible-playbook tokensmith.redhat.keep_offline_token -e sso_offline_token_file=/path/of/your/offline_token'
}

keep_offline_token() {
  ansible-playbook tokensmith.redhat.keep_offline_token \
    -e "sso_offline_token_file=$demo/offline_token" -e "sso_access_token_file=$demo/access_token" \
    -e "sso_token_url=$(endpoint sso_token_url)" -e "sso_ca_path=$demo/sandbox/ca.pem" 2>&1 | tee -a "$demo/output"
}

rotate_quay_robots() {
  QUAY_TOKEN=$(<"$demo/sandbox/quay_token") ansible-playbook tokensmith.redhat.rotate_quay_robots \
    -e "quay_host=$(endpoint quay_url)" -e "quay_ca_path=$demo/sandbox/ca.pem" -e quay_state=rotated \
    -e "{quay_rotations: [{organization: bulk, all_robots: true, dest: '$demo/robots/{robot}'}]}" 2>&1 | tee -a "$demo/output"
}

rotate_gateway_token() {
  GATEWAY_PASSWORD=$(<"$demo/sandbox/gateway_password") ansible-playbook tokensmith.redhat.rotate_gateway_token \
    -e "gateway_hostname=$(endpoint gateway_url)" -e "gateway_ca_path=$demo/sandbox/ca.pem" -e gateway_username=admin \
    -e "{gateway_tokens: [{description: demo, dest: '$demo/aap_token'}]}" 2>&1 | tee -a "$demo/output"
}

rotate_hub_token() {
  AH_PASSWORD=$(<"$demo/sandbox/hub_password") ansible-playbook tokensmith.redhat.rotate_hub_token \
    -e "hub_host=$(endpoint hub_url)" -e "hub_ca_path=$demo/sandbox/ca.pem" -e hub_username=build \
    -e "hub_dest=$demo/hub_token" -e hub_dest_format=raw 2>&1 | tee -a "$demo/output"
}

start_sandbox() {
  mkfifo "$demo/alive"
  "${CARGO_TARGET_DIR:-$ROOT/target}/debug/tokensmith-sandbox" --state "$demo/sandbox" --quay-robots 5 --until-stdin-closes <"$demo/alive" >"$demo/ready" &
  sandbox=$!
  exec 8>"$demo/alive"
  local tries
  for tries in $(seq 100); do
    [ ! -s "$demo/ready" ] || return 0
    kill -0 "$sandbox" 2>/dev/null || fail "the sandbox did not start."
    sleep 0.1
  done
  fail "the sandbox was not ready after $tries tries."
}

end_sandbox() {
  exec 8>&-
  [ -z "${sandbox:-}" ] || wait "$sandbox" || true
}

endpoint() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$demo/sandbox/endpoints.json"; }

control() { # control ACTION JSON
  python3 - "$(endpoint sandbox_url)/_sandbox/$1" "$2" "$demo/sandbox/ca.pem" <<'PYTHON'
import ssl, sys, urllib.request
url, body, authority = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority)))
opener.open(url, body.encode()).read()
PYTHON
}

title() { printf '\n\033[1m== %s\033[0m\n\n' "$1"; }

main "$@"
