#!/usr/bin/env bash
# toolchain.sh TARGET…: prints what to `eval` before `cargo zigbuild --target TARGET`, for static musl executables.
# The targets come from where they are: already there, or `rustup target add`, or built from the distribution's Rust sources
# (Debian and its kin; TOKENSMITH_TOOLCHAIN=closed takes this way at once), each once, in the cache. Where none works, status 1.
. "$(dirname "$0")/common.sh"

main() {
  local zig
  zig=$("$ROOT/scripts/python.sh" zig) || return 1
  echo "export PATH=$(quoted "$zig/bin"):\$PATH"
  # Named by the text that makes it. Debian's version of Rust is the newest of the day it is made.
  folder=$CACHE/rust-$(digest "$(cat "$ROOT/scripts/closed-toolchain.sh")")
  if [ "${TOKENSMITH_TOOLCHAIN:-}" != closed ]; then
    have "$@" && return
    closed_has "$@" || { add "$@" && return; }
  fi
  closed "$@"
}

# `--print target-libdir` answers for a target that is not there too.
have() {
  local target
  for target; do
    [ -d "$("${RUSTC:-rustc}" --print target-libdir --target "$target")" ] || return 1
  done
}

add() {
  command -v rustup >/dev/null || return 1
  say "rustup target add $*"
  timeout 600 rustup target add "$@" >&2 && have "$@"
}

closed_has() { [ -e "$folder/.ready" ] && RUSTC=$folder/bin/rustc have "$@"; }

closed() {
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  closed_has "$@" || "$ROOT/scripts/closed-toolchain.sh" "$folder" "$@" >&2
  printf 'export RUSTC=%s RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-Clink-self-contained=no"\n' "$(quoted "$folder/bin/rustc")"
}

quoted() { printf '%q' "$1"; }

main "$@"
