//! The power goes while a node that was away is sent the state, and puts it in the place of its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::disk::{RESTS, Rest};
use super::process::{Process, Start};
use super::trace::{self, Change, Event};
use super::{Cut, Trial, now, without_syncs};
use crate::harness::{PATIENCE, pause};

/// An addition without which the node could not have been acknowledged: when, to what sum, and by
/// which entry.
type Acknowledged = (f64, i64, u64);

struct Recording {
    events: Vec<Event>,
    /// The events from the first write of what came to the first ones after it was in place.
    installation: std::ops::RangeInclusive<usize>,
    acknowledged: Vec<Acknowledged>,
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        pause();
    }
}

fn add(process: &Process) -> Option<(i64, u64)> {
    process.operation(0, &json!({"add": 1}))
}

/// Whether all three vote, as this node knows it.
fn settled(process: &Process) -> bool {
    process.status().is_some_and(|status| {
        let voters = status.members.iter().filter(|member| member.voter);
        voters.count() == 3 && !status.changing
    })
}

/// What the third of three nodes writes that misses what is gone from the others' logs.
fn record(folder: &Path) -> Recording {
    let data: Vec<PathBuf> = ["n1", "n2", "n3"]
        .iter()
        .map(|name| folder.join(name))
        .collect();
    std::fs::create_dir(&data[2]).unwrap();
    let first = Start::of("n1", &data[0]);
    let peers = first.address.clone();
    let joining = |name, data| Start {
        peers: peers.clone(),
        ..Start::of(name, data)
    };
    let mut n1 = Process::start(&first);
    n1.ready().unwrap();
    let mut n2 = Some(Process::start(&joining("n2", &data[1])));
    n2.as_mut().unwrap().ready().unwrap();
    // More than one part of what is sent.
    for name in ["x", "y"] {
        let added = n1.operation_on(&name.repeat(700_000), &json!({"add": 1}));
        assert!(added.is_some());
    }

    let mut text = String::new();
    let mut acknowledged = Vec::new();
    let third = joining("n3", &data[2]);
    for life in 0..3 {
        let trace = folder.join(format!("trace-{life}"));
        let mut n3 = Process::start(&Start {
            trace: Some(&trace),
            ..third.clone()
        });
        n3.ready().unwrap();
        until("all three vote", || settled(&n3));
        // Two of three are left, so that nothing is acknowledged without it.
        n2 = None;
        for turn in 0..30 {
            until("an addition", || {
                let added = add(&n1);
                acknowledged.extend(added.map(|(sum, entry)| (now(), sum, entry)));
                added.is_some()
            });
            if turn % 10 == 0 {
                pause();
            }
        }
        let reached = n3.status().unwrap().last_index;
        n3.kill_traced();
        text.push_str(&std::fs::read_to_string(trace).unwrap());
        if life == 0 {
            let again = n2.insert(Process::start(&joining("n2", &data[1])));
            again.ready().unwrap();
            until("its last entry is gone from the logs", || {
                add(&n1);
                let begins = |process: &Process| process.status().map(|status| status.first_index);
                let mut others = [Some(&n1), n2.as_ref()].into_iter().flatten();
                others.all(|process| begins(process) > Some(reached + 10))
            });
        }
    }
    let events = trace::parse(&text, &data[2]);
    let state = |path: &Path, name: &str| path.to_string_lossy().starts_with(name);
    let begins = events.iter().rposition(
        |event| matches!(&event.change, Change::Create(path) if state(path, "state/incoming-")),
    );
    let begins = begins.expect("it was sent the state");
    let replaced = events[begins..].iter().position(
        |event| matches!(&event.change, Change::Remove(path) if state(path, "state/state-")),
    );
    let ends = begins + replaced.expect("the old state is removed") + 15;
    Recording {
        installation: begins..=ends.min(events.len()),
        events,
        acknowledged,
    }
}

impl Recording {
    /// Starts the node, alone, from what its disk held at that moment; `Err` with what is wrong then.
    fn check(&self, moment: f64, image: &Path) -> Result<(), String> {
        let mut process = Process::start(&Start {
            // Nobody is there: it is to have it all by itself.
            peers: "127.0.0.1:1".into(),
            ..Start::of("n3", image)
        });
        process.speaks()?;
        let status = process.status().expect("it speaks");
        let promised = self.acknowledged.iter();
        let promised = promised.take_while(|(at, ..)| *at < moment).last();
        if let Some((_, _, entry)) = promised
            && status.last_index < *entry
        {
            let last = status.last_index;
            return Err(format!(
                "its log ends with {last}, it had acknowledged {entry}"
            ));
        }
        let Some((sum, _)) = process.operation(0, &json!("get_unchecked")) else {
            return Err("its state cannot be read".into());
        };
        let applied = self
            .acknowledged
            .iter()
            .rfind(|(_, _, entry)| *entry <= status.applied_index);
        if let Some((_, least, _)) = applied
            && sum < *least
        {
            let at = status.applied_index;
            return Err(format!("the sum at {at} is {sum}, and was {least}"));
        }
        Ok(())
    }
}

/// Every point of an installation, each with `rests` of the fates of what was not synced.
fn cut(rests: usize) {
    let trial = Trial::new();
    let recording = record(trial.folder.path());
    let (events, installation) = (&recording.events, &recording.installation);
    println!(
        "{} events, the installation {installation:?}, {} acknowledged",
        events.len(),
        recording.acknowledged.len()
    );
    assert!(recording.acknowledged.len() >= 90);
    // Neighbours have different fates, and all fates turn up.
    let cuts: Vec<Cut> = installation
        .clone()
        .flat_map(|point| {
            let rest = move |turn| RESTS[(point * rests + turn) % RESTS.len()];
            (0..rests).map(move |turn| Cut::after(events, point, rest(turn)))
        })
        .collect();
    let check = |moment: f64, image: &Path| recording.check(moment, image);
    trial.cut(events, &cuts, check);

    // The control: the same look where what came in was not synced before it took its place.
    let lying = without_syncs(&events[..*installation.end()], 0, "state/incoming-");
    let end = Cut::after(&lying, lying.len(), Rest::Dropped);
    let found = trial.problem(&lying, end, check);
    assert!(found.is_some(), "a lost state was not missed");
}

#[test]
fn a_power_cut_at_any_write_of_an_installation_leaves_what_the_node_acknowledged() {
    cut(2);
}

mod soak {
    #[test]
    fn a_power_cut_at_any_write_of_any_installation_leaves_what_the_node_acknowledged() {
        for _ in 0..10 {
            super::cut(super::RESTS.len());
        }
    }
}
