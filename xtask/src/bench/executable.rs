//! The executable without Ansible.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{LOOP, World, figures::Figures};

/// Start to end without and with the network, size and peak memory.
pub(super) fn round(world: &World, figures: &mut Figures) -> Result<()> {
    let executable = world.executable();
    let mut arguments = world.refresh();
    arguments["_tokensmith_module"] = "sso_token".into();
    let mut nothing_to_do = arguments.clone();
    // Here the plays have left one.
    nothing_to_do["dest"] = json!(world.path("access_token"));
    let (arguments, nothing_to_do) = (arguments.to_string(), nothing_to_do.to_string());
    for _ in 0..LOOP {
        figures.add("executable_version", "ms", milliseconds(&executable, "--version", "")?);
        figures.add("executable_nothing_to_do", "ms", milliseconds(&executable, "-", &nothing_to_do)?);
        figures.add("executable_refresh", "ms", milliseconds(&executable, "-", &arguments)?);
    }
    figures.add("executable_memory", "bytes", peak_memory(start(&executable, "-", &arguments, Stdio::piped())?)?);
    figures.add("executable_size", "bytes", fs::metadata(&executable)?.len() as f64);
    Ok(())
}

fn milliseconds(executable: &Path, argument: &str, input: &str) -> Result<f64> {
    let begin = Instant::now();
    let output = start(executable, argument, input, Stdio::piped())?.wait_with_output()?;
    let elapsed = begin.elapsed();
    ensure!(output.status.success(), "{argument} failed: {}", String::from_utf8_lossy(&output.stdout));
    Ok(elapsed.as_secs_f64() * 1000.0)
}

/// The kernel forgets it with the process, so it is read until the process is no more.
pub(super) fn peak_memory(mut child: Child) -> Result<f64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait()?.is_none() {
        peak = peak.max(high_water_mark(&fs::read_to_string(&status).unwrap_or_default()));
        thread::sleep(Duration::from_micros(100));
    }
    Ok(peak.context("the executable ended before its memory could be looked at")? as f64 * 1024.0)
}

fn high_water_mark(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// What it prints about a single token fits into a pipe, so nobody has to read while it runs.
pub(super) fn start(executable: &Path, argument: &str, input: &str, output: Stdio) -> Result<Child> {
    let mut child = Command::new(executable)
        .arg(argument)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(output)
        .spawn()
        .with_context(|| format!("cannot run {}", executable.display()))?;
    child.stdin.take().context("a process without standard input")?.write_all(input.as_bytes())?;
    Ok(child)
}
