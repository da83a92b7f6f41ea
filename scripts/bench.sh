#!/usr/bin/env bash
# bench.sh: the time of a task, side by side with the usual ways, here and on a remote host. Prints tables and leaves the figures in
# target/bench.json. With BENCH_README=1 the tables go into README.md and docs/performance.md too.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
target_folder=${CARGO_TARGET_DIR:-$ROOT/target}
install_programs curl sudo sshd:openssh-server setfacl:acl || say "not all programs could be installed."
say "building the collection (minutes on the first run, seconds afterwards)"
tarball=$(ARCHES=${ARCHES:-$(uname -m)} scripts/build.sh)
venv=$(scripts/python.sh ansible)
hosts=()
# Status 77: this machine lacks what a remote host needs, and a line said so.
if script=$(scripts/ssh-hosts.sh); then
  mitogen=$(scripts/python.sh mitogen)
  hosts=("$script" "$mitogen")
elif [ $? != 77 ]; then
  exit 1
else
  say "what a task costs on a remote host is left out."
fi
# A stand-in that is slow would be measured along with what it is there to measure.
cargo build --quiet --locked --profile measured -p tokensmith-sandbox
say "measuring (some minutes)"
cargo run --quiet --locked -p xtask -- bench ${BENCH_README:+--readme} "$tarball" "$venv" "$target_folder/measured/tokensmith-sandbox" "$target_folder/bench.json" "${hosts[@]}"
say "the figures are in $target_folder/bench.json"
