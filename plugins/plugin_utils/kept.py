# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a target is told to do: run the executable that it keeps, or take it in. For the shell, with no Python there."""
from __future__ import annotations

import json
import os
import shlex
import uuid

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'bin')
MARK = 'tokensmith: '
BEGUN = ' '  # what the executable prints before it does anything, when it is what its name says


def names():
    """What a target calls the executable for its architecture: SHA-256 and CRC-32. The build writes that down, as finding it out takes longer than a task."""
    try:
        with open(os.path.join(BIN, 'names.json'), encoding='ascii') as found:
            return json.load(found)
    except OSError:
        return {}


def run(remote_tmp, environment):
    """Says `run` and runs the executable with the arguments on standard input. Or says, with nothing done, that the system is `unsupported`, that the
    executable is `absent` from a folder which is fit for it, that no folder is: `unfit`, or which programs it takes to find that out are `lacking`."""
    systems = ' '.join(f'"Linux {machine}") n={name};;' for machine, name in sorted(names().items()))
    script = joined(RUN).replace('UNIQUE', unique()).replace('SYSTEMS', systems).replace('FOLDERS', folders(remote_tmp))
    return script.replace('ENVIRONMENT', environment.strip())


def put(folder, name):
    """Takes the executable from standard input, and says `placed` when all of it is in place, else why it is not."""
    script = joined(PUT).replace('UNIQUE', unique()).replace('ANY_NAME', '?' * len(name)).replace('ANY_PART', '?' * len(unique()))
    return script.replace('NAME', name).replace('DIGEST', name.partition('-')[0]).replace('FOLDER', shlex.quote(folder))


def said(printed):
    """The mark in what a target printed: its word, what stands behind it on its line, and all that follows."""
    # Shells greet in front of it.
    _greeting, mark, rest = printed.partition(MARK)
    line, _end, output = rest.partition('\n')
    word, _blank, about = line.strip().partition(' ')
    return (word if mark else '', about, output)


def folders(remote_tmp):
    """Where an executable may be kept, best first: the cache of the effective user, and where Ansible has its own files."""
    home = '"$HOME/.cache"'
    if remote_tmp.startswith('~/'):
        remote_tmp = '$HOME' + remote_tmp[1:]
    # Variables are for the target to fill in, as they are where Ansible uses it; nothing else is.
    is_plain = remote_tmp.startswith(('/', '$')) and not any(sign in remote_tmp for sign in '"`\\(!\n')
    return f'{home} "{remote_tmp}"' if is_plain else home


def unique():
    return uuid.uuid4().hex


def joined(script):
    """On one line: login shells of the csh kind take no other text in quotes."""
    return ' '.join(line.strip() for line in script.splitlines() if line.strip())


# Programs are started only where the shell has no way of its own, as each costs as much as the executable: kernels since 6.1 tell their architecture in a file.
# A folder is taken when it and the one around it belong to the effective user and are no links: then nobody else can put anything there. What is run finds out
# whether it is what its name says. It ends with 0 or 1; all else is a copy that cannot be run, and goes. No `!`, which the csh kind takes for its own.
RUN = '''
{ read -r m </proc/sys/kernel/arch; } 2>/dev/null && s="Linux $m" || s=$(uname -sm);
case "$s" in
  SYSTEMS
  *) echo "tokensmith: unsupported $s"; exit 0;;
esac;
for p in FOLDERS; do
  c="$p/tokensmith.redhat"; f="$c/$n";
  if [ -f "$f" ] && [ -x "$f" ] && [ -O "$f" ] && [ -O "$c" ] && [ -O "$p" ]; then
    [ -L "$p" ] || [ -L "$c" ] || [ -L "$f" ] || {
      echo "tokensmith: run $n $p";
      ENVIRONMENT "$f" -;
      s=$?;
      [ $s -gt 1 ] || exit 0;
      rm -f "$f";
      exit $s;
    };
  fi;
done;
w="";
for x in cat chmod ls mkdir mv rm; do [ -n "$(command -v $x)" ] || w="$w $x"; done;
[ -z "$w" ] || { while read -r x; do :; done; echo "tokensmith: lacking $n$w"; exit 0; };
cat >/dev/null;
umask 077;
for p in FOLDERS; do
  c="$p/tokensmith.redhat"; t="$c/.UNIQUE";
  case "$p" in "$HOME"/*) [ -O "$HOME" ] || { w="$w $p: the home does not exist or is not the own one;"; continue; };; esac;
  { [ -L "$p" ] || [ -L "$c" ]; } && { w="$w $c: is or lies in a link;"; continue; };
  mkdir -p "$p" 2>/dev/null || { w="$w $p: cannot be made;"; continue; };
  [ -O "$p" ] || { w="$w $p: belongs to another user;"; continue; };
  case "$(ls -ld "$p")" in ????????w*) w="$w $p: everybody may write there;"; continue;; esac;
  mkdir -p "$c" 2>/dev/null || { w="$w $c: cannot be made;"; continue; };
  { [ -O "$c" ] && chmod 700 "$c"; } 2>/dev/null || { w="$w $c: belongs to another user;"; continue; };
  { echo "#!/bin/sh" >"$t"; } 2>/dev/null && chmod 700 "$t" || { rm -f "$t"; w="$w $c: cannot be written to;"; continue; };
  if "$t" 2>/dev/null; then rm -f "$t"; echo "tokensmith: absent $n $p"; exit 0; fi;
  rm -f "$t";
  w="$w $c: no program can be run there (noexec);";
done;
echo "tokensmith: unfit no folder is fit to keep it:$w"
'''

# Only what is whole gets its name, and that in one step; so two may do this at once. What a cut connection or an older version left goes after a week, by the
# form of its name: nothing else that may lie there is touched. A shell that has nobody left to speak to is ended by a signal, and
# not every one would then still do what it is told to do at its end.
PUT = '''
umask 077;
c=FOLDER/tokensmith.redhat; f="$c/NAME"; t="$c/.UNIQUE";
trap 'rm -f "$t"' 0;
trap 'exit 1' 1 2 13 15;
{ cat >"$t"; } 2>/dev/null || { cat >/dev/null; echo "tokensmith: unfit $c cannot be written to, is the disk full?"; exit 0; };
case "$({ sha256sum || shasum -a 256 || openssl dgst -sha256 -r; } <"$t" 2>/dev/null)" in
  DIGEST*) ;;
  *) echo "tokensmith: unfit $c: what arrived there is not what was sent, or no sha256sum is there to tell"; exit 0;;
esac;
sync "$t" 2>/dev/null || sync;
[ -L "$f" ] && rm -f "$f";
[ -d "$f" ] && rm -rf "$f";
{ chmod 500 "$t" && mv -f "$t" "$f"; } 2>/dev/null || { echo "tokensmith: unfit $c cannot be written to"; exit 0; };
find "$c" -maxdepth 1 -type f -name "ANY_NAME" -mtime +6 -exec rm -f "{}" + 2>/dev/null;
find "$c" -maxdepth 1 -type f -name ".ANY_PART" -mtime +6 -exec rm -f "{}" + 2>/dev/null;
echo "tokensmith: placed"
'''
