//! Where in a JSON document something is, built without allocating until it is written.

use std::fmt;

/// A position in a JSON value: a chain of steps back to the root, kept on the stack of the walk.
///
/// It prints as a JSON pointer (RFC 6901).
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    step: Step<'a>,
    parent: Option<&'a At<'a>>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// The whole document; its pointer is the empty string.
    pub const ROOT: At<'static> = At {
        step: Step::Root,
        parent: None,
    };

    /// The member `key` of the object here.
    pub fn key(&'a self, key: &'a str) -> At<'a> {
        At {
            step: Step::Key(key),
            parent: Some(self),
        }
    }

    /// The element `index` of the array here.
    pub fn index(&'a self, index: usize) -> At<'a> {
        At {
            step: Step::Index(index),
            parent: Some(self),
        }
    }

    /// The name of the nearest member on the way to the root; empty at the root.
    pub fn field(&self) -> &str {
        match (self.step, self.parent) {
            (Step::Key(key), _) => key,
            (_, Some(parent)) => parent.field(),
            (_, None) => "",
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Index(index) => write!(f, "/{index}"),
            Step::Key(key) if key.contains(['~', '/']) => {
                write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Step::Key(key) => write!(f, "/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn a_position_prints_as_a_json_pointer() {
        let body = At::ROOT.key("epcisBody");
        let list = body.key("eventList");
        let event = list.index(3);
        let extension = event.key("http://a.example/x~y");
        assert_eq!(At::ROOT.to_string(), "");
        assert_eq!(
            extension.to_string(),
            "/epcisBody/eventList/3/http:~1~1a.example~1x~0y"
        );
    }

    #[test]
    fn the_field_of_an_element_is_its_list() {
        let list = At::ROOT.key("epcList");
        assert_eq!(list.index(7).field(), "epcList");
    }
}
