//! What runs our binaries in containers says what `infra/catalogue.json` says: the images, the files of
//! compose and the stacks of Swarm. They stay files that a person can read and run as they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{House, Violation};

const CATALOGUE: &str = "infra/catalogue.json";
const IMAGES: &str = "infra/Dockerfile";
/// What our images are called, behind any registry.
const IMAGE_PREFIX: &str = "trivet/";

/// What of the catalogue is compared.
#[derive(Debug, Deserialize)]
struct Catalogue {
    systems: BTreeMap<String, System>,
}

#[derive(Debug, Deserialize)]
struct System {
    roles: BTreeMap<String, Role>,
}

#[derive(Debug, Deserialize)]
struct Role {
    binary: String,
    /// Without one, the binary is none of ours.
    package: Option<String>,
    args: Vec<String>,
    replicas: usize,
    data_dir: String,
    ports: BTreeMap<String, Port>,
    environment: BTreeMap<String, Variable>,
    resources: Resources,
}

#[derive(Debug, Deserialize)]
struct Port {
    number: u16,
}

#[derive(Debug, Deserialize)]
struct Variable {
    alias: Option<String>,
    #[serde(default)]
    secret: bool,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resources {
    cpus: f64,
    memory_mib: u64,
    open_files: u64,
    stop_seconds: u64,
}

impl Role {
    fn numbers(&self) -> BTreeSet<u16> {
        self.ports.values().map(|port| port.number).collect()
    }

    /// The ports as people call them: `api 8080, metrics 9090`.
    fn listed(&self) -> String {
        let one = |(name, port): (&String, &Port)| format!("{name} {}", port.number);
        self.ports.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Whether the binary reads this variable; secrets also from a file.
    fn reads(&self, name: &str) -> bool {
        let file = name.strip_suffix("_FILE");
        self.environment.iter().any(|(known, variable)| {
            let names = [Some(known.as_str()), variable.alias.as_deref()];
            names.contains(&Some(name))
                || (variable.secret && file.is_some() && names.contains(&file))
        })
    }

    /// What a variable must be here, where the catalogue fixes it.
    fn fixed(&self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?.value.as_deref()?;
        if value == "{data_dir}" {
            return Some(self.data_dir.clone());
        }
        let port = value
            .strip_prefix("{port.")
            .or(value.strip_prefix("{host}:{port."))?;
        Some(self.ports.get(port.strip_suffix('}')?)?.number.to_string())
    }
}

/// Images, compose files and stacks agree with the catalogue.
pub fn containers_follow_the_catalogue(house: &House) -> Vec<Violation> {
    let Some(text) = house.tree.text(CATALOGUE) else {
        return Vec::new();
    };
    let catalogue: Catalogue = match serde_json::from_str(text) {
        Ok(catalogue) => catalogue,
        Err(error) => return vec![Violation::new(CATALOGUE, error.line(), error.to_string())],
    };
    let ours: BTreeMap<&str, &Role> = catalogue
        .systems
        .values()
        .flat_map(|system| system.roles.values())
        .filter(|role| role.package.is_some())
        .map(|role| (role.binary.as_str(), role))
        .collect();
    let mut violations = images(house, &ours);
    let mut hosts = Hosts::new();
    for (path, text) in house.tree.files() {
        let name = path.rsplit('/').next().unwrap_or(path);
        let composes = name.starts_with("docker-compose") || name == "stack.yml";
        if composes && name.ends_with(".yml") {
            let folder = path
                .strip_prefix("infra/")
                .and_then(|path| path.split('/').next());
            let system = folder.and_then(|folder| catalogue.systems.get(folder));
            violations.extend(services(path, text, system, &ours, &mut hosts));
        }
    }
    violations.extend(addresses(house, &ours, &hosts));
    violations
}

/// Which binaries a host of containers runs, by its name.
type Hosts<'a> = BTreeMap<String, BTreeSet<&'a str>>;

/// Whatever names a port of one of these hosts names one that there is.
fn addresses(house: &House, ours: &BTreeMap<&str, &Role>, hosts: &Hosts<'_>) -> Vec<Violation> {
    const ENDINGS: [&str; 5] = ["yml", "json", "conf", "template", "alloy"];
    let mut violations = Vec::new();
    for (path, text) in house.tree.files() {
        let ending = path.rsplit('.').next().unwrap_or(path);
        let deploys = path.starts_with("infra/") || path.starts_with("monitoring/");
        // What the tests of rules make up are labels.
        let made_up = path.starts_with("monitoring/prometheus/tests/");
        if !deploys || made_up || path == CATALOGUE || !ENDINGS.contains(&ending) {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            for (host, port) in named_ports(line) {
                let Some(binaries) = hosts.get(host) else {
                    continue;
                };
                if !binaries
                    .iter()
                    .any(|binary| ours[binary].numbers().contains(&port))
                {
                    let roles = binaries.iter().map(|binary| ours[binary].listed());
                    let roles: Vec<String> = roles.collect();
                    let message = format!(
                        "{host}:{port} is none of {}, says {CATALOGUE}",
                        roles.join(", ")
                    );
                    violations.push(Violation::new(path, at + 1, message));
                }
            }
        }
    }
    violations
}

/// All `host:port` of a line.
fn named_ports(line: &str) -> Vec<(&str, u16)> {
    let part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut found = Vec::new();
    for (colon, _) in line.match_indices(':') {
        let (before, after) = (&line[..colon], &line[colon + 1..]);
        let host = &before[before.trim_end_matches(part).len()..];
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if let Ok(port) = after[..digits].parse()
            && !host.is_empty()
        {
            found.push((host, port));
        }
    }
    found
}

/// Each of our binaries has an image that knows its ports, its data and how it is started.
fn images(house: &House, ours: &BTreeMap<&str, &Role>) -> Vec<Violation> {
    let text = house.tree.text(IMAGES).unwrap_or_default();
    let mut violations = Vec::new();
    for (binary, role) in ours {
        let begin = format!("FROM scratch AS {binary}\n");
        let Some((before, stage)) = text.split_once(&begin) else {
            let message = format!("there is no target {binary}: write “{}”", begin.trim_end());
            violations.push(Violation::new(IMAGES, 0, message));
            continue;
        };
        let line = before.lines().count() + 1;
        let stage = stage.split("\nFROM ").next().unwrap_or(stage);
        let ports: Vec<String> = role.numbers().iter().map(u16::to_string).collect();
        let args = serde_json::json!(role.args).to_string();
        for wanted in [
            format!("\nEXPOSE {}\n", ports.join(" ")),
            format!("\nCMD {args}\n"),
            format!("\nENTRYPOINT [\"/usr/bin/{binary}\"]\n"),
            format!(" CMD [\"/usr/bin/{binary}\", \"health\"]\n"),
            format!(" {}\n", role.data_dir),
            "\nUSER 65532:65532\n".to_owned(),
        ] {
            if !stage.contains(&wanted) {
                let message = format!("target {binary}: “{}” is missing", wanted.trim());
                violations.push(Violation::new(IMAGES, line, message));
            }
        }
    }
    violations
}

/// The services of a file of compose or Swarm that run one of our binaries as the catalogue does.
fn services<'a>(
    path: &str,
    text: &str,
    system: Option<&System>,
    ours: &BTreeMap<&'a str, &Role>,
    hosts: &mut Hosts<'a>,
) -> Vec<Violation> {
    let file: Value = match serde_saphyr::from_str(text) {
        Ok(file) => file,
        Err(error) => return vec![Violation::new(path, 0, error.to_string())],
    };
    let mut violations = Vec::new();
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, service) in members(&file["services"]) {
        let line = line_of(text, name);
        let mut found = |wrong: Vec<String>| {
            let told = |wrong| format!("{name}: {wrong}, says {CATALOGUE}");
            let told = wrong.into_iter().map(told);
            violations.extend(told.map(|told| Violation::new(path, line, told)));
        };
        let Some(binary) = image_of(service) else {
            // Somebody else's program, under the name of its role.
            let role = system.and_then(|system| system.roles.get(name));
            role.into_iter()
                .for_each(|role| found(ports(service, role)));
            continue;
        };
        let Some((binary, role)) = ours.get_key_value(binary) else {
            let message = format!("{name}: the catalogue has no binary {binary}");
            violations.push(Violation::new(path, 0, message));
            continue;
        };
        hosts.entry(name.to_owned()).or_default().insert(binary);
        found(differences(service, role));
        if service["command"].is_null() {
            *running.entry(binary).or_default() += 1;
        }
    }
    for (binary, count) in running {
        let wanted = ours[binary].replicas;
        // One stands alone, as a file for one machine does.
        if count != 1 && count != wanted {
            let message = format!("{count} services run {binary}: {wanted}, says {CATALOGUE}");
            violations.push(Violation::new(path, 0, message));
        }
    }
    violations
}

/// The binary whose image a service runs, if it is one of ours.
fn image_of(service: &Value) -> Option<&str> {
    let image = service["image"].as_str()?;
    let (_, name) = image.split_once(IMAGE_PREFIX)?;
    Some(name.split(':').next().unwrap_or(name))
}

/// Ports of a service that lead nowhere.
fn ports(service: &Value, role: &Role) -> Vec<String> {
    let leads = |port: &Value| {
        let number = container_port(port);
        number.is_some_and(|number| role.numbers().contains(&number))
    };
    let ports = elements(&service["ports"]).into_iter();
    let astray = ports.filter(|port| !leads(port));
    let told = |port| format!("port {port} leads to none of {}", role.listed());
    astray.map(told).collect()
}

/// What a service says otherwise than the catalogue.
fn differences(service: &Value, role: &Role) -> Vec<String> {
    let mut wrong = ports(service, role);
    for (variable, value) in members(&service["environment"]) {
        if !role.reads(variable) {
            wrong.push(format!("{} does not read {variable}", role.binary));
        }
        let value = said(value);
        // Behind the address that a port is bound to stands the port.
        let number = value.strip_prefix("0.0.0.0:").unwrap_or(&value);
        if let Some(fixed) = role.fixed(variable).filter(|fixed| fixed != number) {
            wrong.push(format!("{variable} is {value} instead of {fixed}"));
        }
    }
    // A service with a command of its own is none of the processes that the catalogue describes.
    if !service["command"].is_null() {
        return wrong;
    }
    let mounts = elements(&service["volumes"]);
    let at = format!(":{}", role.data_dir);
    if !mounts
        .iter()
        .any(|mount| mount.as_str().is_some_and(|mount| mount.ends_with(&at)))
    {
        wrong.push(format!("no volume is mounted at {}", role.data_dir));
    }
    let (resources, limits) = (&role.resources, &service["deploy"]["resources"]["limits"]);
    for (what, found, wanted) in [
        (
            "deploy.resources.limits.memory",
            &limits["memory"],
            format!("{}M", resources.memory_mib),
        ),
        (
            "deploy.resources.limits.cpus",
            &limits["cpus"],
            format!("{:.1}", resources.cpus),
        ),
        (
            "stop_grace_period",
            &service["stop_grace_period"],
            format!("{}s", resources.stop_seconds),
        ),
        (
            "ulimits.nofile",
            &service["ulimits"]["nofile"],
            resources.open_files.to_string(),
        ),
    ] {
        let found = said(found);
        if found != wanted {
            wrong.push(format!("{what} is {found} instead of {wanted}"));
        }
    }
    wrong
}

/// What a value is where no variable says otherwise.
fn said(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let default = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    match default.and_then(|rest| rest.split_once(":-")) {
        Some((_, default)) => default.to_owned(),
        None => text,
    }
}

/// The port inside the container, of either way to write it.
fn container_port(port: &Value) -> Option<u16> {
    if let Some(target) = port.get("target") {
        return target.as_u64()?.try_into().ok();
    }
    let text = port.as_str()?.split('/').next()?;
    text.rsplit(':').next()?.parse().ok()
}

fn members(value: &Value) -> Vec<(&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

fn elements(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

/// Where a service begins, counted from 1; 0 if it does not say so in the usual way.
fn line_of(text: &str, service: &str) -> usize {
    let begin = format!("  {service}:");
    let found = text.lines().position(|line| line.starts_with(&begin));
    found.map_or(0, |line| line + 1)
}

#[cfg(test)]
mod tests;
