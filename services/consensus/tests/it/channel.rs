//! Members ask one another beside the log.

use bytes::Bytes;
use consensus::AskError;
use consensus::testing::wire;
use futures_util::future::join_all;
use tonic::Code;

use crate::caller::{Caller, id_of};
use crate::harness::{Field, PATIENCE};

/// A field whose nodes answer on `echo` with their name, who asked and what.
fn echoing() -> Field {
    let field = Field::formed(3);
    for node in &field.nodes {
        let name = node.cluster().name().to_owned();
        node.cluster().answer("echo", move |from, question| {
            let name = name.clone();
            async move {
                if question == "wrong" {
                    return Err("it is wrong".to_owned());
                }
                let question = String::from_utf8_lossy(&question).into_owned();
                Ok(Bytes::from(format!("{name} to {from}: {question}")))
            }
        });
    }
    field
}

fn ask(
    field: &Field,
    member: &str,
    channel: &str,
    question: impl Into<Bytes>,
) -> Result<Bytes, AskError> {
    let node = &field.nodes[0];
    let asked = node.cluster().ask(member, channel, question.into());
    node.block_on(async { tokio::time::timeout(PATIENCE, asked).await.unwrap() })
}

/// The name of another node than the first, and its place in the field.
fn another(field: &Field) -> (String, usize) {
    let name = field.nodes[0].cluster().others().remove(0);
    let place = field
        .nodes
        .iter()
        .position(|node| node.cluster().name() == name);
    (name, place.unwrap())
}

#[test]
fn every_member_answers_every_other_by_name() {
    let field = echoing();
    let first = field.nodes[0].cluster();
    assert_eq!(first.others().len(), 2);
    for member in first.others() {
        let answer = ask(&field, &member, "echo", "well?").unwrap();
        assert_eq!(answer, format!("{member} to {}: well?", first.name()));
    }
}

#[test]
fn what_cannot_be_answered_is_refused_with_the_reason() {
    let field = echoing();
    let (other, _) = another(&field);
    let refusal = |member: &str, channel: &str, question: Vec<u8>| {
        let asked = ask(&field, member, channel, question);
        asked.unwrap_err().to_string()
    };
    let wrong = refusal(&other, "echo", b"wrong".into());
    assert_eq!(wrong, format!("{other} refused: it is wrong"));
    let unknown = refusal(&other, "silence", b"well?".into());
    assert!(unknown.contains("nobody answers on \"silence\" here"));
    let own = field.nodes[0].cluster().name();
    for nobody in ["n9", own] {
        let refusal = refusal(nobody, "echo", Vec::new());
        assert_eq!(refusal, format!("{nobody} is no member of the cluster"));
    }
    let long = refusal(&other, "echo", vec![b'x'; (1 << 20) + 1]);
    assert!(long.contains("1048577 bytes is too long"), "{long}");
}

#[test]
fn an_answer_at_the_limit_is_taken_and_a_longer_one_is_not() {
    let field = Field::formed(2);
    let (other, place) = another(&field);
    field.nodes[place]
        .cluster()
        .answer("long", |_, question| async move {
            let length: usize = String::from_utf8_lossy(&question).parse().unwrap();
            Ok(Bytes::from(vec![0; length]))
        });
    let most = ask(&field, &other, "long", (1 << 20).to_string()).unwrap();
    assert_eq!(most.len(), 1 << 20);
    let more = ask(&field, &other, "long", ((1 << 20) + 1).to_string());
    assert!(
        matches!(more, Err(AskError::Unreachable { .. })),
        "{more:?}"
    );
}

#[test]
fn whoever_is_no_member_gets_no_answer_though_it_knows_the_secret() {
    let field = echoing();
    let (node, member) = (&field.nodes[0], id_of(&field.nodes[1]));
    let question = |bytes: usize| wire::AskRequest {
        channel: "echo".into(),
        question: vec![b'?'; bytes].into(),
    };
    let answered =
        Caller::member(member, node).call::<_, _, wire::AskResponse>(node, "Ask", question(1));
    assert!(answered.is_ok(), "{answered:?}");
    for (from, bytes, code) in [
        (7, 1, Code::PermissionDenied),
        (member, (1 << 20) + 1, Code::InvalidArgument),
    ] {
        let mut caller = Caller::member(from, node);
        let refused = caller.call::<_, _, wire::AskResponse>(node, "Ask", question(bytes));
        assert_eq!(refused.unwrap_err().code(), code);
    }
}

#[test]
fn whoever_is_asked_keeps_the_limits_whoever_asks() {
    let field = Field::formed(2);
    let (node, member) = (&field.nodes[0], id_of(&field.nodes[1]));
    let pending = |_, _| std::future::pending::<Result<Bytes, String>>();
    node.cluster().answer("silence", pending);
    node.cluster().answer("long", |_, _| async {
        Ok(Bytes::from(vec![0; (1 << 20) + 1]))
    });
    let codes = |channel: &str, times: usize| -> Vec<Code> {
        let question = wire::AskRequest {
            channel: channel.into(),
            question: Bytes::new(),
        };
        let asked = (0..times).map(|_| {
            let (mut caller, question) = (Caller::member(member, node), question.clone());
            async move {
                let address = &node.config.address;
                let asked = caller.ask::<_, wire::AskResponse>(address, "Ask", vec![question]);
                asked
                    .await
                    .map_or_else(|status| status.code(), |_| Code::Ok)
            }
        });
        node.block_on(async {
            tokio::time::timeout(PATIENCE, join_all(asked))
                .await
                .unwrap()
        })
    };
    assert_eq!(codes("long", 1), [Code::Internal]);
    // More than are worked on at a time: they are not queued, and nobody waits longer than others.
    let codes = codes("silence", 128);
    let (late, many): (Vec<Code>, Vec<Code>) = codes
        .into_iter()
        .partition(|code| *code == Code::DeadlineExceeded);
    assert!(!late.is_empty() && !many.is_empty(), "{late:?} {many:?}");
    assert!(
        many.iter().all(|code| *code == Code::ResourceExhausted),
        "{many:?}"
    );
}

#[test]
fn a_member_that_is_down_or_silent_is_given_up() {
    let mut field = echoing();
    let (other, place) = another(&field);
    field.nodes[place].cluster().answer("silence", |_, _| {
        std::future::pending::<Result<Bytes, String>>()
    });
    let silent = ask(&field, &other, "silence", "well?");
    assert!(
        matches!(silent, Err(AskError::Unreachable { .. })),
        "{silent:?}"
    );
    field.nodes[place].crash();
    let down = ask(&field, &other, "echo", "well?");
    assert!(
        matches!(down, Err(AskError::Unreachable { .. })),
        "{down:?}"
    );
}
