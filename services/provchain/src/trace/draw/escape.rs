//! Text from events, so that nothing takes it for anything else.

/// The replacement for what a format cannot hold.
const REPLACEMENT: char = '\u{fffd}';

/// Text in XML or HTML, between tags or in a quoted attribute. What XML 1.0 cannot hold (section
/// 2.2) is replaced, line ends included, for a title has one line.
#[must_use]
pub fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(printable(other)),
        }
    }
    escaped
}

/// Text in a quoted string of Graphviz' language. A backslash would begin an escape of its labels
/// (`\N`, `\l`), and an ampersand an entity.
pub(super) fn dot(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(printable(other)),
        }
    }
    escaped
}

/// Controls, characters that are none, and those that turn the direction of what follows them.
const fn printable(character: char) -> char {
    match character {
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fffe}'
        | '\u{ffff}' => REPLACEMENT,
        other => other,
    }
}

/// The beginning and the end of a text, as much of it as has room in `width` pixels at 12 pixels a
/// letter's height. An estimate, on the wide side: fonts differ.
pub(super) fn fitting(text: &str, width: usize) -> String {
    let wide = |character: &char| match character {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | '/' | '\'' | ' ' => 5,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 12,
        other if other.is_ascii_uppercase() => 9,
        other if other.is_ascii() => 8,
        _ => 13,
    };
    // What does not fit need not be looked at: an identifier may be long.
    let count = text.chars().take(width).count();
    let all: usize = text.chars().take(width).map(|one| wide(&one)).sum();
    if all <= width && count < width {
        return text.to_owned();
    }
    let half = (width.saturating_sub(13)) / 2;
    let taken = |characters: &mut dyn Iterator<Item = char>| {
        let mut used = 0;
        let fits = |character: &char| {
            used += wide(character);
            used <= half
        };
        characters.take_while(fits).collect::<Vec<char>>()
    };
    let head: String = taken(&mut text.chars()).into_iter().collect();
    let tail: String = taken(&mut text.chars().rev()).into_iter().rev().collect();
    format!("{head}…{tail}")
}
