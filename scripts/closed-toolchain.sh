#!/usr/bin/env bash
# closed-toolchain.sh FOLDER TARGET…: a rustc with the standard library of the musl targets, for a machine that reaches
# Debian's packages and crates.io, and not the place where rustup finds targets. Leaves FOLDER/bin/rustc.
# What is there already stays, so that each target is made once, in whatever order they are asked for.
. "$(dirname "$0")/common.sh"

folder=$1
shift
system=$folder/system

main() {
  local target missing=()
  once "$folder" compiler
  exec 9>"$folder.lock"
  flock 9
  for target; do
    [ -d "$(libraries "$target")" ] || missing+=("$target")
  done
  [ ${#missing[@]} = 0 ] || build "${missing[@]}"
}

compiler() {
  unpack
  wrap
}

# Debian's newest rustc with the sources of its standard library, and the LLVM that it needs: unpacked and never installed.
unpack() {
  mkdir -p "$folder/packages" "$system"
  local version standard llvm package
  cd "$folder/packages"
  # An index that cannot be renewed may still be good enough.
  apt-get -qq update >/dev/null 2>&1 || true
  version=$(apt-cache madison rustc-web | awk '{print $3}' | sort -V | tail -n 1)
  [ -n "$version" ] || fail "Debian's package rustc-web is not to be had here."
  standard=libstd-rust-web-$(cut -d. -f1,2 <<<"$version")
  llvm=$(apt-cache show "rustc-web=$version" "$standard=$version" | { grep -o 'libllvm[0-9]*' || true; } | sort -u | tail -n 1)
  apt-get -qq -o APT::Sandbox::User=root download "rustc-web=$version" "$standard=$version" "libstd-rust-web-dev=$version" "rust-web-src=$version" ${llvm:+"$llvm"}
  for package in *.deb; do dpkg -x "$package" "$system"; done
  cd "$folder"
  rm -rf packages
}

# Debian's rustc looks for its libraries where a package would have put them.
wrap() {
  local libraries
  libraries=$(find "$system" \( -name 'librustc_driver-*.so' -o -name 'libLLVM*.so*' \) -printf '%h\n' | sort -u | paste -sd:)
  mkdir -p "$folder/bin"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %q "$@"\n' "$libraries" "$system/usr/bin/rustc" >"$folder/bin/rustc"
  chmod +x "$folder/bin/rustc"
  say "$("$folder/bin/rustc" --version)"
}

# The standard library, laid where `rustup target add` would have laid it. All targets in one call, as most of the time goes
# into one crate that uses one core. The variables are those that Rust's own build sets.
build() {
  local source target
  say "making the standard library for $* from Debian's sources, once; this takes some minutes"
  source=$(realpath "$("$folder/bin/rustc" --print sysroot)/lib/rustlib/src/rust/library")
  rm -rf "$folder/build"
  (
    cd "$source" &&
      RUSTC=$folder/bin/rustc RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=stablestd CARGO_TARGET_DIR=$folder/build \
      CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
      RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix=$source=/rustc/library --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
      cargo build --release --locked "${@/#/--target=}" -p sysroot --features panic-unwind,backtrace
  ) >"$folder/build.log" 2>&1 9>&- || {
    tail -n 30 "$folder/build.log" >&2
    fail "the standard library could not be built; all that was said is in $folder/build.log"
  }
  for target; do
    put "$target"
  done
  rm -rf "$folder/build"
}

# In one step, so that a target is there whole or not at all.
put() {
  local target=$1 libraries
  libraries=$(libraries "$target")
  rm -rf "$libraries.new"
  mkdir -p "$libraries.new"
  cp "$folder/build/$target/release/deps/"*.rlib "$libraries.new/"
  mv "$libraries.new" "$libraries"
}

libraries() { "$folder/bin/rustc" --print target-libdir --target "$1"; }

main "$@"
