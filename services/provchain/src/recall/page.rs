//! A dossier as a page: to read, to print, to hand on. It is whole by itself.

use super::{Affected, Dossier, Ending, Party, Place, Seen};
use crate::epcis::identifier::Short;
use crate::trace::draw::{self, xml};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.45 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1.5rem}\
h1{margin-bottom:.2rem}\
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.6rem;margin:1.2rem 0}\
dl div{border:1px solid #8888;border-radius:6px;padding:.5rem .75rem}\
dt{font-size:.85rem}\
dd{margin:0;font-size:1.5rem;font-weight:600}\
.warning{border-left:.4rem solid #bf8700;padding:.5rem .75rem}\
figure{margin:1rem 0}\
.scroll{overflow-x:auto}\
table{border-collapse:collapse;width:100%;margin:1.5rem 0;font-size:.9rem}\
caption{font-size:1.15rem;font-weight:600;text-align:left;padding:.4rem 0}\
th,td{border-bottom:1px solid #8888;padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top}\
tbody th{font-weight:600}\
small{overflow-wrap:anywhere}\
@media print{\
body{max-width:none;padding:0;font-size:10pt}\
.scroll{overflow:visible}\
svg{max-width:100%;height:auto}\
tr,dl div,figure{break-inside:avoid}\
thead{display:table-header-group}\
}";

/// The page.
#[must_use]
pub fn page(dossier: &Dossier) -> String {
    let what = xml(&Short::of(&dossier.question.item).to_string());
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Recall of {what}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Recall of {what}</h1>\n{}",
        question(dossier)
    );
    html.push_str(&summary(dossier));
    html.push_str(&format!(
        "<figure>\n\
         <div class=\"scroll\" role=\"region\" aria-label=\"Picture\" tabindex=\"0\">\n{}</div>\n\
         <figcaption>Goods flow from left to right. The tables below say the same.</figcaption>\n\
         </figure>\n",
        draw::svg(&dossier.trace)
    ));
    html.push_str(&table("Places", &PLACES, dossier.places.iter().map(place)));
    html.push_str(&table(
        "Parties",
        &PARTIES,
        dossier.parties.iter().map(party),
    ));
    html.push_str(&table(
        "Batches",
        &ITEMS,
        dossier.batches.iter().map(affected),
    ));
    html.push_str(&table(
        "Instances",
        &ITEMS,
        dossier.instances.iter().map(affected),
    ));
    html.push_str(
        "<footer><p>Entry numbers are those of the ledger. The same dossier as JSON carries the proof \
         of every entry: <code>provchain verify</code> checks it without any node.</p></footer>\n\
         </main>\n</body>\n</html>\n",
    );
    html
}

fn question(dossier: &Dossier) -> String {
    let (asked, filter) = (&dossier.question, &dossier.question.filter);
    let mut html = format!(
        "<p>What was asked: <small>{}</small>, at most {} steps downstream, as of {} entries of the \
         ledger.</p>\n",
        xml(&asked.epc),
        asked.depth,
        dossier.as_of
    );
    if !filter.is_empty() {
        let conditions = [
            ("from", filter.from.clone().unwrap_or_default()),
            ("until", filter.until.clone().unwrap_or_default()),
            ("types", filter.types.join(", ")),
            ("business steps", filter.biz_steps.join(", ")),
        ];
        let conditions = conditions.iter().filter(|(_, value)| !value.is_empty());
        let conditions: Vec<String> = conditions
            .map(|(name, value)| format!("{name}: {}", xml(value)))
            .collect();
        html.push_str(&format!(
            "<p class=\"warning\">Only some events were followed ({}): more may be affected.</p>\n",
            conditions.join("; ")
        ));
    }
    if dossier.summary.truncated {
        html.push_str(
            "<p class=\"warning\">A limit cut the search short: more is affected than stands \
             here.</p>\n",
        );
    }
    html
}

fn summary(dossier: &Dossier) -> String {
    let counts = &dossier.summary;
    let mut html = String::from("<dl>\n");
    for (name, count) in [
        ("Batches", counts.batches),
        ("Instances", counts.instances),
        ("Places", counts.places),
        ("Parties", counts.parties),
        ("Sold", counts.sold),
        ("Destroyed", counts.destroyed),
        ("Whereabouts unknown", counts.unplaced),
        ("Events", counts.events),
    ] {
        html.push_str(&format!("<div><dt>{name}</dt><dd>{count}</dd></div>\n"));
    }
    html.push_str("</dl>\n");
    if let (Some(first), Some(last)) = (&counts.first_time, &counts.last_time) {
        let (first, last) = (xml(first), xml(last));
        html.push_str(&format!("<p>From {first} until {last}.</p>\n"));
    }
    html
}

const PLACES: [&str; 5] = [
    "Place",
    "Seen as",
    "Last seen there",
    "Entry",
    "Items last seen here",
];
const PARTIES: [&str; 4] = ["Party", "Named as", "Last named", "Entry"];
const ITEMS: [&str; 5] = ["Item", "Steps", "Last seen", "Entry", "End of the chain"];

/// A table; each row's first cell heads it. Cells are HTML.
fn table<const N: usize>(
    caption: &str,
    heads: &[&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) -> String {
    if rows.len() == 0 {
        return format!("<p>{caption}: none.</p>\n");
    }
    let mut html = format!("<table>\n<caption>{caption}</caption>\n<thead><tr>");
    for head in heads {
        html.push_str(&format!("<th scope=\"col\">{head}</th>"));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (nth, cell) in row.iter().enumerate() {
            html.push_str(&match nth {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ => format!("<td>{cell}</td>"),
            });
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

fn place(place: &Place) -> [String; 5] {
    let roles: Vec<&str> = place.roles.iter().map(String::as_str).collect();
    [
        named(&place.place),
        xml(&roles.join(", ")),
        xml(&place.last_time),
        place.last_entry.to_string(),
        place.items_last_seen.to_string(),
    ]
}

fn party(party: &Party) -> [String; 4] {
    let roles: Vec<&str> = party.roles.iter().map(String::as_str).collect();
    [
        named(&party.party),
        xml(&roles.join(", ")),
        xml(&party.last_time),
        party.last_entry.to_string(),
    ]
}

fn affected(item: &Affected) -> [String; 5] {
    let (seen, entry) = match &item.last_seen {
        Some(seen) => (seen_at(seen), seen.entry.to_string()),
        None => ("unknown".to_owned(), String::new()),
    };
    let mut name = named(&item.item);
    if item.class {
        name.push_str(" <em>(any of its kind)</em>");
    }
    let end = item.end.as_ref().map_or(String::new(), ended);
    [name, item.depth.to_string(), seen, entry, end]
}

fn seen_at(seen: &Seen) -> String {
    let mut html = xml(&seen.time);
    if let Some(place) = &seen.place {
        html.push_str(&format!(", {}", xml(&Short::of(place).to_string())));
    }
    if let Some(within) = &seen.within {
        html.push_str(&format!(", in {}", xml(&Short::of(within).to_string())));
    }
    html
}

fn ended(end: &Ending) -> String {
    format!("{}, {}, entry {}", xml(&end.how), xml(&end.time), end.entry)
}

/// An identifier, short and in full.
fn named(key: &str) -> String {
    let short = Short::of(key);
    if short.kind == "URI" {
        return xml(key);
    }
    let of = short
        .of
        .as_ref()
        .map_or(String::new(), |of| format!(", {}", xml(of)));
    format!(
        "{}{of}<br><small>{}</small>",
        xml(&short.to_string()),
        xml(key)
    )
}
