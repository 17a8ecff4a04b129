//! Who listens on a port, from `/proc` (proc_net_tcp(5), proc_pid_fd(5)).

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Who listens, as far as this user may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A process that may be looked at.
    Process { pid: u32, command: String },
    /// A process of another user, whose descriptors are hidden.
    User { uid: u32 },
    /// The socket is not in the table: it was closed meanwhile, or lies elsewhere.
    Unknown,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, command } => write!(f, "pid {pid} (`{command}`)"),
            Self::User { uid } => write!(f, "a process of the user with uid {uid}"),
            Self::Unknown => write!(f, "a process that cannot be seen from here"),
        }
    }
}

/// Finds who listens where a listener on `host:port` would be in the way.
pub(crate) fn of(host: IpAddr, port: u16) -> Owner {
    let socket = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(Socket::parse)
                .find(|s| s.meets(host, port))
        });
    let Some(socket) = socket else {
        return Owner::Unknown;
    };
    match holder(socket.inode) {
        Some(pid) => Owner::Process {
            pid,
            command: command(pid),
        },
        None => Owner::User { uid: socket.uid },
    }
}

/// A listening socket of the table.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    host: IpAddr,
    port: u16,
    uid: u32,
    inode: u64,
}

impl Socket {
    /// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if *fields.get(3)? != LISTEN {
            return None;
        }
        let (host, port) = fields[1].split_once(':')?;
        Some(Self {
            host: address(host)?,
            port: u16::from_str_radix(port, 16).ok()?,
            uid: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    }

    fn meets(&self, host: IpAddr, port: u16) -> bool {
        self.port == port
            && (self.host == host || self.host.is_unspecified() || host.is_unspecified())
    }
}

/// An address is written as 32-bit words in the byte order of the machine.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len() / 8)
        .map(|word| hex.get(word * 8..word * 8 + 8))
        .map(|word| u32::from_str_radix(word?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    match *words.as_slice() {
        [word] => Some(Ipv4Addr::from(word).into()),
        [a, b, c, d] => {
            let bytes: [u8; 16] = [a, b, c, d].concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// The process that has a socket open.
fn holder(inode: u64) -> Option<u32> {
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        descriptors
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(&wanted)))
            .then_some(pid)
    })
}

fn command(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes
        .split(|&byte| byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let Owner::Process { pid, command } = of(address.ip(), address.port()) else {
            panic!("not found");
        };
        assert_eq!(pid, std::process::id());
        assert!(!command.is_empty());
    }

    #[test]
    fn a_listener_on_all_addresses_is_in_the_way_of_each() {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        assert!(matches!(
            of(Ipv4Addr::LOCALHOST.into(), port),
            Owner::Process { .. }
        ));
    }

    #[test]
    fn only_listening_sockets_count() {
        let connected = "1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000 1000 0 4242 1";
        assert_eq!(Socket::parse(connected), None);
        let listening = connected.replace(" 01 ", " 0A ");
        let socket = Socket::parse(&listening).expect("a valid line");
        assert_eq!((socket.port, socket.uid, socket.inode), (8080, 1000, 4242));
    }

    #[test]
    fn a_port_that_nobody_has_is_unknown() {
        // Port 1, tcpmux, has been out of use for decades.
        assert_eq!(of(Ipv4Addr::LOCALHOST.into(), 1), Owner::Unknown);
    }
}
