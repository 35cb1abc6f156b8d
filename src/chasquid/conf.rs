//! `chasquid.conf`, from its template.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context, value};

use super::prototext;
use crate::failure::{Context, Result};
use crate::record::Name;

const TEMPLATE: &str = include_str!("../../templates/chasquid.conf");

/// What a server's configuration depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// The name it greets with: the value of its PTR records.
    pub hostname: Name,
    /// The largest message, in megabytes.
    pub max_message_mb: u32,
    /// Who takes mail for users that is not forwarded; `None`: chasquid's default, `maildrop`.
    pub delivery: Option<Delivery>,
    /// Characters that do not count in a local part, see [`drop_characters`].
    pub drop_characters: String,
}

/// A mail delivery agent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Delivery {
    /// The program.
    pub bin: String,
    /// Its arguments; `%from%`, `%from_user%`, `%from_domain%`, `%to%`,
    /// `%to_user%` and `%to_domain%` are replaced in each.
    pub args: Vec<String>,
}

/// The characters to drop from local parts: dots, as chasquid does by itself,
/// unless a user's own name has one. chasquid looks such a user up without the
/// dots and so refuses their mail.
pub fn drop_characters<'a>(users: impl IntoIterator<Item = &'a str>) -> &'static str {
    if users.into_iter().any(|local_part| local_part.contains('.')) {
        ""
    } else {
        "."
    }
}

/// The file's text.
///
/// # Errors
/// Only when the template itself is broken.
pub fn render(conf: &Conf) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .keep_trailing_newline(true)
        .build();
    environment.set_syntax(syntax.context("minijinja")?);
    environment.add_filter("quoted", |text: String| prototext::quoted(text.as_bytes()));
    environment
        .render_named_str(
            "chasquid.conf",
            TEMPLATE,
            context! {
                hostname => conf.hostname.as_str(),
                max_message_mb => conf.max_message_mb,
                delivery => value::Serde(&conf.delivery),
                drop_characters => conf.drop_characters.as_str(),
            },
        )
        .context("templates/chasquid.conf")
}

#[cfg(test)]
mod tests {
    use super::super::prototext::Value;
    use super::*;

    /// The settings of a rendered file, as chasquid would read them.
    fn settings(conf: &Conf) -> Vec<(String, String)> {
        let text = render(conf).expect("a file");
        let message = prototext::parse(&text).expect("the text format");
        message
            .into_iter()
            .map(|field| match field.value {
                Value::Text(octets) => (
                    field.name,
                    String::from_utf8(octets.to_vec()).expect("UTF-8"),
                ),
                Value::Word(word) => (field.name, word),
                Value::Message(_) => (field.name, "{}".into()),
            })
            .collect()
    }

    fn pairs(settings: &[(&str, &str)]) -> Vec<(String, String)> {
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn settings_are_those_of_the_host() {
        let mut conf = Conf {
            hostname: Name::parse("smtp.wac.tax").expect("a name"),
            max_message_mb: 50,
            delivery: None,
            drop_characters: drop_characters(["i", "bounce"]).into(),
        };
        let mut wanted = pairs(&[
            ("hostname", "smtp.wac.tax"),
            ("max_data_size_mb", "50"),
            ("data_dir", "/var/lib/chasquid"),
            ("suffix_separators", "+"),
            ("drop_characters", "."),
            ("mail_log_path", "<syslog>"),
        ]);
        assert_eq!(settings(&conf), wanted);
        conf.delivery = Some(Delivery {
            bin: "/usr/bin/mda-lmtp".into(),
            args: vec!["--addr".into(), "say \"hi\"".into(), "%to%".into()],
        });
        conf.drop_characters = drop_characters(["first.last"]).into();
        wanted[4].1 = String::new();
        wanted.splice(
            2..2,
            pairs(&[
                ("mail_delivery_agent_bin", "/usr/bin/mda-lmtp"),
                ("mail_delivery_agent_args", "--addr"),
                ("mail_delivery_agent_args", "say \"hi\""),
                ("mail_delivery_agent_args", "%to%"),
            ]),
        );
        assert_eq!(settings(&conf), wanted);
    }
}
