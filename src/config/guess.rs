//! What was probably meant.

/// The candidate closest to `word`, where one is close enough to be a slip of the finger.
pub fn guess<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        6..=8 => 3,
        _ => 4,
    };
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &plain(candidate)),
                candidate,
            )
        })
        // Two words that share no letter are no slip.
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < plain(candidate).chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` or `c` ``
pub fn one_of<S: AsRef<str>>(words: &[S]) -> String {
    joined(words, "or")
}

/// `` `a`, `b` and `c` ``
pub fn all_of<S: AsRef<str>>(words: &[S]) -> String {
    joined(words, "and")
}

fn joined<S: AsRef<str>>(words: &[S], last_word: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{}`", w.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {last_word} {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(
            guess("fowarding", ["users", "forward", "mx"]),
            Some("forward")
        );
        assert_eq!(guess("api-token", ["token", "apitoken"]), Some("apitoken"));
        assert_eq!(guess("softfial", ["fail", "softfail"]), Some("softfail"));
        assert_eq!(guess("backup", ["users", "forward"]), None);
        assert_eq!(guess("no", ["mx"]), None);
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(&["a"]), "`a`");
    }
}
