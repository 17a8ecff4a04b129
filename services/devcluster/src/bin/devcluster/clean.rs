//! `devcluster clean`.

use std::fs;
use std::io::ErrorKind;

use anyhow::Context;
use devcluster::{Error, Signal, orphans};

use crate::{down, session};

pub async fn run() -> anyhow::Result<()> {
    let workspace = session::workspace()?;
    let dir = workspace.dev_dir();
    let Some(_lock) = session::lock_if_there(&workspace)? else {
        println!("There is nothing to remove.");
        return Ok(());
    };
    match session::recorded(&workspace, None) {
        Ok(recorded) => {
            for opened in recorded {
                down::stop(&opened.cluster).await?;
            }
        }
        // Removing it is what this command is for.
        Err(error @ Error::State { .. }) => eprintln!("{error}"),
        Err(error) => return Err(error.into()),
    }
    let left = orphans(&dir);
    for process in &left {
        process
            .signal(Signal::KILL)
            .context("cannot end a process that nothing recorded")?;
        process.ended().await;
    }
    match left.len() {
        0 => {}
        1 => println!("Ended 1 process that nothing recorded."),
        count => println!("Ended {count} processes that nothing recorded."),
    }
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => {
            println!("Removed {}.", dir.display());
            Ok(())
        }
    }
}
