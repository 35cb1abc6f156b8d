//! Looking at the world: one script on the server, and the zones meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::Config;
use crate::dns::Dns;
use crate::facts::Facts;
use crate::failure::{Context, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};
use crate::remote::{Remote, Script, frames};
use crate::resource::{Blocked, Holder, Probe};
use crate::zone::Zone;

/// How many zones are read at once.
const ZONES_AT_ONCE: usize = 64;
/// Seconds that one shell fragment may take on the server.
const FRAGMENT_SECONDS: u32 = 20;

/// Everything that was seen, by question.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    answers: BTreeMap<Probe, Answer>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A fragment ran to its end.
    Shell {
        /// Its exit status.
        code: i32,
        /// Its standard output.
        out: String,
        /// Its standard error.
        err: String,
    },
    /// A file, or that there is none.
    File(Option<FileSeen>),
    /// A set, and the apex of its zone.
    Rrset {
        /// The apex.
        apex: Name,
        /// The set; without values where it is absent.
        set: Rrset,
        /// Whether a person has to change it.
        by_hand: bool,
    },
    /// It could not be learnt.
    Failed(Blocked),
}

/// A file as it is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSeen {
    /// `owner:group`.
    pub owner: String,
    /// Permission bits.
    pub mode: u32,
    /// The content; symbolic links are followed.
    pub content: Vec<u8>,
}

impl FileSeen {
    /// The content as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

impl Seen {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a question was asked.
    pub fn knows(&self, probe: &Probe) -> bool {
        self.answers.contains_key(probe)
    }

    /// Files an answer; tests and fixtures use it too.
    pub fn put(&mut self, probe: Probe, answer: Answer) {
        self.answers.insert(probe, answer);
    }

    /// All questions with their answers.
    pub fn answers(&self) -> impl Iterator<Item = (&Probe, &Answer)> {
        self.answers.iter()
    }

    fn get(&self, probe: &Probe) -> Result<&Answer, Blocked> {
        match self.answers.get(probe) {
            Some(Answer::Failed(blocked)) => Err(blocked.clone()),
            Some(answer) => Ok(answer),
            None => Err(Blocked::new("it was not looked at")),
        }
    }

    /// The standard output of a fragment that must succeed.
    ///
    /// # Errors
    /// When it could not be run, or failed.
    pub fn shell(&self, fragment: &str) -> Result<&str, Blocked> {
        match self.get(&Probe::Shell(fragment.to_owned()))? {
            Answer::Shell { code: 0, out, .. } => Ok(out),
            Answer::Shell { code: 124, .. } => {
                Err(Blocked::new("the server did not answer in time"))
            }
            Answer::Shell { code, err, .. } => {
                let last = err.lines().last().unwrap_or("no message");
                Err(Blocked::new(format!(
                    "looking at it failed on the server with status {code}: {last}"
                )))
            }
            _ => Err(Blocked::new("it was not looked at")),
        }
    }

    /// A file, or `None` where there is none.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn file(&self, path: &str) -> Result<Option<&FileSeen>, Blocked> {
        match self.get(&Probe::File(path.to_owned()))? {
            Answer::File(file) => Ok(file.as_ref()),
            _ => Err(Blocked::new("it was not looked at")),
        }
    }

    /// A set as its provider holds it, its zone's apex, and whether a person has to change it.
    ///
    /// # Errors
    /// When the provider could not be asked.
    pub fn rrset(&self, holder: &Holder, key: &RrsetKey) -> Result<(&Name, &Rrset, bool), Blocked> {
        match self.get(&Probe::Rrset(holder.clone(), key.clone()))? {
            Answer::Rrset { apex, set, by_hand } => Ok((apex, set, *by_hand)),
            _ => Err(Blocked::new("it was not looked at")),
        }
    }

    /// The facts; empty until the server was seen.
    pub fn facts(&self) -> Facts {
        self.shell(crate::facts::PROBE)
            .map(Facts::parse)
            .unwrap_or_default()
    }
}

/// The outside parties.
#[derive(Clone)]
pub struct World {
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// The providers.
    pub zones: BTreeMap<Holder, Arc<dyn Zone>>,
    /// The resolver and, through it, the authoritative servers.
    pub dns: Dns,
    /// `dns.zone` and `ptr.zone`, where mail.yaml names them.
    pub apexes: BTreeMap<Holder, Name>,
}

impl World {
    /// The provider of a holder.
    ///
    /// # Errors
    /// When there is none, which is a mistake of the caller.
    pub fn zone(&self, holder: &Holder) -> Result<&Arc<dyn Zone>> {
        self.zones
            .get(holder)
            .ok_or_else(|| Failure::new(format!("no DNS provider is set up for {holder:?}")))
    }

    /// The apex of the zone that holds a name: mail.yaml's, else by asking for
    /// the SOA. The name itself, where that is not found and the provider needs no apex.
    ///
    /// # Errors
    /// When there is no such zone.
    pub async fn apex(&self, holder: &Holder, name: &Name) -> Result<Name> {
        if let Some(apex) = self.named_apex(holder, name) {
            return Ok(apex.clone());
        }
        let found = self.dns.zone_of(name).await;
        match self.zone(holder) {
            Ok(zone) if zone.apexless() => Ok(found.unwrap_or_else(|_| name.clone())),
            _ => found,
        }
    }

    /// The apex that mail.yaml gives for the zone that holds a name.
    pub fn named_apex(&self, holder: &Holder, name: &Name) -> Option<&Name> {
        self.apexes.get(holder).filter(|apex| name.is_in(apex))
    }
}

/// Asks all `probes` that `seen` has no answer to yet: the server in one round
/// trip, the zones at the same time. What fails is filed as such.
///
/// # Errors
/// Only when the server itself cannot be used any more.
pub async fn observe(world: &World, probes: &BTreeSet<Probe>, seen: &mut Seen) -> Result<()> {
    let open: Vec<Probe> = probes.iter().filter(|p| !seen.knows(p)).cloned().collect();
    let on_server: Vec<Probe> = open
        .iter()
        .filter(|p| !matches!(p, Probe::Rrset(..)))
        .cloned()
        .collect();
    let remote = world.remote.clone();
    let server = async move {
        if on_server.is_empty() {
            return Ok(Vec::new());
        }
        let asked = tokio::task::spawn_blocking(move || ask_server(remote.as_ref(), on_server));
        asked
            .await
            .context("looking at the server was interrupted")?
    };
    let (server, zones) = tokio::join!(server, ask_zones(world, &open));
    for (probe, answer) in server?.into_iter().chain(zones) {
        seen.put(probe, answer);
    }
    Ok(())
}

fn ask_server(remote: &dyn Remote, probes: Vec<Probe>) -> Result<Vec<(Probe, Answer)>> {
    let (files, fragments): (Vec<Probe>, Vec<Probe>) = probes
        .into_iter()
        .partition(|p| matches!(p, Probe::File(_)));
    let paths: Vec<&str> = files
        .iter()
        .filter_map(|p| {
            if let Probe::File(path) = p {
                Some(path.as_str())
            } else {
                None
            }
        })
        .collect();
    let mut asked = Vec::new();
    if !paths.is_empty() {
        asked.push(frames::Probe {
            text: files_fragment(&paths),
            timeout_s: FRAGMENT_SECONDS,
        });
    }
    for probe in &fragments {
        if let Probe::Shell(text) = probe {
            asked.push(frames::Probe {
                text: text.clone(),
                timeout_s: FRAGMENT_SECONDS,
            });
        }
    }
    let script = Script::new(frames::script(&asked));
    let output = remote.run(&script)?;
    let answers = frames::parse(&output.out, asked.len()).with_context(|| {
        format!(
            "{} answered something else than asked: {}",
            remote.place(),
            output.complaint()
        )
    })?;
    let mut answers = answers.into_iter();
    let mut filed = Vec::new();
    if !paths.is_empty() {
        let answer = answers.next();
        let contents = answer
            .map(|answer| parse_files(&answer, paths.len()))
            .unwrap_or_default();
        for (probe, file) in files.into_iter().zip(contents) {
            let file = match (&probe, file) {
                (Probe::File(path), Answer::Failed(_)) => Answer::Failed(Blocked::new(format!(
                    "{path} on the server could not be read"
                ))),
                (_, file) => file,
            };
            filed.push((probe, file));
        }
    }
    for (probe, answer) in fragments.into_iter().zip(answers) {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        filed.push((
            probe,
            Answer::Shell {
                code: answer.code,
                out: text(answer.out),
                err: text(answer.err),
            },
        ));
    }
    Ok(filed)
}

/// One fragment for all files, by two programs: whether each is there, then
/// `size mode owner group` of those that are, then their bytes.
fn files_fragment(paths: &[&str]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| quote(path)).collect();
    format!(
        "set --\n\
         for f in {}; do if [ -f \"$f\" ]; then echo there; set -- \"$@\" \"$f\"; else echo absent; fi; done\n\
         [ $# = 0 ] || {{ stat -L -c '%s %a %U %G' -- \"$@\" && cat -- \"$@\"; }}\n",
        paths.join(" ")
    )
}

/// The answers of that fragment. Where anything is missing or left over, no
/// byte is certain to be of the file that it seems to be of: all have failed.
fn parse_files(answer: &frames::Answer, count: usize) -> Vec<Answer> {
    let read = (answer.code == 0).then(|| split_files(&answer.out, count));
    read.flatten().unwrap_or_else(|| {
        let why = match String::from_utf8_lossy(&answer.err).lines().last() {
            Some(last) => format!("files could not be read on the server: {last}"),
            None => "files could not be read on the server".into(),
        };
        vec![Answer::Failed(Blocked::new(why)); count]
    })
}

fn split_files(bytes: &[u8], count: usize) -> Option<Vec<Answer>> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, tail) = (&rest[..end], &rest[end + 1..]);
        rest = tail;
        std::str::from_utf8(line).ok()
    };
    let mut there = Vec::with_capacity(count);
    for _ in 0..count {
        there.push(match line()? {
            "there" => true,
            "absent" => false,
            _ => return None,
        });
    }
    let mut headers = Vec::with_capacity(count);
    for there in there {
        headers.push(if there { Some(header(line()?)?) } else { None });
    }
    let mut answers = Vec::with_capacity(count);
    for header in headers {
        let Some((size, mode, owner)) = header else {
            answers.push(Answer::File(None));
            continue;
        };
        let (content, tail) = rest.split_at_checked(size)?;
        rest = tail;
        answers.push(Answer::File(Some(FileSeen {
            owner,
            mode,
            content: content.to_vec(),
        })));
    }
    rest.is_empty().then_some(answers)
}

/// Size, mode and `owner:group`.
fn header(line: &str) -> Option<(usize, u32, String)> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [size, mode, user, group] = fields[..] else {
        return None;
    };
    let mode = u32::from_str_radix(mode, 8).ok()?;
    Some((size.parse().ok()?, mode, format!("{user}:{group}")))
}

/// A word that the shell takes literally.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

async fn ask_zones(world: &World, open: &[Probe]) -> Vec<(Probe, Answer)> {
    let limit = Arc::new(Semaphore::new(ZONES_AT_ONCE));
    let mut by_name: BTreeMap<(Holder, Name), Vec<RrsetKey>> = BTreeMap::new();
    for probe in open {
        if let Probe::Rrset(holder, key) = probe {
            by_name
                .entry((holder.clone(), key.name.clone()))
                .or_default()
                .push(key.clone());
        }
    }
    // First the apex of each name, then one question to the provider per zone.
    let mut finding = tokio::task::JoinSet::new();
    for ((holder, name), keys) in by_name {
        let (world, limit) = (world.clone(), limit.clone());
        finding.spawn(async move {
            let _turn = limit.acquire().await;
            let apex = world.apex(&holder, &name).await;
            (holder, keys, apex)
        });
    }
    let mut answers = Vec::new();
    let mut by_zone: HashMap<(Holder, Name), Vec<RrsetKey>> = HashMap::new();
    while let Some(Ok((holder, keys, apex))) = finding.join_next().await {
        match apex {
            Ok(apex) => by_zone.entry((holder, apex)).or_default().extend(keys),
            Err(failure) => answers.extend(
                keys.into_iter()
                    .map(|key| failed(world, &holder, key, &failure)),
            ),
        }
    }
    let mut reading = tokio::task::JoinSet::new();
    for ((holder, apex), keys) in by_zone {
        let (world, limit) = (world.clone(), limit.clone());
        reading.spawn(async move {
            let _turn = limit.acquire().await;
            read_zone(&world, &holder, &apex, keys).await
        });
    }
    while let Some(read) = reading.join_next().await {
        answers.extend(read.unwrap_or_default());
    }
    answers
}

async fn read_zone(
    world: &World,
    holder: &Holder,
    apex: &Name,
    keys: Vec<RrsetKey>,
) -> Vec<(Probe, Answer)> {
    let listed = match world.zone(holder) {
        Ok(zone) => zone
            .list(apex, &keys)
            .await
            .map(|sets| (sets, zone.by_hand())),
        Err(failure) => Err(failure),
    };
    match listed {
        Ok((sets, by_hand)) => {
            let answer = |set| Answer::Rrset {
                apex: apex.clone(),
                set,
                by_hand,
            };
            keys.into_iter()
                .zip(sets)
                .map(|(key, set)| (Probe::Rrset(holder.clone(), key), answer(set)))
                .collect()
        }
        Err(failure) => keys
            .into_iter()
            .map(|key| failed(world, holder, key, &failure))
            .collect(),
    }
}

fn failed(world: &World, holder: &Holder, key: RrsetKey, failure: &Failure) -> (Probe, Answer) {
    let blocked = Blocked {
        why: failure.chain(),
        fix: failure.advice().map(str::to_owned),
        by_hand: world.zone(holder).is_ok_and(|zone| zone.by_hand()),
    };
    (Probe::Rrset(holder.clone(), key), Answer::Failed(blocked))
}

/// Which zones mail.yaml names itself.
pub fn named_apexes(config: &Config) -> BTreeMap<Holder, Name> {
    let mut apexes = BTreeMap::new();
    apexes.extend(
        config
            .dns
            .zone
            .iter()
            .map(|z| (Holder::Default, z.0.clone())),
    );
    apexes.extend(config.ptr.zone.iter().map(|z| (Holder::Ptr, z.0.clone())));
    for (name, domain) in &config.domains {
        let zone = domain.dns.as_ref().and_then(|dns| dns.zone.as_ref());
        apexes.extend(zone.map(|z| (Holder::Domain(name.0.clone()), z.0.clone())));
    }
    apexes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(out: &[u8]) -> frames::Answer {
        frames::Answer {
            code: 0,
            out: out.to_vec(),
            err: Vec::new(),
        }
    }

    #[test]
    fn files_come_back_byte_for_byte() {
        let bytes = b"absent\nthere\nthere\n3 640 root chasquid\n0 644 root root\na\nb";
        let answers = parse_files(&answer(bytes), 3);
        assert_eq!(answers[0], Answer::File(None));
        let file = FileSeen {
            owner: "root:chasquid".into(),
            mode: 0o640,
            content: b"a\nb".to_vec(),
        };
        assert_eq!(answers[1], Answer::File(Some(file)));
        assert!(matches!(&answers[2], Answer::File(Some(f)) if f.content.is_empty()));
    }

    #[test]
    fn a_broken_frame_is_never_an_absent_file() {
        for bytes in [
            &b"there\nabsent\n9 640 root root\nshort"[..],
            b"there\nabsent\n9 640 root root\nand too long",
            b"there\nthere\n1 640 root root\nx",
            b"there\n",
            b"",
        ] {
            let answers = parse_files(&answer(bytes), 2);
            assert_eq!(answers.len(), 2);
            assert!(answers.iter().all(|a| matches!(a, Answer::Failed(_))));
        }
        let failed = frames::Answer {
            code: 1,
            ..answer(b"absent\nabsent\n")
        };
        let answers = parse_files(&failed, 2);
        assert!(answers.iter().all(|a| matches!(a, Answer::Failed(_))));
    }

    #[test]
    fn the_fragment_finds_files_here() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let odd = path("it's -n odd");
        std::fs::write(&odd, b"\0\nthere\n").expect("written");
        let paths = [&path("none"), &odd, &path("."), &odd];
        let text = files_fragment(&paths.map(String::as_str));
        let (code, out, err) = crate::kinds::shell::run(&text);
        assert_eq!((code, err.as_str()), (0, ""));
        let answers = parse_files(&answer(out.as_bytes()), 4);
        assert_eq!(answers[0], Answer::File(None));
        assert_eq!(answers[2], Answer::File(None), "a directory is no file");
        for nth in [1, 3] {
            assert!(matches!(&answers[nth], Answer::File(Some(f)) if f.content == b"\0\nthere\n"));
        }
    }
}
