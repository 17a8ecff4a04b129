//! Writing what a round of questions found, in one transaction.

use jiff::Timestamp;

use super::{Store, StoreError};

/// What one round found.
#[derive(Clone, Debug)]
pub struct Round {
    /// When it began.
    pub at: Timestamp,
    /// The answer of every node.
    pub samples: Vec<Sample>,
    /// Those that have failed often enough: each has an incident.
    pub down: Vec<Down>,
    /// Those of which nothing is decided: if they have an incident, it stays open. Those of all other
    /// nodes are over, also of nodes that are no longer watched.
    pub undecided: Vec<(String, String)>,
}

/// One answer, or its absence.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The system.
    pub system: String,
    /// The node.
    pub node: String,
    /// Whether it was a good one.
    pub up: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was answered, or why nothing was.
    pub detail: String,
}

/// A node that does not work.
#[derive(Clone, Debug)]
pub struct Down {
    /// The system.
    pub system: String,
    /// The node.
    pub node: String,
    /// The first of its failures in a row.
    pub since: Timestamp,
    /// Why nothing came of the last question.
    pub reason: String,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Single samples, in hours.
    pub sample_hours: u32,
    /// Days and closed incidents, in days.
    pub history_days: u32,
}

/// A sample counts in its day when it is new, so that writing a round twice changes nothing.
const SAMPLES: &str = "
  WITH seen AS (
    INSERT INTO sample (system, node, at, up, seconds, detail)
    SELECT system, node, $6, up, seconds, detail
    FROM unnest($1::text[], $2::text[], $3::boolean[], $4::double precision[], $5::text[])
      AS given (system, node, up, seconds, detail)
    ON CONFLICT DO NOTHING
    RETURNING system, node, at, up, seconds)
  INSERT INTO day (system, node, day, probes, up, seconds)
  SELECT system, node, (at AT TIME ZONE 'UTC')::date, 1, up::integer, seconds FROM seen
  ON CONFLICT (system, node, day) DO UPDATE SET
    probes = day.probes + excluded.probes,
    up = day.up + excluded.up,
    seconds = day.seconds + excluded.seconds";

const OPEN: &str = "
  INSERT INTO incident (system, node, opened_at, reason)
  SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
  ON CONFLICT DO NOTHING";

const CLOSE: &str = "
  UPDATE incident SET closed_at = greatest($3, opened_at)
  WHERE closed_at IS NULL
    AND (system, node) NOT IN (SELECT * FROM unnest($1::text[], $2::text[]))";

impl Store {
    /// Writes a round: its samples, the days they belong to, and the incidents that begin and end.
    ///
    /// # Errors
    /// The database is away or refuses; nothing of the round is written then.
    pub async fn record(&self, round: &Round) -> Result<(), StoreError> {
        self.with(async |client| {
            let wrong = |error: tokio_postgres::Error| {
                self.notice(&error);
                StoreError::from(error)
            };
            let transaction = client.transaction().await.map_err(wrong)?;
            let samples = &round.samples;
            let systems: Vec<&str> = samples.iter().map(|one| one.system.as_str()).collect();
            let nodes: Vec<&str> = samples.iter().map(|one| one.node.as_str()).collect();
            let up: Vec<bool> = samples.iter().map(|one| one.up).collect();
            let seconds: Vec<f64> = samples.iter().map(|one| one.seconds).collect();
            let details: Vec<&str> = samples.iter().map(|one| one.detail.as_str()).collect();
            transaction
                .execute(
                    SAMPLES,
                    &[&systems, &nodes, &up, &seconds, &details, &round.at],
                )
                .await
                .map_err(wrong)?;
            let down = &round.down;
            let (mut systems, mut nodes): (Vec<&str>, Vec<&str>) = down
                .iter()
                .map(|one| (one.system.as_str(), one.node.as_str()))
                .unzip();
            let since: Vec<Timestamp> = down.iter().map(|one| one.since).collect();
            let reasons: Vec<&str> = down.iter().map(|one| one.reason.as_str()).collect();
            transaction
                .execute(OPEN, &[&systems, &nodes, &since, &reasons])
                .await
                .map_err(wrong)?;
            for (system, node) in &round.undecided {
                systems.push(system);
                nodes.push(node);
            }
            transaction
                .execute(CLOSE, &[&systems, &nodes, &round.at])
                .await
                .map_err(wrong)?;
            transaction.commit().await.map_err(wrong)
        })
        .await
    }

    /// Deletes what is older than it is kept. Says how many samples, days and incidents that were.
    ///
    /// # Errors
    /// The database is away or refuses.
    pub async fn retain(&self, keep: Retention, now: Timestamp) -> Result<[u64; 3], StoreError> {
        let (hours, days) = (f64::from(keep.sample_hours), f64::from(keep.history_days));
        self.with(async |client| {
            let samples = "DELETE FROM sample WHERE at < $1::timestamptz - make_interval(secs => $2::double precision * 3600)";
            let old_days = "DELETE FROM day
              WHERE day < (($1::timestamptz - make_interval(secs => $2::double precision * 86400)) AT TIME ZONE 'UTC')::date";
            let incidents =
                "DELETE FROM incident WHERE closed_at < $1::timestamptz - make_interval(secs => $2::double precision * 86400)";
            Ok([
                client.execute(samples, &[&now, &hours]).await?,
                client.execute(old_days, &[&now, &days]).await?,
                client.execute(incidents, &[&now, &days]).await?,
            ])
        })
        .await
    }
}
