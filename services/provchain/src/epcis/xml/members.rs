//! The members of an object while it is made of attributes and elements.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Where a member with a prefix comes from. In XML an attribute and an element, or an element in a
/// namespace and one in none, are different things even where JSON-LD gives them one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Attribute,
    Element,
    AttributeWithoutNamespace,
    ElementWithoutNamespace,
}

impl Origin {
    pub fn without_namespace(self, without: bool) -> Self {
        match self {
            Self::Attribute if without => Self::AttributeWithoutNamespace,
            Self::Element if without => Self::ElementWithoutNamespace,
            other => other,
        }
    }
}

#[derive(Default)]
pub struct Members {
    members: Map<String, Value>,
    origins: HashMap<String, Origin>,
}

impl Members {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn into_value(self) -> Value {
        self.members.into()
    }

    /// Adds a member that there may be one of; false if it is there.
    pub fn once(&mut self, key: &str, value: Value) -> bool {
        let is_new = !self.members.contains_key(key);
        if is_new {
            self.members.insert(key.to_owned(), value);
        }
        is_new
    }

    /// Adds an item to an array.
    pub fn append(&mut self, key: &str, value: Value) {
        match self.members.get_mut(key) {
            Some(Value::Array(items)) => items.push(value),
            _ => {
                self.members.insert(key.to_owned(), vec![value].into());
            }
        }
    }

    /// Adds a member with a prefix; what is repeated becomes an array.
    ///
    /// # Errors
    /// Why it is not a repetition.
    pub fn add(&mut self, key: String, value: Value, origin: Origin) -> Result<(), String> {
        let Some(present) = self.members.get_mut(&key) else {
            self.origins.insert(key.clone(), origin);
            self.members.insert(key, value);
            return Ok(());
        };
        let known = self.origins.get(&key);
        if known != Some(&origin) {
            return Err(format!(
                "an attribute and an element, or one with and one without a namespace, would both be \
                 {key} in JSON-LD: rename one"
            ));
        }
        match present {
            Value::Array(items) => items.push(value),
            single => *single = vec![single.take(), value].into(),
        }
        Ok(())
    }
}
