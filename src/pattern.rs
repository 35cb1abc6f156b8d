//! Patterns of names in the catalogue, in which `*` stands for any text.

/// Whether `name` fits `pattern`.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(head) else {
        return false;
    };
    let mut cuts = (0..=rest.len()).filter(|at| rest.is_char_boundary(*at));
    cuts.any(|at| fits(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        assert!(fits(
            "static.*.clients.your-server.de",
            "static.7.113.0.203.clients.your-server.de"
        ));
        assert!(fits("vmi*.contaboserver.net", "vmi1.contaboserver.net"));
        assert!(!fits("vmi*.contaboserver.net", "mail.example.com"));
        assert!(fits("ns1.example.com", "ns1.example.com"));
    }
}
