//! Which messages a trial sends, and by which way. Pure.

use std::net::IpAddr;

use super::addresses::Addresses;
use super::doors::Door;
use super::fate::Sent;
use super::{Account, STRANGER};
use crate::record::Name;

/// The ports of submission: TLS from the start, and STARTTLS (RFC 8314, RFC 6409).
pub const SUBMISSION: [u16; 2] = [465, 587];

/// One message to a test address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number, which its address has too.
    pub number: usize,
    /// Who submits it, by its place in the list of accounts; `None`: a stranger delivers it.
    pub account: Option<usize>,
    /// MAIL FROM.
    pub from: String,
    /// The test address.
    pub to: String,
    /// The domain of that.
    pub domain: Name,
    /// The address of the host that it is handed to.
    pub address: IpAddr,
    /// And the port.
    pub port: u16,
}

impl Letter {
    /// How the log calls it.
    pub fn sent(&self) -> Sent {
        Sent {
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }
}

/// The messages of all accounts whose password is known. The first account
/// tries every way; the others one address a port, in turn, so that a long
/// list of accounts is as long in messages, and every way is still used.
pub fn letters(accounts: &[Account], doors: &[Door], addresses: &Addresses) -> Vec<Letter> {
    let mut letters = Vec::new();
    let known = accounts
        .iter()
        .enumerate()
        .filter(|(_, a)| a.password.is_some());
    for (nth, (place, account)) in known.enumerate() {
        for (shift, port) in SUBMISSION.into_iter().enumerate() {
            let open = open(doors, port);
            let ways = match (nth, open.is_empty()) {
                (_, true) => Vec::new(),
                (0, _) => open,
                _ => vec![open[(nth + shift) % open.len()]],
            };
            for address in ways {
                let number = letters.len() + 1;
                letters.push(Letter {
                    number,
                    account: Some(place),
                    from: account.address.clone(),
                    to: addresses.address(number, &account.domain),
                    domain: account.domain.clone(),
                    address,
                    port,
                });
            }
        }
    }
    letters
}

/// A stranger's message to a domain for each address whose port 25 is open
/// from here, numbered from `first`.
pub fn strangers(
    domain: &Name,
    doors: &[Door],
    addresses: &Addresses,
    first: usize,
) -> Vec<Letter> {
    let numbered = open(doors, 25).into_iter().zip(first..);
    let letter = |(address, number)| Letter {
        number,
        account: None,
        from: STRANGER.into(),
        to: addresses.address(number, domain),
        domain: domain.clone(),
        address,
        port: 25,
    };
    numbered.map(letter).collect()
}

/// The addresses at which a port is open from here.
fn open(doors: &[Door], port: u16) -> Vec<IpAddr> {
    let open = doors.iter().filter(|door| door.port == port && door.open());
    open.map(|door| door.address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::wire::Reach;
    use crate::secret::Secret;

    fn addresses() -> Addresses {
        Addresses::new([0; 4])
    }

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
                worth: None,
            })
        };
        [25, 465, 587].into_iter().flat_map(door).collect()
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
        let letters = letters(&accounts, &doors(Reach::Open), &addresses());
        let way = |l: &Letter| (l.account.expect("an account"), l.port, l.address.is_ipv4());
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
        let with_four = letters(&accounts, &doors(unknown.clone()), &addresses());
        assert_eq!(with_four.len(), 4);
        assert!(with_four.iter().all(|l| l.address == IpAddr::from(FOUR)));
        assert_eq!(letters(&accounts, &[], &addresses()), []);
        let domain = Name::parse("wac.tax").expect("a name");
        let outside = strangers(&domain, &doors(unknown), &addresses(), 5);
        let told: Vec<_> = outside
            .iter()
            .map(|l| (l.number, l.to.as_str(), l.port))
            .collect();
        assert_eq!(told, [(5, "mailctl-test-00000000-5@wac.tax", 25)]);
    }
}
