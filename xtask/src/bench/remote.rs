//! What a task costs on a host that is reached over ssh, near and far: its time, and how often it asks the host for a channel.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    World,
    figures::Figures,
    host::{self, Host},
    play,
};

/// What is needed beyond the rest.
pub(super) struct Remote {
    pub(super) host: Host,
    /// A venv with mitogen.
    pub(super) mitogen: PathBuf,
}

impl Remote {
    /// The distances from which it is to be reached.
    pub(super) fn links(&self) -> Vec<(SocketAddr, u16)> {
        DISTANCES.iter().map(|distance| (self.host.address, distance.milliseconds)).collect()
    }
}

/// For each distance a play with Ansible's own strategy, begun with another way than the round before, and one with mitogen's.
pub(super) fn round(world: &World, remote: &Remote, round: usize, figures: &mut Figures) -> Result<()> {
    for (name, content) in PLUGINS {
        let path = world.path(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, content)?;
    }
    fs::copy(&world.sandbox.authority, remote.host.home()?.join("ca.pem"))?;
    for (distance, port) in DISTANCES.iter().zip(&world.sandbox.links) {
        let site = Site { world, remote, distance, port: *port };
        let mut ways = ways(world);
        ways.rotate_left(round * 3 % WAYS);
        site.play(&Strategy::linear(world), &ways, figures)?;
        site.play(&Strategy::mitogen(world, &remote.mitogen)?, &ways_of_mitogen(world), figures)?;
    }
    Ok(())
}

/// The table, and what it says.
pub(super) fn table(figures: &Figures, ansible: &str) -> Result<String> {
    let mut table = "| task on a remote host | ssh requests |".to_owned();
    let columns: String = DISTANCES.iter().map(|distance| format!(" {} ms |", distance.milliseconds)).collect();
    table.push_str(&format!("{columns}\n| --- | ---: |{}\n", " ---: |".repeat(DISTANCES.len())));
    for (name, label) in ROWS {
        let times = each(|distance| Ok(format!(" {} |", rounded(figures.median(&distance.time_of(name))?))))?.concat();
        let requests = each(|distance| figures.median(&distance.requests_of(name)))?;
        let most = requests.into_iter().fold(0.0, f64::max);
        table.push_str(&format!("| {label} | {} |{times}\n", rounded(most)));
    }
    table.push_str(&format!(
        "\nMilliseconds per task, by milliseconds of latency there and back.\n\n| times |{columns}\n| --- |{}\n",
        " ---: |".repeat(DISTANCES.len())
    ));
    for (label, name, other) in COMPARED {
        let ratio = |distance: &Distance| {
            let ratio = figures.median(&distance.time_of(name))? / figures.median(&distance.time_of(other))?;
            Ok(format!(" {} |", factor(ratio)))
        };
        table.push_str(&format!("| {label} |{}\n", each(ratio)?.concat()));
    }
    table.push_str(&format!(
        "\nThe executable by itself, without network: {:.1} ms from start to end, {:.1} MiB of memory at its peak.\n\nMedians, with ansible-core {ansible} and an OpenSSH server \
         behind a delay on the same machine.\n",
        figures.median("executable_nothing_to_do")?,
        figures.median("executable_memory")? / MEBIBYTE,
    ));
    Ok(table)
}

/// For the README, which has the place for three numbers.
pub(super) fn sentence(figures: &Figures) -> Result<String> {
    let distance = DISTANCES[1];
    let median = |name| Ok::<_, anyhow::Error>(rounded(figures.median(&distance.time_of(name))?));
    Ok(format!(
        "\nOver ssh, with {} ms of latency: {} ms for a new access token by `sso_token`, {} ms by a module in Python and {} ms by `uri`: \
         [docs/performance.md](docs/performance.md).\n",
        distance.milliseconds,
        median("ssh_fast_warm")?,
        median("ssh_python")?,
        median("ssh_uri")?,
    ))
}

/// How far away a host is.
#[derive(Clone, Copy)]
struct Distance {
    /// There and back.
    milliseconds: u16,
    /// Tasks in a loop: fewer where each takes seconds.
    tasks: usize,
}

impl Distance {
    fn time_of(&self, name: &str) -> String {
        format!("{name}_{}ms", self.milliseconds)
    }

    fn requests_of(&self, name: &str) -> String {
        format!("{name}_{}ms_requests", self.milliseconds)
    }
}

fn each<T>(of: impl Fn(&Distance) -> Result<T>) -> Result<Vec<T>> {
    DISTANCES.iter().map(of).collect()
}

/// The host, seen from there.
struct Site<'a> {
    world: &'a World,
    remote: &'a Remote,
    distance: &'a Distance,
    port: u16,
}

impl Site<'_> {
    /// First on new connections, then in a loop.
    fn play(&self, strategy: &Strategy, ways: &[Way], figures: &mut Figures) -> Result<()> {
        self.forget_the_executable()?;
        let mut tasks = Vec::new();
        if strategy.reconnects {
            tasks.extend(strategy.first.first().map(|way| way.repeated("prepare the controller".to_owned(), 1)));
        }
        tasks.extend(strategy.first.iter().flat_map(|way| self.alone(strategy, way)));
        // Whatever is cached is cached now.
        tasks.extend(
            ways.iter().filter(|way| way.is_prepared).map(|way| way.repeated(format!("prepare {}", way.name), 1)),
        );
        tasks.extend(ways.iter().flat_map(|way| self.looped(way)));
        let report = play::report_of(self.world, self.command(strategy), &self.play_of(strategy, &tasks))?;
        for (way, tasks) in
            strategy.first.iter().map(|way| (way, 1)).chain(ways.iter().map(|way| (way, self.distance.tasks)))
        {
            let milliseconds = play::seconds(&report, way.name)? * 1000.0;
            figures.add(&self.distance.time_of(way.name), "ms", milliseconds / tasks as f64);
            let requests = self.requests(way, "after")? - self.requests(way, "before")?;
            figures.add(&self.distance.requests_of(way.name), "requests", requests / tasks as f64);
        }
        Ok(())
    }

    fn forget_the_executable(&self) -> Result<()> {
        let cache = self.remote.host.home()?.join(".cache");
        if cache.exists() {
            fs::remove_dir_all(cache)?;
        }
        Ok(())
    }

    /// One task, with a new connection where the strategy makes one.
    fn alone(&self, strategy: &Strategy, way: &Way) -> Vec<Value> {
        let mut task = way.task.clone();
        task["name"] = json!(way.name);
        let disconnect =
            json!({ "name": format!("disconnect for {}", way.name), "ansible.builtin.meta": "reset_connection" });
        let begin = strategy.reconnects.then_some(disconnect);
        begin.into_iter().chain([self.count(way, "before"), task, self.count(way, "after")]).collect()
    }

    fn looped(&self, way: &Way) -> Vec<Value> {
        let tasks = self.distance.tasks;
        let looped = way.repeated(way.name.to_owned(), tasks);
        let mut all = vec![self.count(way, "before"), looped, self.count(way, "after")];
        all.extend(way.refreshed.map(|refreshed| play::check(way.name, refreshed, tasks)));
        all
    }

    /// Keeps what the host has told until now. On the controller, so the host is not asked for anything.
    fn count(&self, way: &Way, when: &str) -> Value {
        let copy = format!("cp {} {}", self.remote.host.log().display(), self.told(way, when).display());
        let message = format!("{{{{ lookup('ansible.builtin.pipe', '{copy}') }}}}");
        json!({ "name": format!("count {when} {}", way.name), "ansible.builtin.debug": { "msg": message } })
    }

    fn requests(&self, way: &Way, when: &str) -> Result<f64> {
        let told = self.told(way, when);
        let log = fs::read_to_string(&told).with_context(|| format!("cannot read {}", told.display()))?;
        Ok(host::requests(&log) as f64)
    }

    fn told(&self, way: &Way, when: &str) -> PathBuf {
        self.world.path(&format!("{}_{when}.log", way.name))
    }

    fn play_of(&self, strategy: &Strategy, tasks: &[Value]) -> Value {
        json!([{
            "hosts": "host",
            "gather_facts": false,
            "strategy": strategy.name,
            "tasks": tasks,
            "vars": {
                "ansible_host": "127.0.0.1",
                "ansible_port": self.port,
                "ansible_user": host::USER,
                "ansible_ssh_private_key_file": self.remote.host.key(),
                "ansible_ssh_common_args": "-F none -o UserKnownHostsFile=/dev/null",
                "ansible_python_interpreter": PYTHON,
            },
        }])
    }

    fn command(&self, strategy: &Strategy) -> Command {
        let mut command = self.world.command_of(&strategy.venv, "ansible-playbook");
        command
            .args(["--inventory", "host,"])
            .env("ANSIBLE_LIBRARY", self.world.path("library"))
            .env("ANSIBLE_ACTION_PLUGINS", self.world.path("action"))
            .env("ANSIBLE_HOST_KEY_CHECKING", "false")
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.world.path("cp"))
            .env_remove("ANSIBLE_REMOTE_TEMP");
        if let Some(plugins) = &strategy.plugins {
            command.env("ANSIBLE_STRATEGY_PLUGINS", plugins);
        }
        command
    }
}

/// Who plays, and what is to be measured on a new connection.
struct Strategy {
    name: &'static str,
    venv: PathBuf,
    plugins: Option<PathBuf>,
    first: Vec<Way>,
    /// Whether the connection can be ended between tasks.
    reconnects: bool,
}

impl Strategy {
    fn linear(world: &World) -> Self {
        let raw = json!({ "ansible.builtin.raw": "true" });
        let first = vec![
            Way::new("ssh_raw_cold", &raw),
            Way::new("ssh_fast_cold", &ours(world)),
            Way::new("ssh_python_pipelined_cold", &pipelined(&python(world))),
        ];
        Self { name: "linear", venv: world.venv.clone(), plugins: None, first, reconnects: true }
    }

    fn mitogen(world: &World, venv: &Path) -> Result<Self> {
        let lib = venv.join("lib");
        let mut folders = lib.read_dir().with_context(|| format!("cannot read {}", lib.display()))?.flatten();
        let plugins = folders.find_map(|folder| {
            Some(folder.path().join("site-packages/ansible_mitogen/plugins/strategy"))
                .filter(|plugins| plugins.is_dir())
        });
        let plugins = Some(plugins.with_context(|| format!("{} has no mitogen", venv.display()))?);
        let first = vec![Way::new("ssh_mitogen_cold", &python(world))];
        Ok(Self { name: "mitogen_linear", venv: venv.to_owned(), plugins, first, reconnects: false })
    }
}

/// A way to get something done in a task.
struct Way {
    name: &'static str,
    task: Value,
    /// For our own: whether it is to be found that the offline token was used.
    refreshed: Option<bool>,
    /// Whether it is done once before it is measured.
    is_prepared: bool,
}

impl Way {
    fn new(name: &'static str, task: &Value) -> Self {
        Self { name, task: task.clone(), refreshed: None, is_prepared: false }
    }

    fn that_refreshed(self, refreshed: bool) -> Self {
        Self { refreshed: Some(refreshed), ..self }
    }

    fn prepared(self) -> Self {
        Self { is_prepared: true, ..self }
    }

    fn repeated(&self, name: String, times: usize) -> Value {
        play::repeated(&self.task, name, times)
    }
}

fn ways(world: &World) -> [Way; WAYS] {
    let fast = ours(world);
    let mut nothing_to_do = fast.clone();
    nothing_to_do["tokensmith.redhat.sso_token"]["dest"] = json!("~/access_token");
    let mut classic = fast.clone();
    classic["vars"] = json!({ "tokensmith_path": "classic" });
    [
        Way::new("ssh_raw", &json!({ "ansible.builtin.raw": "true" })),
        Way::new("ssh_input", &json!({ "read_input": {} })),
        Way::new("ssh_fast_nothing_to_do", &nothing_to_do).that_refreshed(false).prepared(),
        Way::new("ssh_fast_warm", &fast).that_refreshed(true).prepared(),
        Way::new("ssh_classic", &classic).that_refreshed(true),
        Way::new("ssh_python", &python(world)).that_refreshed(true),
        Way::new("ssh_python_pipelined", &pipelined(&python(world))).that_refreshed(true),
        Way::new("ssh_uri", &json!({ "ansible.builtin.uri": play::uri(world, Path::new(CA)) })),
    ]
}

fn ways_of_mitogen(world: &World) -> [Way; 2] {
    [
        Way::new("ssh_mitogen_python", &python(world)).that_refreshed(true).prepared(),
        Way::new("ssh_mitogen_sso_token", &ours(world)).that_refreshed(true).prepared(),
    ]
}

fn ours(world: &World) -> Value {
    json!({ "tokensmith.redhat.sso_token": options(world) })
}

fn python(world: &World) -> Value {
    json!({ "python_token": options(world) })
}

fn options(world: &World) -> Value {
    let mut options = world.refresh();
    options["ca_path"] = json!(CA);
    options
}

fn pipelined(task: &Value) -> Value {
    let mut task = task.clone();
    task["vars"] = json!({ "ansible_pipelining": true });
    task
}

/// Whole milliseconds and requests, unless a part of them is to be seen.
fn rounded(value: f64) -> String {
    if value >= 10.0 || value.fract().abs() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// The nearer to one, the more exact.
fn factor(value: f64) -> String {
    let digits = if value < 2.0 { 2 } else { usize::from(value < 9.5) };
    format!("{value:.digits$}")
}

/// The more of it, the fewer tasks.
const DISTANCES: [Distance; 3] = [
    Distance { milliseconds: 0, tasks: 10 },
    Distance { milliseconds: 20, tasks: 6 },
    Distance { milliseconds: 80, tasks: 3 },
];
const WAYS: usize = 8;
const ROWS: [(&str, &str); 14] = [
    ("ssh_raw", "`ansible.builtin.raw: true`, a command that does nothing"),
    ("ssh_input", "a command that reads its standard input and does nothing else"),
    ("ssh_fast_nothing_to_do", "`sso_token`, nothing to do"),
    ("ssh_fast_warm", "`sso_token`, a new access token"),
    ("ssh_classic", "the same, sent as Ansible sends any module (`tokensmith_path: classic`)"),
    ("ssh_python", "a module in Python, a new access token"),
    ("ssh_python_pipelined", "the same, with pipelining"),
    ("ssh_uri", "`ansible.builtin.uri`, a new access token"),
    ("ssh_mitogen_python", "the module in Python with mitogen's strategy"),
    ("ssh_mitogen_sso_token", "`sso_token` with mitogen's strategy"),
    ("ssh_raw_cold", "first task on a new connection: `raw: true`"),
    ("ssh_fast_cold", "first task on a new connection: `sso_token`, the host does not have the executable yet"),
    ("ssh_python_pipelined_cold", "first task on a new connection: the module in Python, with pipelining"),
    ("ssh_mitogen_cold", "first task on a new connection: the module in Python with mitogen's strategy"),
];
/// What is divided by what.
const COMPARED: [(&str, &str, &str); 9] = [
    ("`sso_token`, nothing to do / `raw: true`", "ssh_fast_nothing_to_do", "ssh_raw"),
    ("`sso_token`, nothing to do / a command that reads its standard input", "ssh_fast_nothing_to_do", "ssh_input"),
    ("`sso_token`, a new access token / `raw: true`", "ssh_fast_warm", "ssh_raw"),
    ("`sso_token`, a new access token / a command that reads its standard input", "ssh_fast_warm", "ssh_input"),
    ("the module in Python / `sso_token`", "ssh_python", "ssh_fast_warm"),
    ("the module in Python, with pipelining / `sso_token`", "ssh_python_pipelined", "ssh_fast_warm"),
    ("`uri` / `sso_token`", "ssh_uri", "ssh_fast_warm"),
    ("the module in Python with mitogen's strategy / `sso_token`", "ssh_mitogen_python", "ssh_fast_warm"),
    ("the same, in the first task", "ssh_mitogen_cold", "ssh_fast_cold"),
];
/// The module in Python, and what [`ROWS`] begins with.
const PLUGINS: [(&str, &str); 2] = [
    ("library/python_token.py", include_str!("python_token.py")),
    ("action/read_input.py", include_str!("read_input.py")),
];
/// Below the home there.
const CA: &str = "/home/ts-plain/ca.pem";
/// For the ways that need one there.
const PYTHON: &str = "/usr/bin/python3";
const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_way_at_each_distance_and_says_how_they_compare() {
        let mut figures = Figures::new(String::new());
        for (row, (name, _)) in ROWS.iter().enumerate() {
            for (column, distance) in DISTANCES.iter().enumerate() {
                figures.add(&distance.time_of(name), "ms", 100.0 * (1 + row) as f64 + 50.0 * column as f64);
                figures.add(&distance.requests_of(name), "requests", [row as f64, 0.0, 0.5][column]);
            }
        }
        assert!(table(&figures, "2.19").is_err());
        figures.add("executable_nothing_to_do", "ms", 2.5);
        figures.add("executable_memory", "bytes", 3.25 * MEBIBYTE);
        let table = table(&figures, "2.19.14").unwrap();
        let head =
            "| task on a remote host | ssh requests | 0 ms | 20 ms | 80 ms |\n| --- | ---: | ---: | ---: | ---: |\n";
        assert!(table.starts_with(head), "{table}");
        assert!(table.contains("does nothing | 0.5 | 100 | 150 | 200 |\n"), "{table}");
        assert!(table.contains("| `sso_token`, a new access token | 3 | 400 | 450 | 500 |\n"), "{table}");
        assert!(table.contains("does not have the executable yet | 11 | 1200 | 1250 | 1300 |\n"), "{table}");
        assert!(table.contains("| `sso_token`, nothing to do / `raw: true` | 3.0 | 2.3 | 2.0 |\n"), "{table}");
        assert!(table.contains("| `uri` / `sso_token` | 2.0 | 1.89 | 1.80 |\n"), "{table}");
        assert!(table.contains("2.5 ms from start to end, 3.2 MiB"), "{table}");
        assert!(sentence(&figures).unwrap().contains("with 20 ms of latency: 450 ms for"));
    }

    #[test]
    fn the_page_has_a_place_for_the_table() {
        let page = include_str!("../../../docs/performance.md");
        assert!(crate::bench::figures::with_table(page, "| 1 |\n").unwrap().contains("\n| 1 |\n"));
    }
}
