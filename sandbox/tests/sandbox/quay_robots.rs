//! Robots of the stand-in Quay: sections 2 to 6 of its contract, row by row.

use crate::quay::Quay;

#[test]
fn a_regenerate_kills_the_old_token_at_once_and_the_robot_keeps_the_rest() {
    let quay = Quay::start();
    let before = quay.get("organization/acme/robots/ci").json();
    let old = quay.handle.robot_token("acme+ci").unwrap();
    assert_eq!(before["token"], old.as_str());
    let answer = quay.regenerate("organization/acme/robots/ci");
    assert_eq!(answer.verdict(), "200");
    let new = answer.text("token");
    assert_eq!((new.len(), new == old), (64, false));
    assert!(new.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{new}");
    assert!(answer.json().get("unstructured_metadata").is_none());
    assert_eq!(answer.json()["created"], before["created"]);
    assert_eq!(quay.log_in("acme+ci", &new).verdict(), "200");
    assert_eq!(
        quay.log_in("acme+ci", &old).verdict(),
        "401 D UNAUTHORIZED: Could not find robot with username: acme+ci and supplied password."
    );
    assert_eq!(quay.get("organization/acme/robots/ci").text("token"), new);
    assert_eq!(quay.handle.regenerations("acme+ci"), 1);
    assert!(quay.handle.login_works("acme+ci", &new) && !quay.handle.login_works("acme+ci", &old));
}
