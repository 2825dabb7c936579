//! What a worker is told of some candidates, and what it says of them. Candidates are numbers: whose the pictures are, a worker does
//! not hear.
//!
//! ```text
//! block    maker 32 | count 2 | count × (candidate 4 | count 2 | count × (kind 1 (0: a file, 1: why it cannot be read, 2: a file that
//!            the candidate was enrolled from) | 4 + n))
//! result   count 2 | count × (candidate 4 | count 2 | count × (picture 2 | why 4 + n) | outcome)
//! outcome  0 usable: count 2 | count × (template | source 32 | earlier 1 (0, 1) | template, where it is 1)
//!            | count 2 | count × (picture 2 | reasons 4 + n (JSON))
//!          1 refer: reasons 4 + n (JSON); 2 unreadable: words 4 + n; 3 failed: words 4 + n
//! template dimension × 4
//! ```

use clearlane::{BulkStop, MadeTemplate, MadeTemplates, Reason, TemplateMaker};
use clearlane_store::ImageDigest;
use clearlane_template::{ModelId, Template};

use super::MAX_CANDIDATES;
use crate::ClusterError;
use crate::batch::{MAX_CONTENT, MAX_REASON};
use crate::state::template;
use crate::wire::{Reader, Writer};

/// The most pictures of a candidate in a block.
const MAX_PICTURES: usize = 1024;
/// What two templates of 1,024 values take in a result, or the reasons why there are none. A block has room for so much of each picture, so
/// that its result has as well.
const MADE: usize = 2 * 4 * 1024 + 256;
/// What stands before the candidates, in a block.
const HEADER: usize = 34;

/// A picture's file, or why it cannot be read.
pub(super) type File<'a> = Result<Readable<'a>, &'a str>;

/// A file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readable<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether the candidate was enrolled from it.
    pub(super) enrolled: bool,
}

/// How many bytes a block's candidates may still take.
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new() -> Self {
        Self(MAX_CONTENT - HEADER)
    }

    /// The largest file that there is room for.
    pub(super) fn left(&self) -> u64 {
        self.0 as u64
    }

    /// Takes the room of a candidate with files of these lengths; where there is not so much, none of it.
    pub(super) fn take(&mut self, files: &[u64]) -> bool {
        let each = files.iter().map(|bytes| (*bytes).max(MADE as u64).saturating_add(5));
        let needed = each.fold(6, u64::saturating_add);
        let fits = files.len() <= MAX_PICTURES && needed <= self.left();
        self.0 -= if fits { needed as usize } else { 0 };
        fits
    }
}

/// Some candidates' pictures, and who can make templates of them.
pub(super) struct Block<'a> {
    /// The digest of the maker.
    pub(super) maker: [u8; 32],
    pub(super) candidates: Vec<(u32, Vec<File<'a>>)>,
}

impl<'a> Block<'a> {
    pub(super) fn encode(&self) -> Writer {
        let bytes = |file: &File<'_>| 5 + file.map_or(MAX_REASON, |file| file.bytes.len());
        let of_one = |(_, files): &(u32, Vec<File<'_>>)| 6 + files.iter().map(bytes).sum::<usize>();
        let mut writer = Writer::with_capacity(HEADER + self.candidates.iter().map(of_one).sum::<usize>());
        writer.bytes(&self.maker).u16(self.candidates.len() as u16);
        for (candidate, files) in &self.candidates {
            writer.u32(*candidate).u16(files.len() as u16);
            for file in files {
                match file {
                    Ok(file) => writer.u8(if file.enrolled { 2 } else { 0 }).list(file.bytes),
                    Err(why) => words(writer.u8(1), why),
                };
            }
        }
        writer
    }

    pub(super) fn decode(content: &'a [u8]) -> Result<Self, ClusterError> {
        let mut reader = Reader::new("a block of work", content);
        let maker = reader.array()?;
        let count = reader.u16()?;
        let candidates = (0..count).map(|_| {
            let (candidate, count) = (reader.u32()?, reader.u16()?);
            let files = (0..count).map(|_| match reader.u8()? {
                kind @ (0 | 2) => Ok(Ok(Readable { bytes: reader.list(MAX_CONTENT)?, enrolled: kind == 2 })),
                1 => {
                    let why = std::str::from_utf8(reader.list(MAX_REASON)?);
                    why.map(Err).map_err(|_| reader.value("why a picture cannot be read"))
                }
                _ => Err(reader.value("kind of a picture")),
            });
            Ok((candidate, files.collect::<Result<_, ClusterError>>()?))
        });
        let candidates = candidates.collect::<Result<_, ClusterError>>()?;
        reader.end()?;
        Ok(Self { maker, candidates })
    }
}

/// What a candidate's pictures came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Made {
    pub(super) candidate: u32,
    /// The places of pictures that cannot be read, and why.
    pub(super) unreadable: Vec<(usize, String)>,
    pub(super) outcome: Result<MadeTemplates, BulkStop>,
}

impl Made {
    /// Nothing is made, for this reason.
    pub(super) fn failed(candidate: u32, why: String) -> Self {
        Self { candidate, unreadable: Vec::new(), outcome: Err(BulkStop::Failed(why)) }
    }
}

/// The result of a block.
pub(super) fn encode(made: &[Made]) -> Result<Writer, ClusterError> {
    // What is larger than brokers take is refused, so that it may grow.
    let mut writer = Writer::with_capacity(MAX_CONTENT);
    writer.u16(made.len() as u16);
    for Made { candidate, unreadable, outcome } in made {
        writer.u32(*candidate).u16(unreadable.len() as u16);
        for (picture, why) in unreadable {
            words(writer.u16(*picture as u16), why);
        }
        match outcome {
            Ok(MadeTemplates::Usable { templates, unused }) => write_usable(&mut writer, templates, unused)?,
            Ok(MadeTemplates::Refer(reasons)) | Err(BulkStop::Refer(reasons)) => {
                write_reasons(writer.u8(1), reasons)?;
            }
            Err(BulkStop::Unreadable(why)) => _ = words(writer.u8(2), why),
            Err(BulkStop::Failed(why)) => _ = words(writer.u8(3), why),
        }
    }
    Ok(writer)
}

fn write_usable(
    writer: &mut Writer,
    templates: &[MadeTemplate],
    unused: &[(usize, Vec<Reason>)],
) -> Result<(), ClusterError> {
    writer.u8(0).u16(templates.len() as u16);
    for MadeTemplate { template, source, earlier } in templates {
        write_template(writer, template);
        // Each is of a file, whose digest the worker took.
        writer.bytes(&source.map_or([0; 32], |source| source.0)).u8(u8::from(earlier.is_some()));
        if let Some(earlier) = earlier {
            write_template(writer, earlier);
        }
    }
    writer.u16(unused.len() as u16);
    unused.iter().try_for_each(|(picture, reasons)| write_reasons(writer.u16(*picture as u16), reasons))
}

fn write_template(writer: &mut Writer, template: &Template) {
    template.as_slice().iter().for_each(|value| _ = writer.f32(*value));
}

fn write_reasons(writer: &mut Writer, reasons: &[Reason]) -> Result<(), ClusterError> {
    let json = serde_json::to_vec(reasons);
    let json = json.map_err(|_| ClusterError::Value { what: "a block's result", field: "reasons" })?;
    writer.list(&json);
    Ok(())
}

/// A model, and how many values its templates have.
type Model = (ModelId, usize);

/// The models whose templates a block's result has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Models {
    model: Model,
    earlier: Option<Model>,
}

impl Models {
    pub(super) fn of(maker: &TemplateMaker) -> Self {
        let earlier = maker.earlier_model().zip(maker.earlier_dimension());
        Self { model: (maker.model(), maker.dimension()), earlier }
    }
}

/// Reads the result of a block.
pub(super) fn decode(content: &[u8], models: Models) -> Result<Vec<Made>, ClusterError> {
    let mut reader = Reader::new("a block's result", content);
    let count = reader.u16()?;
    let made = (0..count).map(|_| {
        let candidate = reader.u32()?;
        let count = reader.u16()?;
        let unreadable = (0..count).map(|_| Ok((usize::from(reader.u16()?), read_words(&mut reader)?)));
        let unreadable = unreadable.collect::<Result<_, ClusterError>>()?;
        let outcome = match reader.u8()? {
            0 => Ok(usable(&mut reader, models)?),
            1 => Ok(MadeTemplates::Refer(reasons(&mut reader)?)),
            2 => Err(BulkStop::Unreadable(read_words(&mut reader)?)),
            3 => Err(BulkStop::Failed(read_words(&mut reader)?)),
            _ => return Err(reader.value("outcome")),
        };
        Ok(Made { candidate, unreadable, outcome })
    });
    let made = made.collect::<Result<_, ClusterError>>()?;
    reader.end()?;
    Ok(made)
}

fn usable(reader: &mut Reader<'_>, models: Models) -> Result<MadeTemplates, ClusterError> {
    let count = reader.u16()?;
    // Somebody with no template of a picture is no candidate whose pictures can be used.
    if count == 0 {
        return Err(reader.value("count of templates"));
    }
    let templates = (0..count).map(|_| {
        let template = read_template(reader, models.model)?;
        let source = Some(ImageDigest(reader.array()?));
        let earlier = match (reader.u8()?, models.earlier) {
            (0, None) => None,
            (1, Some(earlier)) => Some(read_template(reader, earlier)?),
            _ => return Err(reader.value("template of the earlier model")),
        };
        Ok(MadeTemplate { template, source, earlier })
    });
    let templates = templates.collect::<Result<_, ClusterError>>()?;
    let count = reader.u16()?;
    let unused = (0..count).map(|_| Ok((usize::from(reader.u16()?), reasons(reader)?)));
    Ok(MadeTemplates::Usable { templates, unused: unused.collect::<Result<_, ClusterError>>()? })
}

fn read_template(reader: &mut Reader<'_>, (model, dimension): Model) -> Result<Template, ClusterError> {
    template(reader, model, dimension)
}

fn reasons(reader: &mut Reader<'_>) -> Result<Vec<Reason>, ClusterError> {
    serde_json::from_slice(reader.list(MAX_CONTENT)?).map_err(|_| reader.value("reasons"))
}

fn read_words(reader: &mut Reader<'_>) -> Result<String, ClusterError> {
    Ok(String::from_utf8_lossy(reader.list(MAX_REASON)?).into_owned())
}

fn words<'w>(writer: &'w mut Writer, words: &str) -> &'w mut Writer {
    writer.list(&words.as_bytes()[..words.floor_char_boundary(MAX_REASON)])
}

const _: () = assert!(MAX_PICTURES <= u16::MAX as usize && MAX_CANDIDATES <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Models {
        let model = |name: &str| ModelId::digest([name.as_bytes()]);
        Models { model: (model("new"), 2), earlier: Some((model("old"), 3)) }
    }

    fn all_outcomes() -> Vec<Made> {
        let Models { model: (new, _), earlier: Some((old, _)) } = models() else { unreachable!() };
        let made = MadeTemplate {
            template: Template::normalised(new, vec![3.0, 4.0]).unwrap(),
            source: Some(ImageDigest([9; 32])),
            earlier: Some(Template::normalised(old, vec![1.0, 2.0, 2.0]).unwrap()),
        };
        let low = Reason::FramesDisagree { score: 0.1, threshold: 0.4 };
        let usable =
            MadeTemplates::Usable { templates: vec![made.clone(), made], unused: vec![(1, vec![low.clone()])] };
        let outcomes = [
            Ok(usable),
            Ok(MadeTemplates::Refer(vec![Reason::NoFace, low])),
            Err(BulkStop::Unreadable("none can be read".to_owned())),
            Err(BulkStop::Failed("a model failed".to_owned())),
        ];
        let made = (7..).zip(outcomes).map(|(candidate, outcome)| {
            let unreadable = vec![(2, "it is no picture".to_owned())];
            Made { candidate, unreadable, outcome }
        });
        made.collect()
    }

    #[test]
    fn a_result_is_read_as_it_was_written_and_nothing_else_is() {
        let written = encode(&all_outcomes()).unwrap();
        assert_eq!(decode(written.as_slice(), models()).unwrap(), all_outcomes());
        for end in 0..written.as_slice().len() {
            assert!(decode(&written.as_slice()[..end], models()).is_err(), "cut off at {end}");
        }
        // Whatever is altered, it is another result or none, and no template that is none.
        for (at, bit) in (0..written.as_slice().len()).flat_map(|at| [1, 128].map(|bit| (at, bit))) {
            let mut altered = written.as_slice().to_vec();
            altered[at] ^= bit;
            _ = decode(&altered, models());
        }
        let without = Models { earlier: None, ..models() };
        assert!(decode(written.as_slice(), without).is_err(), "an earlier model's template that nobody asked for");
        let nothing = Ok(MadeTemplates::Usable { templates: Vec::new(), unused: Vec::new() });
        let empty = encode(&[Made { candidate: 0, unreadable: Vec::new(), outcome: nothing }]).unwrap();
        assert!(decode(empty.as_slice(), models()).is_err(), "somebody without templates has none");
    }

    #[test]
    fn a_block_is_read_as_it_was_written_and_a_long_reason_is_cut() {
        let long = "ü".repeat(MAX_REASON);
        let files = [false, true].map(|enrolled| Ok(Readable { bytes: &b"a picture"[..], enrolled }));
        let candidates = vec![(3, [&files[..], &[Err("no such file")]].concat()), (5, vec![Err(long.as_str())])];
        let written = Block { maker: [1; 32], candidates: candidates.clone() }.encode();
        let read = Block::decode(written.as_slice()).unwrap();
        assert_eq!((read.maker, &read.candidates[0]), ([1; 32], &candidates[0]));
        assert_eq!(read.candidates[1], (5, vec![Err(&long[..MAX_REASON])]));
        for end in 0..written.as_slice().len() {
            assert!(Block::decode(&written.as_slice()[..end]).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn what_there_is_room_for_fits_into_a_message_with_its_result() {
        let mut room = Room::new();
        assert!(!room.take(&[u64::MAX, 1]) && !room.take(&[MAX_CONTENT as u64]));
        assert!(!room.take(&[0; MAX_PICTURES + 1]));
        let mut files = Vec::new();
        while room.take(&[20_000, 0]) {
            files.push(vec![Ok(Readable { bytes: &[0; 20_000], enrolled: true }), Err("no such file")]);
        }
        assert!(files.len() > 30, "{}", files.len());
        let block = Block { maker: [0; 32], candidates: (0..).zip(files).collect() }.encode();
        assert!(block.as_slice().len() <= MAX_CONTENT, "{}", block.as_slice().len());
    }
}
