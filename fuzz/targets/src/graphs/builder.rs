//! Graphs of operators that networks are made of.

use std::fmt::Write as _;

use prost::Message as _;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

use crate::Steer;

/// The most numbers of a value.
const MOST: usize = 1 << 13;

/// A graph under construction: the values that later nodes may take, with their extents.
pub(super) struct Builder<'b> {
    pub(super) steer: Steer<'b>,
    proto: GraphProto,
    pub(super) values: Vec<(String, Vec<usize>)>,
    /// Whether a step of rounding may be larger than any error: then outputs are compared by shape alone.
    pub(super) rounds: bool,
    random: u32,
}

impl<'b> Builder<'b> {
    /// One that has its input alone.
    pub(super) fn new(steer: Steer<'b>, input: [usize; 3]) -> Self {
        let extents = [&[1][..], &input].concat();
        let proto = GraphProto { name: "fuzz".into(), input: vec![value("input", &extents)], ..Default::default() };
        Self { steer, proto, values: vec![("input".into(), extents)], rounds: false, random: 1 }
    }

    /// The nodes with their attributes, and the constants that are integers: what a report needs.
    pub(super) fn said(&self) -> String {
        let mut said = String::new();
        for node in &self.proto.node {
            let numbers: Vec<_> = node.attribute.iter().map(|a| (&a.name, a.i, &a.ints)).collect();
            let _ = write!(said, "\n{:?} = {} {:?} {numbers:?}", node.output, node.op_type, node.input);
        }
        for constant in self.proto.initializer.iter().filter(|constant| !constant.int64_data.is_empty()) {
            let _ = write!(said, "\n{}: {:?}", constant.name, constant.int64_data);
        }
        said
    }

    /// A value in ±1, always the same.
    fn uniform(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.random >> 8) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    fn constant(&mut self, extents: &[usize], range: f32, centre: f32) -> String {
        let count = extents.iter().product();
        let float_data = (0..count).map(|_| centre + range * self.uniform()).collect();
        self.initializer(DataType::Float, extents, TensorProto { float_data, ..Default::default() })
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let tensor = TensorProto { int64_data: values.to_vec(), ..Default::default() };
        self.initializer(DataType::Int64, &[values.len()], tensor)
    }

    fn initializer(&mut self, kind: DataType, extents: &[usize], tensor: TensorProto) -> String {
        let name = format!("constant_{}", self.proto.initializer.len());
        let dims = extents.iter().map(|&extent| extent as i64).collect();
        self.proto.initializer.push(TensorProto { name: name.clone(), data_type: kind as i32, dims, ..tensor });
        name
    }

    /// Adds a node whose output has these extents.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        extents: Vec<usize>,
    ) -> String {
        let output = format!("{operator}_{}", self.proto.node.len());
        self.proto.node.push(NodeProto {
            name: output.clone(),
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..Default::default()
        });
        self.values.push((output.clone(), extents));
        output
    }

    /// A value that was made before: the last one in half of the cases.
    fn earlier(&mut self) -> (String, Vec<usize>) {
        let at = if self.steer.flip() { self.values.len() - 1 } else { self.steer.below(self.values.len()) };
        self.values[at].clone()
    }

    /// A value of the same extents, but for one axis where that is given; the value itself where there is no other.
    fn alike(&mut self, extents: &[usize], but: Option<usize>) -> (String, Vec<usize>) {
        let fits = |other: &[usize]| {
            other.len() == extents.len()
                && other.iter().zip(extents).enumerate().all(|(axis, (a, b))| a == b || Some(axis) == but)
        };
        let alike: Vec<_> = self.values.iter().filter(|(_, other)| fits(other)).cloned().collect();
        alike[self.steer.below(alike.len())].clone()
    }

    /// Adds a node, where what the bytes choose fits.
    pub(super) fn add(&mut self) {
        let (from, extents) = self.earlier();
        let count: usize = extents.iter().product();
        let picture = extents.len() == 4;
        match self.steer.below(16) {
            0..=2 if picture => self.convolution(&from, &extents),
            3 => self.pointwise(&from, extents),
            4 => self.binary(&from, extents),
            5 if picture => self.pool(&from, &extents),
            6 => self.join(&from, &extents),
            7 if picture && 4 * count <= MOST => self.resize(&from, &extents),
            8 => self.transpose(&from, &extents),
            9 => self.reshape(&from, &extents),
            10 => self.part(&from, extents),
            11 if picture && 2 * count <= MOST => self.pad(&from, &extents),
            12 if picture => {
                let c = extents[1];
                let [scale, bias, mean] = [1.0, 0.0, 0.1].map(|centre| self.constant(&[c], 0.5, centre));
                let variance = self.constant(&[c], 0.4, 1.0);
                self.node("BatchNormalization", &[&from, &scale, &bias, &mean, &variance], vec![], extents);
            }
            13 => self.product(&from, &extents),
            14 => {
                let scale = self.initializer(
                    DataType::Float,
                    &[],
                    TensorProto { float_data: vec![1.0 / 32.0], ..Default::default() },
                );
                let zero =
                    self.initializer(DataType::Uint8, &[], TensorProto { raw_data: vec![128], ..Default::default() });
                let bytes = self.node("QuantizeLinear", &[&from, &scale, &zero], vec![], extents.clone());
                // Values in bytes are no outputs.
                self.values.pop();
                self.node("DequantizeLinear", &[&bytes, &scale, &zero], vec![], extents);
                self.rounds = true;
            }
            _ => {
                let axis = self.steer.below(extents.len());
                let keep = self.steer.flip();
                if !keep && extents.len() < 3 {
                    return;
                }
                let mut reduced = extents;
                if keep {
                    reduced[axis] = 1;
                } else {
                    reduced.remove(axis);
                }
                let attributes = vec![ints("axes", &[axis as i64]), int("keepdims", i64::from(keep))];
                self.node("ReduceMean", &[&from], attributes, reduced);
            }
        }
    }

    fn convolution(&mut self, from: &str, extents: &[usize]) {
        let [c, h, w] = [extents[1], extents[2], extents[3]];
        let transposed = self.steer.below(8) == 0;
        let kernel = [1 + self.steer.below(4), 1 + self.steer.below(4)];
        let stride = [1 + self.steer.below(3), 1 + self.steer.below(3)];
        let dilation =
            if self.steer.below(4) == 0 { [1 + self.steer.below(3), 1 + self.steer.below(3)] } else { [1, 1] };
        let pads = if self.steer.flip() { [1; 4] } else { [(); 4].map(|()| self.steer.below(3)) };
        let (groups, out) = match self.steer.below(4) {
            0 => (c, c),
            1 if c % 2 == 0 => (2, 2 * (1 + self.steer.below(10))),
            _ => (1, 1 + self.steer.below(36)),
        };
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        let padded = |axis: usize, side: usize| side + pads[axis] + pads[axis + 2];
        let mut attributes = vec![
            ints("kernel_shape", &kernel.map(|k| k as i64)),
            ints("strides", &stride.map(|s| s as i64)),
            ints("dilations", &dilation.map(|d| d as i64)),
            ints("pads", &pads.map(|p| p as i64)),
            int("group", groups as i64),
        ];
        let range = 1.0 / ((c / groups * kernel[0] * kernel[1]) as f32).sqrt();
        let bias = self.steer.flip().then(|| self.constant(&[out], 0.5, 0.0));
        if transposed {
            let made = [0, 1]
                .map(|axis| (stride[axis] * ([h, w][axis] - 1) + reach(axis)).checked_sub(pads[axis] + pads[axis + 2]));
            let [Some(down @ 1..), Some(across @ 1..)] = made else { return };
            if out * down * across > MOST {
                return;
            }
            let weights = self.constant(&[c, out / groups, kernel[0], kernel[1]], range, 0.0);
            let inputs: Vec<&str> = [from, &weights].into_iter().chain(bias.as_deref()).collect();
            self.node("ConvTranspose", &inputs, attributes, vec![1, out, down, across]);
            return;
        }
        let made =
            [0, 1].map(|axis| padded(axis, [h, w][axis]).checked_sub(reach(axis)).map(|left| left / stride[axis] + 1));
        let [Some(down), Some(across)] = made else { return };
        if out * down * across > MOST {
            return;
        }
        if self.steer.below(6) == 0 {
            // The other way to say where the windows lie.
            attributes.retain(|attribute| attribute.name != "pads" && attribute.name != "dilations");
            attributes.push(text("auto_pad", if self.steer.flip() { "SAME_UPPER" } else { "SAME_LOWER" }));
            let same = [h.div_ceil(stride[0]), w.div_ceil(stride[1])];
            let weights = self.constant(&[out, c / groups, kernel[0], kernel[1]], range, 0.0);
            self.node("Conv", &[from, &weights], attributes, vec![1, out, same[0], same[1]]);
            return;
        }
        let weights = self.constant(&[out, c / groups, kernel[0], kernel[1]], range, 0.0);
        let inputs: Vec<&str> = [from, &weights].into_iter().chain(bias.as_deref()).collect();
        self.node("Conv", &inputs, attributes, vec![1, out, down, across]);
    }

    fn pointwise(&mut self, from: &str, extents: Vec<usize>) {
        const PLAIN: [&str; 13] = [
            "Relu",
            "Sigmoid",
            "Tanh",
            "LeakyRelu",
            "HardSigmoid",
            "HardSwish",
            "Elu",
            "Softplus",
            "Neg",
            "Abs",
            "Identity",
            "Erf",
            "Softsign",
        ];
        match self.steer.below(PLAIN.len() + 3) {
            0 => {
                let slopes = match self.steer.below(3) {
                    0 => vec![1],
                    _ if extents.len() == 4 => vec![extents[1], 1, 1],
                    _ => extents[extents.len() - 1..].to_vec(),
                };
                let slopes = self.constant(&slopes, 0.5, 0.0);
                self.node("PRelu", &[from, &slopes], vec![], extents);
            }
            1 => {
                let [low, high] = [-0.5, 0.7].map(|bound| {
                    let tensor = TensorProto { float_data: vec![bound], ..Default::default() };
                    self.initializer(DataType::Float, &[], tensor)
                });
                self.node("Clip", &[from, &low, &high], vec![], extents);
            }
            2 => {
                let axis = self.steer.below(extents.len()) as i64;
                self.node("Softmax", &[from], vec![int("axis", axis)], extents);
            }
            at => drop(self.node(PLAIN[at - 3], &[from], vec![], extents)),
        }
    }

    fn binary(&mut self, from: &str, extents: Vec<usize>) {
        let operator = self.steer.one_of(&["Add", "Mul", "Sub", "Max", "Min"]);
        let other = match self.steer.below(4) {
            0 => self.constant(&[1], 1.0, 0.0),
            1 if extents.len() == 4 => self.constant(&[1, extents[1], 1, 1], 1.0, 0.0),
            2 => {
                // Broadcast along any axes.
                let some: Vec<usize> =
                    extents.iter().map(|&extent| if self.steer.flip() { extent } else { 1 }).collect();
                self.constant(&some, 1.0, 0.0)
            }
            _ => self.alike(&extents, None).0,
        };
        let inputs = if self.steer.flip() { [from, &other] } else { [&other, from] };
        self.node(operator, &inputs, vec![], extents);
    }

    fn pool(&mut self, from: &str, extents: &[usize]) {
        let mut made = extents.to_vec();
        match self.steer.below(4) {
            0 => {
                made[2..].fill(1);
                self.node("GlobalAveragePool", &[from], vec![], made);
            }
            kind => {
                let kernel = [1 + self.steer.below(3), 1 + self.steer.below(3)];
                let stride = [1 + self.steer.below(3), 1 + self.steer.below(3)];
                let pads = [(); 4].map(|()| self.steer.below(2));
                if pads[0].max(pads[2]) >= kernel[0] || pads[1].max(pads[3]) >= kernel[1] {
                    return;
                }
                for axis in 0..2 {
                    let Some(left) = (made[2 + axis] + pads[axis] + pads[axis + 2]).checked_sub(kernel[axis]) else {
                        return;
                    };
                    made[2 + axis] = left / stride[axis] + 1;
                }
                let mut attributes = vec![
                    ints("kernel_shape", &kernel.map(|k| k as i64)),
                    ints("strides", &stride.map(|s| s as i64)),
                    ints("pads", &pads.map(|p| p as i64)),
                ];
                if kind == 1 {
                    attributes.push(int("count_include_pad", i64::from(self.steer.flip())));
                }
                self.node(if kind == 1 { "AveragePool" } else { "MaxPool" }, &[from], attributes, made);
            }
        }
    }

    fn join(&mut self, from: &str, extents: &[usize]) {
        let axis = if extents.len() == 4 && self.steer.flip() { 1 } else { self.steer.below(extents.len()) };
        let mut made = extents.to_vec();
        let mut inputs = vec![from.to_owned()];
        for _ in 0..=self.steer.below(3) {
            let (name, other) = self.alike(extents, Some(axis));
            made[axis] += other[axis];
            inputs.push(name);
        }
        if made.iter().product::<usize>() > MOST {
            return;
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.node("Concat", &inputs, vec![int("axis", axis as i64)], made);
    }

    fn resize(&mut self, from: &str, extents: &[usize]) {
        let linear = self.steer.flip();
        let by = [1 + self.steer.below(2), 1 + self.steer.below(2)];
        let scales = vec![1.0, 1.0, by[0] as f32, by[1] as f32];
        let scales = self.initializer(DataType::Float, &[4], TensorProto { float_data: scales, ..Default::default() });
        let places = self.steer.one_of(&["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]);
        let mut attributes = vec![
            text("mode", if linear { "linear" } else { "nearest" }),
            text("coordinate_transformation_mode", places),
        ];
        if !linear {
            attributes.push(text("nearest_mode", self.steer.one_of(&["floor", "round_prefer_floor"])));
        }
        let made = vec![1, extents[1], extents[2] * by[0], extents[3] * by[1]];
        self.node("Resize", &[from, "", &scales], attributes, made);
        // A nearest value is another one where the place lies between two.
        self.rounds |= !linear;
    }

    fn transpose(&mut self, from: &str, extents: &[usize]) {
        let mut order: Vec<usize> = (0..extents.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.steer.below(at + 1));
        }
        // Kernels take one image at a time: the batch stays where it is, mostly.
        if let (Some(at), true) = (order.iter().position(|axis| *axis == 0), self.steer.below(8) > 0) {
            order[..=at].rotate_right(1);
        }
        let made = order.iter().map(|&axis| extents[axis]).collect();
        let order: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
        self.node("Transpose", &[from], vec![ints("perm", &order)], made);
    }

    fn reshape(&mut self, from: &str, extents: &[usize]) {
        let count: usize = extents.iter().product();
        if self.steer.below(3) == 0 {
            let axis = self.steer.below(extents.len() + 1);
            let made = vec![extents[..axis].iter().product(), extents[axis..].iter().product()];
            self.node("Flatten", &[from], vec![int("axis", axis as i64)], made);
            return;
        }
        let divisors: Vec<usize> = (1..=count.min(64)).filter(|divisor| count.is_multiple_of(*divisor)).collect();
        let first = self.steer.one_of(&divisors);
        let rest = count / first;
        let made = match self.steer.below(4) {
            0 => vec![1, count],
            1 => vec![1, first, rest],
            2 => vec![1, first, 1, rest],
            _ => {
                let second = (1..=rest.min(64)).filter(|divisor| rest.is_multiple_of(*divisor)).collect::<Vec<_>>();
                let second = self.steer.one_of(&second);
                vec![1, first, second, rest / second]
            }
        };
        let mut asked: Vec<i64> = made.iter().map(|&extent| extent as i64).collect();
        if self.steer.flip() {
            let last = asked.len() - 1;
            asked[last] = -1;
        }
        let shape = self.integers(&asked);
        self.node("Reshape", &[from, &shape], vec![], made);
    }

    fn part(&mut self, from: &str, extents: Vec<usize>) {
        let axis = self.steer.below(extents.len());
        let extent = extents[axis];
        let start = self.steer.below(extent);
        let end = start + 1 + self.steer.below(extent - start);
        let step = 1 + self.steer.below(2);
        let mut made = extents;
        made[axis] = (end - start).div_ceil(step);
        let bounds = [start, end, axis, step].map(|number| self.integers(&[number as i64]));
        let [start, end, axis, step] = &bounds;
        self.node("Slice", &[from, start, end, axis, step], vec![], made);
    }

    fn pad(&mut self, from: &str, extents: &[usize]) {
        let pads = [(); 4].map(|()| self.steer.below(3));
        let mode = self.steer.one_of(&["constant", "constant", "edge", "reflect"]);
        if mode == "reflect" && (extents[2].min(extents[3]) <= 2) {
            return;
        }
        let [up, left, down, right] = pads.map(|pad| pad as i64);
        let by = self.integers(&[0, 0, up, left, 0, 0, down, right]);
        let made = vec![1, extents[1], extents[2] + pads[0] + pads[2], extents[3] + pads[1] + pads[3]];
        if made.iter().product::<usize>() <= MOST && extents[0] == 1 {
            self.node("Pad", &[from, &by], vec![text("mode", mode)], made);
        }
    }

    fn product(&mut self, from: &str, extents: &[usize]) {
        let Some(&inner) = extents.last() else { return };
        let out = 1 + self.steer.below(20);
        let range = 1.0 / (inner as f32).sqrt();
        if extents.len() == 2 && self.steer.flip() {
            let turned = self.steer.flip();
            let weights = self.constant(&if turned { [out, inner] } else { [inner, out] }, range, 0.0);
            let bias = self.constant(&[out], 0.5, 0.0);
            let made = vec![extents[0], out];
            self.node("Gemm", &[from, &weights, &bias], vec![int("transB", i64::from(turned))], made);
            return;
        }
        let mut made = extents.to_vec();
        *made.last_mut().unwrap() = out;
        if made.iter().product::<usize>() <= MOST {
            let weights = self.constant(&[inner, out], range, 0.0);
            self.node("MatMul", &[from, &weights], vec![], made);
        }
    }

    /// The model, with these values as outputs.
    pub(super) fn onnx(&self, outputs: &[usize]) -> Vec<u8> {
        let mut graph = self.proto.clone();
        graph.output = outputs.iter().map(|&at| value(&self.values[at].0, &[])).collect();
        let opset = OperatorSetIdProto { version: 14, ..Default::default() };
        ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
            .encode_to_vec()
    }
}

fn value(name: &str, extents: &[usize]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |&extent: &usize| Dimension { value: Some(Value::DimValue(extent as i64)), ..Default::default() };
    let shape = (!extents.is_empty()).then(|| TensorShapeProto { dim: extents.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), r#type, ints: values.to_vec(), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s: value.into(), ..Default::default() }
}
