//! EPCIS in XML: what becomes of it in JSON, and what is refused where.

use provchain::epcis::{Issue, Limits, Rule, capture, xml};
use serde_json::{Value, json};

/// A document of a version of the standard, with these attributes and this inside.
pub fn document(version: &str, attributes: &str, inside: &str) -> String {
    let namespace = &version[..1];
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<epcis:EPCISDocument \
         xmlns:epcis=\"urn:epcglobal:epcis:xsd:{namespace}\" schemaVersion=\"{version}\" \
         creationDate=\"2026-01-05T06:00:00Z\" {attributes}>\n{inside}\n</epcis:EPCISDocument>"
    )
}

/// A document with these events.
pub fn events(version: &str, attributes: &str, inside: &str) -> String {
    let body = format!("<EPCISBody><EventList>\n{inside}\n</EventList></EPCISBody>");
    document(version, attributes, &body)
}

/// The document that `body` becomes.
pub fn converted(body: &str) -> Value {
    xml::to_json(body.as_bytes(), &Limits::default())
        .unwrap_or_else(|issues| panic!("{}\n{body}", issues[0]))
}

/// The event that `inside`, with a namespace `ext`, becomes.
pub fn event(version: &str, inside: &str) -> Value {
    let attributes = "xmlns:ext=\"https://ns.example.com/ext\"";
    converted(&events(version, attributes, inside))["epcisBody"]["eventList"][0].take()
}

/// An `ObjectEvent` with this inside.
pub fn object_event(inside: &str) -> Value {
    event("2.0", &format!("<ObjectEvent>{inside}</ObjectEvent>"))
}

fn refused(body: &[u8], limits: &Limits) -> Issue {
    let issues =
        xml::to_json(body, limits).expect_err(&format!("taken: {}", String::from_utf8_lossy(body)));
    issues[0].clone()
}

#[test]
fn an_event_of_version_2_is_the_same_in_json() {
    let inside = r#"<ObjectEvent>
      <eventTime>2026-01-05T05:00:00.000+01:00</eventTime>
      <recordTime>2026-01-05T05:00:01Z</recordTime>
      <eventTimeZoneOffset> +01:00 </eventTimeZoneOffset>
      <eventID>urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8</eventID>
      <certificationInfo>https://example.org/certificate/1</certificationInfo>
      <errorDeclaration>
        <declarationTime>2026-01-06T00:00:00Z</declarationTime>
        <reason>urn:epcglobal:cbv:er:incorrect_data</reason>
        <correctiveEventIDs>
          <correctiveEventID>urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8</correctiveEventID>
        </correctiveEventIDs>
        <ext:by>Jo</ext:by>
      </errorDeclaration>
      <epcList><epc>urn:epc:id:sgtin:0614141.107346.2017</epc><!-- the only one --></epcList>
      <action>ADD</action>
      <bizStep>urn:epcglobal:cbv:bizstep:commissioning</bizStep>
      <disposition>https://ref.gs1.org/cbv/Disp-active</disposition>
      <readPoint><id>urn:epc:id:sgln:0614141.07346.1234</id><ext:gate>4</ext:gate></readPoint>
      <bizLocation><id>https://id.gs1.org/414/4012345000054</id></bizLocation>
      <bizTransactionList>
        <bizTransaction type="urn:epcglobal:cbv:btt:po">
          http://example.com/po/1
        </bizTransaction>
        <bizTransaction>http://example.com/other/2</bizTransaction>
      </bizTransactionList>
      <quantityList><quantityElement>
        <epcClass>urn:epc:class:lgtin:4012345.012345.998877</epcClass>
        <quantity>3.50</quantity><uom>KGM</uom>
      </quantityElement><quantityElement>
        <epcClass>urn:epc:class:lgtin:4012345.012345.998878</epcClass>
        <quantity xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>
      </quantityElement></quantityList>
      <sourceList>
        <source type="urn:epcglobal:cbv:sdt:location">urn:epc:id:sgln:4012345.00225.0</source>
      </sourceList>
      <destinationList>
        <destination type="https://ref.gs1.org/cbv/SDT-owning_party">urn:epc:id:pgln:0614141.00777</destination>
      </destinationList>
      <sensorElementList><sensorElement>
        <sensorMetadata startTime="2026-01-05T04:00:00Z" deviceID="urn:epc:id:giai:4000001.111" ext:room="7"/>
        <sensorReport type="gs1:Temperature" value="+4.50" minValue=".5" maxValue="1E1" uom="CEL"
          booleanValue="1" stringValue="a &lt; b" component="cbv:Comp-x" exception="gs1:ALARM_CONDITION"/>
        <sensorReport type="ext:Smell" stringValue="none"/>
        <ext:note>open</ext:note>
      </sensorElement></sensorElementList>
      <persistentDisposition>
        <unset>urn:epcglobal:cbv:disp:damaged</unset>
        <set>urn:epcglobal:cbv:disp:conformant</set>
        <set>urn:example:disp:mine</set>
      </persistentDisposition>
      <ilmd><ext:grade>A</ext:grade></ilmd>
      <ext:note><![CDATA[a < b]]> &amp; &#x63;</ext:note>
    </ObjectEvent>"#;
    let expected = json!({
        "type": "ObjectEvent",
        "eventTime": "2026-01-05T05:00:00.000+01:00",
        "recordTime": "2026-01-05T05:00:01Z",
        "eventTimeZoneOffset": "+01:00",
        "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
        "certificationInfo": "https://example.org/certificate/1",
        "errorDeclaration": {
            "declarationTime": "2026-01-06T00:00:00Z",
            "reason": "incorrect_data",
            "correctiveEventIDs": ["urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"],
            "ext:by": "Jo"
        },
        "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "active",
        "readPoint": { "id": "urn:epc:id:sgln:0614141.07346.1234", "ext:gate": "4" },
        "bizLocation": { "id": "https://id.gs1.org/414/4012345000054" },
        "bizTransactionList": [
            { "type": "po", "bizTransaction": "http://example.com/po/1" },
            { "bizTransaction": "http://example.com/other/2" }
        ],
        "quantityList": [
            { "epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 3.5, "uom": "KGM" },
            { "epcClass": "urn:epc:class:lgtin:4012345.012345.998878" }
        ],
        "sourceList": [{ "type": "location", "source": "urn:epc:id:sgln:4012345.00225.0" }],
        "destinationList": [
            { "type": "owning_party", "destination": "urn:epc:id:pgln:0614141.00777" }
        ],
        "sensorElementList": [{
            "sensorMetadata": {
                "startTime": "2026-01-05T04:00:00Z",
                "deviceID": "urn:epc:id:giai:4000001.111",
                "ext:room": "7"
            },
            "sensorReport": [
                {
                    "type": "Temperature", "value": 4.5, "minValue": 0.5, "maxValue": 10.0,
                    "uom": "CEL", "booleanValue": true, "stringValue": "a < b", "component": "x",
                    "exception": "ALARM_CONDITION"
                },
                { "type": "https://ns.example.com/ext/Smell", "stringValue": "none" }
            ],
            "ext:note": "open"
        }],
        "persistentDisposition": {
            "unset": ["damaged"], "set": ["conformant", "urn:example:disp:mine"]
        },
        "ilmd": { "ext:grade": "A" },
        "ext:note": "a < b & c"
    });
    assert_eq!(event("2.0", inside), expected);
    let body = events("2.0", "xmlns:ext=\"https://ns.example.com/ext\"", inside);
    let document = capture::parse_xml(body.as_bytes(), &Limits::default()).expect("valid");
    assert_eq!(document.events[0].value, expected);
}

#[test]
fn what_older_versions_wrap_belongs_to_what_is_around() {
    let list = "<quantityList><quantityElement><epcClass>urn:epc:idpat:sgtin:4012345.098765.*\
                </epcClass><quantity>10</quantity></quantityElement></quantityList>";
    let quantities = json!([{
        "epcClass": "urn:epc:idpat:sgtin:4012345.098765.*", "quantity": 10
    }]);
    assert_eq!(
        event(
            "1.2",
            &format!(
                "<ObjectEvent><baseExtension><eventID>urn:uuid:1</eventID><extension/>\
                 </baseExtension><epcList/><action>ADD</action><extension>{list}<ilmd><extension/>\
                 <ext:grade>A</ext:grade></ilmd><extension><persistentDisposition>\
                 <set>urn:epcglobal:cbv:disp:damaged</set></persistentDisposition></extension>\
                 </extension><ext:note>x</ext:note></ObjectEvent>"
            )
        ),
        json!({
            "type": "ObjectEvent",
            "eventID": "urn:uuid:1",
            "epcList": [],
            "action": "ADD",
            "quantityList": quantities,
            "ilmd": { "ext:grade": "A" },
            "persistentDisposition": { "set": ["damaged"] },
            "ext:note": "x"
        })
    );
    let body = events(
        "1.1",
        "",
        "<AggregationEvent/><extension><TransformationEvent/></extension>\
         <extension><extension><AssociationEvent/></extension></extension><TransactionEvent/>",
    );
    let types: Vec<Value> = converted(&body)["epcisBody"]["eventList"]
        .as_array_mut()
        .expect("events")
        .iter_mut()
        .map(|event| event["type"].take())
        .collect();
    let expected = [
        "AggregationEvent",
        "TransformationEvent",
        "AssociationEvent",
        "TransactionEvent",
    ];
    assert_eq!(types, expected);
}

#[test]
fn a_quantity_event_observes_one_quantity() {
    let inside = "<QuantityEvent><eventTime>2026-01-05T05:00:00Z</eventTime>\
                  <eventTimeZoneOffset>+01:00</eventTimeZoneOffset>\
                  <epcClass>urn:epc:idpat:sgtin:4012345.098765.*</epcClass>\
                  <quantity>12</quantity><bizStep>urn:epcglobal:cbv:bizstep:stock_taking</bizStep>\
                  <ext:note>x</ext:note></QuantityEvent>";
    let expected = json!({
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "eventTime": "2026-01-05T05:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "bizStep": "stock_taking",
        "ext:note": "x",
        "quantityList": [{ "epcClass": "urn:epc:idpat:sgtin:4012345.098765.*", "quantity": 12 }]
    });
    assert_eq!(event("1.0", inside), expected);
    let body = events("1.0", "xmlns:ext=\"urn:example:ext\"", inside);
    capture::parse_xml(body.as_bytes(), &Limits::default()).expect("valid");

    let without = inside.replace("<quantity>12</quantity>", "");
    let body = events("1.0", "xmlns:ext=\"urn:example:ext\"", &without);
    let issue = refused(body.as_bytes(), &Limits::default());
    assert_eq!((issue.rule, &*issue.field), (Rule::Required, "quantity"));
}

#[test]
fn every_spelling_of_a_word_of_the_standard_becomes_the_bare_word() {
    for (written, expected) in [
        ("urn:epcglobal:cbv:bizstep:shipping", "shipping"),
        ("https://ref.gs1.org/cbv/BizStep-shipping", "shipping"),
        ("cbv:BizStep-shipping", "shipping"),
        ("shipping", "shipping"),
        // Not of this list, or of none: left to the rules that hold for JSON.
        (
            "urn:epcglobal:cbv:disp:active",
            "urn:epcglobal:cbv:disp:active",
        ),
        (
            "urn:epcglobal:cbv:bizstep:shoving",
            "urn:epcglobal:cbv:bizstep:shoving",
        ),
        (
            "urn:example:bizstep:shipping",
            "urn:example:bizstep:shipping",
        ),
        ("http://example.com/bizstep", "http://example.com/bizstep"),
        // A prefix stands for what it is declared for, not for what it looks like.
        ("ext:shipping", "https://ns.example.com/ext/shipping"),
        ("other:shipping", "other:shipping"),
    ] {
        let event = object_event(&format!("<bizStep>{written}</bizStep>"));
        assert_eq!(event["bizStep"], expected, "{written}");
    }
    let body = events(
        "2.0",
        "xmlns:cbv=\"https://ns.example.com/mine/\" xmlns:c=\"https://ref.gs1.org/cbv/\"",
        "<ObjectEvent><bizStep>cbv:BizStep-shipping</bizStep>\
         <disposition>c:Disp-active</disposition></ObjectEvent>",
    );
    let document = converted(&body);
    let event = &document["epcisBody"]["eventList"][0];
    assert_eq!(
        event["bizStep"],
        "https://ns.example.com/mine/BizStep-shipping"
    );
    assert_eq!(event["disposition"], "active");
}

#[test]
fn documents_with_a_default_namespace_and_the_results_of_queries_are_read() {
    let body = "<EPCISDocument xmlns='urn:epcglobal:epcis:xsd:1' schemaVersion='1' \
                creationDate='2026-01-05T06:00:00Z'><EPCISBody><EventList><ObjectEvent>\
                <action>ADD</action><x xmlns='urn:x'><y xmlns=''/></x></ObjectEvent></EventList>\
                <m:more xmlns:m='urn:m'/></EPCISBody></EPCISDocument>";
    assert_eq!(
        converted(body),
        json!({
            "@context": [
                "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
                { "ns1": "urn:x:", "m": "urn:m:" }
            ],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-01-05T06:00:00Z",
            "epcisBody": {
                "eventList": [
                    { "type": "ObjectEvent", "action": "ADD", "ns1:x": { "ns1:y": "" } }
                ],
                "m:more": ""
            }
        })
    );
    for qualified in ["", "q:"] {
        let body = format!(
            "\u{feff}<q:EPCISQueryDocument xmlns:q='urn:epcglobal:epcis-query:xsd:2' \
             schemaVersion='2.0' creationDate='2026-01-05T06:00:00Z'><EPCISHeader/><EPCISBody>\
             <{qualified}QueryResults><queryName>all</queryName><subscriptionID>7</subscriptionID>\
             <resultsBody><EventList><ObjectEvent/></EventList></resultsBody>\
             </{qualified}QueryResults></EPCISBody></q:EPCISQueryDocument>"
        );
        let mut document = converted(&body);
        assert_eq!(document["type"], "EPCISQueryDocument");
        assert_eq!(
            document["epcisBody"].take(),
            json!({ "queryResults": {
                "queryName": "all",
                "subscriptionID": "7",
                "resultsBody": { "eventList": [{ "type": "ObjectEvent" }] }
            } })
        );
    }
}

#[test]
fn the_header_is_kept_and_its_sender_and_receiver_stand_in_the_document() {
    let body = document(
        "1.2",
        "xmlns:s=\"http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader\" \
         xmlns:ext=\"urn:example:ext\" ext:from=\"x\"",
        "<EPCISHeader>
          <s:StandardBusinessDocumentHeader>
            <s:HeaderVersion>1.0</s:HeaderVersion>
            <s:Sender><s:Identifier Authority=\"SGLN\">urn:epc:id:sgln:0353579.00001.0</s:Identifier></s:Sender>
            <s:Receiver><s:Identifier>urn:epc:id:sgln:5012345.00001.0</s:Identifier></s:Receiver>
            <s:Receiver><s:Identifier>urn:epc:id:sgln:5012345.00002.0</s:Identifier></s:Receiver>
            <s:DocumentIdentification><s:InstanceIdentifier>1234</s:InstanceIdentifier></s:DocumentIdentification>
          </s:StandardBusinessDocumentHeader>
          <extension><EPCISMasterData><VocabularyList>
            <Vocabulary type=\"urn:epcglobal:epcis:vtype:BusinessLocation\"><VocabularyElementList>
              <VocabularyElement id=\"urn:epc:id:sgln:0037000.00729.0\">
                <attribute id=\"urn:epcglobal:cbv:mda:sst\">201</attribute>
                <attribute id=\"http://example.com/address\"><ext:Address><Street>1 Nowhere</Street></ext:Address></attribute>
                <children><id>urn:epc:id:sgln:0037000.00729.8201</id></children>
              </VocabularyElement>
            </VocabularyElementList></Vocabulary>
          </VocabularyList></EPCISMasterData></extension>
        </EPCISHeader>
        <EPCISBody><EventList/></EPCISBody>",
    );
    let mut document = converted(&body);
    assert_eq!(document["sender"], "urn:epc:id:sgln:0353579.00001.0");
    assert_eq!(document.get("receiver"), None, "which of two?");
    assert_eq!(document["instanceIdentifier"], "1234");
    assert_eq!(document["ext:from"], "x");
    let mut header = document["epcisHeader"].take();
    let business = header["s:StandardBusinessDocumentHeader"].take();
    assert_eq!(business["s:Sender"]["s:Identifier"]["s:Authority"], "SGLN");
    assert_eq!(
        business["s:Receiver"][1]["s:Identifier"],
        "urn:epc:id:sgln:5012345.00002.0"
    );
    assert_eq!(
        header["epcisMasterData"].take(),
        json!({ "vocabularyList": [{
            "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
            "vocabularyElementList": [{
                "id": "urn:epc:id:sgln:0037000.00729.0",
                "attributes": [
                    { "id": "urn:epcglobal:cbv:mda:sst", "attribute": "201" },
                    {
                        "id": "http://example.com/address",
                        "attribute": { "ext:Address": { "ext:Street": "1 Nowhere" } }
                    }
                ],
                "children": ["urn:epc:id:sgln:0037000.00729.8201"]
            }]
        }] })
    );
    capture::parse_xml(body.as_bytes(), &Limits::default()).expect("valid");
}
