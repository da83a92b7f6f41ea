#!/bin/sh
# A machine of another architecture, for all that runs below one command. It needs root, QEMU and Linux 6.7.
#
#   machine.sh namespaces COMMAND…   run the command in namespaces of its own, which its end takes away, with all users in them
#   machine.sh processor             give the namespaces that this is run in a processor of the kind aarch64: executables for it
#                                    run, by QEMU, each leaving a line in ~/.emulated of its user; the kernel and `uname` name
#                                    it, or the latter what stands in ~/.uname
set -eu

main() {
  verb=$1
  shift
  case $verb in
    namespaces)
      [ "$(id -u)" = 0 ] || fail 'only root can say which users there are in a namespace.'
      let_in_all_users "$$" &
      # shellcheck disable=SC2016
      exec unshare --user --mount --propagation private sh -c 'until [ "$(id -g)" = 0 ]; do sleep 0.01; done; exec "$@"' sh "$@"
      ;;
    processor) processor ;;
    *) fail "there is no '$verb'." ;;
  esac
}

# Only from outside.
let_in_all_users() {
  until [ "$(readlink "/proc/$1/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
  cat /proc/self/uid_map >"/proc/$1/uid_map"
  cat /proc/self/gid_map >"/proc/$1/gid_map"
}

processor() {
  # The namespace that there is from the start.
  [ "$(readlink /proc/self/ns/user)" != 'user:[4026531837]' ] || fail 'this would change the real one.'
  qemu=$(command -v qemu-aarch64-static) || fail 'there is no qemu-aarch64-static.'
  # Since Linux 6.7 each namespace of users has formats of its own, and is asked for them in vain before.
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || fail 'this kernel has one list of executable formats for all.'
  printf '%s' "$AARCH64" >/proc/sys/fs/binfmt_misc/register
  mount -t tmpfs -o mode=755 none /media
  write /media/emulator '#!/bin/sh' 'echo "$1" >>"$HOME/.emulated"' "exec $qemu \"\$@\""
  write /media/uname '#!/bin/sh' 'cat "$HOME/.uname" 2>/dev/null || echo Linux aarch64'
  write /media/arch aarch64
  mount --bind /media/uname "$(command -v uname)"
  [ ! -e /proc/sys/kernel/arch ] || mount --bind /media/arch /proc/sys/kernel/arch
}

# write PATH LINE…
write() {
  path=$1
  shift
  printf '%s\n' "$@" >"$path"
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
