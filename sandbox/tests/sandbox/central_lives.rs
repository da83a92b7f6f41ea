//! How long the tokens of the stand-in Central live, and what the hourly job and a restart make of them.

use serde_json::json;

use crate::central::{Central, DAY, REFUSED};
use crate::common::claims;

#[test]
fn an_expiration_is_cut_to_the_second_and_has_no_maximum() {
    let central = Central::start();
    let rows = [
        ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59Z"),
        ("2999-12-31T23:59:59.999999999Z", "2999-12-31T23:59:59Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("3000-01-01T01:59:59+02:00", "2999-12-31T23:59:59Z"),
    ];
    for (asked, expected) in rows {
        let answer = central.generate(&json!({ "name": "x", "roles": ["Admin"], "expiration": asked }));
        let body = answer.json();
        assert_eq!(body["metadata"]["expiration"], expected, "{asked}");
        let token = body["token"].as_str().unwrap();
        assert_eq!(central.status_of(token).text("expires"), expected, "{asked}");
    }
}

#[test]
fn a_token_is_good_until_a_minute_behind_its_end_and_stays_in_the_list_for_a_day() {
    let central = Central::start();
    let token = central.handle.issue_token("ci", &["Admin"], 100);
    let clock = central.sandbox.clock();
    clock.advance(150);
    assert_eq!(central.status_of(&token).verdict(), "200");
    assert_eq!(central.handle.live_tokens("ci"), 0, "nobody counts on that minute");
    clock.advance(11);
    assert_eq!(central.status_of(&token).verdict(), REFUSED);
    clock.advance(DAY - 161);
    central.handle.prune();
    assert_eq!(central.get("apitokens?revoked=false").names(), ["administrator", "ci"]);
    clock.advance(200);
    assert_eq!(central.get("apitokens").names(), ["administrator", "ci"], "the job has not run");
    central.change(|state| state.release = (4, 7, 9));
    central.handle.prune();
    assert_eq!(central.get("apitokens").names(), ["administrator", "ci"], "before 4.8 there is no such job");
    central.change(|state| state.release = (4, 8, 0));
    central.handle.prune();
    assert_eq!(central.get("apitokens").names(), ["administrator"]);
}

#[test]
fn a_token_of_the_future_is_not_good_yet() {
    let central = Central::start();
    central.sandbox.clock().advance(-61);
    assert_eq!(central.get("apitokens").verdict(), REFUSED);
    central.sandbox.clock().advance(2);
    assert_eq!(central.get("apitokens").verdict(), "200");
}

#[test]
fn a_pruned_revocation_is_forgotten_at_the_restart_and_the_token_works_again() {
    let central = Central::start();
    let (token, metadata) = central.new_token("ci", &["Admin"]);
    let id = metadata["id"].as_str().unwrap();
    central.revoke(id);
    central.handle.prune();
    assert_eq!(central.status_of(&token).verdict(), REFUSED, "the revocation is still in memory");
    assert_eq!(central.get("apitokens?revoked=true").json(), json!({ "tokens": [] }));
    central.handle.restart();
    assert_eq!(central.status_of(&token).verdict(), "200");
    assert!(central.handle.token_works(&token));
    let gone = format!("token with id '{id}' does not exist");
    assert_eq!(central.get(&format!("apitokens/{id}")).verdict(), format!("400 3 {gone}: invalid arguments"));
    assert_eq!(central.revoke(id).verdict(), format!("500 13 {gone}"));
    central.sandbox.clock().advance(366 * DAY);
    assert_eq!(central.status_of(&token).verdict(), REFUSED, "nothing but its end stops it");
}

#[test]
fn without_a_pruning_in_between_it_takes_two_restarts() {
    let central = Central::start();
    let (token, metadata) = central.new_token("ci", &["Admin"]);
    central.revoke(metadata["id"].as_str().unwrap());
    central.handle.restart();
    assert_eq!((central.status_of(&token).verdict().as_str(), central.handle.tokens().len()), (REFUSED, 1));
    central.handle.restart();
    assert_eq!(central.status_of(&token).verdict(), "200");
}

#[test]
fn an_old_central_ignores_an_expiration_and_another_may_shift_it() {
    let central = Central::start();
    let ask = |expiration: i64| {
        let asked = chrono::DateTime::from_timestamp(expiration, 0).unwrap().to_rfc3339();
        let answer = central.generate(&json!({ "name": "x", "roles": ["Admin"], "expiration": asked })).json();
        let claims = claims(answer["token"].as_str().unwrap());
        let shown = answer["metadata"]["expiration"].as_str().unwrap();
        assert_eq!(chrono::DateTime::parse_from_rfc3339(shown).unwrap().timestamp(), claims["exp"].as_i64().unwrap());
        (
            claims["exp"].as_i64().unwrap() - expiration,
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        )
    };
    let tomorrow = central.sandbox.clock().seconds() + DAY;
    assert_eq!(ask(tomorrow).0, 0);
    central.change(|state| state.expiration_shift = -3600);
    assert_eq!(ask(tomorrow).0, -3600);
    central.change(|state| (state.expiration_shift, state.release) = (0, (4, 3, 9)));
    assert_eq!(ask(tomorrow).1, 365 * DAY);
    assert_eq!(ask(1).1, 365 * DAY, "not even one in the past is looked at");
}

#[test]
fn the_claims_may_look_as_those_of_other_releases() {
    let central = Central::start();
    central.change(|state| (state.audience_as_array, state.expire_at) = (true, true));
    let (token, metadata) = central.new_token("ci", &["Admin"]);
    let claims = claims(&token);
    assert_eq!(claims["aud"], json!(["https://stackrox.io/jwt-sources#api-tokens"]));
    assert_eq!(claims["ExpireAt"], metadata["expiration"]);
    assert_eq!(central.status_of(&token).verdict(), "200");
}
