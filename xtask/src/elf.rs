//! Where an executable runs.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// What the headers of an executable say.
#[derive(Debug, PartialEq)]
pub(crate) struct Executable {
    /// The architecture, as `uname -m` calls it.
    pub(crate) machine: &'static str,
    /// Whether it runs on any Linux of that architecture.
    pub(crate) is_static: bool,
}

pub(crate) fn read(path: &Path) -> Result<Executable> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is no 64-bit ELF executable", path.display()))
}

fn parse(bytes: &[u8]) -> Option<Executable> {
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let number = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let offset = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(number(54)?), usize::from(number(56)?));
    let mut headers = bytes.get(offset..offset + size * count)?.chunks_exact(size);
    let machine = match number(18)? {
        62 => "x86_64",
        183 => "aarch64",
        _ => "another architecture",
    };
    // A static executable names no interpreter (no dynamic linker) among its program headers.
    Some(Executable { machine, is_static: !headers.any(|header| header.starts_with(&INTERPRETER.to_le_bytes())) })
}

const INTERPRETER: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_of_the_host_is_not_static_and_a_text_is_no_executable() {
        let machine = std::env::consts::ARCH;
        assert_eq!(read(&std::env::current_exe().unwrap()).unwrap(), Executable { machine, is_static: false });
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        fs::write(&text, "#!/bin/sh\n").unwrap();
        assert!(read(&text).unwrap_err().to_string().ends_with("text is no 64-bit ELF executable"));
    }
}
