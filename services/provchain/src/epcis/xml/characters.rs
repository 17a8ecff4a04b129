//! Which characters XML is made of.

/// Whether a document may have this character (XML 1.0, production 2).
pub fn is_character(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether this is a name, or a part of one between colons (Namespaces in XML 1.0, production 4).
pub fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(begins_name) && characters.all(continues_name)
}

/// XML 1.0, production 4, but for the colon.
fn begins_name(character: char) -> bool {
    matches!(character,
        'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}'
        | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}'
        | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

/// XML 1.0, production 4a.
fn continues_name(character: char) -> bool {
    begins_name(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::{is_character, is_name};

    #[test]
    fn names_begin_with_a_letter_and_have_no_colon() {
        for name in ["a", "_x", "myField1", "größe", "a-b.c_d", "名前"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "-a", ".a", "a:b", "a b", "a/b", "a\"b", "a<", "×"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn control_characters_do_not_occur() {
        for character in ['\0', '\u{8}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert!(!is_character(character), "{character:?}");
        }
        for character in ['\t', '\n', '\r', ' ', 'é', '\u{7f}', '\u{1f600}'] {
            assert!(is_character(character), "{character:?}");
        }
    }
}
