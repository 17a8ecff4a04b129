//! RDF Dataset Canonicalization, RDFC-1.0 (W3C Recommendation, 21 May 2024), with bounded work.
//!
//! The steps are numbered as in sections 4.4 to 4.8 of the recommendation. Its cost is
//! exponential for datasets made to be so ("poison graphs"), so every unit of work beyond the
//! first pass is counted against a budget and the dataset is refused when that is spent.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::Digest;

use super::dataset::{Dataset, Quad};
use super::{Limits, RdfError};

/// A dataset in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// The canonical N-Quads lines with their line feeds, in code point order.
    pub lines: Vec<String>,
    /// The number behind `c14n` for each blank node, by the number that it had before.
    pub issued: Vec<u32>,
}

/// Canonicalises `dataset`, which must have no statement twice, with the hash function `D` (the
/// recommendation's default is SHA-256).
///
/// # Errors
/// [`RdfError::TooManyStatements`], [`RdfError::TooManyBlankNodes`], and [`RdfError::Poison`]
/// when telling the blank nodes apart would take more than `limits.steps_max` steps.
pub fn canonicalise<D: Digest>(dataset: &Dataset, limits: &Limits) -> Result<Canonical, RdfError> {
    if dataset.quads().len() > limits.statements_max {
        return Err(RdfError::TooManyStatements(limits.statements_max));
    }
    if dataset.blank_nodes() as usize > limits.blank_nodes_max {
        return Err(RdfError::TooManyBlankNodes(limits.blank_nodes_max));
    }
    let mut state = State::<D>::new(dataset, limits);
    state.issue_all()?;
    let issued: Vec<u32> = state
        .canonical
        .into_iter()
        .map(|number| number.unwrap_or_default())
        .collect();
    let mut lines: Vec<String> = dataset
        .quads()
        .iter()
        .map(|quad| {
            let mut line = String::with_capacity(160);
            dataset.write_line(&mut line, quad, |line, node| {
                push_label(line, "c14n", issued[node as usize]);
            });
            line
        })
        .collect();
    lines.sort_unstable();
    Ok(Canonical { lines, issued })
}

/// Identifiers given to blank nodes while exploring; the position is the number behind `b`.
#[derive(Clone, Default)]
struct Issuer(Vec<u32>);

impl Issuer {
    fn get(&self, node: u32) -> Option<u32> {
        let position = self.0.iter().position(|&other| other == node)?;
        u32::try_from(position).ok()
    }

    fn issue(&mut self, node: u32) -> u32 {
        self.get(node).unwrap_or_else(|| {
            self.0.push(node);
            u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// The canonicalization state (section 4.3).
struct State<'a, D> {
    dataset: &'a Dataset,
    /// Blank node to quads map, by index.
    quads: Vec<Vec<u32>>,
    /// The first degree hash of each blank node, in hexadecimal.
    first_degree: Vec<String>,
    canonical: Vec<Option<u32>>,
    canonical_next: u32,
    steps_left: u64,
    depth_max: usize,
    digest: std::marker::PhantomData<D>,
}

impl<'a, D: Digest> State<'a, D> {
    fn new(dataset: &'a Dataset, limits: &Limits) -> Self {
        let count = dataset.blank_nodes() as usize;
        let mut quads = vec![Vec::new(); count];
        for (index, quad) in (0u32..).zip(dataset.quads()) {
            for (_, node) in quad.blank_nodes() {
                let list: &mut Vec<u32> = &mut quads[node as usize];
                if list.last() != Some(&index) {
                    list.push(index);
                }
            }
        }
        Self {
            dataset,
            quads,
            first_degree: Vec::with_capacity(count),
            canonical: vec![None; count],
            canonical_next: 0,
            steps_left: limits.steps_max,
            depth_max: limits.depth_max,
            digest: std::marker::PhantomData,
        }
    }

    /// Steps 3 to 5 of section 4.4.3.
    fn issue_all(&mut self) -> Result<(), RdfError> {
        let mut by_hash: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for node in 0..self.dataset.blank_nodes() {
            let hash = self.hash_first_degree(node);
            by_hash.entry(hash.clone()).or_default().push(node);
            self.first_degree.push(hash);
        }
        by_hash.retain(|_, nodes| match nodes[..] {
            [only] => {
                self.issue(only);
                false
            }
            _ => true,
        });
        for nodes in by_hash.into_values() {
            let mut paths: Vec<(String, Issuer)> = Vec::new();
            for node in nodes {
                if self.canonical[node as usize].is_none() {
                    let mut issuer = Issuer::default();
                    issuer.issue(node);
                    paths.push(self.hash_n_degree(node, issuer, 0)?);
                }
            }
            paths.sort_by(|a, b| a.0.cmp(&b.0));
            for (_, issuer) in paths {
                for node in issuer.0 {
                    self.issue(node);
                }
            }
        }
        Ok(())
    }

    fn issue(&mut self, node: u32) {
        let slot = &mut self.canonical[node as usize];
        if slot.is_none() {
            *slot = Some(self.canonical_next);
            self.canonical_next += 1;
        }
    }

    fn quads_of(&self, node: u32) -> impl Iterator<Item = &'a Quad> + use<'_, 'a, D> {
        let dataset = self.dataset;
        self.quads[node as usize]
            .iter()
            .map(move |&index| &dataset.quads()[index as usize])
    }

    /// Hash First Degree Quads (section 4.6).
    fn hash_first_degree(&self, node: u32) -> String {
        let mut text = String::with_capacity(1024);
        let mut lines = Vec::with_capacity(16);
        for quad in self.quads_of(node) {
            let start = text.len();
            self.dataset.write_line(&mut text, quad, |line, other| {
                line.push(if other == node { 'a' } else { 'z' });
            });
            lines.push(start..text.len());
        }
        lines.sort_unstable_by(|a, b| text[a.clone()].cmp(&text[b.clone()]));
        let mut digest = D::new();
        for line in lines {
            digest.update(&text[line]);
        }
        hexadecimal(digest)
    }

    /// Hash Related Blank Node (section 4.7).
    fn hash_related(&self, related: u32, quad: &Quad, issuer: &Issuer, position: &str) -> String {
        let mut digest = D::new();
        digest.update(position);
        if position != "g" {
            digest.update(self.dataset.text(quad.predicate));
        }
        match self.label(related, issuer) {
            Some(label) => digest.update(label),
            None => digest.update(&self.first_degree[related as usize]),
        }
        hexadecimal(digest)
    }

    /// The identifier of `node` with its `_:`: the canonical one, else the issuer's.
    fn label(&self, node: u32, issuer: &Issuer) -> Option<String> {
        let mut label = String::from("_:");
        if let Some(number) = self.canonical[node as usize] {
            push_label(&mut label, "c14n", number);
        } else {
            push_label(&mut label, "b", issuer.get(node)?);
        }
        Some(label)
    }

    /// Hash N-Degree Quads (section 4.8). `depth` is the number of calls on the stack.
    fn hash_n_degree(
        &mut self,
        node: u32,
        mut issuer: Issuer,
        depth: usize,
    ) -> Result<(String, Issuer), RdfError> {
        if depth > self.depth_max {
            return Err(RdfError::Poison);
        }
        self.charge(1 + self.quads[node as usize].len() + issuer.0.len())?;
        let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for quad in self.quads_of(node) {
            for (position, related) in quad.blank_nodes() {
                if related != node {
                    let hash = self.hash_related(related, quad, &issuer, position);
                    groups.entry(hash).or_default().push(related);
                }
            }
        }
        let mut digest = D::new();
        for (hash, mut nodes) in groups {
            digest.update(&hash);
            let mut chosen: Option<(String, Issuer)> = None;
            nodes.sort_unstable();
            loop {
                let best = chosen.as_ref().map(|(path, _)| path.as_str());
                if let Some(found) = self.path(&nodes, &issuer, best, depth)? {
                    chosen = Some(found);
                }
                if !next_permutation(&mut nodes) {
                    break;
                }
            }
            let (path, chosen_issuer) = chosen.expect("the first permutation is always taken");
            digest.update(path);
            issuer = chosen_issuer;
        }
        Ok((hexadecimal(digest), issuer))
    }

    /// The path of one permutation of related nodes (steps 5.4.1 to 5.4.6 of section 4.8), or
    /// nothing if it cannot be less than `best`.
    fn path(
        &mut self,
        nodes: &[u32],
        issuer: &Issuer,
        best: Option<&str>,
        depth: usize,
    ) -> Result<Option<(String, Issuer)>, RdfError> {
        self.charge(nodes.len() + issuer.0.len())?;
        let worse = |path: &str| best.is_some_and(|best| path.len() >= best.len() && path > best);
        let mut issuer = issuer.clone();
        let mut path = String::new();
        let mut recursion = Vec::new();
        for &related in nodes {
            path.push_str("_:");
            if let Some(number) = self.canonical[related as usize] {
                push_label(&mut path, "c14n", number);
            } else {
                if issuer.get(related).is_none() {
                    recursion.push(related);
                }
                push_label(&mut path, "b", issuer.issue(related));
            }
            if worse(&path) {
                return Ok(None);
            }
        }
        for related in recursion {
            let (hash, explored) = self.hash_n_degree(related, issuer.clone(), depth + 1)?;
            path.push_str("_:");
            push_label(&mut path, "b", issuer.issue(related));
            path.push('<');
            path.push_str(&hash);
            path.push('>');
            issuer = explored;
            if worse(&path) {
                return Ok(None);
            }
        }
        Ok(best
            .is_none_or(|best| path.as_str() < best)
            .then_some((path, issuer)))
    }

    fn charge(&mut self, steps: usize) -> Result<(), RdfError> {
        self.steps_left = self
            .steps_left
            .checked_sub(steps as u64)
            .ok_or(RdfError::Poison)?;
        Ok(())
    }
}

fn push_label(text: &mut String, prefix: &str, number: u32) {
    write!(text, "{prefix}{number}").expect("writing to a string cannot fail");
}

fn hexadecimal<D: Digest>(digest: D) -> String {
    hex::encode(digest.finalize())
}

/// Rearranges `nodes` into the next greater arrangement; false after the last one.
fn next_permutation(nodes: &mut [u32]) -> bool {
    let Some(pivot) = nodes.windows(2).rposition(|pair| pair[0] < pair[1]) else {
        return false;
    };
    let successor = nodes
        .iter()
        .rposition(|&node| node > nodes[pivot])
        .expect("the element behind the pivot is greater");
    nodes.swap(pivot, successor);
    nodes[pivot + 1..].reverse();
    true
}

#[cfg(test)]
mod tests {
    use super::next_permutation;

    #[test]
    fn every_arrangement_comes_once() {
        let mut nodes = [1, 2, 3, 4];
        let mut seen = std::collections::BTreeSet::from([nodes]);
        while next_permutation(&mut nodes) {
            assert!(seen.insert(nodes), "{nodes:?} came twice");
        }
        assert_eq!(seen.len(), 24);
    }
}
