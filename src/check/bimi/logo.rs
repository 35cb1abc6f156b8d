//! The logo itself.

use super::LOGO;
use crate::check::Finding;
use crate::check::fetch::{Page, Trouble};
use crate::record::Name;

/// What the working group's guidance gives a logo at most.
const LARGEST: usize = 32 << 10;

pub(super) fn judge(domain: &Name, url: &str, fetched: &Result<Page, Trouble>) -> Finding {
    let about = LOGO.of(domain);
    let page = match fetched {
        Ok(page) => page,
        Err(Trouble::Unknown(reason)) => return about.skip(reason),
        Err(trouble) => {
            return about.warn(trouble.text(), format!("serve the logo at {url}"));
        }
    };
    if page.status != 200 {
        let found = format!("the web server answers {}", page.status);
        return about.warn(found, format!("serve the logo at {url}"));
    }
    let text = String::from_utf8_lossy(&page.body);
    let found = if !text.contains("<svg") {
        format!("no SVG, but {}", page.media_type)
    } else if page.media_type != "image/svg+xml" {
        format!("the media type is `{}`", page.media_type)
    } else if page.body.len() > LARGEST {
        "the file is longer than 32 KB".to_owned()
    } else if !text.contains("\"tiny-ps\"") && !text.contains("'tiny-ps'") {
        "the SVG is not of the profile Tiny PS: baseProfile is not `tiny-ps`".to_owned()
    } else {
        return about.pass(format!("SVG Tiny PS, {} octets", page.body.len()));
    };
    about.warn(
        found,
        "export the logo as SVG Tiny PS, and serve it as image/svg+xml",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn domain() -> Name {
        Name::parse("example.com").expect("a name")
    }

    #[test]
    fn a_logo_that_receivers_show() {
        let svg = "<svg version=\"1.2\" baseProfile=\"tiny-ps\"></svg>";
        let page = |status, media_type: &str, body: &str| {
            Ok(Page {
                status,
                media_type: media_type.into(),
                location: None,
                body: body.into(),
                whole: true,
            })
        };
        let large = format!("{svg}{}", " ".repeat(LARGEST));
        for (fetched, verdict) in [
            (page(200, "image/svg+xml", svg), Verdict::Pass),
            (page(404, "image/svg+xml", svg), Verdict::Warn),
            (page(200, "text/plain", svg), Verdict::Warn),
            (page(200, "image/png", "PNG"), Verdict::Warn),
            (page(200, "image/svg+xml", "<svg></svg>"), Verdict::Warn),
            (page(200, "image/svg+xml", &large), Verdict::Warn),
            (Err(Trouble::Broken("x".into())), Verdict::Warn),
            (Err(Trouble::Unknown("x".into())), Verdict::Skip),
        ] {
            let judged = judge(&domain(), "https://a.example/l.svg", &fetched);
            assert_eq!(judged.verdict, verdict, "{}", judged.found);
        }
    }
}
