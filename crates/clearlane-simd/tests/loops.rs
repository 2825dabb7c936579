//! Every instruction set does the same work.

use clearlane_simd::{Isa, Loops, vectorised};

/// Sums that would come out otherwise if a product were fused with a sum, or the sums reordered.
struct Sums<'a>(&'a [f32], &'a [f32]);

impl Loops for Sums<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it takes on its caller's instruction set")]
    fn run(self) -> Vec<u32> {
        let mut sums = [0.1_f32; 24];
        for (a, b) in self.0.chunks_exact(24).zip(self.1.chunks_exact(24)) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }
        let all: f32 = sums.iter().sum();
        sums.iter().chain([&all]).map(|sum| sum.to_bits()).collect()
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let noise = |seed: u32| {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
    };
    let (a, b): (Vec<f32>, Vec<f32>) = noise(1).zip(noise(2)).take(24 * 1000).unzip();
    let plain = Sums(&a, &b).run();
    assert_eq!(vectorised(Sums(&a, &b)), plain);
    for isa in Isa::available() {
        assert_eq!(isa.vectorise(Sums(&a, &b)), plain, "{isa}");
    }
}

#[test]
fn each_instruction_set_is_found_by_its_name_and_the_best_comes_first() {
    let all = Isa::available();
    assert_eq!(all.first(), Some(&Isa::best()));
    assert_eq!(all.last(), Some(&Isa::Portable));
    for isa in all {
        assert_eq!(Isa::by_name(isa.name()), Some(isa));
    }
    assert_eq!(Isa::by_name("neon").is_some(), cfg!(target_arch = "aarch64"));
    assert_eq!(Isa::by_name("mmx"), None);
}
