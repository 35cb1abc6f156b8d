//! Lines out of bytes that arrive in pieces.

/// What has arrived of the next line.
#[derive(Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes in what arrived.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The lines that are complete, without their ends.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let Some(last) = self.rest.iter().rposition(|octet| *octet == b'\n') else {
            return Vec::new();
        };
        let tail = self.rest.split_off(last + 1);
        let whole = std::mem::replace(&mut self.rest, tail);
        let lines = whole[..last].split(|octet| *octet == b'\n');
        lines
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_the_bytes_are_cut() {
        let text = "one\n\ntwo \u{e9}\nthr";
        let mut lines = Lines::default();
        let mut taken = Vec::new();
        for octet in text.as_bytes() {
            lines.feed(&[*octet]);
            taken.extend(lines.take());
        }
        assert_eq!(taken, ["one", "", "two \u{e9}"]);
        lines.feed(b"ee\n");
        assert_eq!(lines.take(), ["three"]);
        assert!(lines.take().is_empty());
        lines.feed(text.as_bytes());
        assert_eq!(lines.take().len(), 3);
    }
}
