//! The one error type of the library.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// What went wrong, with what, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or removed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was being done: `read`, `write`, `remove`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The catalogue is not valid JSON, or not of the shape that the schema states.
    #[error("{origin} is not a valid catalogue: {source}")]
    CatalogueShape {
        /// The file, or what stands for it.
        origin: String,
        /// Line, column and reason.
        source: serde_json::Error,
    },

    /// The catalogue has the right shape, but contradicts itself.
    #[error("{origin} contradicts itself: {problem}")]
    CatalogueContent {
        /// The file, or what stands for it.
        origin: String,
        /// Which system, which role, what is wrong.
        problem: String,
    },

    /// No folder above the starting one holds `infra/catalogue.json`.
    #[error(
        "no infra/catalogue.json in {} or any folder above it; run this inside the repository",
        start.display()
    )]
    NoRepository {
        /// The folder where the search began.
        start: PathBuf,
    },

    /// The catalogue does not know the system.
    #[error("there is no system `{system}` in the catalogue; it knows {known}")]
    UnknownSystem {
        /// The name asked for.
        system: String,
        /// The names there are, separated by commas.
        known: String,
    },

    /// The system has no such role.
    #[error("{system} has no role `{role}`")]
    UnknownRole {
        /// The system.
        system: String,
        /// The role asked for.
        role: String,
    },

    /// The cluster has no such node.
    #[error("there is no node `{node}` in {system}; it has {known}")]
    UnknownNode {
        /// The system.
        system: String,
        /// The node asked for.
        node: String,
        /// The names there are, separated by commas.
        known: String,
    },

    /// Two nodes would have one name.
    #[error("{system} already has a node `{node}`")]
    DuplicateNode {
        /// The system.
        system: String,
        /// The name asked for.
        node: String,
    },

    /// The node's role has no such port.
    #[error("{node} has no port `{port}`")]
    UnknownPort {
        /// The node.
        node: String,
        /// The port asked for.
        port: String,
    },

    /// A binary is neither given, nor built here, nor on the `PATH`.
    #[error("there is no binary `{binary}`: {reason}")]
    NoBinary {
        /// Its name in the catalogue.
        binary: String,
        /// Where it was looked for.
        reason: String,
    },

    /// `cargo build` failed; it has already said why on the standard error.
    #[error("cargo build --bin {binary} failed ({status}); its messages are above")]
    Build {
        /// The executable.
        binary: String,
        /// How cargo ended.
        status: ExitStatus,
    },

    /// A program could not be started at all.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },

    /// A signal could not be sent.
    #[error("cannot signal {node} (pid {pid}): {source}")]
    Signal {
        /// The node.
        node: String,
        /// Its process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },

    /// Somebody listens where a node has to.
    #[error(
        "port {port} on {host}, the {name} port of {node}, is taken by {owner}; stop that, or \
         choose other ports with --port-base"
    )]
    PortTaken {
        /// The address that the node would listen on.
        host: String,
        /// The port's number.
        port: u16,
        /// The port's name in the catalogue.
        name: String,
        /// The node that needs it.
        node: String,
        /// Process and command, as far as this user may see them.
        owner: String,
    },

    /// No free port was found, or the port base leaves no room for the nodes.
    #[error("no ports for {node}: {reason}")]
    NoPorts {
        /// The node that needs them.
        node: String,
        /// Why.
        reason: String,
    },

    /// The node runs, but what was asked needs it stopped, or the other way round.
    #[error("{node} is {state}; {needed}")]
    WrongState {
        /// The node.
        node: String,
        /// `running` or `not running`.
        state: &'static str,
        /// What has to be done first.
        needed: &'static str,
    },

    /// A node ended while it was waited for.
    #[error("{node} ended ({how}) before it was {awaited}; the last lines of its log:\n{log}")]
    Died {
        /// The node.
        node: String,
        /// `healthy` or `ready`.
        awaited: &'static str,
        /// Its exit status, where it is known.
        how: String,
        /// The tail of its log, indented.
        log: String,
    },

    /// A node did not become healthy or ready in time.
    #[error("{node} is not {awaited} after {waited:?} ({last}); the last lines of its log:\n{log}")]
    NotYet {
        /// The node.
        node: String,
        /// `healthy` or `ready`.
        awaited: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// The last answer, or why there was none.
        last: String,
        /// The tail of its log, indented.
        log: String,
    },

    /// Nobody, or more than one node, is the leader after the whole patience.
    #[error("{system} has no single leader after {waited:?}: {views}")]
    NoLeader {
        /// The system.
        system: String,
        /// How long it was waited for.
        waited: Duration,
        /// Each node's view.
        views: String,
    },

    /// A node's health could not be asked, or its answer not be understood.
    #[error("{url} gave no health: {reason}")]
    Probe {
        /// What was asked.
        url: String,
        /// Why there is no answer.
        reason: String,
    },

    /// Faults on the wire were asked of a cluster that has no proxies.
    #[error("{system} was started without proxies; build it with through_proxies(true)")]
    NoProxies {
        /// The system.
        system: String,
    },

    /// Proxies were asked of a role that has no setting for the address it dials from.
    #[error(
        "{role} of {system} names no variable with the value {{source}} in the catalogue, so a \
         proxy could not tell who calls"
    )]
    NoSourceAddress {
        /// The system.
        system: String,
        /// The role.
        role: String,
    },

    /// The proxies could not be started.
    #[error("cannot start the proxy at {address}: {source}")]
    Proxy {
        /// Where it should listen.
        address: String,
        /// What the system said.
        source: io::Error,
    },

    /// The recorded state cannot be used.
    #[error("{} cannot be used: {reason}; `make clean` removes it", path.display())]
    State {
        /// The state file.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// What has to be done before a node is started failed.
    #[error("{node}: cannot {says}: `{program}` {how}\n{output}")]
    Prepare {
        /// The node.
        node: String,
        /// What the step is for.
        says: String,
        /// The program.
        program: String,
        /// How it ended.
        how: String,
        /// The tail of what it wrote, indented.
        output: String,
    },

    /// A template of a configuration file names a variable that has no value.
    #[error("{} needs ${{{variable}}}, which has no value for {node}", template.display())]
    Template {
        /// The template.
        template: PathBuf,
        /// The variable.
        variable: String,
        /// The node.
        node: String,
    },

    /// A step that loads the sample data failed.
    #[error("cannot {says}: `{command}` {how}\n{output}")]
    Sample {
        /// What the step is for.
        says: String,
        /// The command, without its values.
        command: String,
        /// How it ended.
        how: String,
        /// The tail of what it wrote, indented.
        output: String,
    },
}

/// What every fallible call of the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names the file in an I/O error: `fs::read(path).map_err(at("read", path))`.
pub(crate) fn at(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::File {
        action,
        path,
        source,
    }
}
