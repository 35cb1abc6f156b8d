//! One account of a users file: how its password is checked.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How one account's password is checked.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// By its scrypt hash (RFC 7914).
    Scrypt(Scrypt),
    /// By itself.
    Plain(Secret),
    /// Never: the account only receives. An entry without any scheme reads as this.
    Denied,
}

/// A scrypt hash with the parameters it was made with, as they stand in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Scrypt {
    /// Base 2 logarithm of the cost N.
    pub log_n: u64,
    /// Block size.
    pub r: u32,
    /// Parallelisation.
    pub p: u32,
    /// Length of the hash in octets.
    pub key_len: usize,
    /// The salt.
    pub salt: Vec<u8>,
    /// The hash.
    pub encrypted: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scrypt(_) => "Scrypt([secret])",
            Self::Plain(_) => "Plain([secret])",
            Self::Denied => "Denied",
        })
    }
}

impl fmt::Debug for Scrypt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrypt([secret])")
    }
}

/// What `chasquid-util user-add` takes.
const LOG_N: u64 = 14;
const R: u32 = 8;
const P: u32 = 1;
const KEY_LEN: usize = 32;

/// A file that asks for more memory than this to check one password is not believed.
const MOST_MEMORY: u64 = 256 << 20;

impl Entry {
    /// An entry for a password, made as chasquid makes them. `salt` is random.
    pub fn scrypt(password: &Secret, salt: [u8; 16]) -> Self {
        let mut entry = Scrypt {
            log_n: LOG_N,
            r: R,
            p: P,
            key_len: KEY_LEN,
            salt: salt.to_vec(),
            encrypted: Zeroizing::default(),
        };
        entry.encrypted = entry.hash(password).unwrap_or_default();
        Self::Scrypt(entry)
    }
}

impl Scrypt {
    /// The password's hash; `None` where the parameters are out of reason.
    fn hash(&self, password: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let memory = 128_u64
            .checked_mul(1_u64.checked_shl(u32::try_from(self.log_n).ok()?)?)?
            .checked_mul(u64::from(self.r))?;
        if memory > MOST_MEMORY || self.p > 16 || !(16..=64).contains(&self.key_len) {
            return None;
        }
        let log_n = u8::try_from(self.log_n).ok()?;
        let params = scrypt::Params::new(log_n, self.r, self.p, self.key_len).ok()?;
        let mut hash = Zeroizing::new(vec![0; self.key_len]);
        scrypt::scrypt(password.expose().as_bytes(), &self.salt, &params, &mut hash).ok()?;
        Some(hash)
    }
}

/// Whether chasquid would let this password in.
pub fn verify(entry: &Entry, password: &Secret) -> bool {
    match entry {
        Entry::Scrypt(scrypt) => scrypt
            .hash(password)
            .is_some_and(|hash| verify_slices_are_equal(&hash, &scrypt.encrypted).is_ok()),
        Entry::Plain(plain) => {
            let (known, given) = (plain.expose().as_bytes(), password.expose().as_bytes());
            verify_slices_are_equal(known, given).is_ok()
        }
        Entry::Denied => false,
    }
}
