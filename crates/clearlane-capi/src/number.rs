//! The header's numbers for Rust's enumerations.

/// A function from a number to its value. Of `every` value: it does not compile before each has a number.
macro_rules! numbers {
    (every $function:ident, $type:ty, $what:literal, $($number:ident = $value:path),*) => {
        crate::number::numbers!($function, $type, $what, $($number = $value),*);
        const _: fn($type) -> i32 = |value| match value { $($value => $number),* };
    };
    ($function:ident, $type:ty, $what:literal, $($number:ident = $value:path),*) => {
        pub(crate) fn $function(number: i32) -> Result<$type, crate::status::Failure> {
            match number {
                $($number => Ok($value),)*
                _ => {
                    let known = [$(stringify!($number)),*].join(", ");
                    let message = format!("expected {}, one of {known}, got {number}", $what);
                    Err(crate::status::Failure::argument(message))
                }
            }
        }
    };
}

pub(crate) use numbers;
