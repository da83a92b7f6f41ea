#!/bin/sh
# A root file system with `sh`, `uname` and the libraries of these two: no Python, no certificates, no other program, no accounts, no /dev and no /proc.
#
#   root.sh make FOLDER                               make it, in a folder that is there
#   root.sh run FOLDER WRITABLE NUMBER PROGRAM WORD…  run a program in it, as the user of that number, who has no home. All of it is read-only, but /srv,
#                                                     which is the folder WRITABLE
set -eu

main() {
  case $1 in
    make) make "$2" ;;
    run) shift && exec unshare --mount --propagation private sh "$0" inside "$@" ;;
    inside) shift && inside "$@" ;;
  esac
}

make() {
  mkdir -p "$1/bin" "$1/srv"
  chmod 755 "$1" "$1/bin" "$1/srv"
  for program in sh uname; do
    cp -L "$(command -v "$program")" "$1/bin/"
    for library in $(ldd "$1/bin/$program" | grep -o '/[^ ]*'); do
      cp -L --parents "$library" "$1"
    done
  done
}

inside() {
  folder=$1 writable=$2 number=$3 chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
  shift 3
  mount --bind "$folder" "$folder"
  mount --bind "$writable" "$folder/srv"
  mount -o remount,bind,ro "$folder"
  exec env -i PATH=/bin "$chroot" --userspec="$number:$number" --groups= "$folder" "$@"
}

main "$@"
