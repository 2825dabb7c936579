//! Operators on flat lists, which lie in the order of a tensor's axes: what transformers are made of besides products.
//!
//! Each makes rows that do not depend on each other, in plain Rust over slices, compiled for each instruction set.

mod moves;
mod normalise;
mod pointwise;
mod reduce;
mod walk;

use std::ops::Range;
use std::sync::Arc;

use clearlane_simd::Isa;

use super::memory::{Arena, View};

pub(crate) use moves::Move;
pub(crate) use normalise::{Norm, Softmax};
pub(crate) use pointwise::{Operand, Operation, Pointwise};
pub(crate) use reduce::{Reduce, Summary};
pub(crate) use walk::in_order as strides_in_order;

/// What is done to one or two lists.
pub(crate) enum ListOperator {
    Move(Move),
    Pointwise(Pointwise),
    Reduce(Reduce),
    Norm(Norm),
    Softmax(Softmax),
}

/// The operator, placed in an arena.
pub(crate) struct Lists {
    operator: Arc<ListOperator>,
    isa: Isa,
    from: Vec<View>,
    to: View,
}

impl Lists {
    /// `None` if the tensors are not lists of the lengths that the operator has to do with.
    pub(crate) fn new(isa: Isa, operator: Arc<ListOperator>, from: &[View], to: View) -> Option<Self> {
        let is_list = |view: &View, length: usize| view.is_flat() && view.is_float() && view.len() == length;
        let (reads, makes) = match &*operator {
            ListOperator::Move(moves) => (vec![moves.reads()], moves.makes()),
            ListOperator::Pointwise(pointwise) => (pointwise.reads(), pointwise.makes()),
            ListOperator::Reduce(reduce) => (vec![reduce.reads()], reduce.makes()),
            ListOperator::Norm(norm) => (vec![to.len()], norm.rows(to.len())? * norm.length()),
            ListOperator::Softmax(softmax) => (vec![to.len()], softmax.rows(to.len())? * softmax.length()),
        };
        let fits = from.len() == reads.len()
            && from.iter().zip(reads).all(|(view, length)| is_list(view, length))
            && is_list(&to, makes);
        fits.then(|| Self { operator, isa, from: from.to_vec(), to })
    }

    /// How many rows it makes, which are all of one length.
    pub(crate) fn rows(&self) -> usize {
        let length = self.to.len();
        match &*self.operator {
            ListOperator::Move(moves) => moves.rows(),
            ListOperator::Pointwise(pointwise) => pointwise.rows(),
            ListOperator::Reduce(_) => length,
            ListOperator::Norm(norm) => norm.rows(length).unwrap_or_default(),
            ListOperator::Softmax(softmax) => softmax.rows(length).unwrap_or_default(),
        }
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>) {
        let each = self.to.len() / self.rows().max(1);
        let [first, second] = [0, 1].map(|index| self.from.get(index).map_or(&[][..], |view| arena.list(view)));
        let to = arena.list_part(&self.to, rows.start * each..rows.end * each);
        match &*self.operator {
            ListOperator::Move(moves) => moves.run(first, rows, to),
            ListOperator::Pointwise(pointwise) => self.isa.vectorise(pointwise.rows_of([first, second], rows, to)),
            ListOperator::Reduce(reduce) => self.isa.vectorise(reduce.rows_of(first, rows, to)),
            ListOperator::Norm(norm) => {
                self.isa.vectorise(norm.rows_of(rows.start, &first[rows.start * each..rows.end * each], to));
            }
            ListOperator::Softmax(softmax) => {
                self.isa.vectorise(softmax.rows_of(&first[rows.start * each..rows.end * each], to));
            }
        }
    }
}
