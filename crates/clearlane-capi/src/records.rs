//! The crossing records.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr;

use clearlane::store::{Outcome, RecordQuery, Subject};
use clearlane::{Direction, Port, SubjectId};
use serde_json::json;

use crate::guard::guarded;
use crate::handle::get;
use crate::lane::{clearlane_direction, direction};
use crate::number::numbers;
use crate::pointer::{optional, place};
use crate::port::clearlane_port;
use crate::sized::{Input, input};
use crate::status::{CLEARLANE_NOT_FOUND, CLEARLANE_UNAVAILABLE, Failure, clearlane_status};
use crate::text::give;

/// What a passage came to, where records are asked for. 0: either.
pub type clearlane_outcome = i32;

/// The traveller was admitted.
pub const CLEARLANE_ADMIT: clearlane_outcome = 1;
/// The traveller was referred to an officer.
pub const CLEARLANE_REFER: clearlane_outcome = 2;

numbers!(outcome, Outcome, "an outcome", CLEARLANE_ADMIT = Outcome::Admit, CLEARLANE_REFER = Outcome::Refer);

/// The form of a printed record.
pub type clearlane_form = i32;

/// Lines of text, in Chinese and English.
pub const CLEARLANE_TEXT: clearlane_form = 1;
/// One page for A4 paper, in Chinese and English, that needs nothing else.
pub const CLEARLANE_HTML: clearlane_form = 2;
/// JSON.
pub const CLEARLANE_JSON: clearlane_form = 3;

numbers!(form, Form, "a form", CLEARLANE_TEXT = Form::Text, CLEARLANE_HTML = Form::Html, CLEARLANE_JSON = Form::Json);

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Text,
    Html,
    Json,
}

/// Whose records are asked for. Either `key` or `subject` is given.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_record_query {
    /// sizeof(clearlane_record_query).
    pub size: usize,
    /// The subject by the name that the world outside has for them, or NULL.
    pub key: *const c_char,
    /// The subject by the register's number, or 0.
    pub subject: u64,
    /// In this direction. 0: in either.
    pub direction: clearlane_direction,
    /// With this outcome. 0: with either. A record is printed of an admission alone.
    pub outcome: clearlane_outcome,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_record_query {
    const NAME: &'static str = "clearlane_record_query";
    const LEAST: usize = offset_of!(Self, direction);
}

/// A query as Rust takes it.
struct Asked {
    subject: Subject,
    direction: Option<Direction>,
    outcome: Option<Outcome>,
}

/// The newest record of a subject as JSON, freed by clearlane_free(). CLEARLANE_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_last_record(
    port: *const clearlane_port,
    query: *const clearlane_record_query,
    json: *mut *mut c_char,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let json = place(json, "json")?;
            *json = ptr::null_mut();
            let port = get::<Port>(port)?;
            let Asked { subject, direction, outcome } = asked(&port, query)?;
            let query = RecordQuery { subject: Some(subject.id), direction, outcome, ..RecordQuery::default() };
            let record = port.records().last(&query)?.ok_or_else(no_record)?;
            *json = give(&serde_json::to_string(&record).map_err(Failure::internal)?);
            Ok(())
        })
    }
}

/// The last passage that a lane admitted the subject to, to be taken along on paper, freed by clearlane_free().
/// CLEARLANE_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_print_last(
    port: *const clearlane_port,
    query: *const clearlane_record_query,
    form: clearlane_form,
    text: *mut *mut c_char,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let text = place(text, "text")?;
            *text = ptr::null_mut();
            let port = get::<Port>(port)?;
            let form = self::form(form)?;
            let Asked { subject, direction, outcome } = asked(&port, query)?;
            if outcome == Some(Outcome::Refer) {
                return Err(Failure::argument("expected a query for admissions: no other record is printed"));
            }
            if port.policy().is_none() {
                let message = "the port was opened without a policy, which has the ports' names: open it with one";
                return Err(Failure::new(CLEARLANE_UNAVAILABLE, message));
            }
            let printed = port.records().print_last(&subject, direction)?.ok_or_else(no_record)?;
            *text = give(&match form {
                Form::Text => printed.to_string(),
                Form::Html => printed.to_html(),
                Form::Json => serde_json::to_string(&printed).map_err(Failure::internal)?,
            });
            Ok(())
        })
    }
}

/// Verifies the whole chain of records. `json` gets how many there are and what is wrong, the first bad record first, and is
/// freed by clearlane_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_verify_records(
    port: *const clearlane_port,
    sound: *mut bool,
    json: *mut *mut c_char,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let (sound, json) = (place(sound.cast::<u8>(), "sound")?, place(json, "json")?);
            (*sound, *json) = (0, ptr::null_mut());
            let chain = get::<Port>(port)?.records().verify(|_, _| {})?;
            let problem = |problem: &clearlane::store::Problem| json!({ "row": problem.row.to_string(), "fault": problem.fault.to_string() });
            let problems: Vec<_> = chain.problems.iter().map(problem).collect();
            let value = json!({
                "sound": chain.is_sound(), "records": chain.records, "ends_checked": chain.keyed, "problems": problems,
            });
            (*sound, *json) = (chain.is_sound().into(), give(&value.to_string()));
            Ok(())
        })
    }
}

/// # Safety
/// `query` is as the head of the header asks.
unsafe fn asked(port: &Port, query: *const clearlane_record_query) -> Result<Asked, Failure> {
    // SAFETY: the caller's promise.
    let (given, key) = unsafe {
        let given = input(query, "query")?;
        (given, optional(given.key, "query.key")?)
    };
    let register = port.register();
    let subject = match (key, given.subject) {
        (Some(key), 0) => register.subject(key)?,
        (None, number) if number > 0 => register.subject_by_id(SubjectId(number))?,
        _ => return Err(Failure::argument("expected either `query.key` or `query.subject`")),
    };
    let unknown = || Failure::new(CLEARLANE_NOT_FOUND, "the register has no such subject");
    let subject = subject.ok_or_else(unknown)?;
    let direction = if given.direction == 0 { None } else { Some(direction(given.direction)?) };
    let outcome = if given.outcome == 0 { None } else { Some(outcome(given.outcome)?) };
    Ok(Asked { subject, direction, outcome })
}

fn no_record() -> Failure {
    Failure::new(CLEARLANE_NOT_FOUND, "the subject has no such record")
}
