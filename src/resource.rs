//! What is wished for, how it is looked at, and what differs: the words that
//! [`crate::kinds`] and [`crate::parts`] are written in. All of it is pure.

use serde_json::Value;

use crate::danger::Danger;
use crate::ledger;
use crate::observe::Seen;
use crate::plan::Plan;
use crate::record::{Name, Rrset, RrsetKey};
use crate::remote::Script;

/// One thing that can be as wished or not.
pub trait Resource: Send + Sync {
    /// Printed and unique, such as `file /etc/chasquid/chasquid.conf`; the first word is its kind.
    fn id(&self) -> String;

    /// What must be looked at to decide. Reads only.
    fn probes(&self) -> Vec<Probe>;

    /// What to change, given what was seen and what is already planned above.
    /// Nothing, when it is as wished.
    ///
    /// # Errors
    /// When it cannot be decided, or must not be done: what could not be seen
    /// is never taken for absent or equal.
    fn diff(&self, seen: &Seen, plan: &Plan) -> Result<Vec<Change>, Blocked>;
}

/// One question to the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// A POSIX shell fragment, run as root on the server.
    Shell(String),
    /// A file on the server: content, owner, mode.
    File(String),
    /// An RRset as its provider holds it.
    Rrset(Holder, RrsetKey),
}

/// Who is asked for a record, in the words of mail.yaml.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// `dns`.
    Default,
    /// `domains.<name>.dns`.
    Domain(Name),
    /// `ptr`.
    Ptr,
}

/// Why a resource could not be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// What is in the way.
    pub why: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// Whether it is a person's to change anyway, so that nothing of ours hangs on it.
    pub by_hand: bool,
}

impl Blocked {
    /// In the way of everything until a person acts.
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            fix: None,
            by_hand: false,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl From<String> for Blocked {
    fn from(why: String) -> Self {
        Self::new(why)
    }
}

/// The sort of difference; also its sign in the text of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-`
    Delete,
    /// `!`: something is run, such as a restart.
    Run,
}

/// One difference and the deed that removes it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resource's id.
    pub id: String,
    /// What sort of change.
    pub sign: Sign,
    /// Why it is needed, for people.
    pub why: String,
    /// What is there; public values only.
    pub before: Option<Value>,
    /// What will be there; public values only.
    pub after: Option<Value>,
    /// Names of secret parts that `before` and `after` leave out, such as `password of i`.
    pub sensitive: Vec<String>,
    /// Set where apply stops without `--allow CLASS`.
    pub danger: Option<Danger>,
    /// How many records it deletes for good though their domain stays: many
    /// together are a danger ([`crate::danger::mark_many`]).
    pub deletes: usize,
    /// Ids of changes that must be done before this one, where they are in the plan at all.
    pub needs: Vec<String>,
    /// Ids that it brings into effect, such as files by a restart: it comes
    /// after them, and where all of them wait for a person, it waits too.
    pub follows: Vec<String>,
    /// What the ledger on the server learns from it.
    pub ledger: Vec<ledger::Edit>,
    /// The deed.
    pub action: Action,
}

impl Change {
    /// A change without history, danger or needs.
    pub fn new(id: impl Into<String>, sign: Sign, why: impl Into<String>, action: Action) -> Self {
        Self {
            id: id.into(),
            sign,
            why: why.into(),
            before: None,
            after: None,
            sensitive: Vec::new(),
            danger: None,
            deletes: 0,
            needs: Vec::new(),
            follows: Vec::new(),
            ledger: Vec::new(),
            action,
        }
    }

    /// With the public text that is there now.
    #[must_use]
    pub fn before(mut self, before: impl Into<Value>) -> Self {
        self.before = Some(before.into());
        self
    }

    /// With the public text that will be there.
    #[must_use]
    pub fn after(mut self, after: impl Into<Value>) -> Self {
        self.after = Some(after.into());
        self
    }

    /// Waits for these changes.
    #[must_use]
    pub fn needs(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.needs.extend(ids);
        self
    }

    /// Brings these changes into effect.
    #[must_use]
    pub fn follows(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.follows.extend(ids);
        self
    }

    /// Told to the ledger once done.
    #[must_use]
    pub fn ledger(mut self, edits: impl IntoIterator<Item = ledger::Edit>) -> Self {
        self.ledger.extend(edits);
        self
    }

    /// The kind: the first word of the id.
    pub fn kind(&self) -> &str {
        self.id.split(' ').next().unwrap_or(&self.id)
    }
}

/// A deed, as data: no choice is left in it.
#[derive(Clone, Debug)]
pub enum Action {
    /// Run a script on the server.
    Script(Script),
    /// Switch the network, with a way back.
    Network(crate::kinds::netplan::Switch),
    /// Write the accounts of a domain.
    Users(crate::kinds::users::Write),
    /// Make a DKIM key.
    DkimKey(crate::kinds::dkim::Make),
    /// Set an RRset.
    Rrset(RrsetWrite),
    /// Have a certificate issued.
    Order(crate::kinds::certificate::Order),
    /// Put the issued certificate in place.
    Install(crate::kinds::certificate::Install),
    /// Nothing that mailctl can do: what a person has to.
    ByHand(RrsetWrite),
}

/// A set as it was and as it shall be.
#[derive(Clone, Debug)]
pub struct RrsetWrite {
    /// Who holds the zone.
    pub holder: Holder,
    /// The zone's apex.
    pub apex: Name,
    /// As the plan saw it.
    pub before: Rrset,
    /// As it shall be; without values it goes.
    pub want: Rrset,
    /// Values that only exist once a change above is done: the id of a key whose record belongs here.
    pub from_key: Option<String>,
}

impl RrsetWrite {
    /// The deed: a person's, where nobody else can write there.
    pub fn action(self, by_hand: bool) -> Action {
        if by_hand {
            Action::ByHand(self)
        } else {
            Action::Rrset(self)
        }
    }

    /// Whether anything is written: some only wait for what is there to be visible.
    pub fn writes(&self) -> bool {
        self.from_key.is_some()
            || self.before.values != self.want.values
            || self.before.ttl != self.want.ttl
    }
}

impl Action {
    /// Whether it runs on the server, where one deed follows the other.
    pub fn on_server(&self) -> bool {
        !matches!(self, Self::Rrset(_) | Self::Order(_) | Self::ByHand(_))
    }

    /// Whether a person has a part in it.
    pub fn by_hand(&self) -> bool {
        match self {
            Self::ByHand(_) => true,
            Self::Order(order) => order.by_hand,
            _ => false,
        }
    }
}
