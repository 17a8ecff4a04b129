//! The power goes while nodes vote: nobody votes twice.

use std::path::{Path, PathBuf};

use consensus::ClusterCommand;
use consensus::testing::wire;
use rand::RngExt as _;
use serde_json::json;

use super::disk::{Disk, RESTS, Rest};
use super::process::{Process, Start};
use super::trace::{self, Event};
use super::{Cut, Trial, now, without_syncs};
use crate::caller::Caller;
use crate::harness::{SECRET, pause};
use crate::hostile::{log_id, vote};

/// A vote that somebody was told of: when it was asked for and when told, its term, and for whom.
/// Votes are ordered by term and candidate, and a node's only rise.
type Told = (f64, f64, u64, u64);

struct Recording {
    events: Vec<Event>,
    votes: Vec<Told>,
    /// The cluster's id, and the node's.
    who: (String, u64),
}

/// Asks for a vote as the candidate of that id; whether it was given, or what keeps the node from
/// answering.
fn ask(process: &Process, who: &(String, u64), term: u64, candidate: u64) -> Result<bool, String> {
    let mut caller = Caller {
        secret: SECRET.into(),
        network: "histories".into(),
        system: "register".into(),
        cluster: who.0.clone(),
        from: candidate,
        to: who.1,
        signs: true,
        tls: None,
        challenge: String::new(),
        boot: format!("{:032x}", rand::random::<u128>()),
        count: 0,
    };
    let request = wire::VoteRequest {
        vote: Some(vote(term, candidate, false)),
        // Ahead of any log of an earlier term.
        last: Some(log_id(term - 1, u64::MAX, 1 << 40)),
        // Whoever leads is no reason to refuse.
        leadership_transfer: true,
        pre_vote: false,
    };
    let asked = caller.ask::<_, wire::VoteResponse>(process.address(), "Vote", vec![request]);
    let answers = process.runtime.block_on(asked);
    let answers = answers.map_err(|status| status.to_string())?;
    Ok(answers[0].granted)
}

/// Two lives of a node that is asked for its vote again and again, and leads in between.
fn record(folder: &Path) -> Recording {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    let (mut text, mut votes, mut who) = (String::new(), Vec::new(), None);
    for life in 0..2 {
        let trace = folder.join(format!("trace-{life}"));
        let mut process = Process::start(&Start {
            trace: Some(&trace),
            ..Start::of("n1", &data)
        });
        for _ in 0..5 {
            process.ready().unwrap();
            process.operation(0, &json!({"add": 1}));
            let status = process.status().unwrap();
            let id = u64::from_str_radix(&status.id, 16).unwrap();
            let who = who.get_or_insert((status.cluster.clone(), id));
            for _ in 0..2 {
                let term = process.status().unwrap().term + 1;
                let candidate = rand::random_range(1_000..1 << 62);
                // The second in the same term is of a higher order, and may have it.
                for candidate in [candidate, candidate + 10] {
                    let begun = now();
                    if ask(&process, who, term, candidate).unwrap() {
                        votes.push((begun, now(), term, candidate));
                    }
                }
            }
        }
        process.kill_traced();
        text.push_str(&std::fs::read_to_string(trace).unwrap());
    }
    Recording {
        events: trace::parse(&text, &data),
        votes,
        who: who.unwrap(),
    }
}

impl Recording {
    /// Starts the node from what its disk held at that moment; `Err` with what is wrong then.
    fn check(&self, moment: f64, image: &Path) -> Result<(), String> {
        // It is not to stand for election itself, which would hide what it has forgotten.
        let mut start = Start::of("n1", image);
        start.settings["election_timeout_ms_min"] = json!(3_600_000);
        start.settings["election_timeout_ms_max"] = json!(7_200_000);
        let mut process = Process::start(&start);
        process.speaks()?;
        let given = self.votes.iter().filter(|(_, told, ..)| *told < moment);
        if let Some((_, _, term, candidate)) = given.max_by_key(|(_, _, term, node)| (*term, *node))
        {
            if ask(&process, &self.who, *term, candidate - 1)? {
                return Err(format!("it votes in term {term} a second time"));
            }
            if !ask(&process, &self.who, term + 1_000, 1)? {
                return Err("it votes for nobody".into());
            }
        }
        Ok(())
    }
}

/// Cuts the power at `points` moments at which the node was being asked, with every fate of what was
/// not synced.
fn cut(points: usize) {
    let trial = Trial::new();
    let recording = record(trial.folder.path());
    let (events, votes) = (&recording.events, &recording.votes);
    println!("{} events, {} votes", events.len(), votes.len());
    assert!(votes.len() >= 10);
    // Up to the event after the answer, before which it has to be there.
    let asked: Vec<usize> = (1..=events.len())
        .filter(|point| {
            let (before, at) = (events[point.saturating_sub(2)].at, events[point - 1].at);
            votes
                .iter()
                .any(|(begun, told, ..)| *begun < at && before < *told)
        })
        .collect();
    let mut random = trial.random();
    // And right behind every vote that somebody was told of.
    let told = votes.iter().map(|(_, told, ..)| Cut {
        point: events.partition_point(|event| event.at <= *told),
        moment: told.next_up(),
        rest: Rest::Dropped,
    });
    let cuts: Vec<Cut> = (0..points)
        .flat_map(|_| {
            let point = asked[random.random_range(0..asked.len())];
            RESTS.map(|rest| Cut::after(events, point, rest))
        })
        .chain(told)
        .collect();
    let check = |moment: f64, image: &Path| recording.check(moment, image);
    trial.cut(events, &cuts, check);

    // The control: the same look at a disk that has stopped to sync the log half way.
    let lying = without_syncs(events, events.len() / 2, "log.db");
    let end = Cut::after(&lying, lying.len(), Rest::Dropped);
    let found = trial.problem(&lying, end, check);
    assert!(found.is_some(), "a second vote was not noticed");
}

#[test]
fn a_node_never_votes_twice_whatever_its_disk_holds_after_a_power_cut() {
    cut(8);
}

/// Three nodes whose writes are all recorded, and the additions that were acknowledged: when, and to
/// what sum.
struct Together {
    events: Vec<Vec<Event>>,
    acknowledged: Vec<(f64, i64)>,
    /// Within these times leadership moved, for which all of them voted.
    elections: Vec<(f64, f64)>,
}

const NAMES: [&str; 3] = ["n1", "n2", "n3"];

fn record_together(folder: &Path, starts: &[Start<'_>]) -> Together {
    let traces: Vec<_> = NAMES
        .iter()
        .map(|name| folder.join(format!("trace-{name}")))
        .collect();
    let mut nodes = Vec::new();
    for (start, trace) in starts.iter().zip(&traces) {
        std::fs::create_dir(start.data).unwrap();
        let mut node = Process::start(&Start {
            trace: Some(trace),
            ..start.clone()
        });
        node.ready().unwrap();
        nodes.push(node);
    }
    let (mut acknowledged, mut elections) = (Vec::new(), Vec::new());
    for turn in 0..6 {
        let node = &nodes[turn % nodes.len()];
        let begun = now();
        // It may lead already, or be too far behind.
        drop(node.command(ClusterCommand::Transfer {
            name: Some(NAMES[turn % nodes.len()].to_owned()),
        }));
        let mut additions = 0;
        while additions < 10 {
            match node.operation(0, &json!({"add": 1})) {
                Some((sum, _)) => {
                    acknowledged.push((now(), sum));
                    additions += 1;
                }
                None => pause(),
            }
        }
        elections.push((begun, now()));
    }
    for node in nodes {
        node.kill_traced();
    }
    let events = starts.iter().zip(&traces).map(|(start, trace)| {
        let text = std::fs::read_to_string(trace).unwrap();
        trace::parse(&text, start.data)
    });
    Together {
        events: events.collect(),
        acknowledged,
        elections,
    }
}

impl Together {
    /// Starts all of them from what their disks held at that moment; `Err` with what is wrong then.
    fn check(&self, moment: f64, starts: &[Start<'_>], images: &[PathBuf]) -> Result<(), String> {
        let again = starts.iter().zip(images).map(|(start, image)| {
            Process::start(&Start {
                data: image,
                ..start.clone()
            })
        });
        let mut nodes: Vec<Process> = again.collect();
        let promised = self.acknowledged.iter();
        let promised = promised.take_while(|(at, _)| *at < moment).last();
        let least = promised.map_or(0, |(_, sum)| *sum);
        for node in &mut nodes {
            node.ready()?;
            let sum = node.operation(0, &json!("get")).map(|(sum, _)| sum);
            if sum.is_none_or(|sum| sum < least) {
                return Err(format!("the sum is {sum:?}, {least} was acknowledged"));
            }
        }
        Ok(())
    }
}

/// Cuts the power of three nodes at once, at `moments` while leadership moves.
fn cut_together(moments: usize) {
    let trial = Trial::new();
    let folder = trial.folder.path();
    let data = NAMES.map(|name| folder.join(name));
    let mut starts: Vec<Start<'_>> = Vec::new();
    for (name, data) in NAMES.into_iter().zip(&data) {
        let peers: Vec<_> = starts.iter().map(|start| start.address.clone()).collect();
        let mut start = Start {
            peers: peers.join(","),
            ..Start::of(name, data)
        };
        start.settings["election_timeout_ms_min"] = json!(400);
        start.settings["election_timeout_ms_max"] = json!(800);
        starts.push(start);
    }
    let recording = record_together(folder, &starts);
    let mut random = trial.random();
    let mut cut = |name: &str, events: &[Vec<Event>], moment: f64, rests: [Rest; 3]| {
        let disks = events.iter().zip(rests).enumerate();
        let images = disks.map(|(at, (events, rest))| {
            let image = folder.join(format!("image-{name}-{at}"));
            let point = events.partition_point(|event| event.at <= moment);
            Disk::after(&events[..point]).after_power_loss(rest, &mut random, &image);
            image
        });
        let images: Vec<_> = images.collect();
        recording.check(moment, &starts, &images)
    };
    let mut random = trial.random();
    for turn in 0..moments {
        let (begun, ended) = recording.elections[random.random_range(0..recording.elections.len())];
        let moment = random.random_range(begun..ended);
        let rests = NAMES.map(|_| RESTS[random.random_range(0..RESTS.len())]);
        let found = cut(&turn.to_string(), &recording.events, moment, rests);
        assert_eq!(found, Ok(()), "at {moment}");
    }

    // The control: the same look at disks that have stopped to sync the log half way.
    let events = recording.events.iter();
    let lying: Vec<_> = events
        .map(|events| without_syncs(events, events.len() / 2, "log.db"))
        .collect();
    let found = cut("control", &lying, f64::INFINITY, [Rest::Dropped; 3]);
    assert!(found.is_err(), "lost writes were not missed");
}

#[test]
fn a_power_cut_of_all_nodes_while_they_vote_loses_no_acknowledged_write() {
    cut_together(4);
}

mod soak {
    #[test]
    fn a_node_never_votes_twice_whatever_its_disk_holds_after_any_of_many_power_cuts() {
        super::cut(300);
    }

    #[test]
    fn many_power_cuts_of_all_nodes_while_they_vote_lose_no_acknowledged_write() {
        for _ in 0..10 {
            super::cut_together(20);
        }
    }
}
