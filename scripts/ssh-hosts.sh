#!/usr/bin/env bash
# Hosts for the tests: an OpenSSH server with users of many kinds, on this machine.
#
#   ssh-hosts.sh [prepare]                          say whether such hosts can be had here
#   ssh-hosts.sh run FOLDER PORT [without-python|bare|aarch64]
#                                                   run one in FOLDER until standard input closes, then take FOLDER away;
#                                                   FOLDER/key is the key of all users, FOLDER/sshd.log tells what was asked.
#                                                   On one of the kind bare, whoever comes is in /run/hosts/bare, where nothing is but
#                                                   `sh`, `uname` and the home of ts-plain.
#                                                   One of the kind aarch64 has no Python either, and is to be started by
#                                                   `tests/architectures/machine.sh namespaces`
#
# The host has namespaces of its own: its users, sudo rules, homes and processes are nowhere else, so that hosts side by side
# do not meet, and nothing is left of one when it ends. FOLDER/pid holds the id of a process in them: what is /home there is
# /proc/PID/root/home here. The passwords are NAME-test-only, root's as well.
# Exit status 77: this machine lacks something (root, sshd, sudo, namespaces); the last line on standard error says what.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The process that is started has these mounts too. When it ends, all those in its namespace of processes do.
IN_NAMESPACES=(unshare --mount --propagation private --pid --fork --kill-child --mount-proc)
server_pid=

main() {
  case "${1:-prepare}" in
    prepare) prepare ;;
    run) shift && run "$@" ;;
    inside) shift && inside "$@" ;;
    *) fail "ssh-hosts.sh knows 'prepare' and 'run', not '$1'." ;;
  esac
}

prepare() {
  local program
  [ "$(id -u)" = 0 ] || unavailable "only root can make users that exist for the tests alone"
  for program in openssl setfacl ssh-keygen su sudo unshare; do
    command -v "$program" >/dev/null || unavailable "this machine has no $program"
  done
  find_sshd >/dev/null || unavailable "this machine has no OpenSSH server"
  "${IN_NAMESPACES[@]}" mount -t tmpfs none /home 2>/dev/null || unavailable "this machine does not let root have namespaces with mounts of their own"
  echo "$ROOT/scripts/ssh-hosts.sh"
}

run() {
  [[ "$# ${3:-}" = @("2 "|"3 without-python"|"3 bare"|"3 aarch64") ]] || fail "Usage: ssh-hosts.sh run FOLDER PORT [without-python|bare|aarch64]"
  # Not local: the trap at the end of the script reads it.
  folder=$1
  [ ! -e "$folder" ] || fail "'$folder' exists already, and is not taken away for a host."
  (umask 077 && mkdir -p "$folder")
  trap 'stop_server; rm -rf "$folder"' EXIT
  trap 'exit 0' TERM INT
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/key"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/host_key"
  set -m
  "${IN_NAMESPACES[@]}" bash "${BASH_SOURCE[0]}" inside "$@" </dev/null >"$folder/sshd.log" 2>&1 &
  server_pid=$!
  set +m
  echo "$server_pid" >"$folder/pid"
  # The end of standard input is the one sign that cannot be missed when the tests are killed.
  local status=0
  while kill -0 "$server_pid" 2>/dev/null; do
    status=0
    read -r -t 1 || status=$?
    [ "$status" != 1 ] || exit 0
  done
  tail -n 30 "$folder/sshd.log" >&2
  fail "The OpenSSH server ended by itself."
}

stop_server() {
  [ -n "$server_pid" ] || return 0
  kill -KILL "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
}

# From here on, all happens in the namespaces.
inside() {
  local folder=$1 port=$2 kind=${3:-}
  [ $$ = 1 ] || fail "Only 'run' calls this: it changes what is mounted."
  umask 022
  mount -t tmpfs -o mode=755 none /run
  mount -t tmpfs -o mode=755 none /home
  mount -t tmpfs -o mode=1777 none /var/tmp
  mkdir -p /run/hosts /run/sshd
  # The whole folder: a mount over a single file is gone when somebody else replaces that file.
  cp -a /etc /run/hosts/etc
  mount --bind /run/hosts/etc /etc
  make_users
  make_homes
  make_sudoers
  [ -z "$kind" ] || take_python_away
  [ "$kind" != aarch64 ] || sh "$ROOT/tests/architectures/machine.sh" processor
  make_server "$folder" "$port"
  [ "$kind" != bare ] || make_bare
  exec "$(find_sshd)" -D -e -f /run/hosts/sshd_config
}

# Only they and root have a password.
make_users() {
  local name number shell
  sed -i '/^ts-/d; s|^\(root:.*\):[^:]*:\([^:]*\)$|\1:/home/root:\2|' /etc/passwd
  sed -i '/^ts-/d' /etc/group
  sed 's/^\([^:]*\):.*/\1:*:19000:0:99999:7:::/; /^root:/d' /etc/passwd >/etc/shadow
  echo "root:$(encrypted root):19000:0:99999:7:::" >>/etc/shadow
  while read -r name number shell; do
    echo "$name:x:$number:$number::/home/$name:$shell" >>/etc/passwd
    echo "$name:x:$number:" >>/etc/group
    echo "$name:$(encrypted "$name"):19000:0:99999:7:::" >>/etc/shadow
  done <<'USERS'
ts-plain 64101 /bin/sh
ts-sudo 64102 /bin/sh
ts-asks 64103 /bin/sh
ts-tty 64104 /bin/sh
ts-homeless 64105 /bin/sh
ts-readonly 64106 /bin/sh
ts-noexec 64107 /bin/sh
ts-full 64108 /bin/sh
ts-noisy 64109 /bin/bash
ts-other 64110 /bin/sh
USERS
}

encrypted() {
  openssl passwd -5 "$1-test-only"
}

make_homes() {
  local name
  for name in plain sudo asks tty readonly noexec full noisy other; do
    mkdir "/home/ts-$name"
  done
  mkdir -m 700 /home/root
  mount -t tmpfs -o noexec none /home/ts-noexec
  mount -t tmpfs -o size=8m none /home/ts-full
  for name in plain sudo asks tty noexec full noisy other; do
    chmod 700 "/home/ts-$name"
    chown "ts-$name:ts-$name" "/home/ts-$name"
  done
  head -c 10M /dev/zero >/home/ts-full/filler 2>/dev/null || true
  echo 'echo Welcome to this host.' >/home/ts-noisy/.bashrc
}

make_sudoers() {
  cat >/etc/sudoers <<'SUDOERS'
Defaults:ts-tty requiretty
root ALL=(ALL:ALL) ALL
ts-sudo ALL=(ALL:ALL) NOPASSWD: ALL
ts-tty ALL=(ALL:ALL) NOPASSWD: ALL
ts-asks ALL=(ALL:ALL) ALL
SUDOERS
}

# Neither found on the path nor run by its name.
take_python_away() {
  local folder python
  : >/run/hosts/nothing
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin /usr/libexec; do
    for python in "$folder"/python* "$folder"/platform-python*; do
      [ ! -f "$python" ] || mount --bind /run/hosts/nothing "$(readlink -f "$python")" 2>/dev/null || true
    done
  done
}

make_server() {
  local folder=$1 port=$2
  cp "$folder/host_key" "$folder/key.pub" /run/hosts/
  cat >/run/hosts/sshd_config <<CONFIG
Port $port
ListenAddress 127.0.0.1
HostKey /run/hosts/host_key
AuthorizedKeysFile /run/hosts/key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
UseDNS no
Subsystem sftp internal-sftp
MaxStartups 100:30:200
MaxSessions 100
LogLevel VERBOSE
CONFIG
}

make_bare() {
  mkdir -p /run/hosts/bare
  sh "$ROOT/tests/bare_root/root.sh" make /run/hosts/bare
  mkdir /run/hosts/bare/home
  cp -a /home/ts-plain /run/hosts/bare/home/
  echo 'ChrootDirectory /run/hosts/bare' >>/run/hosts/sshd_config
}

# sshd insists on being called by its whole path.
find_sshd() {
  PATH=$PATH:/usr/sbin:/usr/local/sbin type -P sshd
}

unavailable() {
  say "No hosts for the tests: $1."
  exit 77
}

main "$@"
