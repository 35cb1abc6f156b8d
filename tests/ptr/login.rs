//! `mailctl auth` and what it stands on, against an authorization server that
//! remembers: RFC 8628 with all that it may say.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailctl::catalogue;
use mailctl::config::surroundings::Written;
use mailctl::failure::Result;
use mailctl::rest::Pace;
use mailctl::rest::device::Login;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::http::{self, Answer, Asked, ok, status};

const BIN: &str = env!("CARGO_BIN_EXE_mailctl");
const TOKEN: &str = "0ffline-refresh-token";

/// What the person does, and what the server says until then.
#[derive(Debug, Default)]
struct Server {
    /// Answers at the token endpoint; the last one is given for ever.
    says: Vec<Answer>,
    /// Whether the server wants longer pauses and gives a whole address.
    sparse: bool,
    lives: u32,
    asked: Vec<Value>,
    wrong: Vec<String>,
}

struct Stage {
    origin: String,
    server: Arc<Mutex<Server>>,
}

fn error(word: &str) -> Answer {
    status(
        400,
        json!({"error": word, "error_description": "about that"}),
    )
}

fn granted() -> Answer {
    ok(
        json!({"access_token": "short-lived", "expires_in": 300, "refresh_expires_in": 0, "refresh_token": TOKEN, "token_type": "Bearer"}),
    )
}

impl Stage {
    async fn of(says: Vec<Answer>) -> Self {
        let server = Arc::new(Mutex::new(Server {
            says,
            lives: 600,
            ..Server::default()
        }));
        let shared = server.clone();
        let answer = move |target: &str, asked: Asked, _: &str| {
            let mut server = shared.lock().unwrap_or_else(PoisonError::into_inner);
            server.answer(target, &asked)
        };
        let origin = http::serve(answer).await;
        Self { origin, server }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn login(&self) -> Login {
        let mut around = Written::default();
        let variable = ("NETCUP_SCP_AUTH_URL".to_owned(), self.origin.clone());
        around.variables.extend([variable]);
        let pace = Pace {
            second: Duration::from_micros(100),
            ..Pace::default()
        };
        let entry = catalogue::ptr("netcup-scp").expect("an entry");
        let login = Login::of(entry, &around, pace).expect("addresses");
        login.expect("a login")
    }

    /// The token, or what is told.
    async fn comes_to(&self) -> Result<String, String> {
        let login = self.login();
        let token: Result<_> = async {
            let invitation = login.begin().await?;
            login.token(&invitation).await
        }
        .await;
        let wrong = self.server().wrong.clone();
        assert!(wrong.is_empty(), "{wrong:#?}");
        match token {
            Ok(token) => Ok(token.expose().to_owned()),
            Err(why) => Err(why.told()),
        }
    }

    async fn mailctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(BIN);
        command.args(args).env("NETCUP_SCP_AUTH_URL", &self.origin);
        command.output().await.expect("mailctl runs")
    }
}

impl Server {
    fn answer(&mut self, target: &str, asked: &Asked) -> Answer {
        let form = |name: &str| asked.body[name].as_str().unwrap_or_default().to_owned();
        let mut right = asked.method == "POST" && form("client_id") == "scp";
        let answer = match target {
            "/auth/device" => {
                right &= form("scope") == "offline_access openid";
                self.invitation()
            }
            "/token" => {
                right &= form("grant_type") == "urn:ietf:params:oauth:grant-type:device_code";
                right &= form("device_code") == "d3vice & {code}";
                self.asked.push(asked.body.clone());
                let nth = self.asked.len().min(self.says.len());
                self.says[nth - 1].clone()
            }
            _ => status(404, Value::Null),
        };
        if !right {
            self.wrong
                .push(format!("{} {target}: {}", asked.method, asked.body));
        }
        answer
    }

    fn invitation(&self) -> Answer {
        let mut body = json!({
            "device_code": "d3vice & {code}",
            "user_code": "WDJB-MJHT\u{1b}[2J",
            "verification_uri": "https://login.example/device",
            "expires_in": self.lives,
        });
        if !self.sparse {
            body["interval"] = 1.into();
            body["verification_uri_complete"] =
                "https://login.example/device?user_code=WDJB-MJHT".into();
        }
        ok(body)
    }
}

#[tokio::test]
async fn the_token_comes_when_the_person_is_done() {
    let pending = || error("authorization_pending");
    let stage = Stage::of(vec![pending(), pending(), granted()]).await;
    assert_eq!(stage.comes_to().await.as_deref(), Ok(TOKEN));
    assert_eq!(stage.server().asked.len(), 3);
}

#[tokio::test]
async fn what_ends_a_login_is_told() {
    for (says, told) in [
        (
            error("access_denied"),
            "was refused by whoever opened the address",
        ),
        (
            error("expired_token"),
            "nobody logged in at netcup (Server Control Panel) in time",
        ),
        (
            error("invalid_client"),
            "gives no token: invalid_client: about that",
        ),
        (
            ok(json!({"access_token": "short-lived"})),
            "gives no refresh token",
        ),
    ] {
        let stage = Stage::of(vec![error("authorization_pending"), says]).await;
        let ended = stage.comes_to().await.expect_err(told);
        assert!(ended.contains(told), "{ended}");
        assert_eq!(stage.server().asked.len(), 2, "{told}");
    }
}

/// How often is asked while a code of 600 seconds lives.
#[tokio::test]
async fn the_server_says_how_often_it_is_asked() {
    let down = status(503, Value::Null);
    let mut page = ok(Value::Null);
    page.body = "<p>please wait".into();
    for (sparse, says, times) in [
        (false, error("authorization_pending"), 600),
        // Nothing is said: every five seconds.
        (true, error("authorization_pending"), 120),
        // 5 + 10 + … + 75.
        (true, error("slow_down"), 15),
        // 5 + 10 + 20 + … + 320 would be 635.
        (true, down, 6),
        (true, page, 6),
    ] {
        let stage = Stage::of(vec![says]).await;
        stage.server().sparse = sparse;
        let ended = stage.comes_to().await.expect_err("nobody comes");
        assert!(
            ended.contains("in time") && ended.contains("new code"),
            "{ended}"
        );
        assert_eq!(
            stage.server().asked.len(),
            times,
            "{:?}",
            stage.server().says
        );
    }
}

#[tokio::test]
async fn a_server_that_is_no_authorization_server_is_told() {
    let stage = Stage::of(vec![granted()]).await;
    let entry = catalogue::ptr("netcup-scp").expect("an entry");
    let mut around = Written::default();
    let elsewhere = format!("{}/nowhere", stage.origin);
    let variable = ("NETCUP_SCP_AUTH_URL".to_owned(), elsewhere);
    around.variables.extend([variable]);
    let login = Login::of(entry, &around, Pace::default()).expect("addresses");
    let told = login.expect("a login").begin().await.map(|_| ());
    let told = told.expect_err("nothing there").told();
    assert!(
        told.contains("netcup (Server Control Panel) (127.0.0.1) answers no JSON"),
        "{told}"
    );
}

#[tokio::test]
async fn the_command_prints_the_token_and_nothing_else() {
    let stage = Stage::of(vec![error("authorization_pending"), granted()]).await;
    let ran = stage.mailctl(&["auth", "netcup"]).await;
    let (out, err) = texts(&ran);
    assert!(ran.status.success(), "{err}");
    assert_eq!(out, format!("{TOKEN}\n"));
    assert_eq!(
        err,
        "Log in at netcup (Server Control Panel):\n  open https://login.example/device\n  and enter the code WDJB-MJHT[2J\nor open https://login.example/device?user_code=WDJB-MJHT\nWaiting for that, for 10 minutes.\nKeep it as a secret; mail.yaml takes it as `refresh_token: env:NETCUP_SCP_REFRESH_TOKEN` below `ptr`.\n"
    );
}

#[tokio::test]
async fn the_command_writes_a_new_file_for_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("refresh-token");
    let file = path.to_str().expect("text");
    let stage = Stage::of(vec![granted()]).await;
    let ran = stage
        .mailctl(&["auth", "netcup-scp", "--out", file, "--quiet"])
        .await;
    let (out, err) = texts(&ran);
    assert!(ran.status.success(), "{err}");
    assert_eq!(out, "");
    assert!(
        err.contains("WDJB-MJHT") && !err.contains("Keep it"),
        "{err}"
    );
    let kept = std::fs::read_to_string(&path).expect("the file");
    assert_eq!(kept, format!("{TOKEN}\n"));
    let mode = path.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Nobody is sent to log in for a file that is there already.
    let before = stage.server().asked.len();
    let again = stage.mailctl(&["auth", "netcup-scp", "--out", file]).await;
    let (_, err) = texts(&again);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        err.contains("is there already") && !err.contains("WDJB"),
        "{err}"
    );
    assert_eq!(stage.server().asked.len(), before);

    // Nor for one that cannot be made; and who is not let in leaves none.
    let nowhere = format!("{file}.d/token");
    let ran = stage.mailctl(&["auth", "netcup", "--out", &nowhere]).await;
    let (_, err) = texts(&ran);
    assert!(
        err.contains("could not be written") && !err.contains("WDJB"),
        "{err}"
    );
    let other = format!("{file}.other");
    let stage = Stage::of(vec![error("access_denied")]).await;
    let ran = stage.mailctl(&["auth", "netcup", "--out", &other]).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(!std::path::Path::new(&other).exists());
}

#[tokio::test]
async fn the_command_has_a_document_for_programs() {
    let stage = Stage::of(vec![granted()]).await;
    let ran = stage.mailctl(&["auth", "netcup", "--json"]).await;
    let (out, _) = texts(&ran);
    let document: Value = serde_json::from_str(&out).expect("a document");
    assert_eq!(
        document,
        json!({"schema": "mailctl.auth/1", "provider": "netcup-scp", "field": "refresh_token", "env": "NETCUP_SCP_REFRESH_TOKEN", "value": TOKEN})
    );
}

fn texts(ran: &Output) -> (String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (text(&ran.stdout), text(&ran.stderr))
}
