//! Log lines that say which trace they belong to.

use std::fmt;

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Compact, Format, Json, Writer},
        time::FormatTime,
    },
    registry::LookupSpan,
};

/// tracing-subscriber's JSON with `trace_id`, `span_id`, `service` and `node` before it.
pub(super) struct JsonLines {
    inner: Format<Json, Rfc3339>,
    /// `"service":"…","node":"…",`
    origin: String,
}

pub(super) fn json(service: &str, node: &str) -> JsonLines {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let origin = format!("\"service\":{},\"node\":{},", quoted(service), quoted(node));
    let inner = tracing_subscriber::fmt::format().with_timer(Rfc3339).json();
    JsonLines {
        inner: inner.flatten_event(true).with_current_span(false),
        origin,
    }
}

/// tracing-subscriber's compact line with the trace at its end.
pub(super) struct PrettyLines(Format<Compact, Rfc3339>);

pub(super) fn pretty() -> PrettyLines {
    PrettyLines(
        tracing_subscriber::fmt::format()
            .with_timer(Rfc3339)
            .compact(),
    )
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner
            .format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').unwrap_or(&line);
        write!(writer, "{{{}", self.origin)?;
        if let Some(span) = current() {
            write!(
                writer,
                "\"trace_id\":\"{}\",\"span_id\":\"{}\",",
                span.trace_id(),
                span.span_id()
            )?;
        }
        writer.write_str(rest)
    }
}

impl<S, N> FormatEvent<S, N> for PrettyLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(line.trim_end())?;
        if let Some(span) = current() {
            write!(writer, " trace_id={}", span.trace_id())?;
        }
        writeln!(writer)
    }
}

/// The span that this thread is in, as OpenTelemetry knows it.
fn current() -> Option<SpanContext> {
    Context::map_current(|context| {
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    })
}

/// UTC with microseconds, from the one clock.
struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.6}", crate::clock::now())
    }
}
