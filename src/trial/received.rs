//! The topmost `Received` field of a message: how the server got it, in its
//! own words (RFC 5321 section 4.4).

use std::net::{IpAddr, Ipv6Addr};

/// One hop of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The address it came from, where the server notes it: not of those who logged in.
    pub from: Option<IpAddr>,
    /// The server's name for itself.
    pub by: String,
    /// The protocol, such as `ESMTPSA` (RFC 3848).
    pub with: String,
    /// The TLS version as the server writes it, such as `TLS 1.3`.
    pub tls: Option<String>,
}

impl Received {
    /// Reads the topmost field; `None` where there is none.
    pub fn top(message: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(message);
        let field = unfolded(&text)
            .into_iter()
            .find_map(|field| Some(field.strip_prefix("Received:")?.trim().to_owned()))?;
        let after = |word: &str| {
            let mut words = field.split_whitespace();
            words.by_ref().find(|w| *w == word)?;
            words.next().map(str::to_owned)
        };
        let tls = field.find("TLS 1.").map(|at| &field[at..]);
        Some(Self {
            from: literal(&field),
            by: after("by").unwrap_or_default(),
            with: after("with").unwrap_or_default(),
            tls: tls.and_then(|text| Some(text.split([',', ')', ';']).next()?.to_owned())),
        })
    }

    /// Whether this hop was under TLS: the S of ESMTPS and ESMTPSA (RFC 3848).
    pub fn secured(&self) -> bool {
        matches!(self.with.as_str(), "ESMTPS" | "ESMTPSA")
    }

    /// Whether the sender had logged in.
    pub fn logged_in(&self) -> bool {
        matches!(self.with.as_str(), "ESMTPA" | "ESMTPSA")
    }

    /// Protocol and TLS version for people.
    pub fn told(&self) -> String {
        match &self.tls {
            Some(version) => format!("{}, {version}", self.with),
            None => self.with.clone(),
        }
    }
}

/// The fields of the header, each in one line.
fn unfolded(text: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

/// The address literal behind the name after `from` (RFC 5321 section 4.1.3).
fn literal(field: &str) -> Option<IpAddr> {
    let text = field.split_once("([")?.1.split_once("])")?.0;
    match text.strip_prefix("IPv6:") {
        Some(six) => six.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_message_that_was_submitted() {
        let message = b"Received: from laptop.example\r\n\tby smtp.wac.tax (chasquid) with ESMTPSA\r\n\ttls TLS_AES_128_GCM_SHA256\r\n\t(over submission+TLS, TLS 1.3, envelope from \"i@wac.tax\")\r\n\t; Wed, 25 Nov 2026 23:02:52 +0000\r\nReceived: from x ([192.0.2.1]) by y with SMTP\r\n\r\nReceived: body\r\n";
        let top = Received::top(message).expect("a field");
        let wanted = Received {
            from: None,
            by: "smtp.wac.tax".into(),
            with: "ESMTPSA".into(),
            tls: Some("TLS 1.3".into()),
        };
        assert_eq!(top, wanted);
        assert!(top.secured() && top.logged_in());
        assert_eq!(top.told(), "ESMTPSA, TLS 1.3");
    }

    #[test]
    fn of_a_message_from_outside() {
        for (from, literal) in [
            ("x ([IPv6:2001:db8::1])", Some("2001:db8::1")),
            ("x ([203.0.113.9])", Some("203.0.113.9")),
            ("x (203.0.113.9)", None),
        ] {
            let message = format!(
                "Authentication-Results: y\r\n\t;spf=none\r\nReceived: from {from}\r\n\tby y (chasquid) with ESMTP\r\n\t(over SMTP, plain text!, envelope from \"<>\")\r\n\r\n"
            );
            let top = Received::top(message.as_bytes()).expect("a field");
            assert_eq!(top.from, literal.map(|a| a.parse().expect("an address")));
            assert!(!top.secured() && top.tls.is_none());
        }
        assert_eq!(Received::top(b"Subject: x\r\n\r\nReceived: no\r\n"), None);
    }
}
