#!/usr/bin/env bash
# build.sh [--release]: executables, staged collection, tarball. Prints the tarball's path.
# ARCHES: the architectures to build for, all unless said otherwise. TAKEN: executables for some of them, which are packed as they are.
# With --release, anything but a static executable for each architecture is refused.
. "$(dirname "$0")/common.sh"

target_folder=${CARGO_TARGET_DIR:-$ROOT/target}
executables=$target_folder/collection

main() {
  cd "$ROOT"
  mkdir -p "$executables"
  # Two builds of one checkout take turns.
  exec 9>"$target_folder/collection.lock"
  flock 9
  local architectures architecture packed rustc zig
  read -ra architectures <<<"${ARCHES:-x86_64 aarch64}"
  compile "${architectures[@]}"
  read -ra packed <<<"${TAKEN:-}"
  for architecture in "${compiled[@]}"; do
    packed+=("$executables/tokensmith_$architecture")
  done
  cargo run --quiet --locked -p xtask -- package "$@" "$rustc" "$zig" "${packed[@]}"
}

# In one call, as linking keeps one core busy for each architecture.
compile() {
  local architecture targets=() built=() environment
  compiled=()
  for architecture; do
    # Asked for with the others, as one compiler is to make them all.
    targets+=("$architecture-unknown-linux-musl")
    [[ " ${TAKEN:-} " = *"/tokensmith_$architecture "* ]] || compiled+=("$architecture") built+=("--target=$architecture-unknown-linux-musl")
  done
  if ! environment=$("$ROOT/scripts/toolchain.sh" "${targets[@]}"); then
    compile_for_host
    return
  fi
  (
    eval "$environment"
    add_flags
    cargo zigbuild --release --locked -p tokensmith-modules "${built[@]}"
  )
  rustc=$(eval "$environment" && command -v "${RUSTC:-rustc}")
  zig=$(eval "$environment" && command -v python-zig)
  for architecture in "${compiled[@]}"; do
    put "$target_folder/$architecture-unknown-linux-musl/release/tokensmith" "$architecture"
  done
}

compile_for_host() {
  local architecture
  architecture=$(uname -m)
  [ "${ARCHES:-$architecture}" = "$architecture" ] || fail "without the musl targets there is an executable for $architecture only, not for $ARCHES."
  say "no static build is possible here (no musl target): the executable runs on machines like this one only, on $architecture."
  (
    add_flags
    cargo build --release --locked -p tokensmith-modules
  )
  rustc=${RUSTC:-rustc} zig=
  put "$target_folder/release/tokensmith" "$architecture"
  compiled=("$architecture")
}

# No path of this machine in the executable, so that it is the same wherever it is built. Cargo names our own sources by paths that begin in the checkout;
# that path is not among the flags, as then each checkout would compile all dependencies anew.
add_flags() {
  local sysroot source
  sysroot=$("${RUSTC:-rustc}" --print sysroot)
  source=$sysroot/lib/rustlib/src/rust
  RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$source=/rustc"
  RUSTFLAGS+=" --remap-path-prefix=$(realpath -m "$source")=/rustc"
  # A panic ends the program, so nothing is ever unwound, and the tables for that are a tenth of it.
  RUSTFLAGS+=' -Cforce-unwind-tables=no'
  export RUSTFLAGS
}

# In one step, and only when it changed, as somebody may be running it.
put() {
  local target=$executables/tokensmith_$2
  cmp -s "$1" "$target" && return
  cp "$1" "$target.new"
  mv "$target.new" "$target"
}

main "$@"
