//! Whether an executable runs on any Linux of its architecture.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// A static executable has no interpreter (no dynamic linker) among its program headers.
pub(crate) fn is_static(path: &Path) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    has_interpreter(&bytes).map(|has| !has).with_context(|| format!("{} is no 64-bit ELF executable", path.display()))
}

fn has_interpreter(bytes: &[u8]) -> Option<bool> {
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let offset = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let size = usize::from(u16::from_le_bytes(bytes.get(54..56)?.try_into().ok()?));
    let count = usize::from(u16::from_le_bytes(bytes.get(56..58)?.try_into().ok()?));
    let mut headers = bytes.get(offset..offset + size * count)?.chunks_exact(size);
    Some(headers.any(|header| header.starts_with(&INTERPRETER.to_le_bytes())))
}

const INTERPRETER: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_of_the_host_is_not_static_and_a_text_is_no_executable() {
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        fs::write(&text, "#!/bin/sh\n").unwrap();
        assert!(is_static(&text).unwrap_err().to_string().ends_with("text is no 64-bit ELF executable"));
    }
}
