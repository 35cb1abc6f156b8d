//! Which messages a trial sends, and by which way. Pure.

use std::net::IpAddr;

use super::Account;
use crate::check::wire::Reach;

/// The ports of submission: TLS from the start, and STARTTLS (RFC 8314, RFC 6409).
pub const SUBMISSION: [u16; 2] = [465, 587];

/// One port of one address of the host, and whether a connection from here comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// What was seen.
    pub reach: Reach,
}

impl Door {
    /// Whether it can be used.
    pub fn open(&self) -> bool {
        self.reach == Reach::Open
    }
}

/// One message that an account submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number, which its address has too.
    pub number: usize,
    /// Who, by its place in the list.
    pub account: usize,
    /// Where.
    pub address: IpAddr,
    /// By which port.
    pub port: u16,
}

/// The messages of all accounts whose password is known. The first account
/// tries every way; the others one address a port, in turn, so that a long
/// list of accounts is as long in messages, and every way is still used.
pub fn letters(accounts: &[Account], doors: &[Door]) -> Vec<Letter> {
    let mut letters = Vec::new();
    let known = accounts
        .iter()
        .enumerate()
        .filter(|(_, a)| a.password.is_some());
    for (nth, (account, _)) in known.enumerate() {
        for (shift, port) in SUBMISSION.into_iter().enumerate() {
            let open: Vec<IpAddr> = doors
                .iter()
                .filter(|door| door.port == port && door.open())
                .map(|door| door.address)
                .collect();
            let ways = match (nth, open.is_empty()) {
                (_, true) => Vec::new(),
                (0, _) => open,
                _ => vec![open[(nth + shift) % open.len()]],
            };
            for address in ways {
                letters.push(Letter {
                    number: letters.len() + 1,
                    account,
                    address,
                    port,
                });
            }
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;
    use crate::secret::Secret;

    const FOUR: [u8; 4] = [203, 0, 113, 7];

    fn doors(six: Reach) -> Vec<Door> {
        let addresses = [
            IpAddr::from(FOUR),
            "2001:db8::7".parse().expect("an address"),
        ];
        let door = |port| {
            let six = six.clone();
            addresses.into_iter().map(move |address| Door {
                address,
                port,
                reach: if address.is_ipv4() {
                    Reach::Open
                } else {
                    six.clone()
                },
            })
        };
        SUBMISSION.into_iter().flat_map(door).collect()
    }

    fn account(local: &str, password: Option<&str>) -> Account {
        Account {
            address: format!("{local}@wac.tax"),
            domain: Name::parse("wac.tax").expect("a name"),
            password: password.map(Secret::new),
        }
    }

    #[test]
    fn the_first_tries_every_way_and_the_others_take_turns() {
        let accounts = [
            account("silent", None),
            account("a", Some("x")),
            account("b", Some("x")),
            account("c", Some("x")),
        ];
        let letters = letters(&accounts, &doors(Reach::Open));
        let way = |l: &Letter| (l.account, l.port, l.address.is_ipv4());
        let ways: Vec<_> = letters.iter().map(way).collect();
        assert_eq!(
            ways,
            [
                (1, 465, true),
                (1, 465, false),
                (1, 587, true),
                (1, 587, false),
                (2, 465, false),
                (2, 587, true),
                (3, 465, true),
                (3, 587, false)
            ]
        );
        let numbers: Vec<_> = letters.iter().map(|l| l.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_not_reached_is_not_used() {
        let accounts = [account("a", Some("x")), account("b", Some("x"))];
        let unknown = Reach::Unknown("no route".into());
        let with_four = letters(&accounts, &doors(unknown));
        assert_eq!(with_four.len(), 4);
        assert!(with_four.iter().all(|l| l.address == IpAddr::from(FOUR)));
        assert_eq!(letters(&accounts, &[]), []);
    }
}
