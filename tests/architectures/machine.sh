#!/bin/sh
# machine.sh COMMAND…: runs the command, as root, on what is a machine of another architecture for all that runs below it.
# There, executables for aarch64 run, by QEMU, and each run is a line in ~/.emulated of its user; `uname` says Linux aarch64, or
# what stands in ~/.uname. All of it lies in namespaces of its own, and is gone with the last process.
set -eu

main() {
  [ "$1" != inside ] || inside "$@"
  [ "$(id -u)" = 0 ] || fail 'only root can say which users there are in a namespace.'
  let_in_all_users "$$" &
  exec unshare --user --mount --propagation private sh "$0" inside "$@"
}

# Only from outside.
let_in_all_users() {
  until [ "$(readlink "/proc/$1/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
  cat /proc/self/uid_map >"/proc/$1/uid_map"
  cat /proc/self/gid_map >"/proc/$1/gid_map"
}

inside() {
  shift
  qemu=$(command -v qemu-aarch64-static) || fail 'there is no qemu-aarch64-static.'
  until [ "$(id -g)" = 0 ]; do sleep 0.01; done
  mount -t tmpfs -o mode=755 none /media
  write /media/uname 'cat "$HOME/.uname" 2>/dev/null || echo Linux aarch64'
  write /media/emulator 'echo "$1" >>"$HOME/.emulated"' "exec $qemu \"\$@\""
  mount --bind /media/uname "$(command -v uname)"
  # Since Linux 6.7 each namespace of users has formats of its own.
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || fail 'this kernel has one list of executable formats for all.'
  printf '%s' "$AARCH64" >/proc/sys/fs/binfmt_misc/register
  exec "$@"
}

# write PATH LINE…
write() {
  path=$1
  shift
  printf '%s\n' '#!/bin/sh' "$@" >"$path"
  chmod 755 "$path"
}

fail() {
  echo "No machine of another architecture: $1" >&2
  exit 1
}

# A 64-bit ELF executable, fixed (2) or to be placed anywhere (3), whose machine is 183.
AARCH64=':tokensmith:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
AARCH64=$AARCH64':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/media/emulator:'

main "$@"
