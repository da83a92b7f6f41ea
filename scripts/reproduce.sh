#!/usr/bin/env bash
# reproduce.sh: builds HEAD twice, from fresh clones in two folders and with nothing of an earlier build, and compares what comes out. Prints the sums.
# reproduce.sh TARBALL: the same at the cost of one build. The working tree that TARBALL was built from is copied elsewhere; the crates of others are taken
# as they are compiled, ours are compiled and linked anew, for this machine's architecture, and the collection is packed anew.
. "$(dirname "$0")/common.sh"

target_folder=${CARGO_TARGET_DIR:-$ROOT/target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
elsewhere=$work/a-folder-with-quite-another-name/and-one-in-it

main() {
  cd "$ROOT"
  if [ $# = 0 ]; then
    compare_two_clones
  else
    compare_with "$1"
  fi
}

compare_two_clones() {
  local first second
  git clone --quiet --no-hardlinks "$ROOT" "$work/a"
  git clone --quiet --no-hardlinks "$ROOT" "$elsewhere"
  first=$(CARGO_TARGET_DIR=$work/a/target "$work/a/scripts/build.sh" --release)
  second=$(build_elsewhere --release)
  compare "$first" "$second"
}

compare_with() {
  local folder second taken
  mkdir -p "$elsewhere"
  # What is new counts, and what was taken away is not missed. The other way round, so that folders list it in another order.
  sources | sort -rz | tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -C "$elsewhere" -xmf -
  for folder in debug release "$architecture-unknown-linux-musl/release"; do
    take_crates_of_others "$target_folder/$folder" "$elsewhere/target/$folder"
  done
  taken=$(others_in "$1")
  second=$(ARCHES=$(architectures_in "$1") TAKEN=$taken build_elsewhere)
  compare "$1" "$second"
}

# Outside of a checkout, all but what builds leave.
sources() {
  git ls-files -z --cached --others --exclude-standard --deduplicate 2>/dev/null ||
    find . \( -path ./target -o -path ./dist -o -path ./.git \) -prune -o -type f -print0
}

# All that must not matter is different there.
build_elsewhere() (
  umask 077
  export TZ=Pacific/Auckland LC_ALL=POSIX CARGO_TARGET_DIR=$elsewhere/target
  "$elsewhere/scripts/build.sh" "$@"
)

take_crates_of_others() {
  [ -d "$1/deps" ] || return 0
  mkdir -p "$2/deps"
  cp -a "$1/.fingerprint" "$1/build" "$2/"
  find "$1/deps" -maxdepth 1 \( -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -name '*.d' \) -exec cp -a -t "$2/deps" {} +
  find "$2" -depth \( -name '*tokensmith*' -o -name 'xtask*' \) -exec rm -rf {} +
}

# The executables for other architectures that the tarball has.
others_in() {
  local other
  for other in $(architectures_in "$1"); do
    [ "$other" = "$architecture" ] || printf '%s ' "$target_folder/collection/tokensmith_$other"
  done
}

architectures_in() { tar -tzf "$1" | sed -n 's,^plugins/bin/tokensmith_,,p' | paste -sd' '; }

compare() {
  sums "$1" >"$work/first"
  sums "$2" >"$work/second"
  diff -u "$work/first" "$work/second" >&2 || fail "built twice from the same sources, and not the same."
  cat "$work/first"
}

# As sha256sum writes it, of the tarball and of each executable in it.
sums() {
  local path
  (cd "$(dirname "$1")" && sha256sum "$(basename "$1")")
  tar -tzf "$1" | grep '^plugins/bin/tokensmith_' | while read -r path; do
    printf '%s  %s\n' "$(tar -xzOf "$1" "$path" | sha256sum | cut -d' ' -f1)" "$path"
  done
}

architecture=$(uname -m)
main "$@"
