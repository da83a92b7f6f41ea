#!/usr/bin/env bash
# docs.sh [COLLECTION FOLDER]: the documentation as a site of static pages, and prints the folder, dist/docs unless said otherwise.
# COLLECTION: the collection as staged by a build; without one it is built.
. "$(dirname "$0")/common.sh"

main() {
  cd "$ROOT"
  local collection=${1:-$ROOT/dist/stage/ansible_collections/tokensmith/redhat} site=${2:-$ROOT/dist/docs} venv
  [ $# != 0 ] || ARCHES=${ARCHES:-$(uname -m)} scripts/build.sh >/dev/null
  venv=$(scripts/python.sh docs)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  gather "$collection" "$venv/bin"
  mkdir -p "$(dirname "$site")"
  rm -rf "$site"
  "$venv/bin/python" -m sphinx --fail-on-warning --keep-going --quiet --jobs 2 --doctree-dir "$work/doctrees" "$work/pages" "$site"
  echo "$site"
}

# All pages in one folder, so that links between the guides lead where they lead in the repository.
gather() {
  local collection=$1 bin=$2 tree=$work/collections/ansible_collections/tokensmith
  mkdir -p "$work/pages" "$tree"
  # The tools leave files behind.
  cp -a "$collection" "$tree/redhat"
  PATH=$bin:$PATH HOME=$work ANSIBLE_COLLECTIONS_PATH=$work/collections \
    antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --dest-dir "$work/pages" tokensmith.redhat >"$work/log" || {
    cat "$work/log" >&2
    fail "antsibull-docs cannot make the pages of the modules."
  }
  mv "$work/pages/index.rst" "$work/pages/collection.rst"
  cp docs/*.md docs/*.png CHANGELOG.md scripts/docs/conf.py "$work/pages"
  sed 's|](docs/|](|g' SECURITY.md >"$work/pages/SECURITY.md"
  index >"$work/pages/index.md"
  awk -f scripts/docs/playbooks.awk playbooks/*.yml >"$work/pages/playbooks.md"
}

# The guides that scripts/docs/index.md does not name itself come where it says so.
index() {
  local page others=
  for page in docs/*.md; do
    page=$(basename "$page" .md)
    grep -q "<$page>" scripts/docs/index.md || others+=$page$'\n'
  done
  awk -v others="$others" '{ if (/^OTHERS$/) printf "%s", others; else print }' scripts/docs/index.md
}

main "$@"
