//! Text with placeholders: `{advertise.api}` and the like.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// What placeholders stand for, by name without the braces.
pub type Values = BTreeMap<String, String>;

/// Text with placeholders in braces; `{{` and `}}` stand for single braces. The names are listed in
/// the crate's README.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

impl Template {
    /// The placeholders in it, without the braces.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name.as_str()),
        })
    }

    /// The text with all placeholders replaced.
    ///
    /// # Errors
    /// The name of the first placeholder that `values` lacks.
    pub fn render(&self, values: &Values) -> Result<String, String> {
        self.0
            .iter()
            .try_fold(String::new(), |rendered, piece| match piece {
                Piece::Text(text) => Ok(rendered + text),
                Piece::Placeholder(name) => values
                    .get(name)
                    .map(|value| rendered + value)
                    .ok_or_else(|| name.clone()),
            })
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(escaped) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = escaped;
                continue;
            }
            let end = after.find('}').filter(|_| brace == "{");
            let end =
                end.ok_or_else(|| format!("a lone `{brace}` in `{text}` (write it twice)"))?;
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Placeholder(after[..end].to_owned()));
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::try_from(text.to_owned()).expect("a valid template")
    }

    fn values() -> Values {
        [("name", "node2"), ("port.api", "18090")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn placeholders_are_replaced_and_the_rest_is_kept() {
        assert_eq!(
            template("http://{name}:{port.api}/x").render(&values()),
            Ok("http://node2:18090/x".to_owned())
        );
        assert_eq!(template("").render(&values()), Ok(String::new()));
    }

    #[test]
    fn doubled_braces_are_single_braces() {
        assert_eq!(
            template(r#"{{"a":"{name}"}}"#).render(&values()),
            Ok(r#"{"a":"node2"}"#.to_owned())
        );
    }

    #[test]
    fn a_missing_value_is_named() {
        assert_eq!(
            template("x{source}").render(&values()),
            Err("source".to_owned())
        );
    }

    #[test]
    fn lone_braces_are_refused() {
        for text in ["{name", "name}", "a } b {name}"] {
            assert!(Template::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
