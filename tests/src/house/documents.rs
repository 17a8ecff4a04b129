//! Markdown that leads somewhere.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{House, Violation};

/// Every relative link and every anchor of every document exists.
pub fn links_lead_somewhere(house: &House) -> Vec<Violation> {
    let documents: BTreeMap<&str, Document> = house
        .tree
        .files_ending(".md")
        .map(|(path, text)| (path, Document::parse(text)))
        .collect();
    let mut violations = Vec::new();
    for (path, document) in &documents {
        for (line, link) in &document.links {
            // Elsewhere, or a path of Rust items in a crate's README.
            if link.contains("://") || link.starts_with("mailto:") || link.contains("::") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let Some(target) = resolve(path, file) else {
                violations.push(Violation::new(
                    path,
                    *line,
                    format!("{link} leads out of the repository"),
                ));
                continue;
            };
            if !house.tree.holds(&target) {
                violations.push(Violation::new(path, *line, format!("{link} leads nowhere")));
            } else if !anchor.is_empty() {
                let known = documents
                    .get(target.as_str())
                    .is_none_or(|d| d.anchors.contains(anchor));
                if !known {
                    violations.push(Violation::new(
                        path,
                        *line,
                        format!("{target} has no heading #{anchor}"),
                    ));
                }
            }
        }
    }
    violations
}

/// Every `make` command that a document shows names targets of the Makefile.
pub fn make_commands_exist(house: &House) -> Vec<Violation> {
    let targets = make_targets(house.tree.text("Makefile").unwrap_or_default());
    let mut violations = Vec::new();
    for (path, text) in house.tree.files_ending(".md") {
        for (line, command) in Document::parse(text).commands {
            for target in targets_named(&command) {
                if !targets.contains(target) {
                    violations.push(Violation::new(
                        path,
                        line,
                        format!("the Makefile has no target {target}"),
                    ));
                }
            }
        }
    }
    violations
}

/// What the rules need to know of a document; lines are counted from 1.
#[derive(Debug, Default)]
struct Document {
    links: Vec<(usize, String)>,
    anchors: BTreeSet<String>,
    /// Lines of shell blocks, and code spans in the text.
    commands: Vec<(usize, String)>,
}

impl Document {
    fn parse(text: &str) -> Self {
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut document = Self::default();
        let mut heading: Option<String> = None;
        let mut in_shell = false;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            let line = line_of(range.start);
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push((line, dest_url.into_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    document.add_anchor(&heading.take().unwrap_or_default());
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    in_shell = ["", "sh", "bash", "console", "text"].contains(&language.as_ref());
                }
                Event::End(TagEnd::CodeBlock) => in_shell = false,
                Event::Text(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                    if in_shell {
                        let lines = words.lines().enumerate();
                        document
                            .commands
                            .extend(lines.map(|(at, words)| (line + at, words.to_owned())));
                    }
                }
                Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                    document.commands.push((line, words.into_string()));
                }
                Event::Html(html) | Event::InlineHtml(html) => document.add_named_anchor(&html),
                _ => {}
            }
        }
        document
    }

    /// The anchor that GitHub makes of a heading: lower case, only letters, digits, `-` and `_`,
    /// dashes for spaces, and a number when it repeats.
    fn add_anchor(&mut self, heading: &str) {
        let lower = heading.to_lowercase();
        let kept = lower
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let numbered = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone())
            .chain(numbered)
            .find(|anchor| !self.anchors.contains(anchor));
        self.anchors.extend(free);
    }

    /// `<a id="…">` and `<a name="…">`.
    fn add_named_anchor(&mut self, html: &str) {
        for attribute in ["id=\"", "name=\""] {
            let name = html
                .split(attribute)
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            self.anchors.extend(name.map(str::to_owned));
        }
    }
}

/// The file that a link in `from` means, relative to the root; `None` when it leaves the root.
fn resolve(from: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn make_targets(makefile: &str) -> BTreeSet<&str> {
    makefile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='))
        .flat_map(|(targets, _)| targets.split_whitespace())
        .collect()
}

/// The targets of each `make` in a line of shell: plain words, neither options nor settings.
fn targets_named(line: &str) -> Vec<&str> {
    let line = line.split('#').next().unwrap_or_default();
    let mut targets = Vec::new();
    for command in line.split([';', '|', '&', '(', ')']) {
        let mut words = command.split_whitespace().skip_while(|word| *word == "$");
        if words.next() == Some("make") {
            let is_target = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            targets.extend(
                words
                    .filter(is_target)
                    .filter(|word| !word.starts_with('-')),
            );
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::super::testing::{house_of, places};
    use super::*;

    #[test]
    fn dead_links_and_anchors_are_found() {
        let house = house_of(&[
            (
                "README.md",
                "# Trivet\n[a](docs/gone.md)\n\n[b](docs/index.md#lost)\n[c](#nowhere)\n",
            ),
            (
                "docs/index.md",
                "# Index\n[up](../../outside.md)\n![p](picture.png)\n",
            ),
        ]);
        assert_eq!(
            places(&links_lead_somewhere(&house)),
            [
                "README.md:2",
                "README.md:4",
                "README.md:5",
                "docs/index.md:2",
                "docs/index.md:3"
            ]
        );
    }

    #[test]
    fn living_links_are_welcome_in_every_form() {
        let house = house_of(&[
            (
                "README.md",
                "# The `make` way, twice\n## A\n## A\n<a id=\"here\"></a>\n\n[1](docs) [2](docs/index.md#äpfel--birnen) [3](#the-make-way-twice) \
                 [4](#a-1) [5](#here) [6](https://example.org/x#y) [7](mailto:a@example.org) [8](kit::serve) [9](Makefile#L3)\n",
            ),
            (
                "docs/index.md",
                "# Äpfel & Birnen\n[up](../README.md) [self](./index.md)\n```\n[not](a-link.md)\n```\n",
            ),
            ("Makefile", "up:\n"),
        ]);
        assert_eq!(links_lead_somewhere(&house), []);
    }

    #[test]
    fn a_make_command_without_a_target_is_found_in_blocks_and_in_the_text() {
        let house = house_of(&[
            (
                "Makefile",
                "NODES := 3\nup: setup ## Start\n\tmake wrong\ntest check: ## Test\n",
            ),
            (
                "README.md",
                "Run `make tset`.\n\n```sh\nmake up NODES=3 && make -j2 test # make tea\n$ make down\n```\n\nTo make sense, `make up [SYSTEM=…]`.\n",
            ),
            ("docs/index.md", "```rust\nmake nothing\n```\n"),
        ]);
        assert_eq!(
            places(&make_commands_exist(&house)),
            ["README.md:1", "README.md:5"]
        );
    }
}
