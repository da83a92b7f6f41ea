//! A thousand robots of Quay in one task, side by side with one task of `ansible.builtin.uri` for each.

use std::{
    fs::{self, File},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    World, executable,
    figures::Figures,
    play,
    sandbox::{QUAY_LATENCY, ROBOTS},
};

/// One play with each way, begun with another way than the round before; and the executable alone, for its memory.
pub(super) fn round(world: &World, round: usize, figures: &mut Figures) -> Result<()> {
    let folder = world.path("robots");
    fs::create_dir_all(&folder)?;
    let mut ways = [("quay_uri", uri(world)), ("quay_default", task(world, None)), ("quay_32", task(world, Some(32)))];
    ways.rotate_left(round % 3);
    let report =
        play::report_of_local(world, &ways.iter().flat_map(|(name, task)| named(name, task)).collect::<Vec<_>>())?;
    for (name, _) in &ways {
        let robots = if *name == "quay_uri" { MEASURED } else { ROBOTS };
        figures.add(name, "ms", play::seconds(&report, name)? * 1000.0 / robots as f64);
    }
    figures.add("quay_memory", "bytes", memory(world, None)?);
    figures.add("quay_32_memory", "bytes", memory(world, Some(32))?);
    Ok(())
}

/// The sentences and the table for people.
pub(super) fn table(figures: &Figures) -> Result<String> {
    let mut table = format!(
        "\n| new tokens for {ROBOTS} robots of Quay, {QUAY_LATENCY} ms for each answer | requests | seconds |\n| --- | ---: | ---: |\n"
    );
    for (name, label, requests) in ROWS {
        let seconds = figures.median(name)? * ROBOTS as f64 / 1000.0;
        table.push_str(&format!("| {label} | {} | {seconds:.1} |\n", requests * ROBOTS));
    }
    let times = |name| Ok::<_, anyhow::Error>(figures.median("quay_uri")? / figures.median(name)?);
    table.push_str(&format!(
        "\nOne task is {:.0} times faster than {ROBOTS} of `uri` (measured with {MEASURED}), with `concurrency: 32` {:.0} times, and does more: each \
         token is read back, proven\nby a log-in and put into its file, synced to the disk. Memory at its peak: {:.1} MiB, with `concurrency: 32` \
         {:.1} MiB.\n",
        times("quay_default")?,
        times("quay_32")?,
        figures.median("quay_memory")? / MEBIBYTE,
        figures.median("quay_32_memory")? / MEBIBYTE,
    ));
    Ok(table)
}

fn options(world: &World, concurrency: Option<usize>) -> Value {
    let mut options = json!({
        "quay_host": world.sandbox.quay_url,
        "quay_token": world.sandbox.quay_token,
        "ca_path": world.sandbox.authority,
        "organization": "bulk",
        "all_robots": true,
        "state": "rotated",
        "dest": world.path("robots").join("{robot}"),
    });
    if let Some(concurrency) = concurrency {
        options["concurrency"] = json!(concurrency);
    }
    options
}

fn task(world: &World, concurrency: Option<usize>) -> Value {
    json!({ "tokensmith.redhat.quay_robot_token": options(world, concurrency), "register": "done" })
}

fn uri(world: &World) -> Value {
    let url = format!(
        "{}/api/v1/organization/bulk/robots/r{{{{ '%04d' | format(item) }}}}/regenerate",
        world.sandbox.quay_url
    );
    json!({
        "ansible.builtin.uri": {
            "url": url,
            "method": "POST",
            "headers": { "Authorization": format!("Bearer {}", world.sandbox.quay_token) },
            "ca_path": world.sandbox.authority,
        },
        "loop": (1..=MEASURED).collect::<Vec<_>>(),
        "register": "done",
    })
}

/// The task, and another one that fails unless it did all that its figure is said to be of.
fn named(name: &str, task: &Value) -> [Value; 2] {
    let that = match name {
        "quay_uri" => format!("done.results | map(attribute='json.token') | unique | length == {MEASURED}"),
        _ => format!("done.summary.rotated == {ROBOTS} and done.summary.failed == 0"),
    };
    let mut task = task.clone();
    task["name"] = json!(name);
    [task, json!({ "name": format!("check {name}"), "ansible.builtin.assert": { "that": that, "quiet": true } })]
}

/// What it prints goes into a file: a pipe is too small for a thousand rows.
fn memory(world: &World, concurrency: Option<usize>) -> Result<f64> {
    let mut arguments = options(world, concurrency);
    arguments["_tokensmith_module"] = json!("quay_robot_token");
    let printed = world.path("printed.json");
    let output = Stdio::from(File::create(&printed)?);
    let peak = executable::peak_memory(executable::start(&world.executable(), "-", &arguments.to_string(), output)?)?;
    let result: Value = serde_json::from_slice(&fs::read(&printed)?).context("the executable printed no JSON")?;
    ensure!(result["summary"]["rotated"] == ROBOTS, "not all robots were rotated: {}", result["msg"]);
    Ok(peak)
}

/// So many tasks of `uri` are measured, as a thousand take ten minutes.
const MEASURED: usize = 50;
const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// For each robot, the module looks at it, has a new token made, reads it back and logs in with it.
const ROWS: [(&str, &str, usize); 3] = [
    ("quay_default", "`quay_robot_token`, one task", 4),
    ("quay_32", "`quay_robot_token`, one task, `concurrency: 32`", 4),
    ("quay_uri", "`ansible.builtin.uri`, a task for each, the token in its result", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_how_much_faster_one_task_is_and_what_it_takes() {
        let mut figures = Figures::new(String::new());
        for (name, milliseconds) in [("quay_uri", 600.0), ("quay_default", 10.0), ("quay_32", 5.0)] {
            figures.add(name, "ms", milliseconds);
        }
        assert!(table(&figures).is_err());
        figures.add("quay_memory", "bytes", 9.0 * MEBIBYTE);
        figures.add("quay_32_memory", "bytes", 12.5 * MEBIBYTE);
        let table = table(&figures).unwrap();
        assert!(table.contains("\n| `quay_robot_token`, one task | 4000 | 10.0 |\n"), "{table}");
        assert!(table.contains("result | 1000 | 600.0 |\n"), "{table}");
        assert!(table.contains("is 60 times faster") && table.contains("`concurrency: 32` 120 times"), "{table}");
        assert!(table.contains("9.0 MiB, with `concurrency: 32` 12.5 MiB"), "{table}");
    }
}
