//! A program of the user's own as provider: one question to a process, in JSON
//! lines. docs/exec-provider.md is its manual.

mod protocol;

use std::time::Duration;

use async_trait::async_trait;

use self::protocol::{Refusal, Request};
use super::{Zone, alike, changed_since, inside, program};
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};
use crate::remote::wait::parse_duration;

/// Its id in the catalogue.
pub const ID: &str = "exec";

/// How long the program may take where mail.yaml does not say.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a question is put that the program may answer later.
const TRIES: u32 = 4;
/// The wait before a program is asked again that ended without an answer.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One program.
pub struct Exec {
    words: Vec<String>,
    limit: Duration,
}

impl Exec {
    /// The program and its arguments, parted by blanks; `timeout` such as `90s`.
    ///
    /// # Errors
    /// When the command is empty, or `timeout` is no time.
    pub fn new(command: &str, timeout: Option<&str>) -> Result<Self> {
        let limit = match timeout {
            None => TIMEOUT,
            Some(text) => parse_duration(text).map_err(|why| {
                Failure::new(format!("`timeout` is {text}: {why}")).exit(Exit::Unsound)
            })?,
        };
        Ok(Self {
            words: program::words(command)?,
            limit,
        })
    }

    /// Asks until there is an answer, or a refusal that no waiting mends.
    async fn ask(&self, request: &Request<'_>) -> Result<Vec<Rrset>, Refusal> {
        for tried in 1.. {
            let refusal = match self.once(request).await {
                Err(refusal) if refusal.later().is_some() && tried < TRIES => refusal,
                answer => return answer,
            };
            let wait = refusal.later().unwrap_or_default();
            // Without a word from the program: one, two, four seconds.
            let wait = wait.unwrap_or(Duration::from_secs(1 << (tried - 1)));
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
        Ok(Vec::new())
    }

    async fn once(&self, request: &Request<'_>) -> Result<Vec<Rrset>, Refusal> {
        let said = program::run(&self.words, &request.text(), self.limit).await;
        let said = said.map_err(Refusal::Broken)?;
        protocol::answer(&said.out, said.trouble)
    }

    fn failure(&self, zone: &Name, refusal: Refusal) -> Failure {
        let program = self.words.first().map(String::as_str).unwrap_or_default();
        let what = format!("the DNS program `{program}` fails for {zone}");
        match refusal {
            Refusal::Broken(why) => Failure::new(what)
                .because(why)
                .hint("docs/exec-provider.md says what it has to answer"),
            Refusal::Said { error, hint, .. } => Failure::new(what)
                .because(error)
                .hint(hint.unwrap_or_else(|| "the message is the program's own".into())),
        }
    }
}

#[async_trait]
impl Zone for Exec {
    fn provider(&self) -> &str {
        ID
    }

    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        let question = Request::List { zone, keys };
        let mut listed = self.ask(&question).await;
        if listed.as_ref().is_err_and(Refusal::is_broken) {
            // What ended in the middle may have been a network's bad moment.
            tokio::time::sleep(PAUSE).await;
            listed = self.ask(&question).await;
        }
        let listed = listed.map_err(|refusal| self.failure(zone, refusal))?;
        let find = |key: &RrsetKey| listed.iter().find(|set| set.key == *key).cloned();
        let absent = |key: &RrsetKey| Rrset::absent(key.clone());
        Ok(keys
            .iter()
            .map(|key| find(key).unwrap_or_else(|| absent(key)))
            .collect())
    }

    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        inside(zone, [&want.key])?;
        let mut again = true;
        loop {
            let Err(refusal) = self.ask(&Request::Set { zone, before, want }).await else {
                return Ok(());
            };
            // The answer may have been lost after the change was made.
            let now = self.list(zone, std::slice::from_ref(&want.key)).await;
            let is = |set: &Rrset| now.as_ref().is_ok_and(|now| alike(set, &now[0]));
            if is(want) {
                return Ok(());
            }
            if refusal.is_conflict() {
                return Err(changed_since(&want.key));
            }
            if !(again && refusal.is_broken() && is(before)) {
                return Err(self.failure(zone, refusal));
            }
            again = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RType;

    /// A shell script as program; its first argument is a file of its own.
    async fn asked(script: &str, timeout: Option<&str>) -> (Result<Vec<Rrset>>, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let (program, notes) = (
            directory.path().join("program"),
            directory.path().join("notes"),
        );
        std::fs::write(&program, script).expect("written");
        let command = format!("/bin/sh {} {}", program.display(), notes.display());
        let exec = Exec::new(&command, timeout).expect("a provider");
        let zone = Name::parse("example.test").expect("a name");
        let key = RrsetKey::new(zone.clone(), RType::Mx);
        let listed = exec.list(&zone, &[key]).await;
        (listed, std::fs::read_to_string(notes).unwrap_or_default())
    }

    async fn why(script: &str, timeout: Option<&str>) -> String {
        asked(script, timeout).await.0.expect_err(script).told()
    }

    #[tokio::test]
    async fn the_question_is_one_line_and_the_answer_is_what_is_there() {
        let script = r#"cat > "$1"; echo '{"name":"example.test.","type":"MX","ttl":60,"values":["10 A.example.test"]}'
            echo '{"name":"other.example.test","type":"LOC","ttl":60,"values":["somewhere"]}'; echo '{"done":true}'"#;
        let (listed, question) = asked(script, None).await;
        let set = &listed.expect("an answer")[0];
        assert_eq!(
            (set.ttl, set.values.first().map(String::as_str)),
            (Some(60), Some("10 a.example.test."))
        );
        assert_eq!(
            question,
            "{\"version\":1,\"operation\":\"list\",\"zone\":\"example.test\",\
             \"sets\":[{\"name\":\"example.test\",\"type\":\"MX\"}]}\n"
        );
    }

    #[tokio::test]
    async fn half_an_answer_is_never_an_absent_set() {
        for script in [
            "exit 0",
            "echo '{\"name\":\"example.test\"'",
            "echo hello; echo '{\"done\":true}'",
            "echo '{\"done\":true}'; exit 1",
        ] {
            let why = why(script, None).await;
            assert!(why.contains("exec-provider.md"), "{script}: {why}");
        }
        let why = why("cat >/dev/null; sleep 30", Some("1s")).await;
        assert!(why.contains("within 1 s"), "{why}");
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_and_what_does_not_is_told() {
        let later = r#"echo x >> "$1"
            if [ $(wc -l < "$1") -lt 3 ]; then echo '{"error":"slow down","kind":"rate-limit","retry_after":0}'; else echo '{"done":true}'; fi"#;
        let (listed, notes) = asked(later, None).await;
        assert!(listed.expect("in the end")[0].values.is_empty());
        assert_eq!(notes.lines().count(), 3);
        let refused = r#"echo x >> "$1"; echo '{"error":"the token is wrong","kind":"credentials","hint":"make another"}'"#;
        let (listed, notes) = asked(refused, None).await;
        let why = listed.expect_err("refused").told();
        assert!(
            why.contains("the token is wrong") && why.contains("make another"),
            "{why}"
        );
        assert_eq!(notes.lines().count(), 1, "once");
    }

    #[test]
    fn what_is_no_time_or_no_command_is_refused() {
        for text in ["soon", "", "-1s"] {
            assert!(Exec::new("program", Some(text)).is_err(), "{text}");
        }
        assert!(Exec::new(" ", None).is_err());
    }
}
