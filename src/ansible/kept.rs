//! The copy of the executable that a target keeps. It is named by its content, and does nothing unless it is what its name says.
//!
//! The action plugin has it run by one command. Where that command brings back nothing at all, nothing was done, and the executable is sent anew; so a copy that
//! is what its name says prints a blank, which JSON allows in front of the result, before it reads its arguments.
//!
//! The name is a SHA-256, which is compared when the copy is taken in, and a CRC-32, which finds any later damage at a tenth of the price.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crc32fast::Hasher;

/// Whether this program may go on. What it is called when it is no such copy does not matter.
pub(super) fn may_begin(program: &OsStr) -> bool {
    let Some(expected) = sum_in_name(program) else { return true };
    if !is_out_of_reach(Path::new(program)) {
        return false;
    }
    // Where there is no /proc, the shell has called it by its whole path.
    let itself = File::open("/proc/self/exe").or_else(|_| File::open(program));
    let is_itself = itself.and_then(sum).is_ok_and(|actual| actual == expected);
    is_itself && say_so().is_ok()
}

/// Whether nobody else may write around it. The shell looks for that only before a copy is taken in, as it would take a program of its own to do so.
fn is_out_of_reach(program: &Path) -> bool {
    let is_closed = |folder: &Path| folder.metadata().is_ok_and(|found| found.mode() & WRITABLE_BY_ALL == 0);
    program.ancestors().skip(1).take(2).all(is_closed)
}

fn say_so() -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(b" ")?;
    output.flush()
}

fn sum_in_name(program: &OsStr) -> Option<u32> {
    let (digest, sum) = Path::new(program).file_name()?.to_str()?.split_once('-')?;
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(sum, 16).ok().filter(|_| is_hex(digest, SHA256_DIGITS) && is_hex(sum, CRC32_DIGITS))
}

fn sum(mut file: File) -> io::Result<u32> {
    let (mut hasher, mut buffer) = (Hasher::new(), [0; PIECE]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

const SHA256_DIGITS: usize = 64;
const CRC32_DIGITS: usize = 8;
const WRITABLE_BY_ALL: u32 = 0o002;
/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_whole_name_must_be_true() {
        let digest = "8ae1ad47370838a10f2e3c89e32d7daf656741a5552bdc7eb9fcb03e822e8410";
        let name = format!("{digest}-0000c0de");
        assert_eq!(sum_in_name(OsStr::new(&format!("/home/x/.cache/tokensmith.redhat/{name}"))), Some(0xc0de));
        for name in ["tokensmith_x86_64", "AnsiballZ_tokensmith_x86_64", digest, &name[1..], &name[..72], "x-1", ""] {
            assert!(sum_in_name(OsStr::new(name)).is_none() && may_begin(OsStr::new(name)), "{name}");
        }
        assert!(!may_begin(OsStr::new(&name)), "this test is not what that name says");
    }

    #[test]
    fn a_copy_is_not_run_from_a_folder_that_everybody_may_write_to_nor_below_one() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("tokensmith.redhat");
        fs::create_dir(&folder).unwrap();
        let allow = |folder: &Path, mode| fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
        for (outer, inner, may) in
            [(0o755, 0o700, true), (0o775, 0o770, true), (0o757, 0o700, false), (0o700, 0o702, false)]
        {
            allow(around.path(), outer);
            allow(&folder, inner);
            assert_eq!(is_out_of_reach(&folder.join("copy")), may, "{outer:o} {inner:o}");
        }
    }
}
