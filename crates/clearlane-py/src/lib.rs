//! The Python module `clearlane`, over the public API of the crate `clearlane` and nothing else.
//!
//! Arrays are those of the `numpy` crate rather than of the buffer protocol, which the stable ABI has from Python 3.11 on only
//! and which gives out arrays of nobody's type; `abi3-py39` makes one wheel for all versions from 3.9 on.
// `pictures` has the one block: it reads the rows of an array where they lie.
#![deny(unsafe_code)]
#![allow(
    clippy::doc_markdown,
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "documentation is Python's docstrings, and arguments are Python's: owned, and as many as there are keywords"
)]

use pyo3::prelude::*;

mod answers;
mod extractor;
mod failure;
mod gallery;
mod lane;
mod network;
mod pictures;
mod port;
mod values;

/// Face matching for document-free border lanes: ports, lanes, search and inference over NumPy arrays.
#[pymodule]
mod clearlane {
    #[pymodule_export]
    use crate::answers::{
        Candidate, Comparison, Enrolment, Guidance, Identification, Passage, PrintedRecord, Reason, Verification,
    };
    #[pymodule_export]
    use crate::extractor::{Extractor, verify};
    #[pymodule_export]
    use crate::failure::{ConfigurationError, Error, InputError, InternalError, PictureError, RegisterError};
    #[pymodule_export]
    use crate::gallery::{Gallery, SearchResult};
    #[pymodule_export]
    use crate::lane::{Evidence, Lane, PassageSession};
    #[pymodule_export]
    use crate::network::Network;
    #[pymodule_export]
    use crate::pictures::{decode_picture, read_picture};
    #[pymodule_export]
    use crate::port::Port;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Said here, and not at the first array.
        module.py().import("numpy")?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
