//! The words of one hoster's API, as the part `api` of its page says them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::auth::Scheme;
use crate::record::Name;

/// How the API of a hoster is spoken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Where it is; the field `endpoint` of mail.yaml says something else.
    pub base: String,
    /// How a request proves who sends it.
    pub auth: Scheme,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What answers mean, where their status does not say it; the first that fits counts.
    #[serde(default)]
    pub answers: Vec<Rule>,
    /// The hoster's own names, with `*` for anything: they count as not set.
    #[serde(default)]
    pub defaults: Vec<String>,
    /// How long name servers take to show a change, where that is too long to wait for.
    #[serde(default)]
    pub slow: Option<String>,
    /// Whether setting a record renames the machine.
    #[serde(default)]
    pub renames: bool,
    /// Whether the last label of a name may have letters only, so that none in `xn--` form is taken.
    #[serde(default)]
    pub letters_only_tld: bool,
    /// The ways to an address; the first that knows it counts.
    pub routes: Vec<Route>,
}

impl Api {
    /// Why the hoster takes no PTR record with this name, if it does not.
    pub fn refuses(&self, name: &Name) -> Option<String> {
        let last = name.as_str().rsplit('.').next().unwrap_or_default();
        let letters = last.bytes().all(|o| o.is_ascii_alphabetic());
        (self.letters_only_tld && !letters).then(|| {
            format!("`{last}` at the end of {name} has digits or hyphens, which is refused there")
        })
    }
}

/// One way to the PTR records of some addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The only family it is for.
    #[serde(default)]
    pub family: Option<Family>,
    /// Finds what the address belongs to. Nothing found: the address is not yours.
    #[serde(default)]
    pub find: Vec<Step>,
    /// Reads `ptr`. Nothing found: it is not set.
    #[serde(default)]
    pub get: Vec<Step>,
    /// Sets it where there is none, where that differs from `set`.
    #[serde(default)]
    pub create: Option<Vec<Step>>,
    /// Sets it.
    pub set: Vec<Step>,
    /// Takes it away; without this, only a person can.
    #[serde(default)]
    pub reset: Option<Vec<Step>>,
}

/// Of addresses.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// One request, or one look into what a request has answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// `METHOD /path?query`; without it, `from` is looked into.
    pub call: Option<String>,
    /// What an earlier step has bound.
    pub from: Option<String>,
    /// Headers of this request.
    pub headers: BTreeMap<String, String>,
    /// The body as JSON.
    pub json: Option<Value>,
    /// The body as a form.
    pub form: Option<BTreeMap<String, String>>,
    /// How there is more than one page of it.
    pub more: Option<More>,
    /// The things in the answer, one of which is meant; without it, the answer itself.
    pub each: Option<String>,
    /// Where a thing says its address or prefix: only the one that holds ours is meant.
    #[serde(rename = "where")]
    pub holds: Vec<String>,
    /// What later steps need of the thing.
    pub bind: BTreeMap<String, String>,
    /// What the things that are not meant are bound as, in one list.
    pub rest: Option<String>,
    /// Waits for what goes on after the answer.
    pub wait: Option<Box<Wait>>,
    /// As for the whole API, and before it.
    pub answers: Vec<Rule>,
}

/// How the next page is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum More {
    /// A parameter that the answer gives the value of.
    Next {
        /// The parameter's name in the query.
        param: String,
        /// Where the answer has its value; nothing at the end.
        from: String,
    },
    /// Pages are counted from 1, and the last one is not full.
    Page {
        /// The parameter's name in the query.
        param: String,
        /// Things on a full page.
        full: usize,
    },
    /// Things are counted from 0, and the last page is not full.
    Offset {
        /// The parameter's name in the query.
        param: String,
        /// Things on a full page.
        full: usize,
    },
    /// The answer has the whole address of the next page.
    Link {
        /// Where; nothing at the end.
        from: String,
    },
}

/// A question that is asked until something has ended.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The question.
    pub ask: Step,
    /// Where its answer says how far it is.
    pub state: String,
    /// The words for "not yet".
    pub pending: Vec<String>,
    /// The words for "it failed".
    #[serde(default)]
    pub failed: Vec<String>,
    /// Where the answer says why.
    #[serde(default)]
    pub why: Option<String>,
    /// Where the answer has something only if it failed, though its state is that of an end.
    #[serde(default)]
    pub fault: Option<String>,
}

/// What an answer means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its HTTP status.
    pub status: u16,
    /// A text that stands in it, in any case.
    #[serde(default)]
    pub says: Option<String>,
    /// A header that it has, whatever its value.
    #[serde(default)]
    pub header: Option<String>,
    /// What that means.
    pub means: Meaning,
    /// Where it says in how many seconds trying again helps.
    #[serde(default)]
    pub after: Option<String>,
}

/// See [`Rule`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// The address is yours and has no PTR record.
    NotSet,
    /// The address is not yours.
    NotYours,
    /// The name does not point to the address yet, as far as the hoster sees.
    ForwardMissing,
    /// Trying again at once helps, or after as long as the answer says.
    Busy,
    /// The credentials are wrong, or may not do this.
    Refused,
    /// Trying again would not help, whatever the status says.
    Final,
}
