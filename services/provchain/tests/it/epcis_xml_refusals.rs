//! What of XML is refused, and what is said of it.

use provchain::epcis::{Issue, Limits, Rule, capture, xml};

use super::epcis_xml::{document, events};

/// The first issue of a capture.
fn refused(body: &[u8], limits: &Limits) -> Issue {
    let issues = capture::parse_xml(body, limits)
        .expect_err(&format!("taken: {}", String::from_utf8_lossy(body)));
    issues[0].clone()
}

fn assert_refused(body: &str, rule: Rule, part: &str) {
    let issue = refused(body.as_bytes(), &Limits::default());
    assert_eq!(issue.rule, rule, "{issue}\n{body}");
    assert!(issue.message.contains(part), "{issue}\n{body}");
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_line() {
    for (body, part) in [
        ("", "there is no element"),
        ("text", "text outside"),
        ("<a>", "a does not end"),
        ("<a></b>", "not well-formed"),
        ("</a>", "not well-formed"),
        ("<a/><b/>", "second element"),
        ("<a/>text", "text outside"),
        ("<a", "not well-formed"),
        ("<1a/>", "not a name"),
        ("<a:b:c/>", "not a name"),
        ("<:a/>", "not a name"),
        ("<a: xmlns:a='urn:a'/>", "not a name"),
        ("<p:a/>", "not declared"),
        ("<a p:b='1'/>", "not declared"),
        ("<a b='1' b='2'/>", "not well-formed"),
        (
            "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='1' q:b='2'/>",
            "twice",
        ),
        ("<a b='<'/>", "there is a <"),
        ("<a b=1/>", "not well-formed"),
        ("<a>&</a>", "not well-formed"),
        ("<a>&#0;</a>", "not well-formed"),
        ("<a>&#x1;</a>", "must not occur"),
        ("<a b='&#x1;'/>", "must not occur"),
        ("<a>\u{1}</a>", "must not occur"),
        ("<a xmlns:p=''/>", "cannot be declared"),
        ("<a xmlns:xml='urn:x'/>", "cannot be declared"),
        ("<a xmlns:xmlns='urn:x'/>", "cannot be declared"),
        (
            "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
            "cannot be declared",
        ),
        ("<?xml version='1.1'?><a/>", "only XML 1.0"),
        ("<!-- a -- b --><a/>", "not well-formed"),
    ] {
        assert_refused(body, Rule::Xml, part);
    }
    let issue = refused(b"<a>\n<b>\n&x;</b></a>", &Limits::default());
    assert!(issue.message.starts_with("line 3: "), "{issue}");
}

#[test]
fn document_types_and_entities_of_ones_own_are_refused() {
    for body in [
        "<!DOCTYPE project><a/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>",
        "<?xml version='1.0'?>\n<!-- -->\n<!doctype a><a/>",
    ] {
        assert_refused(body, Rule::Xml, "DOCTYPE");
    }
    assert_refused("<a>&nbsp;</a>", Rule::Xml, "&nbsp; is not known");
    assert_refused("<a b='&nbsp;'/>", Rule::Xml, "write &lt;");
}

#[test]
fn only_utf_8_is_taken() {
    for body in [
        &b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>"[..],
        b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>",
        b"<?xml version='1.0' encoding='UTF-16'?><a/>",
        b"\xff\xfe<\0a\0/\0>\0",
        b"\xfe\xff\0<\0a\0/\0>",
        b"<a>\xff</a>",
    ] {
        let issue = refused(body, &Limits::default());
        assert_eq!(issue.rule, Rule::Xml, "{issue}");
        assert!(issue.message.contains("only UTF-8 is taken"), "{issue}");
    }
    for declared in ["UTF-8", "utf-8"] {
        let body = format!("<?xml version='1.0' encoding='{declared}' standalone='yes'?><a/>");
        assert_refused(&body, Rule::Value, "an EPCISDocument");
    }
}

#[test]
fn other_documents_are_refused_by_name() {
    for (body, part) in [
        ("<a/>", "a in the namespace \"\""),
        ("<EPCISDocument/>", "EPCISDocument in the namespace \"\""),
        (
            "<e:EPCISDocument xmlns:e='urn:epcglobal:epcis:xsd:3'/>",
            "xsd:3",
        ),
        (
            "<e:EPCISCaptureJob xmlns:e='urn:epcglobal:epcis:xsd:2'/>",
            "EPCISCaptureJob",
        ),
        (
            "<e:EPCISMasterDataDocument xmlns:e='urn:epcglobal:epcis-masterdata:xsd:2'/>",
            "in the header",
        ),
    ] {
        assert_refused(body, Rule::Value, part);
    }
    let other = events("2.0", "", "").replace("schemaVersion=\"2.0\"", "schemaVersion=\"3.0\"");
    assert_refused(&other, Rule::Value, "schemaVersion");
}

#[test]
fn what_json_ld_could_not_keep_is_refused() {
    let xsi = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'";
    for (inside, rule, part) in [
        ("<unheard/>", Rule::UnknownField, "element unheard"),
        (
            "<extension><unheard/></extension>",
            Rule::UnknownField,
            "element unheard",
        ),
        (
            "<ilmd><unheard/></ilmd>",
            Rule::UnknownField,
            "element unheard",
        ),
        (
            "<action unheard='1'>ADD</action>",
            Rule::UnknownField,
            "attribute unheard",
        ),
        (
            "<action e:x='1'>ADD</action>",
            Rule::UnknownField,
            "attribute x",
        ),
        (
            "<action>ADD<e:x/></action>",
            Rule::UnknownField,
            "element x",
        ),
        (
            "<epcList><epcs/></epcList>",
            Rule::UnknownField,
            "element epcs",
        ),
        ("<epcList e:x='1'/>", Rule::UnknownField, "attribute x"),
        (
            "<epcList>text</epcList>",
            Rule::Forbidden,
            "text in epcList",
        ),
        (
            "<readPoint>text<id>urn:x:y</id></readPoint>",
            Rule::Forbidden,
            "text in readPoint",
        ),
        ("text", Rule::Forbidden, "text in ObjectEvent"),
        (
            "<extension>text</extension>",
            Rule::Forbidden,
            "text in extension",
        ),
        (
            "<action>ADD</action><action>ADD</action>",
            Rule::DuplicateKey,
            "action is there twice",
        ),
        (
            "<quantityList/><extension><quantityList/></extension>",
            Rule::DuplicateKey,
            "quantityList is there twice",
        ),
        (
            "<e:a>text<e:b/>more</e:a>",
            Rule::JsonLd,
            "text between elements",
        ),
        ("<e:a b='1'><b/></e:a>", Rule::DuplicateKey, "rename one"),
        ("<e:a><e:b/><b/></e:a>", Rule::DuplicateKey, "rename one"),
        ("<e:a e:b='1' b='2'/>", Rule::DuplicateKey, "rename one"),
        (
            "<a:x xmlns:a='relative'/>",
            Rule::Context,
            "not an absolute URI",
        ),
        (
            "<a:x xmlns:a='http://a b/'/>",
            Rule::Context,
            "not an absolute URI",
        ),
        (
            "<a:x xmlns:a='urn:a'/><b:x xmlns:b='urn:a:'/>",
            Rule::Context,
            "are the same in JSON-LD",
        ),
        (
            "<e:a xsi:nil='true' XSI/>",
            Rule::JsonLd,
            "leave the element out",
        ),
        (
            "<bizStep xsi:nil='true' XSI/>",
            Rule::Value,
            "bizStep is nil",
        ),
        (
            "<quantityList><quantityElement><quantity>many</quantity></quantityElement></quantityList>",
            Rule::Value,
            "many",
        ),
        (
            "<quantityList><quantityElement><quantity>INF</quantity></quantityElement></quantityList>",
            Rule::Value,
            "INF",
        ),
        (
            "<quantityList><quantityElement><quantity>0.10000000000000000555</quantity></quantityElement></quantityList>",
            Rule::NumberPrecision,
            "0.10000000000000000555",
        ),
        (
            "<sensorElementList><sensorElement><sensorReport type='gs1:Mass' value='NaN'/></sensorElement></sensorElementList>",
            Rule::Value,
            "NaN",
        ),
        (
            "<sensorElementList><sensorElement><sensorReport booleanValue='yes'/></sensorElement></sensorElementList>",
            Rule::Value,
            "neither true nor false",
        ),
        (
            "<sensorElementList><sensorElement><sensorMetaData/></sensorElement></sensorElementList>",
            Rule::UnknownField,
            "element sensorMetaData",
        ),
    ] {
        let inside = inside.replace("XSI", xsi);
        let body = events(
            "2.0",
            "xmlns:e='urn:example:e'",
            &format!("<ObjectEvent/><ObjectEvent>\n{inside}\n</ObjectEvent>"),
        );
        let issue = refused(body.as_bytes(), &Limits::default());
        assert_eq!(issue.rule, rule, "{issue}\n{inside}");
        assert!(issue.message.contains(part), "{issue}\n{inside}");
        assert_eq!(issue.event, Some(1), "{issue}");
        assert!(issue.message.starts_with("line "), "{issue}");
    }
    for inside in [
        "<EPCISBody><EventList e:x='1'/></EPCISBody>",
        "<EPCISBody><EventList><extension e:x='1'/></EventList></EPCISBody>",
        "<EPCISBody><EventList>text</EventList></EPCISBody>",
        "<EPCISBody><EventList/><EventList/></EPCISBody>",
        "<EPCISBody unheard='1'/>",
        "<EPCISBody/><unheard/>",
        "text<EPCISBody/>",
    ] {
        let body = document("2.0", "xmlns:e='urn:example:e'", inside);
        xml::to_json(body.as_bytes(), &Limits::default()).expect_err(inside);
    }
}

#[test]
fn the_rules_of_the_standard_hold_and_say_where_in_the_xml() {
    let body = events(
        "1.2",
        "",
        "<ObjectEvent>
           <eventTime>2026-01-05T05:00:00Z</eventTime>
           <eventTimeZoneOffset>+01:00</eventTimeZoneOffset>
           <epcList>
             <epc>urn:epc:id:sgtin:0614141.107346.2017</epc>
           </epcList>
           <action>OBSERVE</action>
         </ObjectEvent>
         <ObjectEvent>
           <eventTime>2026-01-05T05:00:00</eventTime>
           <eventTimeZoneOffset>+01:00</eventTimeZoneOffset>
           <epcList>
             <epc>urn:epc:id:sgtin:0614141.107346.2017</epc>
             <epc>urn:epc:class:lgtin:4012345.012345.998877</epc>
           </epcList>
           <action>OBSERVE</action>
           <bizStep>urn:epcglobal:cbv:bizstep:shiping</bizStep>
           <extension>
             <quantityList><quantityElement>
               <epcClass>urn:epc:id:sgtin:0614141.107346.2017</epcClass>
             </quantityElement></quantityList>
             <extension><sensorElementList><sensorElement>
               <sensorReport type=\"gs1:Temperature\"/>
               <sensorReport type=\"gs1:Heat\"/>
             </sensorElement></sensorElementList></extension>
           </extension>
         </ObjectEvent>",
    );
    let issues = capture::parse_xml(body.as_bytes(), &Limits::default()).expect_err("wrong");
    let found: Vec<_> = issues
        .iter()
        .map(|issue| {
            let line = issue.message.split(':').next().expect("a line");
            (issue.event, issue.pointer.as_str(), issue.rule, line)
        })
        .collect();
    let expected = [
        ("eventTime", Rule::Time, "line 13"),
        ("epcList/1", Rule::Identifier, "line 17"),
        ("bizStep", Rule::Vocabulary, "line 20"),
        ("quantityList/0/epcClass", Rule::Identifier, "line 23"),
        (
            "sensorElementList/0/sensorReport/1/type",
            Rule::Vocabulary,
            "line 27",
        ),
    ];
    let expected = expected.map(|(field, rule, line)| {
        (
            Some(1),
            format!("/epcisBody/eventList/1/{field}"),
            rule,
            line,
        )
    });
    for (found, expected) in found.iter().zip(&expected) {
        let (event, pointer, rule, line) = expected;
        assert_eq!(*found, (*event, pointer.as_str(), *rule, *line));
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn every_bound_is_kept() {
    let small = Limits {
        document_bytes_max: 4_000,
        depth_max: 8,
        string_bytes_max: 60,
        values_max: 60,
        attributes_max: 6,
        namespaces_max: 4,
        issues_max: 2,
        ..Limits::default()
    };
    let within = |inside: &str| events("2.0", "", &format!("<ObjectEvent>{inside}</ObjectEvent>"));
    let long = "x".repeat(61);
    for body in [
        within(&" ".repeat(4_000)),
        within(&format!("<epcList>{}</epcList>", "<epc/>".repeat(60))),
        within(&format!("<action>{long}</action>")),
        within(&format!("<action>{}</action>", "xy&amp;".repeat(30))),
        within(&format!("<{long}/>")),
        within(&format!("<a {long}='1'/>")),
        within(&format!("<a b='{long}'/>")),
        within(&format!("<a xmlns='{long}'/>")),
        within("<a a='' b='' c='' d='' e='' f='' g=''/>"),
        within("<a xmlns:a='urn:a' xmlns:b='urn:b' xmlns:c='urn:c' xmlns:d='urn:d'/>"),
        within("<a xmlns:a='urn:a' xmlns:b='urn:b'><a xmlns:c='urn:c' xmlns:d='urn:d'/></a>"),
        within(
            "<a:a xmlns:a='urn:1'/><a:a xmlns:a='urn:2'/><a:a xmlns:a='urn:3'/>\
             <a:a xmlns:a='urn:4'/><a:a xmlns:a='urn:5'/>",
        ),
        within(&format!("{}{}", "<a>".repeat(5), "</a>".repeat(5))),
    ] {
        let issue = refused(body.as_bytes(), &small);
        assert_eq!(issue.rule, Rule::Limit, "{issue}\n{body}");
    }
    // What fits in XML has longer names in JSON, and is stored as JSON.
    let longest = Limits {
        string_bytes_max: 62,
        ..Limits::default()
    };
    let name = "x".repeat(62);
    let issue = refused(
        within(&format!("<{name} xmlns='urn:e'/>")).as_bytes(),
        &longest,
    );
    assert_eq!((issue.rule, issue.event), (Rule::Limit, Some(0)), "{issue}");

    let issues = xml::to_json(within("<a/><b/><c/>").as_bytes(), &small).expect_err("unheard");
    assert_eq!(issues.len(), 2);
    let most = within("<a xmlns:a='urn:a' xmlns:b='urn:b' xmlns:c='urn:c' c='' d='' e=''/>");
    let issue = refused(most.as_bytes(), &small);
    assert_eq!(issue.rule, Rule::UnknownField, "{issue}");
}
