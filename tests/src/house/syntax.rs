//! Rust source as a flat list of tokens. Comments and the insides of strings are not tokens, and
//! the insides of macro calls are, which is exactly what the rules want to see.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One token: an identifier, a literal, a delimiter, a punctuation mark or `::`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Counted from 1.
    pub(super) line: usize,
}

/// Splits a source file; `None` when it is not Rust.
pub(super) fn tokens(source: &str) -> Option<Vec<Token>> {
    let stream: TokenStream = source.parse().ok()?;
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    Some(flat)
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        let text = match &tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                flat.push(Token::new(open, line));
                flatten(group.stream(), flat);
                flat.push(Token::new(close, group.span_close().start().line));
                continue;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint => {
                match trees
                    .next_if(|next| matches!(next, TokenTree::Punct(p) if p.as_char() == ':'))
                {
                    Some(_) => "::".to_owned(),
                    None => ":".to_owned(),
                }
            }
            other => other.to_string(),
        };
        flat.push(Token::new(text, line));
    }
}

impl Token {
    fn new(text: impl Into<String>, line: usize) -> Self {
        Self {
            text: text.into(),
            line,
        }
    }
}

/// The lines on which this run of tokens begins.
pub(super) fn lines_of(tokens: &[Token], run: &[&str]) -> Vec<usize> {
    tokens
        .windows(run.len())
        .filter(|window| {
            window
                .iter()
                .zip(run)
                .all(|(token, text)| token.text == *text)
        })
        .map(|window| window[0].line)
        .collect()
}

/// The first names after `crate ::`, also inside `crate::{…}`, with their lines.
pub(super) fn crate_modules(tokens: &[Token]) -> Vec<&Token> {
    let mut names = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].text != "crate" || pair[1].text != "::" {
            continue;
        }
        match tokens.get(at + 2) {
            Some(open) if open.text == "{" => names.extend(first_names(&tokens[at + 3..])),
            Some(name) => names.push(name),
            None => {}
        }
    }
    names
}

/// The names that begin an item of a `use` group whose opening brace has just been passed.
fn first_names(group: &[Token]) -> Vec<&Token> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut begins = true;
    for token in group {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => begins = true,
            _ if begins && depth == 0 => {
                names.push(token);
                begins = false;
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_tokens_but_macro_arguments_are() {
        let source = "// tokio::spawn\nfn f() {\n    let s = \"tokio::spawn\";\n    run!(tokio::spawn(s));\n}\n";
        let tokens = tokens(source).expect("Rust");
        assert_eq!(lines_of(&tokens, &["tokio", "::", "spawn"]), [4]);
    }

    #[test]
    fn names_after_crate_are_found_alone_and_in_groups() {
        let source =
            "use crate::ledger::Leaf;\nuse crate::{epcis::{Event, api}, machine, rdf as r};";
        let tokens = tokens(source).expect("Rust");
        let names: Vec<&str> = crate_modules(&tokens)
            .iter()
            .map(|t| t.text.as_str())
            .collect();
        assert_eq!(names, ["ledger", "epcis", "machine", "rdf"]);
    }

    #[test]
    fn what_is_not_rust_is_said_to_be_none() {
        assert_eq!(tokens("fn f( {"), None);
    }
}
