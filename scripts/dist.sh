#!/usr/bin/env bash
# dist.sh: what goes to others, in dist/: the tarball; beside it the executables and the bill of materials that are in it; the checksums of all; and with KEY, the
# name of a GnuPG key, a signature of the tarball's MANIFEST.json, by which every file in the tarball is known.
# dist.sh TARBALL: only what goes beside that one, in its folder.
. "$(dirname "$0")/common.sh"

main() {
  if [ $# = 0 ]; then
    cd "$ROOT"
    refuse_changes
    refuse_unknown_key
    set -- "$(scripts/build.sh --release)"
  fi
  cd "$(dirname "$1")"
  lay_beside "$(basename "$1")"
}

# What somebody's own configuration hides from git would still be packed.
refuse_changes() {
  local changes
  changes=$(git -c core.excludesFile=/dev/null status --porcelain) || fail "this is no checkout, so nobody could build this again."
  [ -z "$changes" ] || fail "there are changes that are not committed, so nobody could build this again:
$changes"
}

refuse_unknown_key() {
  [ -n "${KEY:-}" ] || return 0
  command -v gpg >/dev/null || fail "KEY asks for a signature, and there is no gpg (on Debian and Ubuntu: apt-get install gnupg)."
  gpg --list-secret-keys "$KEY" >/dev/null 2>&1 || fail "KEY=$KEY names no secret key that gpg has; gpg --list-secret-keys shows those that it has."
}

lay_beside() {
  local tarball=$1 signature=${1%.tar.gz}-MANIFEST.json.asc executables
  rm -f SHA256SUMS "$signature"
  mapfile -t executables < <(tar -tzf "$tarball" | grep '^plugins/bin/tokensmith_')
  tar -xzf "$tarball" sbom.cdx.json
  tar -xzf "$tarball" --strip-components=2 "${executables[@]}"
  if [ -n "${KEY:-}" ]; then
    tar -xzOf "$tarball" MANIFEST.json | gpg --quiet --armor --detach-sign --local-user "$KEY" --output "$signature"
    say "signed with $KEY: $(basename "$signature")"
  fi
  sha256sum "$tarball" sbom.cdx.json "${executables[@]##*/}" | tee SHA256SUMS
}

main "$@"
