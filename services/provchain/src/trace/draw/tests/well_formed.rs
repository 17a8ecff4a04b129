//! Readers that take nothing for well-formed that is not.

/// A start tag.
#[derive(Debug)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

/// The start tags of an XML document without declarations, comments and sections; it has to be
/// well-formed (XML 1.0, section 2.1).
pub fn tags(document: &str) -> Vec<Tag> {
    let (mut tags, mut open) = (Vec::new(), Vec::<String>::new());
    let mut rest = document.trim_end();
    while let Some((text, after)) = rest.split_once('<') {
        expect_text(text);
        assert!(
            text.is_empty() || !open.is_empty(),
            "text outside: {text:?}"
        );
        let (inside, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "it was not open");
            assert!(
                !open.is_empty() || rest.is_empty(),
                "something follows: {rest:?}"
            );
            continue;
        }
        let (inside, closed) = match inside.strip_suffix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let (name, mut attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase()),
            "<{inside}>"
        );
        let mut tag = Tag {
            name: name.to_owned(),
            attributes: Vec::new(),
        };
        while !attributes.is_empty() {
            let (name, after) = attributes.split_once("=\"").expect("a quoted value");
            let (value, after) = after.split_once('"').expect("the end of a value");
            expect_text(value);
            tag.attributes
                .push((name.trim_start().to_owned(), value.to_owned()));
            attributes = after;
        }
        if !closed {
            open.push(tag.name.clone());
        }
        tags.push(tag);
    }
    assert!(
        rest.is_empty() && open.is_empty(),
        "{open:?} before {rest:?}"
    );
    tags
}

/// Character data: no control but the line feed, and each ampersand begins a reference.
fn expect_text(text: &str) {
    assert!(!text.contains("]]>"), "{text:?}");
    let bad = |character: char| character < ' ' && character != '\n' || character == '\u{ffff}';
    assert!(!text.contains(bad), "{text:?}");
    for after in text.split('&').skip(1) {
        let (reference, _) = after.split_once(';').expect("a reference ends");
        assert!(
            ["amp", "lt", "gt", "quot", "#39"].contains(&reference),
            "&{reference};"
        );
    }
}

/// The quoted strings of a document in Graphviz' language, as they were meant: what is outside of them
/// is what we write.
pub fn quoted(document: &str) -> Vec<String> {
    let (mut texts, mut characters) = (Vec::new(), document.chars());
    let outside =
        |character: char| character.is_ascii_alphanumeric() || " \n{}[]=,;->._".contains(character);
    while let Some(character) = characters.next() {
        if character != '"' {
            assert!(outside(character), "{character:?} outside of a string");
            continue;
        }
        let mut text = String::new();
        loop {
            match characters.next().expect("the string ends") {
                '"' => break,
                '\\' => match characters.next().expect("an escape") {
                    'n' => text.push('\n'),
                    escaped @ ('"' | '\\') => text.push(escaped),
                    other => panic!("the escape {other:?}"),
                },
                other => text.push(other),
            }
        }
        texts.push(text.replace("&amp;", "&"));
    }
    texts
}
