//! JPEG: baseline, extended sequential and progressive pictures with Huffman codes and 8 bits a sample (ITU-T T.81).
//!
//! Own code, since no library in safe Rust reads all of them: scans of single components, and sampling other than cameras'. It
//! gives the pixels of libjpeg-turbo to the bit, keeps nothing of a picture in memory that is not wiped, and makes pixels
//! reduced or of a part only.

mod bits;
mod frame;
mod huffman;
mod inverse;
mod pixels;
mod planes;
mod scan;
mod store;

use std::fmt;

use clearlane_infer::{Wiped, vectorised};
use image::metadata::Orientation;

use self::bits::Bits;
use self::frame::FrameHeader;
use self::huffman::{Huffman, typical};
use self::pixels::{Colour, Rows};
use self::planes::{Planes, Window};
use self::scan::{Damage, Scan, ZIGZAG};
use self::store::Store;
use super::upright::Upright;
use super::{DecodeError, DecodeLimits, check_file, check_pixels, damaged, truncated, unsupported};
use crate::frame::{Deferred, Frame};

const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;

/// Decodes a JPEG to upright RGB; the pixels of a large one when they are looked at.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Frame<'static>, DecodeError> {
    let mut reader = Reader::new(bytes, limits);
    let frame = reader.read_to_frame()?;
    // A part of it may have been made when all has to be.
    let fits = reader.check_memory(kept_bytes(&frame) + rgb_bytes(&frame)).is_ok();
    if fits && Deferred::pays([frame.width, frame.height]) {
        return Ok(Frame::deferred(reader.read_kept(frame)?));
    }
    if frame.progressive {
        return reader.read_kept(frame)?.reduced(Reduction::None);
    }
    // A sequential picture's coefficients are samples as soon as they are read.
    let window = Window::whole(&frame, 8);
    reader.check_memory(Planes::bytes(&frame, &window) + rgb_bytes(&frame))?;
    let mut planes = Planes::new(&frame, &window);
    let mut store = Store::rendering(&frame, &mut planes);
    reader.read_scans(&frame, &mut store)?;
    drop(store);
    let upright = Upright::new(reader.orientation, planes.size);
    let ([width, height], rgb) = rgb(&planes, reader.colour(&frame), upright, [0, 0]);
    Ok(Frame::rgb8(width, height, rgb.into_vec())?)
}

/// A JPEG that was read once, of which frames are made at several sizes and of parts: a small one to find faces in,
/// then a face as sharp as the camera saw it.
///
/// ```no_run
/// use clearlane_embed::{DecodeLimits, JpegPicture, Reduction};
///
/// let picture = JpegPicture::read(&std::fs::read("traveller.jpg")?, &DecodeLimits::default())?;
/// let small = picture.reduced(Reduction::Quarter)?;
/// let face = picture.region([400, 200], [240, 320])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It holds two bytes for each coefficient, three to six for a pixel, and wipes them when it is dropped.
pub struct JpegPicture {
    frame: FrameHeader,
    colour: Colour,
    orientation: Orientation,
    store: Store<'static>,
}

/// How much smaller than it is a picture is decoded, in width and in height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// As it is.
    None,
    /// To a half.
    Half,
    /// To a quarter.
    Quarter,
    /// To an eighth.
    Eighth,
}

impl JpegPicture {
    /// Reads a JPEG's coefficients. The errors are [`Frame::decode`]'s; what is no JPEG is [`DecodeError::UnknownFormat`].
    pub fn read(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        check_file(bytes, limits)?;
        if !bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            return Err(DecodeError::UnknownFormat);
        }
        let mut reader = Reader::new(bytes, limits);
        let frame = reader.read_to_frame()?;
        reader.read_kept(frame)
    }

    /// Pixels a row, upright.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.upright().size()[0] as u32
    }

    /// Rows, upright.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.upright().size()[1] as u32
    }

    /// The whole picture, upright, reduced within the inverse DCT: its sides are divided and rounded up. Pixels are those of
    /// libjpeg-turbo's scaled decoding, and without reduction those of [`Frame::decode`].
    pub fn reduced(&self, reduction: Reduction) -> Result<Frame<'static>, DecodeError> {
        let ([width, height], rgb) = self.rgb(reduction);
        Ok(Frame::rgb8(width, height, rgb.into_vec())?)
    }

    /// As [`JpegPicture::reduced`]: sides and pixels.
    pub(crate) fn rgb(&self, reduction: Reduction) -> ([u32; 2], Wiped<u8>) {
        let side = match reduction {
            Reduction::None => 8,
            Reduction::Half => 4,
            Reduction::Quarter => 2,
            Reduction::Eighth => 1,
        };
        let planes = self.planes(&Window::whole(&self.frame, side));
        rgb(&planes, self.colour, Upright::new(self.orientation, planes.size), [0, 0])
    }

    /// A part of the upright picture at its full size: `size` pixels (width, height) from the pixel `first` (column, row) on.
    /// They are those that [`Frame::decode`] has there.
    pub fn region(&self, first: [u32; 2], size: [u32; 2]) -> Result<Frame<'static>, DecodeError> {
        let within = |axis: usize, side: u32| first[axis].checked_add(size[axis]).is_some_and(|end| end <= side);
        if size.contains(&0) || !within(0, self.width()) || !within(1, self.height()) {
            let ([x, y], [width, height]) = (first, size);
            return Err(DecodeError::Region { x, y, width, height });
        }
        Ok(Frame::rgb8(size[0], size[1], self.rgb_of(first, size).into_vec())?)
    }

    /// As [`JpegPicture::region`], of a part that is within the picture.
    pub(crate) fn rgb_of(&self, first: [u32; 2], size: [u32; 2]) -> Wiped<u8> {
        let corners = [first, [first[0] + size[0] - 1, first[1] + size[1] - 1]];
        let corners = corners.map(|corner| self.upright().stored(corner.map(|at| at as usize)));
        let [first, last] = [usize::min, usize::max]
            .map(|pick: fn(usize, usize) -> usize| [0, 1].map(|axis| pick(corners[0][axis], corners[1][axis])));
        let units = self.frame.units();
        let sides = [8 * self.frame.across, 8 * self.frame.down];
        // Pixels at a unit's border take part of their colour from the next one.
        let begin = [0, 1].map(|axis| (first[axis] as u32 / sides[axis]).saturating_sub(1));
        let end = [0, 1].map(|axis| (last[axis] as u32 / sides[axis] + 2).min(units[axis]));
        let window = Window { first: begin, units: [0, 1].map(|axis| end[axis] - begin[axis]), side: 8 };
        let offset = [0, 1].map(|axis| first[axis] - (begin[axis] * sides[axis]) as usize);
        let upright = Upright::new(self.orientation, [0, 1].map(|axis| last[axis] + 1 - first[axis]));
        rgb(&self.planes(&window), self.colour, upright, offset).1
    }

    fn planes(&self, window: &Window) -> Planes {
        let mut planes = Planes::new(&self.frame, window);
        self.store.render(&mut planes);
        planes
    }

    fn upright(&self) -> Upright {
        Upright::new(self.orientation, [self.frame.width as usize, self.frame.height as usize])
    }
}

/// No face in any log.
impl fmt::Debug for JpegPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JpegPicture")
            .field("width", &self.width())
            .field("height", &self.height())
            .finish_non_exhaustive()
    }
}

/// Planes' pixels from `offset` on, upright: sides, and packed RGB.
fn rgb(planes: &Planes, colour: Colour, upright: Upright, offset: [usize; 2]) -> ([u32; 2], Wiped<u8>) {
    let [width, height] = upright.stored_size();
    let mut out = Wiped::zeroed(3 * width * height);
    let pixels = out.as_chunks_mut::<3>().0;
    let put = |y, row: &[[u8; 3]]| upright.put(pixels, y, row);
    let [columns, lines] = [offset[0]..offset[0] + width, offset[1]..offset[1] + height];
    vectorised(Rows { planes, colour, columns, lines, put });
    (upright.size().map(|side| side as u32), out)
}

/// Bytes that a picture takes whose coefficients are kept, and all its pixels at most once.
fn kept_bytes(frame: &FrameHeader) -> u64 {
    128 * frame.all_blocks() + Planes::bytes(frame, &Window::whole(frame, 8)) + rgb_bytes(frame)
}

fn rgb_bytes(frame: &FrameHeader) -> u64 {
    3 * u64::from(frame.width) * u64::from(frame.height)
}

/// A JPEG's markers, one after another, and what those before have set.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: &'a DecodeLimits,
    quantisers: [Option<[u16; 64]>; 4],
    /// Of DC and of AC.
    codes: [[Option<Huffman>; 4]; 2],
    restart: u32,
    jfif: bool,
    /// What an Adobe marker says of the colours.
    adobe: Option<u8>,
    orientation: Orientation,
    scans: u32,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], limits: &'a DecodeLimits) -> Self {
        Self {
            bytes,
            at: 2,
            limits,
            quantisers: [None; 4],
            codes: Default::default(),
            restart: 0,
            jfif: false,
            adobe: None,
            orientation: Orientation::NoTransforms,
            scans: 0,
        }
    }

    /// The next marker that says something, and its data.
    fn segment(&mut self) -> Result<(u8, &'a [u8]), DecodeError> {
        let ended = || truncated(if self.scans == 0 { "the JPEG ends within its headers" } else { NO_END });
        let bytes = self.bytes;
        let mut at = self.at;
        loop {
            let Some(&[mark, code]) = bytes.get(at..at + 2) else { return Err(ended()) };
            match (mark, code) {
                (0xFF, END) => {
                    self.at = at + 2;
                    return Ok((END, &[]));
                }
                (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
                (0xFF, 0x02..=0xFE) => break,
                // Fill bytes, and such as a writer left between two markers.
                _ => at += 1,
            }
        }
        let Some(&[_, code, high, low]) = bytes.get(at..at + 4) else { return Err(ended()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(damaged("a marker of the JPEG has a length under 2"));
        }
        let Some(data) = bytes.get(at + 4..at + 2 + length) else { return Err(ended()) };
        self.at = at + 2 + length;
        Ok((code, data))
    }

    /// Reads to the frame header, whose picture is within the limits.
    fn read_to_frame(&mut self) -> Result<FrameHeader, DecodeError> {
        loop {
            match self.segment()? {
                (0xC4, data) => self.read_codes(data)?,
                (0xCC, _) => return Err(unsupported("a JPEG with arithmetic coding")),
                (0xDE, _) => return Err(unsupported("a hierarchical JPEG")),
                (code @ (0xC0..=0xCF | 0xF7), data) => {
                    let frame = FrameHeader::parse(code, data)?;
                    check_pixels(frame.width, frame.height, self.limits)?;
                    return Ok(frame);
                }
                (SCAN | END, _) => return Err(damaged("the JPEG has no frame header before its first scan")),
                (code, data) => self.read_miscellaneous(code, data)?,
            }
        }
    }

    /// Reads all scans and keeps their coefficients.
    fn read_kept(mut self, frame: FrameHeader) -> Result<JpegPicture, DecodeError> {
        self.check_memory(kept_bytes(&frame))?;
        let mut store = Store::keeping(&frame);
        self.read_scans(&frame, &mut store)?;
        Ok(JpegPicture { colour: self.colour(&frame), orientation: self.orientation, frame, store })
    }

    /// Reads scans and what is between them, up to the end of the picture.
    fn read_scans(&mut self, frame: &FrameHeader, store: &mut Store<'_>) -> Result<(), DecodeError> {
        loop {
            match self.segment()? {
                (0xC4, data) => self.read_codes(data)?,
                (SCAN, data) => {
                    self.scans += 1;
                    if self.scans > self.limits.max_scans {
                        return Err(DecodeError::TooManyScans { max_scans: self.limits.max_scans });
                    }
                    self.read_scan(data, frame, store)?;
                }
                (END, _) if !store.has_all_components() => {
                    return Err(damaged("a component of the JPEG has no scan"));
                }
                // A face of coarse blocks must not be enrolled.
                (END, _) if !store.is_exact() => return Err(truncated("the JPEG lacks the scans that sharpen it")),
                (END, _) => return Ok(()),
                (0xC0..=0xCF | 0xDE | 0xDF, _) => return Err(unsupported("a JPEG of several frames")),
                (code, data) => self.read_miscellaneous(code, data)?,
            }
        }
    }

    fn read_scan(&mut self, data: &[u8], frame: &FrameHeader, store: &mut Store<'_>) -> Result<(), DecodeError> {
        let malformed = || damaged("a scan header of the JPEG is malformed");
        let (&count, rest) = data.split_first().ok_or_else(malformed)?;
        let (named, &[first, last, bits]) = rest.split_last_chunk().ok_or_else(malformed)?;
        let (named, []) = named.as_chunks::<2>() else { return Err(malformed()) };
        if named.len() != usize::from(count) || !(1..=frame.components.len()).contains(&named.len()) {
            return Err(malformed());
        }
        let (refines, shift) = (bits >> 4 > 0, u32::from(bits & 15));
        // A scan of a progressive picture has either DC or a band of one component's AC (G.1.1.1.1).
        let band_is_legal = if first == 0 { last == 0 } else { first <= last && last < 64 && count == 1 };
        if frame.progressive && (!band_is_legal || shift > 13) {
            return Err(malformed());
        }
        let (band, shift) = if frame.progressive { ([first, last].map(usize::from), shift) } else { ([0, 63], 0) };
        let mut chosen = Vec::new();
        for &[id, codes] in named {
            let component = frame.components.iter().position(|component| component.id == id);
            let component = component.ok_or_else(|| damaged("a scan names a component that the JPEG does not have"))?;
            let codes = [codes >> 4, codes & 15].map(usize::from);
            if chosen.iter().any(|&(other, _)| other == component) || codes.iter().any(|&code| code > 3) {
                return Err(malformed());
            }
            let quantiser = self.quantisers[frame.components[component].table];
            let quantiser = quantiser.ok_or_else(|| damaged("the JPEG has no quantisation table for a component"))?;
            store.begin(component, quantiser, band, shift);
            for (class, code) in codes.into_iter().enumerate() {
                self.codes[class][code].get_or_insert_with(|| typical(class, code));
            }
            chosen.push((component, codes));
        }
        let code = |class: usize, table: usize| self.codes[class][table].as_ref();
        let components =
            chosen.iter().filter_map(|&(component, [dc, ac])| Some((component, code(0, dc)?, code(1, ac)?)));
        let scan = Scan { components: components.collect(), band, shift, refines, restart: self.restart };
        let mut bits = Bits::new(self.bytes, self.at);
        let read = scan.read(&mut bits, frame, store);
        self.at = bits.position();
        read.map_err(|damage| match damage {
            // What follows the last byte is no code either.
            _ if bits.is_at_end() => truncated("the JPEG ends within a scan"),
            Damage::NoSuchCode => damaged("a scan of the JPEG has bits that are no code"),
            Damage::BeyondBlock => damaged("a scan of the JPEG has coefficients beyond a block"),
            Damage::Ended => damaged("a scan of the JPEG ends before its last block"),
            Damage::Restart => damaged("a restart marker of the JPEG is missing or out of order"),
        })
    }

    /// Huffman codes (B.2.4.2).
    fn read_codes(&mut self, mut data: &[u8]) -> Result<(), DecodeError> {
        while let Some((&[place, ref counts @ ..], symbols)) = data.split_first_chunk::<17>() {
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (Some(symbols), class @ 0..=1, table @ 0..=3) = (symbols.get(..total), place >> 4, place & 15) else {
                return Err(damaged("a Huffman table of the JPEG is malformed"));
            };
            let mut lengths = [0; 16];
            lengths.copy_from_slice(counts);
            let code = Huffman::new(&lengths, symbols);
            let code = code.ok_or_else(|| damaged("a Huffman table of the JPEG is no code"))?;
            self.codes[usize::from(class)][usize::from(table)] = Some(code);
            data = &data[17 + total..];
        }
        if data.is_empty() { Ok(()) } else { Err(damaged("a Huffman table of the JPEG is malformed")) }
    }

    /// Quantisation tables (B.2.4.1).
    fn read_quantisers(&mut self, mut data: &[u8]) -> Result<(), DecodeError> {
        let malformed = || damaged("a quantisation table of the JPEG is malformed");
        while let Some((&place, steps)) = data.split_first() {
            let (bytes @ 1..=2, table @ 0..=3) = ((place >> 4) + 1, place & 15) else { return Err(malformed()) };
            let bytes = usize::from(bytes);
            let Some(values) = steps.get(..64 * bytes) else { return Err(malformed()) };
            let mut quantiser = [0; 64];
            for (&at, step) in ZIGZAG.iter().zip(values.chunks_exact(bytes)) {
                quantiser[usize::from(at)] = step.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
            }
            self.quantisers[usize::from(table)] = Some(quantiser);
            data = &steps[64 * bytes..];
        }
        Ok(())
    }

    fn read_miscellaneous(&mut self, code: u8, data: &[u8]) -> Result<(), DecodeError> {
        match (code, data) {
            (0xDB, _) => self.read_quantisers(data)?,
            (0xDD, &[high, low]) => self.restart = u32::from(u16::from_be_bytes([high, low])),
            (0xDD, _) => return Err(damaged("the JPEG's restart interval is malformed")),
            (0xE0, [b'J', b'F', b'I', b'F', 0, ..]) => self.jfif = true,
            (0xE1, [b'E', b'x', b'i', b'f', 0, 0, exif @ ..]) => {
                self.orientation = Orientation::from_exif_chunk(exif).unwrap_or(self.orientation);
            }
            (0xEE, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => self.adobe = Some(*transform),
            _ => {}
        }
        Ok(())
    }

    /// What the components are: by the markers of JFIF (ITU-T T.871) and Adobe (ITU-T T.872, 6.5.3), else by their names.
    fn colour(&self, frame: &FrameHeader) -> Colour {
        let names: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (frame.components.len(), self.adobe) {
            (1, _) => Colour::Grey,
            (4, None | Some(0)) => Colour::Cmyk,
            (4, _) => Colour::Ycck,
            _ if self.jfif => Colour::YCbCr,
            (_, Some(0)) => Colour::Rgb,
            (_, None) if names == *b"RGB" => Colour::Rgb,
            _ => Colour::YCbCr,
        }
    }

    fn check_memory(&self, bytes: u64) -> Result<(), DecodeError> {
        let max_memory_bytes = self.limits.max_memory_bytes;
        if bytes > max_memory_bytes { Err(DecodeError::MemoryLimit { max_memory_bytes }) } else { Ok(()) }
    }
}

const NO_END: &str = "the JPEG has no end-of-image marker";
