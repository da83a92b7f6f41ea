//! A new user follows the README, and nothing but the README: publishes the collection to the real hub, installs it from there, and runs one module of each
//! system. What is run and written stands in the README's own blocks; only addresses, and what the systems know the user by, are those of the tests.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokensmith_tests::galaxy_ng::{Caller, GalaxyNg};
use tokensmith_tests::gateway::{self, GatewayScene};
use tokensmith_tests::hub::{self, HubScene};
use tokensmith_tests::installed::find_secrets;
use tokensmith_tests::manage;
use tokensmith_tests::quay::QuayScene;
use tokensmith_tests::rhacs::RhacsScene;
use tokensmith_tests::scene::{Scene, read};
use tokensmith_tests::ssh_hosts::{Kind, SshHost};

#[test]
fn who_follows_the_readme_publishes_installs_and_runs_a_module_of_each_system() -> Result<()> {
    let Some(hub) = GalaxyNg::with_approval()? else { return Ok(()) };
    let Some(gateway_host) = SshHost::start(Kind::WithoutPython)? else { return Ok(()) };
    hub.make_publisher("publisher")?;
    publish(&hub)?;
    wait_for_approval(&hub)?;

    let user = User::new();
    let token = hub.issue(&hub.make_user("reader")?)?;
    user.write("ansible.cfg", &format!("{}token = {token}\n", at(&hub, &block("Install it", "ini", 0))));
    user.run(&block("Install it", "sh", 3), "");
    assert!(user.path("home/.ansible/collections/ansible_collections/tokensmith/redhat/MANIFEST.json").is_file());
    use_it(&user, &gateway_host);
    Ok(())
}

#[test]
fn the_readme_names_the_version_that_is_built() {
    let galaxy: Value = serde_yaml_ng::from_str(&read(&source("galaxy.yml"))).expect("galaxy.yml is YAML");
    let version = galaxy["version"].as_str().expect("there is a version");
    let install = section("Install it");
    assert!(install.contains(&format!("install dist/tokensmith-redhat-{version}.tar.gz")), "{version}");
    assert!(install.contains(&format!("publish dist/tokensmith-redhat-{version}.tar.gz")), "{version}");
    assert!(install.contains(&format!("/redhat/versions/{version}/move/")), "{version}");
}

/// As who has the tarball.
fn publish(hub: &GalaxyNg) -> Result<()> {
    let user = User::new();
    assert_eq!(block("Install it", "sh", 0), "make dist\n", "what built the tarball is what this makes");
    fs::create_dir(user.path("work/dist"))?;
    let tarball = PathBuf::from(env::var("TOKENSMITH_TARBALL").expect("`make test` names the tarball"));
    symlink(&tarball, user.path("work/dist").join(tarball.file_name().expect("it has a name")))?;
    user.run(&block("Install it", "sh", 1), "");
    user.write("ansible.cfg", &at(hub, &block("Install it", "ini", 0)));
    let printed = user.run(&at(hub, &block("Install it", "sh", 2)), &format!("{}\n", GalaxyNg::PASSWORD));
    let configuration = read(&user.path("work/ansible.cfg"));
    let token = configuration.lines().find_map(|line| line.strip_prefix("token = ")).expect("the token was written");
    assert!(hub.works(token)?);
    assert_eq!(find_secrets(&printed, &[token.to_owned(), GalaxyNg::PASSWORD.to_owned()]), [0usize; 0], "{printed}");
    Ok(())
}

/// The hub copies what is approved to where it is installed from.
fn wait_for_approval(hub: &GalaxyNg) -> Result<()> {
    let published = "v3/plugin/ansible/content/published/collections/index/tokensmith/redhat/";
    let start = Instant::now();
    while hub.call(Method::GET, Caller::User("admin"), published, None)?.status != 200 {
        assert!(start.elapsed() < LONGEST_APPROVAL, "the collection was approved and is not there");
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// Each task of the README, twice: the second time nothing is left to do.
fn use_it(user: &User, gateway_host: &SshHost) {
    let (sso, quay, platform, hub, rhacs) =
        (Scene::new(), QuayScene::new(), GatewayScene::new(), HubScene::new(), RhacsScene::new());
    let manage = manage::Host::new(env!("CARGO_BIN_EXE_manage-stand-in"));
    let sandboxes = [&sso.sandbox, &quay.sandbox, &platform.sandbox, &hub.sandbox, &rhacs.sandbox];
    user.write("authorities.pem", &sandboxes.map(|sandbox| read(&sandbox.ca_path())).concat());

    let mut inventory: Value = yaml(&block("Use it", "yaml", 0));
    inventory["all"]["hosts"]["gateway"] = gateway_host.login("ts-sudo");
    let vars = json!({
        "sso_token_url": sso.realm.token_url(),
        "quay_host": quay.quay().url(),
        "gateway_hostname": platform.platform().url(),
        "gateway_username": gateway::USER,
        "gateway_manage": manage.options(json!({}))["executable"],
        "ah_host": hub.hub().url(),
        "ah_username": hub::USER,
        "rhacs_host": rhacs.central().url(),
    });
    assert_eq!(names(&inventory["all"]["vars"]), names(&vars));
    inventory["all"]["vars"] = vars;
    user.write("inventory.yml", &inventory.to_string());
    let secrets = json!({
        "quay_token": quay.token,
        "gateway_password": platform.platform().password(gateway::USER),
        "ah_password": hub.password(),
        "rhacs_token": rhacs.token,
    });
    assert_eq!(names(&yaml(&block("Use it", "yaml", 1))), names(&secrets));
    user.write("secrets.yml", &secrets.to_string());
    user.write("tokens.yml", &playbook());

    let offline_token = sso.offline_token();
    let password = "vault-test-only\n";
    let inputs = ["", &offline_token, &password.repeat(2)];
    for (line, input) in block("Use it", "sh", 0).lines().zip(inputs) {
        user.run(line, input);
    }
    assert!(read(&user.path("work/secrets.yml")).starts_with("$ANSIBLE_VAULT;"));
    let play = block("Use it", "sh", 1);
    let first = user.run(&play, password);
    assert!(first.contains("ok=6    changed=6 ") && first.contains("failed=0 "), "{first}");
    let second = user.run(&play, password);
    assert!(second.contains("ok=6    changed=0 ") && second.contains("failed=0 "), "{second}");

    let token = |name: &str| read(&user.path("home/tokens").join(name));
    assert!(sso.realm.access_token_works(&token("access_token")));
    assert!(token("ci.yml").contains("kubernetes.io/dockerconfigjson"));
    assert!(platform.platform().token_works(&token("aap_token")));
    assert!(hub.hub().token_works(&token("hub_token")));
    assert!(rhacs.central().token_works(&token("rox_api_token")));
    let of_host = read(&gateway_host.home("root", "aap_token"));
    assert_eq!(manage.tokens(), [of_host.as_str()]);

    let mut hidden = ["access_token", "aap_token", "hub_token", "rox_api_token"].map(token).to_vec();
    hidden.extend([of_host.clone(), offline_token, quay.robot_token("acme+ci")]);
    hidden.extend(secrets.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str()).map(str::to_owned));
    assert_eq!(find_secrets(&(first + &second), &hidden), [0usize; 0]);
}

/// The README's play with the README's tasks in it.
fn playbook() -> String {
    let mut blocks = blocks("Use it").into_iter().filter(|(language, _)| language == "yaml").skip(2);
    let (_, play) = blocks.next().expect("the README has a play");
    let tasks = blocks.flat_map(|(_, tasks)| tasks.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>());
    play + &tasks.collect::<String>()
}

/// A home with nothing in it, and a folder to work in.
struct User {
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        let user =
            Self { folder: tempfile::Builder::new().prefix("ts").tempdir_in("/tmp").expect("a folder can be made") };
        for name in ["home", "work"] {
            fs::create_dir(user.path(name)).expect("a folder can be made");
        }
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the folder to work in.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.path("work").join(name), content).expect("a file can be written");
    }

    /// Runs lines of a shell, which must succeed. What they ask for, they read from standard input, as there is no terminal.
    fn run(&self, lines: &str, input: &str) -> String {
        let venv = env::var("TOKENSMITH_VENV").expect("`make test` makes a venv and names it");
        let path =
            env::join_paths([Path::new(&venv).join("bin"), "/usr/bin".into(), "/bin".into(), "/usr/sbin".into()]);
        let mut child = Command::new("setsid")
            .args(["--wait", "bash", "-euo", "pipefail", "-c", lines])
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", path.expect("no path has a colon"))
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("SSL_CERT_FILE", self.path("work/authorities.pem"))
            .env("ANSIBLE_NOCOLOR", "1")
            // What a user has in ~/.ssh/config; and this machine may have a proxy.
            .env("ANSIBLE_HOST_KEY_CHECKING", "false")
            .env("ANSIBLE_SSH_ARGS", "-F none -o UserKnownHostsFile=/dev/null -o IdentityAgent=none")
            .env("no_proxy", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setsid runs");
        // Who asks for nothing may have ended.
        let _ = child.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("bash ends");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{lines}\n{printed}");
        printed
    }
}

/// The README's hub is this one.
fn at(hub: &GalaxyNg, text: &str) -> String {
    assert!(text.contains(HUB), "{text}");
    text.replace(HUB, hub.url())
}

/// A fenced block of a section of the README, by its language and how many of that come before it.
fn block(title: &str, language: &str, before: usize) -> String {
    let mut of_language = blocks(title).into_iter().filter(|(known, _)| known == language);
    of_language.nth(before).unwrap_or_else(|| panic!("{title:?} has no block {before} of {language}")).1
}

fn blocks(title: &str) -> Vec<(String, String)> {
    let section = section(title);
    let fenced = section.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).map(|(first, rest)| (first.to_owned(), rest.to_owned())).collect()
}

fn section(title: &str) -> String {
    let readme = read(&source("README.md"));
    let (_, rest) = readme.split_once(&format!("\n## {title}\n")).expect("the README has that section");
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).expect("the block is YAML")
}

fn names(mapping: &Value) -> Vec<&String> {
    let mut names: Vec<_> = mapping.as_object().expect("it is a mapping").keys().collect();
    names.sort();
    names
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests have a parent").join(path)
}

const HUB: &str = "https://hub.example.com";
const LONGEST_APPROVAL: Duration = Duration::from_secs(120);
