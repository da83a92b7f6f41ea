//! The runner on hosts reached by ssh: what a task asks of a host, what it leaves there, and what it does when something is in the way.
//!
//! `make test` names the tarball and the venvs with ansible-core, and says whether such hosts can be had.

use serde_json::{Value, json};
use tokensmith_tests::installed::Installed;
use tokensmith_tests::scene::Scene;
use tokensmith_tests::ssh_hosts::SshHost;

#[test]
fn a_first_try() {
    let Some(host) = SshHost::shared().unwrap() else { return };
    let installed = Installed::on_tools();
    let scene = Scene::new();
    let tasks = "
    - tokensmith.redhat.sso_token:
        token_url: \"{{ url }}\"
        allow_http: true
        client_id: '{{ account }}'
        client_secret: '{{ account_secret }}'
      register: result
    - set_fact:
        kept: '{{ result }}'
";
    let hosts = json!({ "plain": host.login("ts-plain") });
    let url = format!("{}/auth/realms/redhat-external/protocol/openid-connect/token", scene.sandbox.sso().plain_url());
    let variables = format!("url={url}");
    let (played, kept) = installed.play_on(&hosts, &scene, tasks, &["-vvvv", "-e", &variables], &[]);
    println!("{}\n{kept}\n{:?}", played.printed, host.requests("ts-plain"));
    panic!();
}
