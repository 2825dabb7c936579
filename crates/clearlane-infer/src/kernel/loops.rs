//! Plain Rust compiled for each instruction set, for loops that the compiler vectorises well by itself.

/// Work in plain Rust that [`vectorised`] runs with the widest instructions of the CPU.
///
/// Mark [`run`](Self::run), and the functions that its loops call, `#[inline(always)]`: what is not inlined keeps the
/// instructions that every CPU of the target has. The results are the same on every CPU: the compiler reorders no floating
/// point, and fuses no product with a sum.
pub trait Loops {
    /// What the work gives.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Does the work with the widest instructions that the CPU has.
pub fn vectorised<W: Loops>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
            // SAFETY: the CPU has the instructions.
            return unsafe { avx512(work) };
        }
        if has!("avx2") {
            // SAFETY: the CPU has the instructions.
            return unsafe { avx2(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<W: Loops>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<W: Loops>(work: W) -> W::Output {
    work.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums that would come out otherwise if a product were fused with a sum, or the sums reordered.
    struct Sums<'a>(&'a [f32], &'a [f32]);

    impl Loops for Sums<'_> {
        type Output = Vec<u32>;

        #[inline(always)]
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
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the instructions.
            assert_eq!(unsafe { avx2(Sums(&a, &b)) }, plain);
        }
    }
}
