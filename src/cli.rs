//! The command line; the doc comments here are its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// One YAML file makes a server a mail server: planned, applied, proven.
#[derive(Debug, Parser)]
#[command(name = "mailctl", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// The file that says what is wished; default: mail.yaml, then mailctl.yaml
    #[arg(short, long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print documents for programs instead of text
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// When to use colours; NO_COLOR is obeyed
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// Print only what was asked for and what failed
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// Say more about what is done
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Never ask; what would have to be asked fails
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub no_input: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The heading of what every command takes.
const GLOBAL: &str = "For every command";

const EXIT_CODES: &str = "Exit codes: 0 as wished, 1 failed, 2 changes pending (plan --detailed-exitcode), \
3 mail.yaml is unsound, 4 refused without --allow, 5 a step is left for a person, 6 applied in part.";

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read mail.yaml and say what is wrong with it; contacts nothing
    Validate,
    /// Show what differs from mail.yaml; writes nothing anywhere
    Plan(Plan),
    /// Make it so, verify it, and say what was done
    Apply(Apply),
    /// Look at the live service from outside, as a receiver would; works for any domain
    Check(Check),
    /// Send real mail through the server and judge what comes of it
    Test(Test),
    /// Show the service, its queue, its certificate and what else keeps it well, as the server sees it
    Status(Status),
    /// Show what happened to mail: accepted from whom, delivered to whom, with which answer
    Logs(Logs),
    /// Boot a throw-away server on this machine, apply mail.yaml to it, send mail through it, report
    Rehearse(Rehearse),
    /// Show the catalogue: providers, their fields and environment variables
    Providers(Providers),
    /// Log in at a hoster that gives no token in its panel, and print the token to keep
    Auth(Auth),
    /// Print the JSON Schema of mail.yaml
    Schema,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How the server is reached.
#[derive(Args, Clone, Debug, Default)]
pub struct Reach {
    /// Accept the host key of a server that known_hosts does not know, and remember it
    #[arg(long)]
    pub accept_new_host_key: bool,
    /// Keep trying this long while a new server is still being installed, such as 15m
    #[arg(long, value_name = "TIME")]
    pub wait: Option<String>,
}

/// `mailctl plan`
#[derive(Args, Debug)]
pub struct Plan {
    /// Write the plan to a file that `mailctl apply FILE` takes
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How the server is reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// `mailctl apply`
#[derive(Args, Debug)]
pub struct Apply {
    /// A plan that `mailctl plan --out` wrote: nothing else is done
    pub plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Allow a class of danger that the plan names, such as adopt-mx; may be given again
    #[arg(long, value_name = "CLASS")]
    pub allow: Vec<String>,
    /// Do not look at the finished server from outside
    #[arg(long)]
    pub no_check: bool,
    /// How the server is reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// `mailctl check`
#[derive(Args, Debug)]
pub struct Check {
    /// The domains; default: those of mail.yaml
    #[arg(value_name = "DOMAIN")]
    pub domains: Vec<String>,
    /// Only these questions or findings, such as spf or tls.days; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Not these
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// How long one question may take
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: String,
    /// How the findings are printed; --json is --format json
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Format,
    /// A DKIM selector that the domain uses; may be given several times
    #[arg(long, value_name = "NAME")]
    pub selector: Vec<String>,
    /// Also look from the server itself, over SSH: outbound port 25, source addresses, signing keys
    #[arg(long)]
    pub login: bool,
    /// A mail server far away, to tell a closed port there from one that is closed on the way
    #[arg(long, value_name = "HOST[:PORT]")]
    pub far: Option<String>,
    /// The resolver to ask, as address:port; default: mail.yaml's, else the system's
    #[arg(long, value_name = "ADDRESS")]
    pub resolver: Option<std::net::SocketAddr>,
    /// A file of trust anchors beside the platform's, for private authorities
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// How the server is reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// `mailctl test`
#[derive(Args, Debug)]
pub struct Test {
    /// Also send a message to this person, and say what to look for there; may be given several times
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub to: Vec<String>,
    /// Only these accounts, as user@domain; may be given several times
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    pub user: Vec<String>,
    /// How long a message may be under way
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub timeout: String,
    /// How the findings are printed; --json is --format json
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Format,
    /// A mail server far away, to tell a closed port there from one that is closed on the way
    #[arg(long, value_name = "HOST[:PORT]")]
    pub far: Option<String>,
    /// A file of trust anchors beside the platform's, for private authorities
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// How the server is reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    Text,
    /// One document for programs
    Json,
    /// One self-contained page to send to someone
    Html,
    /// For CI servers
    Junit,
    /// Annotations of GitHub workflows
    Github,
}

/// `mailctl status`
#[derive(Args, Debug)]
pub struct Status {
    /// Say that the queue is stuck once a message waits this long
    #[arg(long, value_name = "TIME", default_value = "4h")]
    pub stuck: String,
    /// How the server is reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// `mailctl logs`
#[derive(Args, Debug)]
pub struct Logs {
    /// One message from end to end, by its queue id; by its Message-ID while it waits in the queue
    #[arg(value_name = "ID", conflicts_with_all = ["follow", "user", "lines"])]
    pub id: Option<String>,
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// Only logins of this account and mail from or to this address
    #[arg(long, value_name = "ADDRESS")]
    pub user: Option<String>,
    /// From when on, in UTC: -1h, today, "2026-11-25 10:00"; default with --user: -7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// At most so many lines, the last ones; default without --since and --user: 100
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<u32>,
    /// How the server is reached.
    #[command(flatten)]
    pub reach: Reach,
}

/// `mailctl rehearse`
#[derive(Args, Debug)]
pub struct Rehearse {
    /// The throw-away server's system
    #[arg(long, value_name = "SUITE", default_value = "bookworm", value_parser = ["bookworm", "trixie"])]
    pub system: String,
    /// Leave everything running and say how to look around
    #[arg(long)]
    pub keep: bool,
    /// Remove what an earlier --keep left
    #[arg(long, conflicts_with = "keep")]
    pub remove: bool,
}

/// `mailctl providers`
#[derive(Args, Debug)]
pub struct Providers {
    /// Which half of the catalogue
    #[arg(value_parser = ["dns", "ptr"])]
    pub kind: Option<String>,
    /// One provider's id
    pub name: Option<String>,
}

/// `mailctl auth`
#[derive(Args, Debug)]
pub struct Auth {
    /// The PTR provider: netcup-scp, or netcup for short
    #[arg(value_name = "PROVIDER")]
    pub provider: String,
    /// Write the token to this new file, readable by you only, instead of printing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
