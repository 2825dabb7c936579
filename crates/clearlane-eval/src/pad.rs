//! Presentation attack detection: the error rates of ISO/IEC 30107-3:2023.

use serde::Serialize;

use crate::ordered::Ordered;
use crate::{Estimate, Rate, ScoreError};

/// The scores of a presentation attack detection test. A presentation is taken as bona fide where its score is at or
/// above the threshold.
#[derive(Clone, Debug)]
pub struct PadScores {
    bona_fide: Ordered,
    attacks: Vec<(String, Ordered)>,
}

/// A subsystem's errors at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PadPoint {
    /// The threshold.
    pub threshold: f32,
    /// Attacks taken as bona fide, by kind of attack instrument.
    pub apcer: Vec<Apcer>,
    /// The highest of them: the APCER of the subsystem (clause 13.2.1).
    pub worst_apcer: f64,
    /// Bona fide presentations taken as attacks.
    pub bpcer: Estimate,
}

/// The attack presentation classification error rate of one kind of attack instrument (PAIS).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Apcer {
    /// The kind.
    pub species: String,
    /// Its rate.
    #[serde(flatten)]
    pub rate: Estimate,
}

impl PadScores {
    /// Scores of bona fide presentations, and of attacks by kind of instrument; at least one of each, all finite.
    pub fn new(bona_fide: Vec<f32>, attacks: Vec<(String, Vec<f32>)>) -> Result<Self, ScoreError> {
        if attacks.is_empty() {
            return Err(ScoreError::Empty { kind: "attack" });
        }
        let attacks = attacks.into_iter().map(|(species, scores)| Ok((species, Ordered::list("attack", scores)?)));
        Ok(Self { bona_fide: Ordered::list("bona fide", bona_fide)?, attacks: attacks.collect::<Result<_, _>>()? })
    }

    /// All rates at `threshold`, with intervals of Clopper and Pearson.
    #[must_use]
    pub fn at(&self, threshold: f32) -> PadPoint {
        let apcer = self.attacks.iter().map(|(species, scores)| {
            let rate = Rate::new(scores.total() - scores.below(threshold), scores.total());
            Apcer { species: species.clone(), rate: rate.exact_estimate() }
        });
        let apcer: Vec<Apcer> = apcer.collect();
        let worst_apcer = apcer.iter().map(|apcer| apcer.rate.rate.value()).fold(0.0, f64::max);
        let bpcer = Rate::new(self.bona_fide.below(threshold), self.bona_fide.total()).exact_estimate();
        PadPoint { threshold, apcer, worst_apcer, bpcer }
    }

    /// The lowest threshold at which no kind of attack has an APCER above `target`, in (0, 1), and all rates there: the
    /// BPCER at it is the standard's BPCER20 at 0.05 and BPCER100 at 0.01.
    pub fn at_apcer(&self, target: f64) -> Result<PadPoint, ScoreError> {
        let thresholds = self.attacks.iter().map(|(_, scores)| scores.threshold_at(target));
        let threshold = thresholds.collect::<Result<Vec<_>, _>>()?.into_iter().fold(f32::NEG_INFINITY, f32::max);
        Ok(self.at(threshold))
    }
}
