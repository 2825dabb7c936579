//! The library's log, to a function of the host's.

use std::ffi::{CString, c_char, c_void};
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::guard::guarded;
use crate::number::numbers;
use crate::status::{CLEARLANE_UNAVAILABLE, Failure, clearlane_status};

/// How much a message matters.
pub type clearlane_log_level = i32;

/// Something failed.
pub const CLEARLANE_LOG_ERROR: clearlane_log_level = 1;
/// Something is not as it should be.
pub const CLEARLANE_LOG_WARN: clearlane_log_level = 2;
/// Something happened, such as a decision.
pub const CLEARLANE_LOG_INFO: clearlane_log_level = 3;
/// For those who look for a mistake.
pub const CLEARLANE_LOG_DEBUG: clearlane_log_level = 4;
/// All of it.
pub const CLEARLANE_LOG_TRACE: clearlane_log_level = 5;

numbers!(
    level,
    Level,
    "a log level",
    CLEARLANE_LOG_ERROR = Level::ERROR,
    CLEARLANE_LOG_WARN = Level::WARN,
    CLEARLANE_LOG_INFO = Level::INFO,
    CLEARLANE_LOG_DEBUG = Level::DEBUG,
    CLEARLANE_LOG_TRACE = Level::TRACE
);

/// Gets a message: its level, the part of the library that it comes from, and the text. Both texts are gone when the callback
/// returns. Called from any thread; it must not throw. No message has a face, a template, a name or a document's number.
pub type clearlane_log_callback = Option<
    unsafe extern "C" fn(user: *mut c_void, level: clearlane_log_level, target: *const c_char, text: *const c_char),
>;

/// Sends the library's messages of this level and above to `callback`, for as long as the process runs. It can be set once;
/// CLEARLANE_UNAVAILABLE afterwards. `user` is used from any thread and never released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_log_to(
    callback: clearlane_log_callback,
    user: *mut c_void,
    level: clearlane_log_level,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: `message` is as the head of the header asks.
    unsafe {
        guarded(message, || {
            let callback = callback.ok_or_else(|| Failure::argument("`callback` is NULL"))?;
            let level = LevelFilter::from_level(self::level(level)?);
            let set =
                tracing::subscriber::set_global_default(Registry::default().with(level).with(Host { callback, user }));
            set.map_err(|_| Failure::new(CLEARLANE_UNAVAILABLE, "the log goes elsewhere already: it is set once"))
        })
    }
}

/// A host's log callback.
struct Host {
    callback: unsafe extern "C" fn(*mut c_void, clearlane_log_level, *const c_char, *const c_char),
    user: *mut c_void,
}

// SAFETY: the header asks for a callback that any thread may call.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// The fields of a span or an event as text: the message first, then ` name=value`.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl<S: Subscriber + for<'lookup> LookupSpan<'lookup>> Layer<S> for Host {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut text = fields.message + &fields.others;
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let others = extensions.get::<Fields>().map_or("", |fields| fields.others.trim_start());
            // Writing to a String cannot fail.
            let _ = write!(text, " in {}{{{others}}}", span.name());
        }
        let level = match *event.metadata().level() {
            Level::ERROR => CLEARLANE_LOG_ERROR,
            Level::WARN => CLEARLANE_LOG_WARN,
            Level::INFO => CLEARLANE_LOG_INFO,
            Level::DEBUG => CLEARLANE_LOG_DEBUG,
            Level::TRACE => CLEARLANE_LOG_TRACE,
        };
        let [target, text] =
            [event.metadata().target(), &text].map(|text| CString::new(text.replace('\0', " ")).unwrap_or_default());
        // SAFETY: a callback as the header describes it; both texts outlive the call.
        unsafe { (self.callback)(self.user, level, target.as_ptr(), text.as_ptr()) };
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}
