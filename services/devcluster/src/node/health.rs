//! Asking a node how it is, and waiting for it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Node;
use crate::catalogue::Template;
use crate::error::{Error, Result};
use crate::health::{ANSWER_TIMEOUT, Answer, Health};
use crate::log;

/// How often a node is asked again while it is waited for.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// How many lines of a log go into an error.
const LOG_LINES: usize = 20;

/// What is waited for.
#[derive(Clone, Copy)]
enum Awaited {
    Healthy,
    Ready,
}

impl Node {
    /// What it says about its health now.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn health(&self) -> Result<Answer> {
        self.ask(self.catalogue().health.path.as_deref()).await
    }

    /// Whether it can take work now.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn readiness(&self) -> Result<Answer> {
        let health = &self.catalogue().health;
        self.ask(health.ready.as_deref().or(health.path.as_deref()))
            .await
    }

    /// Waits until its health is well.
    ///
    /// # Errors
    /// It ends before, or is not well within the cluster's patience; both with its last lines.
    pub async fn wait_healthy(&self) -> Result<Answer> {
        self.wait(Awaited::Healthy).await
    }

    /// Waits until it can take work.
    ///
    /// # Errors
    /// As those of [`wait_healthy`](Self::wait_healthy).
    pub async fn wait_ready(&self) -> Result<Answer> {
        self.wait(Awaited::Ready).await
    }

    async fn wait(&self, awaited: Awaited) -> Result<Answer> {
        let (word, begun) = (awaited.word(), Instant::now());
        loop {
            let answer = match awaited {
                Awaited::Healthy => self.health().await,
                Awaited::Ready => self.readiness().await,
            };
            if let Ok(answer) = &answer
                && answer.well
            {
                return Ok(answer.clone());
            }
            let node = self.plan.name.clone();
            if !self.is_running() {
                return Err(Error::Died {
                    node,
                    awaited: word,
                    how: self.ending(),
                    log: self.last_lines()?,
                });
            }
            if begun.elapsed() >= self.patience {
                return Err(Error::NotYet {
                    node,
                    awaited: word,
                    waited: self.patience,
                    last: answer.map_or_else(|error| error.to_string(), |answer| answer.text),
                    log: self.last_lines()?,
                });
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    async fn ask(&self, path: Option<&str>) -> Result<Answer> {
        let health = &self.catalogue().health;
        if let Some(command) = &health.command {
            return self.ask_with(command).await;
        }
        let port = &health.port;
        match path {
            Some(path) => {
                self.prober
                    .ask(&format!("http://{}{path}", self.address(port)?))
                    .await
            }
            None => self.prober.connect(&self.address(port)?).await,
        }
    }

    /// For roles that a program of theirs is asked about.
    async fn ask_with(&self, command: &[Template]) -> Result<Answer> {
        let values = self.shared.values(&self.plan);
        let words = command
            .iter()
            .map(|word| self.shared.render(word, &values, "health"))
            .collect::<Result<Vec<_>>>()?;
        let failed = |reason: String| Error::Probe {
            url: words.join(" "),
            reason,
        };
        let mut program = tokio::process::Command::new(self.shared.program(&words[0])?);
        program
            .args(&words[1..])
            .env_clear()
            .envs(self.shared.inherited())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(ANSWER_TIMEOUT, program.output()).await {
            Ok(output) => output.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed("no answer within the time".to_owned())),
        };
        Ok(Answer {
            well: output.status.success(),
            health: Health::default(),
            text: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        })
    }

    /// How its last process ended, in words.
    fn ending(&self) -> String {
        match self.lock().as_ref().map(|process| process.exit_status()) {
            Some(Some(status)) => status.to_string(),
            Some(None) => "nobody knows how".to_owned(),
            None => "it was never started".to_owned(),
        }
    }

    fn last_lines(&self) -> Result<String> {
        Ok(log::indented(&log::tail(&self.log_path(), LOG_LINES)?))
    }
}

impl Awaited {
    fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ready => "ready",
        }
    }
}
