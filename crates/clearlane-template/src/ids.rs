//! The ids under which a register keeps subjects and their templates.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One enrolled person in one register. Several templates may belong to one subject.
    SubjectId
}
id! {
    /// One stored template (a reference). Unique in its register, never used again after revocation; candidate lists
    /// break ties by it.
    TemplateId
}
