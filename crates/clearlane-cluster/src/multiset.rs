//! A hash of a set of states that takes additions and removals in any order: the sum of keyed codes modulo 2^256
//! (MSet-Add-Hash; Clarke, Devadas, van Dijk, Gassend & Suh, "Incremental multiset hash functions and their application to
//! memory integrity checking", ASIACRYPT 2003). Who has not the key finds no other set of the same sum.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// What one subject's state adds to the sum.
pub(crate) type Element = [u8; 32];

/// The element of a subject's state, in its encoding.
pub(crate) fn element(mut code: Hmac<Sha256>, subject: u64, state: &[u8]) -> Element {
    code.update(&subject.to_be_bytes());
    code.update(&Sha256::digest(state));
    code.finalize().into_bytes().into()
}

/// A sum of elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    pub(crate) fn add(&mut self, element: &Element) {
        let mut carry = false;
        for (limb, added) in self.0.iter_mut().zip(limbs(element)) {
            let (sum, first) = limb.overflowing_add(added);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
    }

    pub(crate) fn remove(&mut self, element: &Element) {
        let mut borrow = false;
        for (limb, taken) in self.0.iter_mut().zip(limbs(element)) {
            let (rest, first) = limb.overflowing_sub(taken);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, first || second);
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *to = limb.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(limbs(bytes))
    }
}

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*chunk);
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_removed_leaves_no_trace_in_any_order() {
        let elements: Vec<Element> = (0..100_u64).map(|n| Sha256::digest(n.to_le_bytes()).into()).collect();
        let (mut forth, mut back) = (Sum::default(), Sum::default());
        for (element, last) in elements.iter().zip(elements.iter().rev()) {
            forth.add(element);
            back.add(last);
        }
        assert_eq!(forth, back);
        assert_eq!(Sum::from_bytes(&forth.to_bytes()), forth);
        for element in &elements {
            forth.remove(element);
        }
        assert_eq!(forth, Sum::default());
        forth.remove(&[1; 32]);
        forth.add(&[1; 32]);
        assert_eq!(forth, Sum::default());
    }
}
