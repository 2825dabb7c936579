use std::str::FromStr;

use clearlane_simd::Isa;

use crate::error::UnknownBackend;

/// How a network runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What runs the graph's nodes.
    pub backend: Backend,
    /// Where the graph fixes the height and width of its input, those that the network is made for take their place.
    pub refit: bool,
}

impl Options {
    /// A network on a given backend.
    #[must_use]
    pub fn on(backend: Backend) -> Self {
        Self { backend, ..Self::default() }
    }

    /// The same, for a height and width other than the graph's. That is a way to use networks which are convolutions
    /// throughout, such as detectors; one that is not will not load, or makes outputs without a meaning.
    #[must_use]
    pub fn refitted(self) -> Self {
        Self { refit: true, ..self }
    }
}

/// What runs a network's nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// The kernels for the widest instructions that the CPU has; tract where no kernel exists.
    #[default]
    Auto,
    /// The kernels for one instruction set; tract where no kernel exists.
    Kernels(Isa),
    /// tract, for every node: the reference that kernels are tested against.
    Tract,
}

/// By name: `auto`, `tract`, or the instruction set of the kernels, one of [`Isa::NAMES`].
impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        match name {
            "auto" => Ok(Self::Auto),
            "tract" => Ok(Self::Tract),
            _ => Isa::by_name(name).map(Self::Kernels).ok_or_else(|| {
                match Isa::NAMES.iter().find(|known| **known == name) {
                    Some(isa) => UnknownBackend::Processor { isa },
                    None => UnknownBackend::Name { name: name.to_owned() },
                }
            }),
        }
    }
}

impl Backend {
    /// The instruction set of this backend's kernels, `None` for tract's.
    pub(crate) fn isa(self) -> Option<Isa> {
        match self {
            Self::Auto => Some(Isa::best()),
            Self::Kernels(isa) => Some(isa),
            Self::Tract => None,
        }
    }
}
