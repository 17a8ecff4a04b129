//! Making the disclosures of a proof file.

use super::super::commitment::Commitments;
use super::super::entry::OpenedEntry;
use super::super::key::EntryKey;
use super::super::{Digest, Error};
use super::{Disclosed, DisclosedSubmitter, Statement};

/// An entry that its keeper has opened, to disclose all or some of it.
#[derive(Clone, Copy, Debug)]
pub struct Disclose<'a> {
    /// The entry's key.
    pub key: &'a EntryKey,
    /// What it opened.
    pub entry: &'a OpenedEntry,
}

impl Disclose<'_> {
    /// Discloses everything, the key included.
    ///
    /// # Errors
    /// [`Error::Refused`] for a document that is not UTF-8, which no JSON is.
    pub fn whole(&self) -> Result<Disclosed, Error> {
        let document = String::from_utf8(self.entry.payload.document.clone())
            .map_err(|_| Error::Refused("a document that is not UTF-8"))?;
        let commitments = Commitments::new(&self.key.derive(), &self.entry.statements)?;
        Ok(Disclosed::Whole {
            key: self.key.expose().to_vec(),
            submitter: self.entry.payload.submitter.clone(),
            document,
            commitments: commitments.digests().to_vec(),
        })
    }

    /// Discloses the statements that `select` picks by their index and text, and the submitter if asked
    /// to. The key stays.
    ///
    /// # Errors
    /// [`Error::Refused`] for an entry that no ledger holds.
    pub fn parts(
        &self,
        submitter: bool,
        select: impl Fn(u32, &str) -> bool,
    ) -> Result<Disclosed, Error> {
        let derived = self.key.derive();
        let commitments = Commitments::new(&derived, &self.entry.statements)?;
        let submitter = submitter.then(|| DisclosedSubmitter {
            name: self.entry.payload.submitter.clone(),
            salt: Digest(derived.submitter_salt()),
        });
        let statements = (0..)
            .zip(&self.entry.statements)
            .filter(|(index, statement)| select(*index, statement))
            .map(|(index, statement)| {
                let disclosed = commitments.disclose(&derived, index, statement)?;
                Ok(Statement {
                    index,
                    statement: disclosed.statement,
                    salt: Digest(disclosed.salt),
                    path: disclosed.path,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Disclosed::Parts {
            submitter,
            statements,
        })
    }
}
