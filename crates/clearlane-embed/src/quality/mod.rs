//! Quality components of ISO/IEC 29794-5:2025, under the standard's names.
//!
//! Each has a native value in its own unit and a component value of 0 (worst) to 100. Mappings are those of the standard
//! as its reference implementation (OFIQ 1.0) states them, but for what five landmarks cannot give: see each
//! [`Component`]. A component value is a statement about the capture, not a probability of anything.
//!
//! What covers a face is seen by a model for it, [`Occlusion`], and *not assessed* without one. Four components are never
//! assessed: the unified score, which is a face embedder's norm (`MagFace`), and those that tell open eyes, closed mouths and
//! neutral faces from others, for which there are no examples to learn from here. [`Quality::standard`] names them all, with a
//! value or without.

mod background;
mod blocks;
mod colour;
mod component;
mod doubt;
mod exposure;
mod occlusion;
mod placement;
mod pose;

use serde::{Serialize, Serializer};

use crate::align::{ALIGNED, AlignError, AlignedFace, FacePatch};
use crate::detect::Face;
use crate::frame::Frame;
use crate::geometry::BoundingBox;

pub use component::{Component, UnknownComponent};
pub use doubt::Doubt;
pub use occlusion::Occlusion;
pub use pose::{Pose, estimate_pose};

/// One component's value for one face.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Which component.
    #[serde(skip)]
    pub component: Component,
    /// The value in the component's own unit.
    pub native: f32,
    /// The component value, 0 (worst) to 100.
    pub value: u8,
}

/// The text that stands for how components are measured and mapped in [`Quality::recipe`]: a change there means another number here.
const MEASURING: &str = concat!("clearlane-embed ", env!("CARGO_PKG_VERSION"), ", quality 2");

/// The quality of one face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    measures: Vec<Measure>,
}

/// What is looked at of a frame beside the whole of it, in an aligned face's coordinates.
pub(crate) fn seen() -> BoundingBox {
    background::seen().union(&ALIGNED)
}

impl Quality {
    /// What stands for how components are measured, and for which there are: a caller who keeps qualities keeps them under it, beside
    /// what else they depend on, the detector among it.
    #[must_use]
    pub fn recipe() -> String {
        let names = Component::ALL.map(Component::name);
        format!("{MEASURING}: {}", names.join(", "))
    }

    /// Measures `face`, one of the `faces` of this frame, without a model for occlusion.
    pub fn assess(frame: &Frame<'_>, face: &Face, faces: &[Face]) -> Result<Self, AlignError> {
        let patch = FacePatch::new(frame, &face.landmarks)?;
        Self::of_patch(frame, &patch, &patch.aligned(), face, faces)
    }

    /// The same from the face's part of the frame and the aligned face.
    pub(crate) fn of_patch(
        frame: &Frame<'_>,
        patch: &FacePatch,
        aligned: &AlignedFace,
        face: &Face,
        faces: &[Face],
    ) -> Result<Self, AlignError> {
        let pose = estimate_pose(&face.landmarks);
        let mut measures = placement::assess(frame, face, faces, &pose);
        measures.extend(pose.measures());
        measures.extend(exposure::assess(frame, &patch.pixels, &face.landmarks)?);
        measures.extend(background::assess(frame, patch));
        measures.extend(blocks::assess(frame, patch));
        measures.push(colour::assess(aligned));
        Ok(Self { measures: Vec::new() }.with(measures))
    }

    /// The same with measures more, such as those of [`Occlusion::assess`].
    #[must_use]
    pub fn with(mut self, measures: impl IntoIterator<Item = Measure>) -> Self {
        self.measures.extend(measures);
        self.measures.sort_by_key(|measure| measure.component);
        self
    }

    /// Every component that was assessed, in the order of [`Component`].
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The names of the standard's 28 components, in its order, each with its measure; `None` where it is not assessed.
    pub fn standard(&self) -> impl Iterator<Item = (&'static str, Option<Measure>)> {
        let measure = |name| Component::from_name(name).and_then(|component| self.get(component));
        Component::STANDARD.into_iter().map(move |name| (name, measure(name)))
    }

    /// One component; `None` where it is not assessed.
    #[must_use]
    pub fn get(&self, component: Component) -> Option<Measure> {
        self.measures.iter().find(|measure| measure.component == component).copied()
    }

    /// The component of the lowest value: what to tell the traveller or the operator first.
    #[must_use]
    pub fn weakest(&self) -> Option<Measure> {
        self.measures.iter().min_by_key(|measure| measure.value).copied()
    }
}

impl Serialize for Quality {
    /// A map from the names of the standard's 28 components to the native and the component value of each, or to null where it
    /// is not assessed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.standard())
    }
}

/// A measure whose component value is `value`, rounded and held within 0 to 100.
fn measure(component: Component, native: f32, value: f32) -> Measure {
    // A cast of NaN gives 0, the worst value.
    Measure { component, native, value: value.round().clamp(0.0, 100.0) as u8 }
}

/// The logistic function with its middle at `x0` and a width of `w` (OFIQ 1.0, "Sigmoid").
fn sigmoid(x: f32, x0: f32, w: f32) -> f32 {
    1.0 / (1.0 + ((x0 - x) / w).exp())
}
