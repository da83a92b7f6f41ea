//! The time per task in a loop, as Ansible's own callback `junit` measures it: from the start of a loop to its result.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{LOOP, World, figures::Figures, run};

/// One play with a loop for each way, begun with another way than the round before.
pub(super) fn round(world: &World, round: usize, figures: &mut Figures) -> Result<()> {
    let mut ways = ways(world);
    // Everything is in the caches, and there is an access token for the tasks that are to find one.
    let mut tasks: Vec<_> = ways.iter().map(|way| way.once()).collect();
    let count = ways.len();
    ways.rotate_left(round * 2 % count);
    for way in &ways {
        tasks.push(way.looped());
        tasks.extend(way.check());
    }
    let report = report_of_local(world, &tasks)?;
    for way in &ways {
        figures.add(way.name, "ms", seconds(&report, way.name)? * 1000.0 / LOOP as f64);
    }
    Ok(())
}

/// Plays the tasks on this machine, and gives the report of the callback `junit`.
pub(super) fn report_of_local(world: &World, tasks: &[Value]) -> Result<String> {
    let play = json!([{ "hosts": "localhost", "gather_facts": false, "tasks": tasks }]);
    report_of(world, world.command("ansible-playbook"), &play)
}

/// Has the command play it, and gives the report of the callback `junit`.
pub(super) fn report_of(world: &World, mut command: Command, play: &Value) -> Result<String> {
    let (playbook, reports) = (world.path("bench.yml"), world.path("report"));
    fs::write(&playbook, play.to_string())?;
    command.env("ANSIBLE_CALLBACKS_ENABLED", "ansible.builtin.junit").env("JUNIT_OUTPUT_DIR", &reports);
    run(command.env("JUNIT_HIDE_TASK_ARGUMENTS", "true").arg(&playbook))?;
    let file = reports.read_dir()?.next().context("Ansible left no report")??.path();
    let report = fs::read_to_string(&file)?;
    fs::remove_file(file)?;
    Ok(report)
}

/// How long the task of this name took, after such a report.
pub(super) fn seconds(report: &str, name: &str) -> Result<f64> {
    let found: Vec<_> = report.split("<testcase ").filter(|case| case.contains(&format!(": {name}\""))).collect();
    ensure!(found.len() == 1, "Ansible's report has {} tasks named {name}", found.len());
    let time = found[0].split_once(" time=\"").and_then(|(_, rest)| rest.split('"').next());
    time.and_then(|time| time.parse().ok()).with_context(|| format!("Ansible's report has no time of {name}"))
}

/// A way to get something done in a task.
struct Way {
    name: &'static str,
    task: Value,
    /// For our own: whether it is to be found that the offline token was used.
    refreshed: Option<bool>,
}

fn ways(world: &World) -> Vec<Way> {
    let (token, url, authority) = (&world.sandbox.offline_token, &world.sandbox.token_url, &world.sandbox.authority);
    let refresh = json!({ "tokensmith.redhat.sso_token": world.refresh() });
    let mut nothing_to_do = refresh.clone();
    nothing_to_do["tokensmith.redhat.sso_token"]["dest"] = json!(world.path("access_token"));
    let classic = |task: &Value| {
        let mut task = task.clone();
        task["vars"] = json!({ "tokensmith_path": "classic" });
        task
    };
    let curl = format!(
        "curl --silent --show-error --fail --cacert {} --data grant_type=refresh_token --data client_id=cloud-services \
         --data refresh_token={token} {url}",
        authority.display()
    );
    let ours = |name, task, refreshed| Way { name, task, refreshed: Some(refreshed) };
    let usual = |name, task| Way { name, task, refreshed: None };
    vec![
        usual("debug", json!({ "ansible.builtin.debug": { "msg": "{{ item }}" } })),
        ours("direct_nothing_to_do", nothing_to_do.clone(), false),
        ours("direct_refresh", refresh.clone(), true),
        ours("classic_nothing_to_do", classic(&nothing_to_do), false),
        ours("classic_refresh", classic(&refresh), true),
        usual("uri", json!({ "ansible.builtin.uri": uri(world, authority) })),
        usual("shell_curl", json!({ "ansible.builtin.shell": curl })),
    ]
}

impl Way {
    fn once(&self) -> Value {
        self.repeated(format!("warm up {}", self.name), 1)
    }

    fn looped(&self) -> Value {
        self.repeated(self.name.to_owned(), LOOP)
    }

    fn repeated(&self, name: String, times: usize) -> Value {
        repeated(&self.task, name, times)
    }

    fn check(&self) -> Option<Value> {
        Some(check(self.name, self.refreshed?, LOOP))
    }
}

/// The task in a loop.
pub(super) fn repeated(task: &Value, name: String, times: usize) -> Value {
    let mut task = task.clone();
    task["name"] = json!(name);
    task["loop"] = json!((0..times).collect::<Vec<_>>());
    task["register"] = json!("done");
    task
}

/// That each task of such a loop did what its figure is said to be of. The usual ways fail when the server refuses.
pub(super) fn check(name: &str, refreshed: bool, times: usize) -> Value {
    let that = format!("done.results | map(attribute='refreshed') | list == [{refreshed}] * {times}");
    json!({ "name": format!("check {name}"), "ansible.builtin.assert": { "that": that, "quiet": true } })
}

/// Options of `uri` for a new access token.
pub(super) fn uri(world: &World, authority: &Path) -> Value {
    let form = json!({ "grant_type": "refresh_token", "client_id": "cloud-services", "refresh_token": world.sandbox.offline_token });
    json!({
        "url": world.sandbox.token_url,
        "method": "POST",
        "body_format": "form-urlencoded",
        "body": form,
        "ca_path": authority,
    })
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_is_read_from_a_report_of_ansible() {
        let report = "<testsuite>\n<testcase name=\"[localhost] localhost: uri\" classname=\"a.yml:1\" time=\"1.25\">\n\
                      <testcase name=\"[localhost] localhost: debug\" classname=\"a.yml:1\" time=\"0.5000\"/>";
        assert_eq!(seconds(report, "debug").unwrap(), 0.5);
        assert_eq!(seconds(report, "uri").unwrap(), 1.25);
        assert!(seconds(report, "shell_curl").is_err());
    }
}
