//! The catalogue: every fact about the systems that more than one tool needs, stated once.
//!
//! `infra/catalogue.json` is read natively by Nix, Terraform, Ansible, jq and this crate. The types
//! here are its definition: reading refuses unknown fields, and `infra/catalogue.schema.json` is
//! generated from them (`devcluster schema`).

mod check;
mod template;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Result, at};
pub use template::{Template, Values};

/// The version of the catalogue's shape that this crate reads.
pub const VERSION: u32 = 1;

/// Everything in `infra/catalogue.json`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Where the schema lies, relative to the catalogue, for editors.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// The version of this shape: 1.
    pub version: u32,
    /// The systems by name.
    pub systems: BTreeMap<String, System>,
}

/// One clustered system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// What it is, in a line.
    pub summary: String,
    /// Its kinds of processes by name.
    pub roles: BTreeMap<String, Role>,
    /// All roles, in the order in which they are started; they are stopped in reverse.
    pub start_order: Vec<String>,
    /// How it runs on a developer's machine.
    pub development: Development,
}

/// One kind of process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What it does, in a line.
    pub summary: String,
    /// The name of its executable.
    pub binary: String,
    /// The Cargo package that builds the executable; absent when it is looked for on the `PATH`.
    pub package: Option<String>,
    /// The arguments that start it.
    pub args: Vec<Template>,
    /// How many there are unless somebody asks for another number.
    pub replicas: u16,
    /// The name of the n-th of them, such as `node{index}`.
    pub node_name: Template,
    /// The system user that it runs as where it is installed.
    pub user: String,
    /// Where it keeps its data where it is installed.
    pub data_dir: PathBuf,
    /// The ports that it listens on, by name.
    pub ports: BTreeMap<String, Port>,
    /// Whom a new node is told of; absent when it is told of nobody.
    pub peers: Option<Peers>,
    /// Where its health is asked.
    pub health: Health,
    /// Where its metrics are scraped; absent when it has none.
    pub metrics: Option<Endpoint>,
    /// What asks it to end in good order.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// Whether it is several processes, which then are killed and paused together.
    #[serde(default)]
    pub forks: bool,
    /// Whether it refuses to run as root: started by root, it runs as `user`, or as nobody where
    /// there is no such user.
    #[serde(default)]
    pub refuses_root: bool,
    /// Configuration that is rendered before it is started.
    #[serde(default)]
    pub files: Vec<Rendered>,
    /// What is done before it is started.
    #[serde(default)]
    pub prepare: Vec<Preparation>,
    /// The environment variables that it reads, by name.
    pub environment: BTreeMap<String, Variable>,
    /// What it may use where limits are enforced.
    pub resources: Resources,
}

/// A port that a role listens on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What is spoken there, in a line.
    pub summary: String,
    /// The standard number, used wherever nodes do not share an address.
    pub number: u16,
    /// What a client writes before `://`.
    pub scheme: String,
    /// Who has to reach it: what a firewall opens.
    pub open_to: Vec<Audience>,
    /// Its place among the development ports of a node; below the system's `port_stride`.
    pub development_offset: u16,
}

/// Who has to reach a port.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Users of the system.
    Clients,
    /// The other nodes.
    Peers,
    /// Prometheus.
    Monitoring,
}

/// Whom a new node is told of: the value of `{peers}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The roles that are listed.
    pub roles: Vec<String>,
    /// The port at which they are listed.
    pub port: String,
    /// Which of their nodes are listed.
    pub which: Which,
    /// How each is written, with `%` for its host:port, and a space between them; by default there
    /// is nothing but host:port, and a comma between them.
    pub written: Option<String>,
}

/// What asks a process to end in good order.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
pub enum StopSignal {
    /// What everything else is asked with.
    #[default]
    #[serde(rename = "SIGTERM")]
    Term,
    /// PostgreSQL's fast shutdown.
    #[serde(rename = "SIGINT")]
    Int,
    /// The graceful one of nginx.
    #[serde(rename = "SIGQUIT")]
    Quit,
}

/// A configuration file for a program that reads no environment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// The template, relative to the repository. `${NAME}` in it stands for a variable of the
    /// role's environment, as for `envsubst`.
    pub template: PathBuf,
    /// The file that is written.
    pub to: Template,
}

/// What is done before a node is started, with the role's environment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// What it does, to be read after "cannot": `make the database`.
    pub summary: String,
    /// The program and its arguments.
    pub command: Vec<Template>,
    /// What it makes: when that is there, the command is left out.
    pub creates: Option<Template>,
}

/// Which nodes a new node is told of.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Those before it: the first gets an explicitly empty list and forms the cluster.
    Earlier,
    /// All of them, itself included: they form the cluster together.
    All,
}

/// An HTTP path on one of the role's ports.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The port's name.
    pub port: String,
    /// The path, with its leading slash.
    pub path: String,
}

/// Where the health of a role is asked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The port's name.
    pub port: String,
    /// The path of the summary; absent when an accepted connection is all there is to ask for.
    pub path: Option<String>,
    /// The path that answers 200 when the node can take work; absent when `path` says that too.
    pub ready: Option<String>,
    /// The path that answers 200 as long as the process is worth keeping.
    pub live: Option<String>,
    /// The program that asks, and its arguments, where neither a path nor a connection tells.
    pub command: Option<Vec<Template>>,
}

/// An environment variable that a role reads.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it sets, with its unit.
    pub summary: String,
    /// Another name for the same setting.
    pub alias: Option<String>,
    /// Whether its value must never be shown; such a variable may also be given as a file, under
    /// its name with `_FILE` at the end.
    #[serde(default)]
    pub secret: bool,
    /// What a node started by `devcluster` gets; absent when the role's default serves. A variable
    /// whose template names something that the node does not have (`{source}` without proxies) is
    /// left unset.
    pub value: Option<Template>,
}

/// Limits where they are enforced: containers, units, clouds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Processors.
    pub cpus: f64,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Open file descriptors.
    pub open_files: u32,
    /// Seconds between the polite request to stop and the kill.
    pub stop_seconds: u32,
}

/// How a system runs on a developer's machine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Development {
    /// The first development port of the system.
    pub port_base: u16,
    /// How far the ports of one node lie from those of the next.
    pub port_stride: u16,
    /// How many nodes, of all roles together, the block of ports has room for.
    pub nodes_max: u16,
    /// Secrets that are generated once and kept, by name: the number of random bytes, written as
    /// hexadecimal digits. Systems that name the same secret share it.
    #[serde(default)]
    pub secrets: BTreeMap<String, usize>,
    /// Folders where programs are looked for beside the `PATH`; `*` stands for any part of a name,
    /// and the last in order comes first.
    #[serde(default)]
    pub path: Vec<String>,
    /// Variables that nodes inherit from the shell that starts them.
    #[serde(default)]
    pub inherit: Vec<String>,
    /// The steps that load sample data once the system is healthy.
    #[serde(default)]
    pub sample: Vec<Step>,
    /// Commands to try, printed once everything is there.
    #[serde(default)]
    pub commands: Vec<Example>,
}

/// A step that loads sample data. Placeholders are those of the first node of `role`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it does, to be read after "cannot": `write 200 events`.
    pub summary: String,
    /// The role whose first node the placeholders speak of.
    pub role: String,
    /// What is done.
    pub action: Action,
    /// The name under which later steps and commands find the result, as `{captured.<name>}`, or
    /// percent-encoded as `{encoded.<name>}`.
    pub capture: Option<String>,
}

/// What a step does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs a command; its result is what it prints.
    Run(Command),
    /// Reads a value out of a JSON file; its result is the value.
    Read(Pointer),
}

/// A command of a step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, a binary of the system or one on the `PATH`, and its arguments. An argument
    /// with a `*` in its last component stands for the files that match, in order.
    pub command: Vec<Template>,
    /// Environment variables for this command.
    #[serde(default)]
    pub environment: BTreeMap<String, Template>,
}

/// A value in a JSON file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// The file.
    pub file: Template,
    /// The JSON pointer (RFC 6901) to a string or number in it.
    pub pointer: String,
}

/// A command for a person to try. Placeholders are those of the first node of `role`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What one sees.
    pub summary: String,
    /// The role whose first node the placeholders speak of.
    pub role: String,
    /// A line for a POSIX shell, without secrets.
    pub command: Template,
}

impl Catalogue {
    /// The file's place in the repository.
    pub const PATH: &'static str = "infra/catalogue.json";

    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// The file cannot be read, has another shape, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(at("read", path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Checks the text of a catalogue; `origin` names it in errors.
    ///
    /// # Errors
    /// The text has another shape, or contradicts itself.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let catalogue: Self =
            serde_json::from_str(text).map_err(|source| Error::CatalogueShape {
                origin: origin.to_owned(),
                source,
            })?;
        check::check(&catalogue).map_err(|problem| Error::CatalogueContent {
            origin: origin.to_owned(),
            problem,
        })?;
        Ok(catalogue)
    }

    /// The system of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn system(&self, name: &str) -> Result<&System> {
        self.systems.get(name).ok_or_else(|| Error::UnknownSystem {
            system: name.to_owned(),
            known: self.systems.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// The JSON Schema of the catalogue.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl System {
    /// The roles in the order in which they are started.
    pub fn roles_in_order(&self) -> impl DoubleEndedIterator<Item = (&str, &Role)> {
        self.start_order
            .iter()
            .map(|name| (name.as_str(), &self.roles[name]))
    }
}
