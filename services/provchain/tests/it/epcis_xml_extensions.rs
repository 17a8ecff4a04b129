//! What is someone else's in XML has a prefix in JSON-LD.

use serde_json::{Value, json};

use super::epcis_xml::{converted, event, events, object_event};

#[test]
fn extensions_become_members_with_a_prefix() {
    for (written, expected) in [
        ("<ext:a>x</ext:a>", json!({ "ext:a": "x" })),
        ("<ext:a/>", json!({ "ext:a": "" })),
        ("<ext:a>  x  y\n</ext:a>", json!({ "ext:a": "x  y" })),
        (
            "<ext:a>x</ext:a><ext:b/><ext:a>y</ext:a>",
            json!({ "ext:a": ["x", "y"], "ext:b": "" }),
        ),
        (
            "<ext:a><ext:b>x</ext:b></ext:a>",
            json!({ "ext:a": { "ext:b": "x" } }),
        ),
        // Names without a namespace belong to what is around.
        (
            "<ext:a><b><c>x</c></b></ext:a>",
            json!({ "ext:a": { "ext:b": { "ext:c": "x" } } }),
        ),
        (
            "<ext:a b=\"1\" ext2:c=\"2\" xmlns:ext2=\"urn:example:two\"><ext2:d><e/></ext2:d></ext:a>",
            json!({ "ext:a": { "ext:b": "1", "ext2:c": "2", "ext2:d": { "ext2:e": "" } } }),
        ),
        (
            "<ext:a unit=\"KGM\">3.5</ext:a>",
            json!({ "ext:a": {
                "ext:unit": "KGM",
                "http://www.w3.org/1999/02/22-rdf-syntax-ns#value": "3.5"
            } }),
        ),
        (
            "<ext:a xsi:type=\"xsd:integer\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">7</ext:a>",
            json!({ "ext:a": "7" }),
        ),
        (
            "<ext:a xml:lang=\"de\"/>",
            json!({ "ext:a": { "xml:lang": "de" } }),
        ),
        // Wrapped and beside it.
        (
            "<extension><ext:a>x</ext:a></extension><ext:a>y</ext:a>",
            json!({ "ext:a": ["x", "y"] }),
        ),
    ] {
        let mut expected = expected;
        expected["type"] = json!("ObjectEvent");
        assert_eq!(object_event(written), expected, "{written}");
    }
    let with_attribute = event("2.0", "<ObjectEvent ext:a=\"x\"/>");
    assert_eq!(
        with_attribute,
        json!({ "type": "ObjectEvent", "ext:a": "x" })
    );
    let own_type = event(
        "2.0",
        "<extension><ext:Thing><action>ADD</action></ext:Thing></extension>",
    );
    assert_eq!(own_type, json!({ "type": "ext:Thing", "action": "ADD" }));
}

/// The prefixes that a document declares whose event has this inside.
fn prefixes(inside: &str) -> (Value, Value) {
    let mut document = converted(&events(
        "2.0",
        "",
        &format!("<ObjectEvent>{inside}</ObjectEvent>"),
    ));
    let event = document["epcisBody"]["eventList"][0].take();
    let declared = document.pointer("/@context/1").cloned();
    (declared.unwrap_or_default(), event)
}

#[test]
fn a_prefix_that_json_ld_cannot_have_is_replaced() {
    for (written, context, key) in [
        (
            "<a:x xmlns:a='http://a.example/'/>",
            json!({ "a": "http://a.example/" }),
            "a:x",
        ),
        (
            "<a:x xmlns:a='http://a.example'/>",
            json!({ "a": "http://a.example/" }),
            "a:x",
        ),
        (
            "<a:x xmlns:a='http://a.example#'/>",
            json!({ "a": "http://a.example#" }),
            "a:x",
        ),
        (
            "<a:x xmlns:a='urn:example:a'/>",
            json!({ "a": "urn:example:a:" }),
            "a:x",
        ),
        // The default namespace, a scheme, terms of the context's, a blank node.
        (
            "<x xmlns='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        (
            "<https:x xmlns:https='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        (
            "<id:x xmlns:id='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        (
            "<gs1:x xmlns:gs1='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        (
            "<time:x xmlns:time='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        (
            "<_:x xmlns:_='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        // A scheme that an identifier begins with: the prefix would make another one of it.
        (
            "<readPoint><id>office:7</id></readPoint><office:x xmlns:office='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        (
            "<bizStep>office:7</bizStep><office:x xmlns:office='http://a.example/'/>",
            json!({ "ns1": "http://a.example/" }),
            "ns1:x",
        ),
        // GS1's own prefixes are declared already, whatever they are called here.
        (
            "<m:lotNumber xmlns:m='urn:epcglobal:cbv:mda'/>",
            Value::Null,
            "cbvmda:lotNumber",
        ),
    ] {
        let (declared, event) = prefixes(written);
        assert_eq!(declared, context, "{written}");
        assert!(event.get(key).is_some(), "{written}: {event}");
    }
    // One prefix for two namespaces, one namespace with two prefixes, and a prefix that looks
    // generated.
    let (declared, event) = prefixes(
        "<a:x xmlns:a='urn:a:'/><a:y xmlns:a='urn:b:'/><b:z xmlns:b='urn:a:'/>\
         <ns1:v xmlns:ns1='urn:c:'/>",
    );
    assert_eq!(
        declared,
        json!({ "a": "urn:a:", "ns1": "urn:b:", "ns2": "urn:c:" })
    );
    assert_eq!(
        event,
        json!({ "type": "ObjectEvent", "a:x": "", "ns1:y": "", "a:z": "", "ns2:v": "" })
    );
    // Namespaces that no name is in are not declared.
    assert_eq!(prefixes("<extension xmlns:a='urn:a:'/>").0, Value::Null);
}
