//! Finding processes of a cluster whose record is lost.

use std::fs;
use std::path::Path;

use super::{Identity, Process};

/// The variable that every node is started with: its folder. It proves whose a process is, even
/// when nothing recorded it.
pub(crate) const NODE_DIR: &str = "DEVCLUSTER_NODE_DIR";

/// The running processes that were started as nodes with a folder below `dir`, as far as this user
/// may see (proc_pid_environ(5)).
#[must_use]
pub fn orphans(dir: &Path) -> Vec<Process> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            // The identity first: if the pid changes hands meanwhile, adopting fails.
            let identity = Identity::of(pid).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let node_dir = value(&environment, NODE_DIR)?;
            if !Path::new(node_dir).starts_with(dir) {
                return None;
            }
            Process::adopt(&identity).ok()?
        })
        .collect()
}

/// A variable in an environment whose entries end with a zero byte.
fn value<'a>(environment: &'a [u8], name: &str) -> Option<&'a str> {
    let entries = environment.split(|&byte| byte == 0);
    let mut named = entries.filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once('='));
    named
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = b"XDEVCLUSTER=1\0DEVCLUSTER=/a=b\0";
        assert_eq!(value(environment, "DEVCLUSTER"), Some("/a=b"));
        assert_eq!(value(environment, "CLUSTER"), None);
    }
}
