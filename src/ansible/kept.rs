//! The copy of the executable that a target keeps. It has the SHA-256 of its content as its name, and does nothing unless it is what its name says.
//!
//! The action plugin has it run by one command. Where that command brings back nothing at all, nothing was done, and the executable is sent anew; so a copy that
//! is what its name says prints a blank, which JSON allows in front of the result, before it reads its arguments.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ring::digest::{Context, SHA256};

/// Whether this program may go on. What it is called when it is no such copy does not matter.
pub(super) fn may_begin(program: &OsStr) -> bool {
    let Some(digest) = digest_in_name(program) else { return true };
    // Where there is no /proc, the shell has called it by its whole path.
    let itself = File::open("/proc/self/exe").or_else(|_| File::open(program));
    let is_itself = itself.and_then(sha256).is_ok_and(|actual| actual == digest);
    is_itself && say_so().is_ok()
}

fn say_so() -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(b" ")?;
    output.flush()
}

fn digest_in_name(program: &OsStr) -> Option<&str> {
    let name = Path::new(program).file_name()?.to_str()?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    Some(name).filter(|name| name.len() == DIGITS && name.bytes().all(is_digit))
}

fn sha256(mut file: File) -> io::Result<String> {
    let (mut context, mut buffer) = (Context::new(&SHA256), [0; PIECE]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()),
            length => context.update(&buffer[..length]),
        }
    }
}

const DIGITS: usize = 64;
/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_digest_is_a_name_that_must_be_true() {
        let digest = "8ae1ad47370838a10f2e3c89e32d7daf656741a5552bdc7eb9fcb03e822e8410";
        assert_eq!(digest_in_name(OsStr::new(&format!("/home/x/.cache/tokensmith/{digest}"))), Some(digest));
        for name in ["tokensmith_x86_64", "AnsiballZ_tokensmith_x86_64", &digest[1..], &digest.to_uppercase(), ""] {
            assert!(digest_in_name(OsStr::new(name)).is_none() && may_begin(OsStr::new(name)), "{name}");
        }
        assert!(!may_begin(OsStr::new(digest)), "this test is not what that name says");
    }
}
