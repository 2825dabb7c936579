//! What a lane's camera sees, drawn from the fictional people's pictures: who stands where, how far away, turned how much.

use std::path::{Path, PathBuf};

use clearlane::{DecodeLimits, Frame};

/// The camera's frame.
const WIDTH: usize = 640;
const HEIGHT: usize = 480;

/// One person in a frame.
#[derive(Clone, Copy)]
pub(crate) struct Stand<'p> {
    pub(crate) picture: &'p Portrait,
    /// Where the picture's centre is, in parts of the frame's width and height.
    pub(crate) at: (f32, f32),
    /// The picture's height in parts of the frame's.
    pub(crate) height: f32,
    /// The picture's width in parts of what it is from the front: a head that turns is narrower.
    pub(crate) turn: f32,
    /// Pixels over which motion smears it sideways; 0 for none.
    pub(crate) blur: usize,
}

/// A fictional person's picture.
pub(crate) struct Portrait {
    side: usize,
    rgb: Vec<u8>,
}

impl Portrait {
    /// The picture `name` of `person`, such as `enrolled/f0000` and `plain-1`.
    pub(crate) fn open(person: &str, name: &str) -> Self {
        let path = folder().join(person).join(format!("{name}.jpg"));
        let frame = Frame::open(path, &DecodeLimits::default()).expect("the fictional set is in the repository");
        assert_eq!(frame.width(), frame.height(), "the fictional set's pictures are square");
        Self { side: frame.width() as usize, rgb: frame.to_rgb8().into_owned() }
    }

    /// Bilinear; `None` outside.
    fn at(&self, x: f32, y: f32) -> Option<[f32; 3]> {
        let last = (self.side - 1) as f32;
        if !(0.0..last).contains(&x) || !(0.0..last).contains(&y) {
            return None;
        }
        let (left, top) = (x as usize, y as usize);
        let (right, down) = (x - left as f32, y - top as f32);
        let pixel = |x: usize, y: usize, channel: usize| f32::from(self.rgb[3 * (y * self.side + x) + channel]);
        Some([0, 1, 2].map(|channel| {
            let upper = pixel(left, top, channel) * (1.0 - right) + pixel(left + 1, top, channel) * right;
            let lower = pixel(left, top + 1, channel) * (1.0 - right) + pixel(left + 1, top + 1, channel) * right;
            upper * (1.0 - down) + lower * down
        }))
    }
}

impl<'p> Stand<'p> {
    /// In the middle, near enough, straight and sharp.
    pub(crate) fn before_camera(picture: &'p Portrait) -> Self {
        Self { picture, at: (0.5, 0.5), height: 0.8, turn: 1.0, blur: 0 }
    }

    fn at_pixel(&self, x: f32, y: f32) -> Option<[f32; 3]> {
        let height = self.height * HEIGHT as f32;
        let scale = self.picture.side as f32 / height;
        let centre = self.picture.side as f32 / 2.0;
        let column = (x - self.at.0 * WIDTH as f32) * scale / self.turn + centre;
        let row = (y - self.at.1 * HEIGHT as f32) * scale + centre;
        self.picture.at(column, row)
    }
}

/// The frame in which these people stand, the nearest last.
pub(crate) fn frame(people: &[Stand<'_>]) -> Frame<'static> {
    let mut pixels = Vec::with_capacity(3 * WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let wall = [118.0, 120.0, 124.0];
            let seen = people.iter().rev().find_map(|stand| {
                let smear = (0..=stand.blur).map(|shift| x as f32 + shift as f32 - stand.blur as f32 / 2.0);
                let seen: Vec<_> = smear.filter_map(|x| stand.at_pixel(x, y as f32)).collect();
                let mean = |channel: usize| seen.iter().map(|rgb| rgb[channel]).sum::<f32>() / seen.len() as f32;
                (!seen.is_empty()).then(|| [0, 1, 2].map(mean))
            });
            pixels.extend(seen.unwrap_or(wall).map(|value| value.round() as u8));
        }
    }
    Frame::rgb8(WIDTH as u32, HEIGHT as u32, pixels).expect("the size is that of the pixels")
}

/// The fictional people.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional")
}
