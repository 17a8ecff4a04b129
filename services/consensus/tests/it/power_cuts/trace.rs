//! What a process did to the files of a folder, from the output of
//! `strace -f -ttt -y -xx -s … -e trace=…` (strings in hex, paths beside descriptors).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The calls that are followed.
pub const CALLS: &str = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,mkdir";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file is there from now on, empty if it was not there before.
    Create(PathBuf),
    Folder(PathBuf),
    Write {
        path: PathBuf,
        /// `None` appends.
        offset: Option<u64>,
        bytes: Vec<u8>,
    },
    Truncate(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    Sync(PathBuf),
}

/// A change, when it was done, and how many others had been done when it began.
#[derive(Clone, Debug)]
pub struct Event {
    /// Seconds since 1970.
    pub at: f64,
    pub begun: usize,
    pub change: Change,
}

/// The changes below `folder` (as paths relative to it), in the order in which they were done.
/// What SQLite shares between processes only (`-shm`) is left out: nothing of it is to last.
pub fn parse(text: &str, folder: &Path) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut begun: HashMap<&str, (String, usize)> = HashMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let Some((at, call)) = rest.trim_start().split_once(' ') else {
            continue;
        };
        let at: f64 = at.parse().expect("a time");
        if let Some(first) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, (first.trim_end().to_owned(), events.len()));
            continue;
        }
        let (call, started) = match call.strip_prefix("<... ") {
            Some(resumed) => {
                let Some((first, started)) = begun.remove(thread) else {
                    continue;
                };
                let (_, rest) = resumed.split_once("resumed>").expect("a resumed call");
                (first + rest, started)
            }
            None => (call.to_owned(), events.len()),
        };
        if let Some(change) = change(&call, folder) {
            events.push(Event {
                at,
                begun: started,
                change,
            });
        }
    }
    events
}

fn change(call: &str, folder: &Path) -> Option<Change> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let inside = |path: PathBuf| -> Option<PathBuf> {
        let path = path.strip_prefix(folder).ok()?.to_owned();
        (!path.to_string_lossy().ends_with("-shm")).then_some(path)
    };
    let strings = || arguments.split('"').skip(1).step_by(2).map(unescape);
    let string = |at: usize| -> Option<PathBuf> {
        inside(PathBuf::from(String::from_utf8(strings().nth(at)?).ok()?))
    };
    let descriptor = || -> Option<PathBuf> {
        let (_, path) = arguments.split_once('<')?;
        let path = String::from_utf8(unescape(path.split_once('>')?.0)).ok()?;
        inside(PathBuf::from(path))
    };
    let last = || arguments.rsplit_once(", ")?.1.parse::<u64>().ok();
    Some(match name {
        "openat" if arguments.contains("O_CREAT") => Change::Create(string(0)?),
        "mkdir" => Change::Folder(string(0)?),
        "write" => Change::Write {
            path: descriptor()?,
            offset: None,
            bytes: strings().next()?,
        },
        "pwrite64" => Change::Write {
            path: descriptor()?,
            offset: Some(last()?),
            bytes: strings().next()?,
        },
        "ftruncate" => Change::Truncate(descriptor()?, last()?),
        "fsync" | "fdatasync" => Change::Sync(descriptor()?),
        "rename" => Change::Rename(string(0)?, string(1)?),
        "unlink" => Change::Remove(string(0)?),
        _ => return None,
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let hex: String = text.split("\\x").collect();
    hex::decode(hex).expect("strings in hex")
}

#[test]
fn calls_become_changes_of_the_folder_in_the_order_in_which_they_ended() {
    let hex =
        |text: &str| -> String { text.bytes().map(|byte| format!("\\x{byte:02x}")).collect() };
    let (a, b, other) = (hex("/d/a"), hex("/d/b"), hex("/e/a"));
    let text = format!(
        "7 1.5 openat(AT_FDCWD</>, \"{a}\", O_RDWR|O_CREAT, 0644) = 3<{a}>\n\
         7 2.0 fsync(3<{a}> <unfinished ...>\n\
         8 2.1 pwrite64(3<{a}>, \"\\x01\\x02\", 2, 4096) = 2\n\
         7 2.2 <... fsync resumed>) = 0\n\
         8 2.3 pwrite64(9<{other}>, \"\\x01\", 1, 0) = 1\n\
         8 2.4 rename(\"{a}\", \"{b}\") = 0\n\
         8 2.5 unlink(\"{b}\") = -1 ENOENT (No such file or directory)\n"
    );
    let events = parse(&text, Path::new("/d"));
    let changes: Vec<Change> = events.iter().map(|event| event.change.clone()).collect();
    assert_eq!(
        changes,
        [
            Change::Create("a".into()),
            Change::Write {
                path: "a".into(),
                offset: Some(4096),
                bytes: vec![1, 2]
            },
            Change::Sync("a".into()),
            Change::Rename("a".into(), "b".into()),
        ]
    );
    assert_eq!(events[2].begun, 1, "the write came after the sync began");
}
