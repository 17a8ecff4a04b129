//! Another user, for programs that refuse to run as root.

use std::fs;

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// As whom such a program runs when root starts it: the user of that name, or nobody. For
    /// anybody else it runs as who they are.
    pub(crate) fn instead_of_root(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        named(&users, name).or_else(|| named(&users, "nobody"))
    }

    /// What `setpriv` is told. Of root's rights one stays: to pass through folders and read files
    /// that are root's own, such as the node's folder and its secrets.
    pub(crate) fn as_options(&self) -> Vec<String> {
        let kept = "=-all,+dac_read_search";
        vec![
            format!("--reuid={}", self.uid),
            format!("--regid={}", self.gid),
            "--clear-groups".to_owned(),
            format!("--inh-caps{kept}"),
            format!("--ambient-caps{kept}"),
        ]
    }
}

/// A line of `passwd`(5): name, password, uid, gid, …
fn named(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then_some(User { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\nweb:x:33:34::/:/bin/false\n";
        assert_eq!(named(users, "web"), Some(User { uid: 33, gid: 34 }));
        assert_eq!(named(users, "we"), None);
    }
}
