//! The system's locale: `LANG` in /etc/default/locale. Lines of others stay.

use crate::kinds::file::File;
use crate::kinds::shell::PRELUDE;
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

const PATH: &str = "/etc/default/locale";

/// The wished locale, such as `C.UTF-8` or `de_DE.UTF-8`.
#[derive(Clone, Debug)]
pub struct Locale(pub String);

/// Whether the C library has the locale without anything being generated.
pub fn is_built_in(locale: &str) -> bool {
    matches!(normal(locale).as_str(), "c" | "posix" | "c.utf8")
}

/// `locale -a` writes `de_DE.utf8` for `de_DE.UTF-8`.
fn normal(locale: &str) -> String {
    locale.to_ascii_lowercase().replace("utf-8", "utf8")
}

impl Locale {
    const GENERATED: &'static str = "locale -a 2>/dev/null";

    fn text(&self, present: &str) -> String {
        let mut text = format!("LANG={}\n", self.0);
        for line in present
            .lines()
            .filter(|l| !l.trim_start().starts_with("LANG="))
        {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn lang(present: &str) -> Option<String> {
        let value = present
            .lines()
            .rev()
            .find_map(|l| l.trim().strip_prefix("LANG="))?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    }

    fn generate(&self) -> Script {
        let unknown = format!(
            "there is no locale {} (see /usr/share/i18n/SUPPORTED on the server)",
            self.0
        );
        Script::new(format!(
            "{PRELUDE}entry=$(grep -m 1 -e {start} /usr/share/i18n/SUPPORTED 2>/dev/null) || fail 1 {unknown}\n\
             grep -qxF \"$entry\" /etc/locale.gen 2>/dev/null || printf '%s\\n' \"$entry\" >>/etc/locale.gen\n\
             locale-gen >\"$log\" 2>&1 || oops 'locale-gen failed' \"$log\"\n",
            start = quote(&format!("^{} ", self.0.replace('.', "\\."))),
            unknown = quote(&unknown),
        ))
    }
}

impl Resource for Locale {
    fn id(&self) -> String {
        format!("locale {}", self.0)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![Probe::File(PATH.into())];
        if !is_built_in(&self.0) {
            probes.push(Probe::Shell(Self::GENERATED.into()));
        }
        probes
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let mut changes = Vec::new();
        if !is_built_in(&self.0) {
            let generated = seen.shell(Self::GENERATED)?;
            if !generated.lines().any(|l| normal(l) == normal(&self.0)) {
                let why = "the locale is not generated";
                changes.push(Change::new(
                    self.id(),
                    Sign::Create,
                    why,
                    Action::Script(self.generate()),
                ));
            }
        }
        let file = seen.file(PATH)?;
        let present = file.map(|f| f.text()).unwrap_or_default();
        if Self::lang(&present).as_deref().map(normal) != Some(normal(&self.0)) {
            let wanted = File::new(PATH, self.text(&present), "the system's locale");
            let mut change = wanted.change(format!("file {PATH}"), file, "LANG differs");
            if file.is_some() {
                // It was there before mailctl, which only keeps one line of it.
                change.ledger.clear();
            }
            changes.push(change);
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Answer, FileSeen};

    fn ids(locale: &str, file: Option<&str>, generated: &str) -> Vec<String> {
        let mut seen = Seen::new();
        let file = file.map(|text| FileSeen {
            owner: "root:root".into(),
            mode: 0o644,
            content: text.into(),
        });
        seen.put(Probe::File(PATH.into()), Answer::File(file));
        let answer = Answer::Shell {
            code: 0,
            out: generated.into(),
            err: String::new(),
        };
        seen.put(Probe::Shell(Locale::GENERATED.into()), answer);
        let changes = Locale(locale.into())
            .diff(&seen, &Plan::default())
            .expect("decided");
        changes.into_iter().map(|c| c.id).collect()
    }

    #[test]
    fn only_what_differs() {
        let file = "file /etc/default/locale";
        assert_eq!(ids("C.UTF-8", None, ""), [file]);
        assert_eq!(
            ids(
                "C.UTF-8",
                Some("LANG=\"C.UTF-8\"\nLC_TIME=de_DE.UTF-8\n"),
                ""
            ),
            [""; 0]
        );
        assert_eq!(ids("C.UTF-8", Some("LANG=en_US.UTF-8\n"), ""), [file]);
        assert_eq!(
            ids("de_DE.UTF-8", Some("LANG=de_DE.utf8\n"), "C\nde_DE.utf8\n"),
            [""; 0]
        );
        assert_eq!(
            ids("de_DE.UTF-8", None, "C\nPOSIX\n"),
            ["locale de_DE.UTF-8", file]
        );
        assert!(
            Locale("C.UTF-8".into())
                .diff(&Seen::new(), &Plan::default())
                .is_err()
        );
    }

    #[test]
    fn other_lines_stay() {
        let text = Locale("C.UTF-8".into()).text("# mine\nLANG=en_US.UTF-8\nLC_TIME=C\n");
        assert_eq!(text, "LANG=C.UTF-8\n# mine\nLC_TIME=C\n");
    }
}
