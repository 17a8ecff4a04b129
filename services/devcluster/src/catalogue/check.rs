//! What the shape alone cannot say: that the catalogue agrees with itself.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Action, Catalogue, Role, System, Template, VERSION};

/// Placeholders that every node has a value for.
const OF_A_NODE: &[&str] = &[
    "system", "role", "name", "index", "host", "source", "data_dir", "work_dir", "root", "binary",
];

/// Placeholders in two parts: the second names a port.
const OF_A_PORT: &[&str] = &["port", "url", "advertise"];

/// The first contradiction, as a sentence.
pub(super) fn check(catalogue: &Catalogue) -> Result<(), String> {
    if catalogue.version != VERSION {
        return Err(format!(
            "version {} where {VERSION} is read",
            catalogue.version
        ));
    }
    for (name, system) in &catalogue.systems {
        system_agrees(system).map_err(|problem| format!("{name}: {problem}"))?;
    }
    blocks_lie_apart(catalogue)
}

fn system_agrees(system: &System) -> Result<(), String> {
    let ordered: BTreeSet<_> = system.start_order.iter().collect();
    if ordered.len() != system.start_order.len() || !ordered.iter().copied().eq(system.roles.keys())
    {
        return Err("start_order must name every role once".to_owned());
    }
    for (name, role) in &system.roles {
        role_agrees(system, role).map_err(|problem| format!("role {name}: {problem}"))?;
    }
    let replicas: u16 = system.roles.values().map(|role| role.replicas).sum();
    if replicas > system.development.nodes_max {
        return Err(format!("{replicas} replicas exceed nodes_max"));
    }
    sample_agrees(system)
}

fn role_agrees(system: &System, role: &Role) -> Result<(), String> {
    let port_exists = |of: &Role, port: &str, user: &str| {
        of.ports
            .contains_key(port)
            .then_some(())
            .ok_or_else(|| format!("{user} names no port `{port}`"))
    };
    port_exists(role, &role.health.port, "health")?;
    if let Some(metrics) = &role.metrics {
        port_exists(role, &metrics.port, "metrics")?;
    }
    if let Some(peers) = &role.peers {
        for name in &peers.roles {
            let told = system
                .roles
                .get(name)
                .ok_or_else(|| format!("peers name no role `{name}`"))?;
            port_exists(told, &peers.port, "peers")?;
        }
    }
    let mut offsets = BTreeSet::new();
    for (name, port) in &role.ports {
        if port.development_offset >= system.development.port_stride {
            return Err(format!(
                "port {name}: development_offset reaches into the next node"
            ));
        }
        if !offsets.insert(port.development_offset) {
            return Err(format!("port {name}: development_offset is used twice"));
        }
    }
    let known =
        |template: &Template| placeholders_are_known(template, system, role, &BTreeSet::new());
    let prepared = role
        .prepare
        .iter()
        .flat_map(|step| step.command.iter().chain(&step.creates));
    role.args
        .iter()
        .chain([&role.node_name])
        .chain(role.health.command.iter().flatten())
        .chain(role.files.iter().map(|file| &file.to))
        .chain(prepared)
        .try_for_each(known)?;
    let empty = |command: &Vec<Template>| command.is_empty();
    if role.health.command.as_ref().is_some_and(empty)
        || role.prepare.iter().any(|step| empty(&step.command))
    {
        return Err("a command is empty".to_owned());
    }
    for (name, variable) in &role.environment {
        if let Some(value) = &variable.value {
            known(value).map_err(|problem| format!("{name}: {problem}"))?;
        }
    }
    Ok(())
}

fn sample_agrees(system: &System) -> Result<(), String> {
    let role_of = |name: &str| {
        system
            .roles
            .get(name)
            .ok_or_else(|| format!("no role `{name}`"))
    };
    let mut captured = BTreeSet::new();
    for step in &system.development.sample {
        let role = role_of(&step.role)?;
        let templates: Vec<&Template> = match &step.action {
            Action::Run(run) if run.command.is_empty() => {
                return Err(format!(
                    "sample step `{}` has an empty command",
                    step.summary
                ));
            }
            Action::Run(run) => run.command.iter().chain(run.environment.values()).collect(),
            Action::Read(read) => vec![&read.file],
        };
        for template in templates {
            placeholders_are_known(template, system, role, &captured)
                .map_err(|problem| format!("sample step `{}`: {problem}", step.summary))?;
        }
        captured.extend(step.capture.as_deref());
    }
    for example in &system.development.commands {
        placeholders_are_known(&example.command, system, role_of(&example.role)?, &captured)
            .map_err(|problem| format!("command `{}`: {problem}", example.summary))?;
        if example
            .command
            .placeholders()
            .any(|name| name.starts_with("secret."))
        {
            return Err(format!(
                "command `{}` would print a secret",
                example.summary
            ));
        }
    }
    Ok(())
}

fn placeholders_are_known(
    template: &Template,
    system: &System,
    role: &Role,
    captured: &BTreeSet<&str>,
) -> Result<(), String> {
    for name in template.placeholders() {
        let known = match name.split_once('.') {
            None if name == "peers" => role.peers.is_some(),
            None => OF_A_NODE.contains(&name),
            Some(("secret" | "secret_file", secret)) => {
                system.development.secrets.contains_key(secret)
            }
            Some(("captured" | "encoded", result)) => captured.contains(result),
            Some(("nodes", of)) => of.split_once('.').is_some_and(|(role, port)| {
                let role = system.roles.get(role);
                role.is_some_and(|role| role.ports.contains_key(port))
            }),
            Some((kind, port)) => OF_A_PORT.contains(&kind) && role.ports.contains_key(port),
        };
        if !known {
            return Err(format!("unknown placeholder {{{name}}}"));
        }
    }
    Ok(())
}

/// Systems run side by side: their blocks of development ports must not meet.
fn blocks_lie_apart(catalogue: &Catalogue) -> Result<(), String> {
    let mut blocks: Vec<(Range<u32>, &str)> = catalogue
        .systems
        .iter()
        .map(|(name, system)| {
            let dev = &system.development;
            let base = u32::from(dev.port_base);
            (
                base..base + u32::from(dev.port_stride) * u32::from(dev.nodes_max),
                name.as_str(),
            )
        })
        .collect();
    blocks.sort_by_key(|(block, _)| block.start);
    for (block, name) in &blocks {
        if block.end > 65536 {
            return Err(format!("{name}: the development ports end above 65535"));
        }
    }
    for pair in blocks.windows(2) {
        if pair[0].0.end > pair[1].0.start {
            return Err(format!(
                "the development ports of {} and {} meet",
                pair[0].1, pair[1].1
            ));
        }
    }
    Ok(())
}
