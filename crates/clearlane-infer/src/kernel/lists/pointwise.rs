//! Two lists, or a list and a constant, combined value by value, one of them repeated where it is shorter.

use std::ops::Range;

use clearlane_simd::Loops;

use super::walk::Walk;

/// What is made of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What is combined, with its stride for each axis of the output: 0 where it is repeated.
pub(crate) enum Operand {
    List { length: usize, strides: Vec<isize> },
    Constant { values: Vec<f32>, strides: Vec<isize> },
}

pub(crate) struct Pointwise {
    operation: Operation,
    walk: Walk<2>,
    operands: [Operand; 2],
}

impl Operand {
    fn length(&self) -> usize {
        match self {
            Self::List { length, .. } => *length,
            Self::Constant { values, .. } => values.len(),
        }
    }

    fn strides(&self) -> &[isize] {
        let (Self::List { strides, .. } | Self::Constant { strides, .. }) = self;
        strides
    }
}

impl Pointwise {
    /// `None` if an operand's strides lead out of it.
    pub(crate) fn new(operation: Operation, extents: &[usize], operands: [Operand; 2]) -> Option<Self> {
        let [a, b] = &operands;
        let strides = a.strides().iter().zip(b.strides());
        let axes: Vec<_> = extents.iter().zip(strides).map(|(&extent, (&a, &b))| (extent, [a, b])).collect();
        let walk = Walk::new(&axes, [0; 2], [a.length(), b.length()])?;
        (axes.len() == extents.len()).then_some(Self { operation, walk, operands })
    }

    /// The lengths of the lists among the operands.
    pub(super) fn reads(&self) -> Vec<usize> {
        let lists = self.operands.iter().filter(|operand| matches!(operand, Operand::List { .. }));
        lists.map(Operand::length).collect()
    }

    pub(super) fn makes(&self) -> usize {
        self.rows() * self.walk.length
    }

    pub(super) fn rows(&self) -> usize {
        self.walk.rows()
    }

    /// The work of some rows; `lists` in the order of the operands that are lists.
    pub(super) fn rows_of<'a>(&'a self, lists: [&'a [f32]; 2], rows: Range<usize>, to: &'a mut [f32]) -> Work<'a> {
        let operands: [&[f32]; 2] = match &self.operands {
            [Operand::List { .. }, Operand::List { .. }] => lists,
            [Operand::List { .. }, Operand::Constant { values, .. }] => [lists[0], values],
            [Operand::Constant { values, .. }, Operand::List { .. }] => [values, lists[0]],
            [Operand::Constant { values: a, .. }, Operand::Constant { values: b, .. }] => [a, b],
        };
        Work { pointwise: self, operands, rows, to }
    }
}

pub(super) struct Work<'a> {
    pointwise: &'a Pointwise,
    operands: [&'a [f32]; 2],
    rows: Range<usize>,
    to: &'a mut [f32],
}

impl Loops for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.pointwise.operation {
            Operation::Add => self.each(|a, b| a + b),
            Operation::Subtract => self.each(|a, b| a - b),
            Operation::Multiply => self.each(|a, b| a * b),
            Operation::Divide => self.each(|a, b| a / b),
        }
    }
}

impl Work<'_> {
    #[inline(always)]
    fn each(self, operation: impl Fn(f32, f32) -> f32) {
        let (walk, [a, b]) = (&self.pointwise.walk, self.operands);
        let mut to = self.to.chunks_exact_mut(walk.length);
        walk.visit(self.rows, |[of_a, of_b]| {
            let Some(to) = to.next() else { return };
            let count = to.len();
            match walk.strides {
                [1, 1] => {
                    for ((to, a), b) in to.iter_mut().zip(&a[of_a..of_a + count]).zip(&b[of_b..of_b + count]) {
                        *to = operation(*a, *b);
                    }
                }
                [1, 0] => {
                    let b = b[of_b];
                    to.iter_mut().zip(&a[of_a..of_a + count]).for_each(|(to, a)| *to = operation(*a, b));
                }
                [0, 1] => {
                    let a = a[of_a];
                    to.iter_mut().zip(&b[of_b..of_b + count]).for_each(|(to, b)| *to = operation(a, *b));
                }
                [by_a, by_b] => {
                    for (index, to) in to.iter_mut().enumerate() {
                        let at = |start: usize, by: isize| start.wrapping_add_signed(index as isize * by);
                        *to = operation(a[at(of_a, by_a)], b[at(of_b, by_b)]);
                    }
                }
            }
        });
    }
}
