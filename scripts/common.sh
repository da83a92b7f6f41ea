# What the scripts share. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Outside the checkout, so that a fresh clone starts where the last one ended.
CACHE=${TOKENSMITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tokensmith}

say() { printf '%s\n' "tokensmith: $*" >&2; }
fail() {
  say "$@"
  exit 1
}

# once FOLDER COMMAND…: runs COMMAND FOLDER unless a run before finished it. Two runs at once wait for each other, and what
# an interrupted run left is made anew. FOLDER is filled under its own name, because venvs and wrappers hold their path.
once() {
  local folder=$1
  shift
  [ ! -e "$folder/.ready" ] || return 0
  mkdir -p "$(dirname "$folder")"
  exec 9>"$folder.lock"
  flock 9
  if [ ! -e "$folder/.ready" ]; then
    rm -rf "$folder"
    mkdir "$folder"
    # In a shell of its own: a function called from a condition would lose `set -e`.
    ("$@" "$folder") 9>&-
    touch "$folder/.ready"
  fi
  exec 9>&-
}

# install_programs PROGRAM[:PACKAGE]…: what is called besides. Where it cannot be installed here, what misses it says so.
install_programs() {
  local program missing=()
  for program; do
    command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
  done
  if [ ${#missing[@]} != 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    apt-get -qq update && apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

# digest TEXT…: a short name for what something is made from.
digest() { printf '%s\n' "$@" | sha256sum | cut -c1-12; }

# works PYTHON VERSION…: PYTHON runs (pyenv leaves shims that do not), is one of the versions and has what a venv needs.
works() {
  local python=$1
  shift
  "$python" -c 'import ensurepip, ssl, sys, venv; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])' "$@" 2>/dev/null
}

# find_python VERSION…: the path of the first Python that works, in the order of the versions.
find_python() {
  local version candidate
  for version; do
    for candidate in "python$version" python3 "/usr/bin/python$version" /usr/local/bin/"python$version" \
      "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python "$HOME/.local/share/uv/python/cpython-$version".*/bin/python3; do
      if works "$candidate" "$version"; then
        "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
        return
      fi
    done
  done
  return 1
}
