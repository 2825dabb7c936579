//! Pooling, and the padding that windows and convolutions state.

use tract_onnx::pb::NodeProto;

use super::{Form, Lowering, input, output};
use crate::graph::Attributes;
use crate::kernel::rowwise::{Reduction, Window};
use crate::kernel::vector::LANES;
use crate::plan::layer::Kind;

impl<'a> Lowering<'a> {
    pub(super) fn pool(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let [channels, height, width] = self.graph.image(from)?;
        let global = matches!(node.op_type.as_str(), "GlobalAveragePool" | "ReduceMean");
        // A mean may drop the axes that it leaves a value of.
        let [_, out_height, out_width] = if global { [channels, 1, 1] } else { self.graph.image(to)? };
        let (kernel, stride, pad) = if global {
            ([height, width], [1, 1], [0, 0])
        } else {
            let (kernel, stride) = (node.pair("kernel_shape", 0)?, node.pair("strides", 1)?);
            if node.pair("dilations", 1)? != [1, 1] {
                return None;
            }
            (kernel, stride, pads(node, [height, width], kernel, stride, [1, 1])?)
        };
        let count_padding = !global && node.int("count_include_pad").unwrap_or(0) != 0;
        let whole = (out_height - 1) * stride[0] + kernel[0] <= height + 2 * pad[0]
            && (out_width - 1) * stride[1] + kernel[1] <= width + 2 * pad[1];
        if count_padding && !whole {
            return None;
        }
        let reduction = if node.op_type == "MaxPool" { Reduction::Max } else { Reduction::Mean { count_padding } };
        let tensor = self.blocked(from)?;
        let made = self.layers.tensor(LANES, [channels, out_height, out_width]);
        let kind = Kind::Pool { window: Window { kernel, stride, pad }, reduction };
        self.layers.push(kind, vec![tensor], made, Some(index));
        self.bind(to, Form::Tensor(made));
        Some(())
    }
}

/// What a window is padded with above and to the left; `None` for windows that fall back to tract.
pub(super) fn pads(
    node: &NodeProto,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Option<[usize; 2]> {
    if [kernel, stride, dilation].iter().any(|numbers| numbers.contains(&0)) {
        return None;
    }
    let same = |axis: usize| {
        let reach = (kernel[axis] - 1) * dilation[axis] + 1;
        ((size[axis].div_ceil(stride[axis]) - 1) * stride[axis] + reach).saturating_sub(size[axis])
    };
    match node.text("auto_pad") {
        None | Some("" | "NOTSET") => match node.lengths("pads", &[0; 4])?[..] {
            [top, left, _, _] => Some([top, left]),
            _ => None,
        },
        Some("VALID") => Some([0, 0]),
        Some("SAME_UPPER") => Some([same(0) / 2, same(1) / 2]),
        Some("SAME_LOWER") => Some([same(0).div_ceil(2), same(1).div_ceil(2)]),
        Some(_) => None,
    }
}
