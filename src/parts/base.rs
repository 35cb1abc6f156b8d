//! The rest of the system: time zone, locale, upgrades, bans. After the packages.

use super::Wish;
use crate::kinds::file::{File, Gone};
use crate::kinds::locale::Locale;
use crate::kinds::localtime::Localtime;
use crate::kinds::unit::Unit;
use crate::resource::Resource;

const UPGRADES: &str = "/etc/apt/apt.conf.d/52mailctl-upgrades";
const JAIL: &str = "/etc/fail2ban/jail.d/mailctl.local";
const FILTER: &str = "/etc/fail2ban/filter.d/mailctl-chasquid.conf";

/// What `host.base` asks for.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    let base = &wish.config.host.base;
    wanted.push(Box::new(Localtime(base.timezone.clone())));
    wanted.push(Box::new(Locale(base.locale.clone())));
    if base.upgrades {
        let text = include_str!("../../templates/52mailctl-upgrades");
        wanted.push(Box::new(File::new(
            UPGRADES,
            text,
            "the daily security upgrade",
        )));
    } else {
        wanted.push(Box::new(Gone::new(
            UPGRADES,
            "upgrades are off in mail.yaml",
        )));
    }
    if base.fail2ban {
        let files = [
            File::new(
                FILTER,
                include_str!("../../templates/fail2ban-filter.conf"),
                "the filter of chasquid's log",
            ),
            File::new(
                JAIL,
                include_str!("../../templates/fail2ban-jail.local"),
                "the bans for SSH and mail",
            ),
        ];
        let restarts_for = files.iter().map(Resource::id).collect();
        wanted.extend(files.map(|file| Box::new(file) as Box<dyn Resource>));
        wanted.push(Box::new(Unit {
            name: "fail2ban.service",
            check: "fail2ban-client -t",
            restarts_for,
        }));
    } else {
        for path in [JAIL, FILTER] {
            let then = Some("systemctl try-restart fail2ban.service");
            wanted.push(Box::new(Gone {
                then,
                ..Gone::new(path, "fail2ban is off in mail.yaml")
            }));
        }
    }
}
