//! Which part of an answer a client wants: `perPage` and `nextPageToken`.

use super::QueryError;

/// How much of an answer comes at a time, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Most things on a page.
    pub size: usize,
    /// Where the page begins: the token of the page before.
    pub token: Option<String>,
}

impl Paging {
    /// What a page has if the client does not say.
    pub const SIZE: usize = 30;
    /// What a page has at most, whatever the client says.
    pub const SIZE_MAX: usize = 1000;

    /// Takes the two parameters out of `parameters`.
    ///
    /// # Errors
    /// A page of no things, and what is no number.
    pub fn take(parameters: &mut Vec<(String, String)>) -> Result<Self, QueryError> {
        let mut paging = Self {
            size: Self::SIZE,
            token: None,
        };
        for (name, value) in parameters.extract_if(.., |(name, _)| {
            matches!(name.as_str(), "perPage" | "nextPageToken")
        }) {
            if name == "nextPageToken" {
                paging.token = Some(value);
                continue;
            }
            match value.parse::<u64>() {
                Ok(size) if size > 0 => {
                    let size = usize::try_from(size).unwrap_or(Self::SIZE_MAX);
                    paging.size = size.min(Self::SIZE_MAX);
                }
                _ => {
                    let reason = format!("{value:?} is not a number from 1 on");
                    return Err(QueryError::Parameter { name, reason });
                }
            }
        }
        Ok(paging)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_large_as_is_asked_up_to_a_bound() {
        let take = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let mut parameters: Vec<_> = owned.collect();
            Paging::take(&mut parameters).map(|paging| (paging, parameters))
        };
        let (paging, rest) = take(&[
            ("EQ_action", "ADD"),
            ("perPage", "7"),
            ("nextPageToken", "t"),
        ])
        .unwrap();
        assert_eq!((paging.size, paging.token.as_deref()), (7, Some("t")));
        assert_eq!(rest, [("EQ_action".to_owned(), "ADD".to_owned())]);
        assert_eq!(take(&[]).unwrap().0.size, Paging::SIZE);
        assert_eq!(
            take(&[("perPage", "99999999999")]).unwrap().0.size,
            Paging::SIZE_MAX
        );
        for wrong in ["0", "-1", "many", ""] {
            assert!(take(&[("perPage", wrong)]).is_err(), "{wrong}");
        }
    }
}
