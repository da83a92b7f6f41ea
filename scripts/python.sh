#!/usr/bin/env bash
# python.sh ansible  prints the folder of a venv with ansible-core and nothing else
# python.sh tools  prints the folder of a venv with ansible-core and the tools that read a collection
# python.sh docs   prints the folder of a venv with what renders the documentation
# python.sh cores  prints the folders of venvs with the oldest and the newest ansible-core, one a line, where a Python fits
# python.sh matrix  prints every ansible-core that the collection is for, one a line: its version, and behind it the folder of a venv where a Python fits
# python.sh posix  prints a folder with the collection ansible.posix, for its callback `json`
# python.sh gateway  prints the folder of a venv with what a platform gateway is made of
# python.sh galaxy-ng  prints the folder of a venv with the private automation hub; it needs Python 3.11
# python.sh mitogen  prints the folder of a venv with ansible-core and mitogen, which the benchmark compares with
# python.sh zig    prints the folder of a venv with cargo-zigbuild and zig
# Made once, from PyPI, in the cache.
. "$(dirname "$0")/common.sh"

UV=0.13.9
CORE=ansible-core==2.19.14
TOOLS=("$CORE" ansible-lint==26.10.1 galaxy-importer==0.4.44 antsibull-docs==2.28.0 antsibull-changelog==0.36.0 ansible-runner==2.4.3 "cyclonedx-python-lib[json-validation]==11.12.0")
DOCS=("$CORE" antsibull-docs==2.28.0 sphinx==9.0.4 myst-parser==5.1.0 sphinx-ansible-theme==0.10.4)
CORES=(2.16.19 2.21.5)
# Each with the Pythons that it runs on.
MATRIX=("2.16.19 3.12 3.11" "2.17.14 3.12 3.11" "2.18.19 3.12 3.13 3.11" "2.19.14 3.12 3.13 3.11" "2.20.10 3.12 3.13" "2.21.5 3.12 3.13")
# The package of that name on PyPI carries the community's collections.
COMMUNITY=ansible==12.3.0
MITOGEN=mitogen==0.3.54
GALAXY_NG=galaxy-ng==4.9.2
ZIG=(cargo-zigbuild==0.24.0 ziglang==0.15.2)

main() {
  case ${1:-} in
    ansible) ansible ;;
    tools) tools ;;
    docs) docs ;;
    cores) cores ;;
    matrix) matrix ;;
    posix) posix ;;
    gateway) gateway ;;
    galaxy-ng) galaxy_ng ;;
    mitogen) mitogen ;;
    zig) zig ;;
    *) fail "usage: python.sh ansible|tools|docs|cores|matrix|posix|gateway|galaxy-ng|mitogen|zig" ;;
  esac
}

ansible() {
  local python
  python=$(any_python)
  environment ansible "$python" "$CORE"
}

tools() {
  local python
  python=$(any_python)
  environment tools "$python" "${TOOLS[@]}"
}

docs() {
  local python
  python=$(any_python)
  environment docs "$python" "${DOCS[@]}"
}

gateway() {
  local python pins
  python=$(any_python)
  mapfile -t pins <"$ROOT/tests/gateway_site/constraints.txt"
  environment gateway "$python" "${pins[@]}"
}

mitogen() {
  local python
  python=$(any_python)
  environment mitogen "$python" "$CORE" "$MITOGEN"
}

zig() {
  local python
  python=$(any_python)
  environment zig "$python" "${ZIG[@]}"
}

galaxy_ng() {
  # By a name that is the same in every checkout, as it becomes a part of the venv's.
  cd "$ROOT"
  local python constraints=tests/galaxy_ng/constraints.txt
  python=$(find_python 3.11) || fail "galaxy-ng needs Python 3.11 with venv and ssl."
  environment "galaxy-ng-$(digest "$(cat "$constraints")")" "$python" "$GALAXY_NG" --constraint "$constraints"
}

posix() {
  local python folder
  python=$(any_python)
  folder=$CACHE/posix-$(digest "$COMMUNITY")
  once "$folder" extract_posix "$python"
  echo "$folder"
}

extract_posix() {
  local python=$1 folder=$2
  say "fetching ansible.posix from $COMMUNITY"
  "$python" -m venv "$folder/venv"
  "$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" "$COMMUNITY"
  "$python" - "$folder" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wheel, = folder.glob('*.whl')
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder, [name for name in archive.namelist() if name.startswith('ansible_collections/ansible/posix/')])
wheel.unlink()
PYTHON
  rm -rf "$folder/venv"
}

any_python() {
  find_python 3.12 3.13 3.11 || fail "needs Python 3.11, 3.12 or 3.13 with venv and ssl (on Debian and Ubuntu: apt-get install python3-venv)."
}

cores() {
  local python version
  python=$(find_python 3.12) || { say "no Python 3.12: nothing is tried on ansible-core ${CORES[*]}."; return; }
  for version in "${CORES[@]}"; do
    environment "core-$version" "$python" "ansible-core==$version"
  done
}

matrix() {
  local row version pythons python
  for row in "${MATRIX[@]}"; do
    read -r version pythons <<<"$row"
    # shellcheck disable=SC2086 # words
    if python=$(find_python $pythons); then
      echo "$version $(environment "core-$version" "$python" "ansible-core==$version")"
    else
      say "no Python of ${pythons// / or }: nothing is tried on ansible-core $version."
      echo "$version"
    fi
  done
}

# environment NAME PYTHON REQUIREMENT…: a venv; prints its folder.
environment() {
  local name=$1 python=$2 folder uv
  shift 2
  uv=$CACHE/uv-$(digest "$UV" "$python")
  once "$uv" install_uv "$python"
  folder=$CACHE/$name-$(digest "$python" "$@")
  once "$folder" install "$uv/bin/uv" "$python" "$@"
  echo "$folder"
}

install_uv() {
  say "installing uv $UV"
  "$1" -m venv "$2"
  "$2/bin/pip" install --quiet --disable-pip-version-check "uv==$UV"
}

# Compiled at once: some machines forbid Python to do it later, and then every start of Ansible costs twice as much.
install() {
  local uv=$1 python=$2 folder=${*: -1}
  local requirements=("${@:3:$#-3}")
  say "installing ${requirements[*]:0:6}${requirements[6]:+ and more}"
  "$uv" venv --quiet --allow-existing --python "$python" "$folder"
  VIRTUAL_ENV=$folder "$uv" pip install --quiet --compile-bytecode "${requirements[@]}"
}

main "$@"
