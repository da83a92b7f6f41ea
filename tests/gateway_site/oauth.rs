//! The OAuth2 endpoints, which serve application tokens.

use anyhow::Result;
use serde_json::{Value, json};
use tokensmith_tests::gateway_site::{Answer, Caller, GatewaySite, REFRESH_LIFE};

use super::{on_every_release_and_its_stand_in, stored_form};

#[test]
fn a_refresh_token_works_once_and_takes_the_old_pair_with_it() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let client = Client::new(site)?;
        let user = site.make_user("refresh")?;
        let first = client.log_in(&user)?;
        let second = client.refresh(text(&first, "refresh_token"))?.expect(201)?;
        assert!(!site.works(text(&first, "access_token"))?);
        assert!(site.works(text(&second, "access_token"))?);
        let used = client.refresh(text(&first, "refresh_token"))?.expect(400)?;
        assert_eq!(used, json!({ "error": "invalid_grant" }));
        assert!(site.works(text(&second, "access_token"))?, "a replay leaves the new pair alive");
        Ok(())
    })
}

#[test]
fn the_password_grant_is_answered_with_201_and_its_refusals_with_their_names() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let client = Client::new(site)?;
        let user = site.make_user("grant")?;
        let answer = client.log_in(&user)?;
        assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("Bearer"), &json!("read write")));
        assert!(answer["expires_in"].is_number());
        let right = site.password(&user);
        let stranger = Client { id: "nobody".into(), ..Client::new(site)? };
        let cases = [
            (
                client.grant(&[("grant_type", "password"), ("username", &user), ("password", "wrong")])?,
                400,
                "invalid_grant",
            ),
            (
                stranger.grant(&[("grant_type", "password"), ("username", &user), ("password", &right)])?,
                401,
                "invalid_client",
            ),
            (client.grant(&[("grant_type", "client_credentials")])?, 400, "unauthorized_client"),
            (client.grant(&[("grant_type", "nonsense")])?, 400, "unsupported_grant_type"),
            (client.grant(&[("grant_type", "refresh_token")])?, 400, "invalid_request"),
            (client.refresh("thisIsNotARefreshTokenOfAnybody")?, 400, "invalid_grant"),
        ];
        for (answer, status, error) in cases {
            assert_eq!(answer.expect(status)?["error"], error);
        }
        Ok(())
    })
}

#[test]
fn a_refresh_token_whose_access_token_is_gone_breaks_the_server() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let client = Client::new(site)?;
        let user = site.make_user("broken")?;
        let pair = client.log_in(&user)?;
        let path = format!("tokens/{}/", site.rows(&user)?[0]["id"]);
        site.delete(Caller::User(&user), &path)?.expect(204)?;
        let answer = client.refresh(text(&pair, "refresh_token"))?;
        assert_eq!((answer.status, answer.header("Content-Type").starts_with("text/html")), (500, true));
        Ok(())
    })
}

#[test]
fn revoke_token_says_yes_and_does_nothing_unless_it_is_given_the_stored_form() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let client = Client::new(site)?;
        let pair = client.log_in(&site.make_user("silent")?)?;
        let (access, refresh) = (text(&pair, "access_token"), text(&pair, "refresh_token"));
        for token in [access, refresh, "thisIsNotATokenOfAnybodyAtAll1"] {
            let answer = client.revoke(&[("token", token)])?;
            assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        }
        assert!(site.works(access)?, "it is still alive");
        assert_eq!(client.revoke(&[])?.status, 400);
        assert_eq!(client.revoke(&[("token", &stored_form(access))])?.status, 200);
        assert!(!site.works(access)?);
        assert_eq!(client.refresh(refresh)?.status, 500);
        Ok(())
    })
}

#[test]
fn a_refresh_token_past_its_time_is_refused_in_plain_words() -> Result<()> {
    let Some(site) = GatewaySite::start(GatewaySite::CURRENT, &[(REFRESH_LIFE, "0")])? else { return Ok(()) };
    let client = Client::new(&site)?;
    let pair = client.log_in("alice")?;
    let answer = client.refresh(text(&pair, "refresh_token"))?;
    assert_eq!((answer.status, answer.text.as_str()), (403, "The refresh token has expired."));
    assert!(answer.header("Content-Type").starts_with("text/html"));
    Ok(())
}

#[test]
fn a_user_of_an_identity_provider_gets_no_token_by_a_grant() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let form = [("grant_type", "password"), ("username", "erin"), ("password", &site.password("erin"))];
        let answer = Client::new(site)?.grant(&form)?;
        assert_eq!(answer.status, 403);
        assert!(answer.text.contains("external authentication provider (Corporate Keycloak)"), "{}", answer.text);
        Ok(())
    })
}

/// The application `deploy`.
struct Client<'s> {
    site: &'s GatewaySite,
    id: String,
    secret: String,
}

impl<'s> Client<'s> {
    fn new(site: &'s GatewaySite) -> Result<Self> {
        let (id, secret) = site.client()?;
        Ok(Self { site, id, secret })
    }

    fn log_in(&self, user: &str) -> Result<Value> {
        self.grant(&[("grant_type", "password"), ("username", user), ("password", &self.site.password(user))])?
            .expect(201)
    }

    fn refresh(&self, token: &str) -> Result<Answer> {
        self.grant(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    fn grant(&self, form: &[(&str, &str)]) -> Result<Answer> {
        self.site.oauth("token", (&self.id, &self.secret), form)
    }

    fn revoke(&self, form: &[(&str, &str)]) -> Result<Answer> {
        self.site.oauth("revoke_token", (&self.id, &self.secret), form)
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("there is no {field} in {value}"))
}
