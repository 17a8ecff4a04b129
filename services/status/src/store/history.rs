//! Reading the history.

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Store, StoreError};
use crate::report::{Day, History, Incident, Note};

/// How many incidents and notes are shown at most: the newest.
const INCIDENTS_MAX: i64 = 100;
const NOTES_MAX: i64 = 20;

const DAYS: &str = "
  SELECT system, day, sum(probes)::bigint, sum(up)::bigint FROM day
  WHERE day > $1::date - $2::integer GROUP BY system, day ORDER BY system, day";

const INCIDENTS: &str = "
  SELECT id, system, node, opened_at, closed_at, reason FROM incident
  WHERE closed_at IS NULL OR closed_at > $1::timestamptz - make_interval(secs => $2::double precision * 86400)
  ORDER BY closed_at IS NOT NULL, opened_at DESC, id DESC LIMIT $3";

const NOTES: &str = "
  SELECT incident, at, author, text FROM (
    SELECT *, row_number() OVER (PARTITION BY incident ORDER BY id DESC) AS newest
    FROM note WHERE incident = ANY($1)) AS ranked
  WHERE newest <= $2 ORDER BY id";

impl Store {
    /// The last days of every system, and the incidents in them with their notes.
    ///
    /// # Errors
    /// The database is away or refuses.
    pub async fn history(&self, now: Timestamp, days: u32) -> Result<History, StoreError> {
        self.with(async |client| {
            let read = async {
                let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
                let count = i32::try_from(days).unwrap_or(i32::MAX);
                let rows = client.query(DAYS, &[&today, &count]).await?;
                let mut history = History::default();
                for row in rows {
                    let day: Date = row.get(1);
                    let of_system = history.days.entry(row.get(0)).or_default();
                    of_system.push(Day {
                        day: day.to_string(),
                        probes: row.get(2),
                        up: row.get(3),
                    });
                }
                let rows = client
                    .query(INCIDENTS, &[&now, &f64::from(days), &INCIDENTS_MAX])
                    .await?;
                history.incidents = rows
                    .iter()
                    .map(|row| Incident {
                        id: row.get(0),
                        system: row.get(1),
                        node: row.get(2),
                        opened_at: row.get(3),
                        closed_at: row.get(4),
                        reason: row.get(5),
                        notes: Vec::new(),
                    })
                    .collect();
                let ids: Vec<i64> = history.incidents.iter().map(|one| one.id).collect();
                for row in client.query(NOTES, &[&ids, &NOTES_MAX]).await? {
                    let id: i64 = row.get(0);
                    let about = history.incidents.iter_mut().find(|one| one.id == id);
                    if let Some(incident) = about {
                        incident.notes.push(Note {
                            at: row.get(1),
                            author: row.get(2),
                            text: row.get(3),
                        });
                    }
                }
                Ok(history)
            };
            read.await.map_err(|error: tokio_postgres::Error| {
                self.notice(&error);
                error.into()
            })
        })
        .await
    }
}
