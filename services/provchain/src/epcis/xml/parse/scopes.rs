//! What names stand for: namespaces, where they are declared and where they hold.

use std::rc::Rc;

use super::super::characters::is_name;
use super::super::tree::{Name, Namespace, Scope, Space};
use super::{Outcome, Parser};
use crate::epcis::issue::Rule;

/// The namespaces of EPCIS: documents, queries and master data (EPCIS 1.0 to 2.0).
const STANDARD: [&str; 6] = [
    "urn:epcglobal:epcis:xsd:1",
    "urn:epcglobal:epcis:xsd:2",
    "urn:epcglobal:epcis-query:xsd:1",
    "urn:epcglobal:epcis-query:xsd:2",
    "urn:epcglobal:epcis-masterdata:xsd:1",
    "urn:epcglobal:epcis-masterdata:xsd:2",
];
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// What the prefixes `xml` and `xmlns` stand for in every document.
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

impl Parser<'_> {
    /// What `xmlns:prefix="uri"` declares.
    pub(super) fn binding(&self, prefix: &str, uri: &str) -> Outcome<(Rc<str>, Rc<str>)> {
        let allowed = match prefix {
            "" => uri != XML && uri != XMLNS,
            "xml" => uri == XML,
            "xmlns" => false,
            prefix => is_name(prefix) && !uri.is_empty() && uri != XML && uri != XMLNS,
        };
        if allowed {
            return Ok((prefix.into(), uri.into()));
        }
        let message =
            format!("{uri:?} cannot be declared as a namespace with the prefix {prefix:?}");
        Err(self.refuse(Rule::Xml, prefix, message))
    }

    /// The scope of an element called `name` that declares `bindings`.
    pub(super) fn scope(
        &self,
        bindings: Vec<(Rc<str>, Rc<str>)>,
        name: &str,
    ) -> Outcome<Rc<Scope>> {
        let outer = self.open.last().map(|parent| Rc::clone(&parent.scope));
        if bindings.is_empty()
            && let Some(outer) = outer
        {
            return Ok(outer);
        }
        let count = bindings.len() + outer.as_ref().map_or(0, |outer| outer.count);
        if count > self.limits.namespaces_max {
            let message = format!(
                "more than {} namespaces are declared here and around",
                self.limits.namespaces_max
            );
            return Err(self.refuse(Rule::Limit, name, message));
        }
        Ok(Rc::new(Scope {
            bindings,
            count,
            outer,
        }))
    }

    /// What a name as it is written stands for; without a prefix, an element's is in the default
    /// namespace and an attribute's in none.
    pub(super) fn name(&mut self, written: &str, scope: &Scope, is_element: bool) -> Outcome<Name> {
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        if !is_name(local) || (local.len() < written.len() && !is_name(prefix)) {
            return Err(self.ill_formed(&format!("{written:?} is not a name")));
        }
        let uri: Rc<str> = match prefix {
            "" if !is_element => "".into(),
            "xml" => XML.into(),
            prefix => match scope.lookup(prefix) {
                Some(uri) => Rc::clone(uri),
                None if prefix.is_empty() => "".into(),
                None => {
                    let message = format!("the prefix of {written} is not declared");
                    return Err(self.refuse(Rule::Xml, written, message));
                }
            },
        };
        let space = match &*uri {
            "" => Space::Standard,
            SCHEMA_INSTANCE => Space::Schema,
            uri if STANDARD.contains(&uri) => Space::Standard,
            _ => Space::Other(self.namespace(&uri, prefix, written)?),
        };
        if self.root_namespace.is_none() {
            self.root_namespace = Some(uri);
        }
        Ok(Name {
            space,
            local: local.into(),
        })
    }

    /// The place of a namespace that is not the standard's.
    fn namespace(&mut self, uri: &Rc<str>, prefix: &str, written: &str) -> Outcome<usize> {
        if let Some(place) = self.known.get(uri) {
            return Ok(*place);
        }
        let place = self.namespaces.len();
        if place >= self.limits.namespaces_max {
            let message = format!("more than {} namespaces", self.limits.namespaces_max);
            return Err(self.refuse(Rule::Limit, written, message));
        }
        self.known.insert(Rc::clone(uri), place);
        self.namespaces.push(Namespace {
            uri: Rc::clone(uri),
            prefix: prefix.into(),
        });
        Ok(place)
    }
}
