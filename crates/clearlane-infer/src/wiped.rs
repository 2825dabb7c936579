//! Memory for faces and for what networks make of them, zeroed before it is given back.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use sealed::Numbers;

/// Values that are zeroed before their memory is given back, on errors and panics as well: pixels, activations, outputs.
///
/// It never moves them without wiping where they were, as a `Vec` that grows does.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Wiped<T: Plain>(Vec<T>);

impl<T: Plain> Wiped<T> {
    /// So many zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self(vec![T::ZERO; len])
    }

    /// No values yet, and room for so many.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends values.
    pub fn extend_from_slice(&mut self, values: &[T]) {
        let len = self.0.len() + values.len();
        if len > self.0.capacity() {
            let mut larger = Self::with_capacity(len.max(2 * self.0.capacity()));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(values);
    }

    /// Keeps the first `len` values; the rest is wiped.
    pub fn truncate(&mut self, len: usize) {
        let len = len.min(self.0.len());
        wipe(&mut self.0[len..]);
        self.0.truncate(len);
    }

    /// The values, which are no longer wiped on drop.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }
}

impl<T: Plain> From<Vec<T>> for Wiped<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T: Plain> Deref for Wiped<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Plain> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Plain> Drop for Wiped<T> {
    fn drop(&mut self) {
        self.0.spare_capacity_mut().zeroize();
        wipe(&mut self.0);
    }
}

/// No face in any log: the values are counted, not shown.
impl<T: Plain> fmt::Debug for Wiped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiped").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// Zeroes values in a way that the compiler keeps, even if nothing reads them afterwards.
pub fn wipe<T: Plain>(values: &mut [T]) {
    T::wipe(values);
}

/// What [`Wiped`] holds: numbers, and arrays of them.
pub trait Plain: Numbers {}

impl<T: Numbers> Plain for T {}

mod sealed {
    use zeroize::Zeroize;

    /// Numbers, or arrays of them.
    pub trait Numbers: Copy + 'static {
        const ZERO: Self;

        fn wipe(values: &mut [Self]);
    }

    macro_rules! numbers {
        ($($number:ty)*) => {
            $(impl Numbers for $number {
                const ZERO: Self = 0 as Self;

                fn wipe(values: &mut [Self]) {
                    values.zeroize();
                }
            })*
        };
    }

    numbers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64);

    impl<T: Numbers, const N: usize> Numbers for [T; N] {
        const ZERO: Self = [T::ZERO; N];

        fn wipe(values: &mut [Self]) {
            T::wipe(values.as_flattened_mut());
        }
    }
}
