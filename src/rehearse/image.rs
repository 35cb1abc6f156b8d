//! The disk of a new server: a Debian base system with what a hoster adds.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;

use super::network::{Network, Party};
use super::program::run;
use crate::failure::{Context, Failure, Result};

/// How Contabo turns IPv6 off until its customers turn it on.
const IPV6_OFF: &str = "
net.ipv6.conf.all.disable_ipv6 = 1
net.ipv6.conf.default.disable_ipv6 = 1
net.ipv6.conf.lo.disable_ipv6 = 1
";

/// What is particular about a new server.
pub struct Image<'a> {
    /// The base tree, which stays as it is.
    pub base: &'a Path,
    /// What the hoster called it.
    pub hostname: &'a str,
    /// IPv6 is off by sysctl and commented out in netplan.
    pub contabo_like: bool,
    /// Lines of root's authorized_keys.
    pub authorized_keys: &'a [String],
}

impl Image<'_> {
    /// Mounts it at `root` in the world's directory, with host keys of its
    /// own; returns the public Ed25519 one as a line of OpenSSH.
    ///
    /// # Errors
    /// When the overlay cannot be mounted or a file cannot be written.
    pub fn prepare(&self, directory: &Path, network: Network) -> Result<String> {
        let root = directory.join("root");
        mount(self.base, &directory.join("disk"), &root)?;
        write_files(&root, network, self)?;
        let generate = ["ssh-keygen", "-A", "-f"].map(OsStr::new);
        run(generate.into_iter().chain([root.as_os_str()]), "")?;
        let path = root.join("etc/ssh/ssh_host_ed25519_key.pub");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

fn mount(base: &Path, disk: &Path, root: &Path) -> Result<()> {
    let mut options = format!("lowerdir={}", base.display());
    for part in ["upper", "work"] {
        let path = disk.join(part);
        let made = fs::DirBuilder::new().mode(0o755).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        let _ = write!(options, ",{part}dir={}", path.display());
    }
    // `volatile`: it need not survive a crash of this machine, so no fsync reaches the disk.
    options.push_str(",volatile");
    let words = ["mount", "-t", "overlay", "overlay", "-o", &options].map(AsRef::as_ref);
    run(words.into_iter().chain([root.as_os_str()]), "").map(|_| ()).map_err(|failure| {
        Failure::new("cannot mount the server's disk")
            .because(failure)
            .hint("overlayfs needs /var/lib on a real file system (ext4, xfs, btrfs), not on another overlay")
    })
}

/// What differs between one new server and the next.
fn write_files(root: &Path, network: Network, image: &Image<'_>) -> Result<()> {
    let resolver = network.ipv4(Party::Resolver);
    write(
        &root.join("etc/hostname"),
        0o644,
        &format!("{}\n", image.hostname),
    )?;
    let hosts = fs::read_to_string(root.join("etc/hosts")).unwrap_or_default();
    write(
        &root.join("etc/hosts"),
        0o644,
        &format!("127.0.1.1\t{}\n{hosts}", image.hostname),
    )?;
    write(
        &root.join("etc/resolv.conf"),
        0o644,
        &format!("nameserver {resolver}\n"),
    )?;
    write(
        &root.join("etc/netplan/01-netcfg.yaml"),
        0o600,
        &netplan(network, image.contabo_like),
    )?;
    if image.contabo_like {
        let path = root.join("etc/sysctl.conf");
        let before = fs::read_to_string(&path).unwrap_or_default();
        write(&path, 0o644, &format!("{before}{IPV6_OFF}"))?;
        // Debian 13 has no such link any more, but servers upgraded to it do.
        let link = root.join("etc/sysctl.d/99-sysctl.conf");
        if link.symlink_metadata().is_err() {
            symlink("../sysctl.conf", &link).context("cannot link sysctl.conf")?;
        }
    }
    let ssh = root.join("root/.ssh");
    let made = fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&ssh);
    made.with_context(|| format!("cannot make {}", ssh.display()))?;
    write(
        &ssh.join("authorized_keys"),
        0o600,
        &(image.authorized_keys.join("\n") + "\n"),
    )
}

fn netplan(network: Network, contabo_like: bool) -> String {
    // Commented out, the lines stay as a customer is meant to find them.
    let six = if contabo_like { "# " } else { "" };
    format!(
        "network:
  version: 2
  renderer: networkd
  ethernets:
    eth0:
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses:
        - {server4}/24
        {six}- {server6}/64
      routes:
        - to: default
          via: {gateway4}
        {six}- to: default
        {six}  via: {gateway6}
      nameservers:
        addresses: [{resolver}]
",
        server4 = network.ipv4(Party::Server),
        server6 = network.ipv6(Party::Server),
        gateway4 = network.ipv4(Party::Gateway),
        gateway6 = network.ipv6(Party::Gateway),
        resolver = network.ipv4(Party::Resolver),
    )
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_ipv6_are_there_to_be_uncommented() {
        let network = Network::new(7);
        let off = netplan(network, true);
        assert!(off.contains("        # - fd77:7::2/64\n"));
        assert!(
            !off.lines()
                .any(|line| line.contains("fd77") && !line.contains('#'))
        );
        assert_eq!(off.replace("# ", ""), netplan(network, false));
    }
}
