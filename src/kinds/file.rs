//! A file on the server, as a whole.

use crate::kinds::shell::{PRELUDE, guard, guard_conffile, print, sha256};
use crate::ledger::{Edit, Made};
use crate::observe::{FileSeen, Seen, quote};
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// A file that is wholly mailctl's.
#[derive(Clone, Debug)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// All of its content.
    pub content: String,
    /// `owner:group`.
    pub owner: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// What it is for, for the reason in a plan.
    pub purpose: &'static str,
    /// A command that the new file must pass before it is put in place; `{}` is its path.
    pub validate: Option<&'static str>,
    /// Whether a package brings a version of its own, which may arrive between plan and deed.
    pub conffile: bool,
    /// Whether chasquid has to be restarted to learn of it.
    pub restart: bool,
    /// A command to run once it is in place.
    pub then: Option<String>,
    /// Whether a plan shows the text; what is long and dull to people is left out.
    pub shown: bool,
}

impl File {
    /// A file of root's that everybody may read.
    pub fn new(path: impl Into<String>, content: impl Into<String>, purpose: &'static str) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            owner: "root:root",
            mode: 0o644,
            purpose,
            validate: None,
            conffile: false,
            restart: false,
            then: None,
            shown: true,
        }
    }

    /// With other permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Not shown in a plan.
    #[must_use]
    pub fn dull(mut self) -> Self {
        self.shown = false;
        self
    }

    /// Something that chasquid only reads when it starts.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.restart = true;
        self
    }

    /// With a command to run once it is in place.
    #[must_use]
    pub fn then(mut self, command: impl Into<String>) -> Self {
        self.then = Some(command.into());
        self
    }

    /// The change that puts it in place, given the file that is there.
    pub fn change(&self, id: String, seen: Option<&FileSeen>, why: impl Into<String>) -> Change {
        let hash = seen.map(|f| sha256(&f.content));
        let write = Write {
            path: &self.path,
            content: self.content.as_bytes(),
            owner: self.owner,
            mode: self.mode,
            seen: hash.as_deref(),
            conffile: self.conffile,
            validate: self.validate,
        };
        let mut text = String::new();
        if self.restart {
            text.push_str(&format!("{}\n", crate::kinds::RESTART_DUE));
        }
        text.push_str(&write.fragment());
        if let Some(command) = &self.then {
            text.push_str(&format!(
                "{{ {command}; }} >\"$log\" 2>&1 || oops {} \"$log\"\n",
                quote(&format!("{} is written, but `{command}` failed", self.path))
            ));
        }
        let sign = if seen.is_some() {
            Sign::Update
        } else {
            Sign::Create
        };
        let mut change = Change::new(
            id,
            sign,
            why,
            Action::Script(Script::new(format!("{PRELUDE}{text}"))),
        )
        .ledger([Edit::Add(Made::File(self.path.clone()))]);
        if self.shown {
            change = change.after(self.content.as_str());
            if let Some(file) = seen {
                change = change.before(file.text());
            }
        }
        change
    }

    /// Why the file that is there will not do.
    pub fn difference(&self, seen: Option<&FileSeen>) -> Option<String> {
        let Some(file) = seen else {
            return Some(format!("missing: {}", self.purpose));
        };
        if file.content != self.content.as_bytes() {
            return Some(format!("differs: {}", self.purpose));
        }
        if file.owner != self.owner {
            return Some(format!(
                "it belongs to {} instead of {}",
                file.owner, self.owner
            ));
        }
        (file.mode != self.mode)
            .then(|| format!("its mode is {:o} instead of {:o}", file.mode, self.mode))
    }
}

impl Resource for File {
    fn id(&self) -> String {
        format!("file {}", self.path)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::File(self.path.clone())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let file = seen.file(&self.path)?;
        Ok(self
            .difference(file)
            .map(|why| self.change(self.id(), file, why))
            .into_iter()
            .collect())
    }
}

/// A file of mailctl's that must not be there any more.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Absolute path, one that nobody else writes to.
    pub path: String,
    /// Why it goes.
    pub why: &'static str,
    /// Whether chasquid has to be restarted to learn of it.
    pub restart: bool,
    /// A command to run once it is gone.
    pub then: Option<&'static str>,
}

impl Gone {
    /// A file that nobody needs to be told about.
    pub fn new(path: impl Into<String>, why: &'static str) -> Self {
        Self {
            path: path.into(),
            why,
            restart: false,
            then: None,
        }
    }
}

impl Resource for Gone {
    fn id(&self) -> String {
        format!("file {}", self.path)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::File(self.path.clone())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let Some(file) = seen.file(&self.path)? else {
            return Ok(Vec::new());
        };
        let mark = if self.restart {
            crate::kinds::RESTART_DUE
        } else {
            ":"
        };
        let guard = guard(&self.path, Some(&sha256(&file.content)));
        let cannot = quote(&format!("{} cannot be removed", self.path));
        let text = format!(
            "{PRELUDE}{guard}{mark}\nrm -f {} 2>\"$log\" || oops {cannot} \"$log\"\n{}\n",
            quote(&self.path),
            self.then.unwrap_or(":")
        );
        let change = Change::new(
            self.id(),
            Sign::Delete,
            self.why,
            Action::Script(Script::new(text)),
        )
        .before(file.text())
        .ledger([Edit::Remove(Made::File(self.path.clone()))]);
        Ok(vec![change])
    }
}

/// Everything that writing a file takes.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Absolute path; where it is a symbolic link, its target is written.
    pub path: &'a str,
    /// All of the new content.
    pub content: &'a [u8],
    /// `owner:group`.
    pub owner: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// SHA-256 of the content that the plan saw, hexadecimal; `None`: there was no file.
    pub seen: Option<&'a str>,
    /// Whether a package's own version of the file may be replaced too.
    pub conffile: bool,
    /// A command that the new file must pass before the switch; `{}` is its path.
    pub validate: Option<&'a str>,
}

impl Write<'_> {
    /// The shell fragment; it wants [`PRELUDE`] before it. The file is
    /// replaced at once or, with a sentence on standard error, not at all.
    pub fn fragment(&self) -> String {
        let Self {
            path, owner, mode, ..
        } = self;
        let (f, folder) = (
            quote(path),
            quote(path.rsplit_once('/').map_or("/", |(dir, _)| dir)),
        );
        // A secret is kept by its file's mode; others have to get past the folder.
        let cannot = quote(&format!("{path} cannot be written"));
        let data = print(self.content);
        let validate = self.validate.map_or(String::new(), |command| {
            let command = command.replace("{}", "\"$new\"");
            let refused = quote(&format!("the new {path} is refused, the old one stays"));
            format!("{command} >\"$log\" 2>&1 || {{ rm -f \"$new\"; oops {refused} \"$log\"; }}\n")
        });
        let guard = if self.conffile { guard_conffile } else { guard };
        let guard = guard(path, self.seen);
        format!(
            "f={f}; if [ -L \"$f\" ]; then f=$(readlink -f \"$f\"); fi; new=$f.mailctl-new\n\
             (umask 022; mkdir -p {folder}) 2>\"$log\" || oops {cannot} \"$log\"\n\
             {{ rm -f \"$new\" && (umask 077; {data} >\"$new\") && chown {owner} \"$new\" && chmod {mode:o} \"$new\"; }} 2>\"$log\" || \
             {{ rm -f \"$new\"; oops {cannot} \"$log\"; }}\n\
             {validate}{guard}mv -f \"$new\" \"$f\" 2>\"$log\" || {{ rm -f \"$new\"; oops {cannot} \"$log\"; }}\n",
            owner = quote(owner),
        )
    }
}

/// A script that writes one file and nothing else; see [`Write`].
pub fn write_script(
    path: &str,
    content: &[u8],
    owner: &str,
    mode: u32,
    seen: Option<&str>,
) -> Script {
    let write = Write {
        path,
        content,
        owner,
        mode,
        seen,
        conffile: false,
        validate: None,
    };
    Script::new(format!("{PRELUDE}{}", write.fragment()))
}

#[cfg(test)]
mod tests;
