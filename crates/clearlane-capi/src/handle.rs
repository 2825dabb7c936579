//! Handles: numbers in the shape of pointers, so that one which is closed, wrong or made up is found out instead of followed.

use std::any::Any;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::status::{CLEARLANE_HANDLE, Failure};

/// What a handle may stand for.
pub(crate) trait Handle: Send + Sync + 'static {
    /// What it is called in messages.
    const NAME: &'static str;
    /// The header's opaque type.
    type Pointer;
}

struct Object {
    name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

struct Table {
    /// The newest number. None is ever used twice.
    last: usize,
    objects: BTreeMap<usize, Object>,
}

/// From one number to the next: no number of ours is a likely one.
const STEP: usize = 0x10;

/// The library's one global: what is open.
static OPEN: RwLock<Table> = RwLock::new(Table { last: 0, objects: BTreeMap::new() });

/// A handle for `value`.
pub(crate) fn open<H: Handle>(value: H) -> Result<*mut H::Pointer, Failure> {
    let mut table = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    let number = table.last.checked_add(STEP).ok_or_else(|| Failure::internal("no handle is left"))?;
    table.last = number;
    table.objects.insert(number, Object { name: H::NAME, value: Arc::new(value) });
    Ok(ptr::without_provenance_mut(number))
}

/// What the handle stands for. It lives until this call is over, even if another thread closes the handle.
pub(crate) fn get<H: Handle>(pointer: *const H::Pointer) -> Result<Arc<H>, Failure> {
    let table = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    let object = table.objects.get(&pointer.addr()).ok_or_else(|| unknown::<H>(pointer.is_null()))?;
    Arc::clone(&object.value).downcast().map_err(|_| other::<H>(object.name))
}

/// Closes the handle. Null is passed over.
pub(crate) fn close<H: Handle>(pointer: *mut H::Pointer) -> Result<(), Failure> {
    if pointer.is_null() {
        return Ok(());
    }
    let mut table = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    match table.objects.get(&pointer.addr()) {
        None => return Err(unknown::<H>(false)),
        Some(object) if !object.value.is::<H>() => return Err(other::<H>(object.name)),
        Some(_) => {}
    }
    let closed = table.objects.remove(&pointer.addr());
    // What is closed may take its time, or call back.
    drop(table);
    drop(closed);
    Ok(())
}

fn unknown<H: Handle>(null: bool) -> Failure {
    let found = if null { "NULL" } else { "a pointer that is closed or was never one" };
    Failure::new(CLEARLANE_HANDLE, format!("expected the handle of {}, got {found}", H::NAME))
}

fn other<H: Handle>(found: &str) -> Failure {
    Failure::new(CLEARLANE_HANDLE, format!("expected the handle of {}, got that of {found}", H::NAME))
}
