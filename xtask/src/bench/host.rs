//! A host that is reached over ssh: the OpenSSH server of the tests, on this machine, as a process that ends with this one.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// A running host.
pub(super) struct Host {
    process: Child,
    folder: PathBuf,
    pub(super) address: SocketAddr,
}

impl Host {
    pub(super) fn start(script: &Path, folder: PathBuf) -> Result<Self> {
        // Nobody else takes it in the meantime, or the host ends by itself and says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let process = Command::new(script)
            .arg("run")
            .arg(&folder)
            .arg(address.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", script.display()))?;
        let mut host = Self { process, folder, address };
        while !host.greets() {
            if host.process.try_wait()?.is_some() {
                bail!("the OpenSSH server did not start");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(host)
    }

    fn greets(&self) -> bool {
        let Ok(stream) = TcpStream::connect(self.address) else { return false };
        let mut greeting = String::new();
        BufReader::new(stream.take(255)).read_line(&mut greeting).is_ok() && greeting.starts_with("SSH-")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// Where the host says what was asked of it.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("sshd.log")
    }

    /// The home of [`USER`], from outside of the host.
    pub(super) fn home(&self) -> Result<PathBuf> {
        let process = fs::read_to_string(self.folder.join("pid"))?;
        Ok(PathBuf::from(format!("/proc/{}/root/home/{USER}", process.trim())))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// How many requests for a channel such a log tells of: each command and each start of sftp is one.
pub(super) fn requests(log: &str) -> usize {
    log.lines().filter(|line| line.contains("Starting session: ")).count()
}

/// An ordinary user.
pub(super) const USER: &str = "ts-plain";

#[cfg(test)]
mod tests {
    use super::requests;

    #[test]
    fn each_command_and_each_start_of_sftp_is_a_request() {
        let log = "Accepted publickey for ts-plain from 127.0.0.1 port 4000 ssh2: ED25519 SHA256:abc\n\
                   Starting session: command for ts-plain from 127.0.0.1 port 4000 id 0\n\
                   Close session: user ts-plain from 127.0.0.1 port 4000 id 0\n\
                   Starting session: subsystem 'sftp' for ts-plain from 127.0.0.1 port 4000 id 0\n";
        assert_eq!(requests(log), 2);
    }
}
