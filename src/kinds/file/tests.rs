use super::*;
use crate::kinds::shell::{CHANGED, run};
use crate::observe::Answer;

const PATH: &str = "/etc/x.conf";

fn seen(file: Option<FileSeen>) -> Seen {
    let mut seen = Seen::new();
    seen.put(Probe::File(PATH.into()), Answer::File(file));
    seen
}

fn found(content: &str, owner: &str, mode: u32) -> Option<FileSeen> {
    Some(FileSeen {
        owner: owner.into(),
        mode,
        content: content.into(),
    })
}

fn sign(seen: &Seen) -> Option<Sign> {
    let file = File::new(PATH, "a\n", "the test");
    file.diff(seen, &Plan::default())
        .expect("decided")
        .first()
        .map(|c| c.sign)
}

#[test]
fn absent_different_equal_unreadable() {
    assert_eq!(sign(&seen(None)), Some(Sign::Create));
    assert_eq!(
        sign(&seen(found("b\n", "root:root", 0o644))),
        Some(Sign::Update)
    );
    assert_eq!(
        sign(&seen(found("a\n", "root:root", 0o600))),
        Some(Sign::Update)
    );
    assert_eq!(
        sign(&seen(found("a\n", "mail:mail", 0o644))),
        Some(Sign::Update)
    );
    assert_eq!(sign(&seen(found("a\n", "root:root", 0o644))), None);
    let mut unreadable = Seen::new();
    unreadable.put(Probe::File(PATH.into()), Answer::Failed(Blocked::new("no")));
    assert!(
        File::new(PATH, "a\n", "")
            .diff(&unreadable, &Plan::default())
            .is_err()
    );
}

fn owner() -> String {
    format!("{}:{}", nix::unistd::getuid(), nix::unistd::getgid())
}

#[test]
fn the_script_writes_any_bytes_with_mode_and_parents() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a b/it's");
    let name = path.to_str().expect("utf-8");
    let content: Vec<u8> = (0..=255).collect();
    // As scripts run on the server.
    let script = write_script(name, &content, &owner(), 0o640, None).text;
    let (code, _, err) = run(&format!("umask 077\n{script}"));
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(std::fs::read(&path).expect("file"), content);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o7777
    };
    assert_eq!(mode(&path), 0o640);
    let folder = path.parent().expect("a folder");
    assert_eq!(mode(folder), 0o755, "chasquid runs programs in there");
    let left: Vec<_> = std::fs::read_dir(path.parent().expect("dir"))
        .expect("dir")
        .collect();
    assert_eq!(left.len(), 1, "no temporary file stays behind");
}

#[test]
fn what_changed_since_the_plan_is_left_alone() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("f");
    std::fs::write(&path, "mine").expect("write");
    let name = path.to_str().expect("utf-8");
    for hash in [None, Some(sha256(b"other"))] {
        let (code, _, err) =
            run(&write_script(name, b"new", &owner(), 0o644, hash.as_deref()).text);
        assert_eq!(code, CHANGED);
        assert!(
            err.contains("changed on the server since the plan"),
            "{err}"
        );
        assert_eq!(std::fs::read(&path).expect("file"), b"mine");
    }
    let (code, ..) = run(&write_script(name, b"new", &owner(), 0o644, Some(&sha256(b"mine"))).text);
    assert_eq!(code, 0);
    assert_eq!(std::fs::read(&path).expect("file"), b"new");
}

#[test]
fn a_link_stays_a_link() {
    let dir = tempfile::tempdir().expect("dir");
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    std::fs::write(&target, "old").expect("write");
    std::os::unix::fs::symlink(&target, &link).expect("link");
    let hash = sha256(b"old");
    let (code, ..) = run(&write_script(
        link.to_str().expect("utf-8"),
        b"new",
        &owner(),
        0o644,
        Some(&hash),
    )
    .text);
    assert_eq!(code, 0);
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&target).expect("file"), b"new");
}

#[test]
fn a_packages_own_version_may_arrive_meanwhile() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("f").to_str().expect("utf-8").to_owned();
    // md5 of "shipped", as dpkg lists a package's configuration files.
    let status = format!(
        "Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\nConffiles:\n {path} 8407efe4e76e884909955a5e7293661e\n"
    );
    std::fs::write(dir.path().join("status"), status).expect("status");
    let owner = owner();
    let write = Write {
        path: &path,
        content: b"ours",
        owner: &owner,
        mode: 0o644,
        seen: None,
        conffile: true,
        validate: None,
    };
    let script = format!(
        "export DPKG_ADMINDIR={}\n{PRELUDE}{}",
        dir.path().display(),
        write.fragment()
    );
    for (present, code) in [("shipped", 0), ("somebody's", CHANGED)] {
        std::fs::write(&path, present).expect("write");
        let result = run(&script);
        assert_eq!(result.0, code, "{result:?}");
    }
}

#[test]
fn what_is_no_longer_wanted_goes() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("f").to_str().expect("utf-8").to_owned();
    std::fs::write(&path, "old").expect("write");
    let gone = Gone::new(path.clone(), "");
    let mut seen = Seen::new();
    seen.put(
        Probe::File(path.clone()),
        Answer::File(found("old", "root:root", 0o644)),
    );
    let changes = gone.diff(&seen, &Plan::default()).expect("decided");
    let Action::Script(script) = &changes[0].action else {
        panic!("a script")
    };
    assert_eq!(run(&script.text).0, 0);
    assert!(!std::path::Path::new(&path).exists());
    seen.put(Probe::File(path), Answer::File(None));
    assert!(
        gone.diff(&seen, &Plan::default())
            .expect("decided")
            .is_empty()
    );
}

#[test]
fn what_does_not_validate_is_not_put_in_place() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("f");
    let owner = owner();
    let write = Write {
        path: path.to_str().expect("utf-8"),
        content: b"bad",
        owner: &owner,
        mode: 0o644,
        seen: None,
        conffile: false,
        validate: Some("grep good {}"),
    };
    let (code, _, err) = run(&format!("{PRELUDE}{}", write.fragment()));
    assert_eq!(code, 1);
    assert!(err.contains("is refused, the old one stays"), "{err}");
    assert!(!path.exists());
}

#[test]
fn a_full_disk_is_told_as_such_and_leaves_the_old_file() {
    // Mounting wants root; a file system of its own keeps the rest of the machine out of it.
    let dir = tempfile::tempdir().expect("dir");
    let at = dir.path().to_str().expect("utf-8");
    let content = vec![b'x'; 1 << 20];
    let path = format!("{at}/f");
    let hash = sha256(b"old");
    let write = write_script(&path, &content, &owner(), 0o644, Some(&hash)).text;
    let (code, _, err) = run(&format!(
        "exec unshare --mount sh -s <<'EOF'\nmount -t tmpfs -o size=64k none {at} || exit 99\nprintf old >{path}\n\
         main() {{\n{write}\n}}\n(main) </dev/null; code=$?\n[ \"$(cat {path})\" = old ] || exit 98\nls {at}/*new* 2>/dev/null && exit 97\nexit $code\nEOF"
    ));
    if code == 99 || err.contains("unshare") {
        return skipped("a full disk: mounting is not permitted here");
    }
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("the disk of the server is full"), "{err}");
}

#[allow(clippy::print_stderr)]
fn skipped(what: &str) {
    eprintln!("skipped: {what}");
}
