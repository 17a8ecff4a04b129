//! What a route takes and gives: the columns of the table of routes that its documentation is made of.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// The media type of answers and of most bodies.
pub(in crate::api) const JSON: &str = "application/json";
/// The media type of events.
pub(in crate::api) const JSON_LD: &str = "application/ld+json";
/// The media type of notes and keys.
pub(in crate::api) const TEXT: &str = "text/plain";

/// The media type of pages.
pub(in crate::api) const HTML: &str = "text/html";

/// Answers of one route.
const ANSWERS_MAX: usize = 4;

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a body holds.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// JSON that is written from this type, or read into it.
    Of(SchemaOf),
    /// JSON of the schema that `schemas.json` has under this name.
    Named(&'static str),
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Nothing: there is no body.
    Nothing,
}

/// An answer that is no problem document.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The media type of its body, without parameters.
    pub media: &'static str,
    /// What the body holds.
    pub form: Form,
}

/// 200 with JSON of a schema in `schemas.json`.
pub(in crate::api) const fn json(name: &'static str) -> Answer {
    body(JSON, Form::Named(name))
}

/// 200 with JSON of a type.
pub(in crate::api) const fn of<T: JsonSchema>() -> Answer {
    body(JSON, Form::Of(subschema::<T>))
}

/// 200 with text.
pub(in crate::api) const fn text(media: &'static str) -> Answer {
    body(media, Form::Text)
}

/// 200 with bytes.
pub(in crate::api) const fn bytes() -> Answer {
    body("application/octet-stream", Form::Bytes)
}

/// An answer without a body.
pub(in crate::api) const fn done(status: u16) -> Answer {
    body("", Form::Nothing).as_status(status)
}

const fn body(media: &'static str, form: Form) -> Answer {
    Answer {
        status: 200,
        media,
        form,
    }
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Answer {
    /// With another status.
    pub(in crate::api) const fn as_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With another media type.
    pub(in crate::api) const fn as_media(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }
}

/// What a route takes and gives, beside the problem documents that every route may give.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The parameters of the query string: the members of a type.
    pub query: Option<SchemaOf>,
    /// Headers beside those of HTTP itself, by their names.
    pub headers: &'static [&'static str],
    /// The media types of the request's body, and what it holds.
    pub takes: Option<(&'static [&'static str], Form)>,
    /// Answers.
    pub answers: [Option<Answer>; ANSWERS_MAX],
    /// Statuses of problem documents that not every route has.
    pub fails: &'static [u16],
}

impl Shape {
    /// Of a route of which nothing is said yet.
    pub(in crate::api) const NEW: Self = Self {
        query: None,
        headers: &[],
        takes: None,
        answers: [None; ANSWERS_MAX],
        fails: &[],
    };

    /// The members of `T` are parameters of the query string.
    pub(in crate::api) const fn asks<T: JsonSchema>(mut self) -> Self {
        self.query = Some(T::json_schema);
        self
    }

    /// These headers are read.
    pub(in crate::api) const fn hears(mut self, headers: &'static [&'static str]) -> Self {
        self.headers = headers;
        self
    }

    /// The body is JSON of a type.
    pub(in crate::api) const fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Some((&[JSON], Form::Of(subschema::<T>)));
        self
    }

    /// The body is a capture.
    pub(in crate::api) const fn takes_events(mut self) -> Self {
        const MEDIA: &[&str] = &[JSON_LD, JSON, "application/xml", "text/xml"];
        self.takes = Some((MEDIA, Form::Named("Capture")));
        self
    }

    /// One more answer.
    pub(in crate::api) const fn gives(mut self, answer: Answer) -> Self {
        let mut place = 0;
        while self.answers[place].is_some() {
            place += 1;
        }
        self.answers[place] = Some(answer);
        self
    }

    /// It has problems of these statuses, too.
    pub(in crate::api) const fn fails(mut self, statuses: &'static [u16]) -> Self {
        self.fails = statuses;
        self
    }
}
