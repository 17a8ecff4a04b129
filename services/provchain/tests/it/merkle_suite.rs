//! The vectors of transparency-dev/merkle (`testdata/`): happy paths and their mutations.

use std::path::{Path, PathBuf};

use provchain::ledger::merkle::{
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
use provchain::ledger::{Digest, Error};
use serde_json::Value;

type Check = fn(&Vector) -> Result<(), Error>;

/// One file of the suite.
struct Vector(Value);

impl Vector {
    fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap()
    }

    fn hash(&self, name: &str) -> Result<Digest, Error> {
        Digest::from_base64(self.0[name].as_str().unwrap_or_default())
    }

    /// A root. Some vectors have a few words in its place, to be compared and nothing else: their
    /// hash stands in for them.
    fn root(&self, name: &str) -> Digest {
        let text = self.0[name].as_str().unwrap_or_default();
        Digest::from_base64(text).unwrap_or_else(|_| Digest::of(&[text.as_bytes()]))
    }

    fn proof(&self) -> Result<Vec<Digest>, Error> {
        let hashes = self.0["proof"].as_array().into_iter().flatten();
        hashes
            .map(|hash| Digest::from_base64(hash.as_str().unwrap()))
            .collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn run(folder: &str, expected: usize, check: Check) {
    let Some(suite) = std::env::var_os("MERKLE_SUITE").map(PathBuf::from) else {
        println!("NOT RUN: {folder} of transparency-dev/merkle; set MERKLE_SUITE to a checkout");
        return;
    };
    let files = files(&suite.join("testdata").join(folder));
    for file in &files {
        let vector = Vector(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
        let refused = vector.0["wantErr"].as_bool().unwrap();
        let result = check(&vector);
        assert_eq!(result.is_err(), refused, "{}: {result:?}", file.display());
    }
    assert!(
        files.len() >= expected,
        "{} of {expected} files in {folder}",
        files.len()
    );
    println!("merkle {folder}: {} of {}", files.len(), files.len());
}

#[test]
fn inclusion_vectors() {
    run("inclusion", 98, |v| {
        let (index, size) = (v.number("leafIdx"), v.number("treeSize"));
        verify_inclusion(
            index,
            size,
            &v.hash("leafHash")?,
            &v.proof()?,
            &v.root("root"),
        )
    });
}

#[test]
fn consistency_vectors() {
    run("consistency", 98, |v| {
        let (size1, size2) = (v.number("size1"), v.number("size2"));
        verify_consistency(
            size1,
            size2,
            &v.proof()?,
            &v.root("root1"),
            &v.root("root2"),
        )
    });
}

#[test]
fn subtree_inclusion_vectors() {
    run("subtreeinclusion", 204, |v| {
        let (index, start, end) = (v.number("leafIdx"), v.number("start"), v.number("end"));
        let (leaf, root) = (v.hash("leafHash")?, v.root("root"));
        verify_subtree_inclusion(index, start, end, &leaf, &v.proof()?, &root)
    });
}

#[test]
fn subtree_consistency_vectors() {
    run("subtreeconsistency", 118, |v| {
        let (start, end, size) = (v.number("start"), v.number("end"), v.number("size"));
        let (subroot, root) = (v.root("root1"), v.root("root2"));
        verify_subtree_consistency(start, end, size, &v.proof()?, &subroot, &root)
    });
}
