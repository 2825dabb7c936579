use crate::InferError;
use crate::kernel::isa::Isa;

/// How a network runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Who carries out the graph.
    pub path: Path,
    /// Where the graph fixes the height and width of its input, the wanted ones take their place.
    pub refit: bool,
}

impl Options {
    /// A network on a given path.
    #[must_use]
    pub fn on(path: Path) -> Self {
        Self { path, ..Self::default() }
    }

    /// The same, for a height and width other than the graph's. That is a way to use networks which are convolutions
    /// throughout, such as detectors; one that is not will not load, or makes outputs without a meaning.
    #[must_use]
    pub fn refitted(self) -> Self {
        Self { refit: true, ..self }
    }
}

/// Who carries out a network's nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// The kernels for the widest instructions that the CPU has; tract where no kernel exists.
    #[default]
    Auto,
    /// The AVX-512 kernels.
    Avx512,
    /// The AVX2 and FMA kernels.
    Avx2,
    /// As `Avx2`, and the byte products of AVX-VNNI for quantised models.
    AvxVnni,
    /// The NEON kernels, of 64-bit Arm.
    Neon,
    /// The kernels that run on every CPU.
    Portable,
    /// tract, for every node.
    Reference,
}

impl Path {
    /// The kernels of this path, `None` for tract's.
    pub(crate) fn isa(self) -> Result<Option<Isa>, InferError> {
        let isa = match self {
            Self::Auto => Some(Isa::best()),
            Self::Avx512 => Isa::avx512(),
            Self::Avx2 => Isa::avx2(),
            Self::AvxVnni => Isa::avx_vnni(),
            Self::Neon => Isa::neon(),
            Self::Portable => Some(Isa::portable()),
            Self::Reference => return Ok(None),
        };
        match isa {
            Some(isa) => Ok(Some(isa)),
            None => Err(InferError::Instructions { path: self }),
        }
    }
}
