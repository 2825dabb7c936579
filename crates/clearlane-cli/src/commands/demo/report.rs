//! The demonstration as one self-contained page.

use std::collections::{HashMap, HashSet};

use clearlane::Language;
use clearlane_embed::{DecodeLimits, Frame};
use maud::{Markup, PreEscaped, html};

use super::Walk;
use super::faces::Capture;
use super::totals::Totals;
use crate::page::faces::Faces;
use crate::page::{page, table};
use crate::pictures;

/// What the page says, in one language.
struct Words {
    title: &'static str,
    note: &'static str,
    cards: [&'static str; 7],
    columns: [&'static str; 7],
    admit: &'static str,
    refer: &'static str,
    wrong: &'static str,
    between: &'static str,
}

const ENGLISH: Words = Words {
    title: "clearlane demo",
    note: "All people here are fictional: none of them exists. A referral sends a traveller to an officer; nobody is rejected by \
           the machine. Presentation attack detection was not assessed.",
    cards: [
        "Templates in the gallery",
        "Passages",
        "Wrongly admitted",
        "Plain captures admitted",
        "Hard captures admitted",
        "Non-enrolled admitted",
        "Frame to decision, p50 / p99, ms",
    ],
    columns: ["Capture", "Enrolled as", "Picture", "Decision", "Score or reasons", "Search, ms", "Total, ms"],
    admit: "admit",
    refer: "refer",
    wrong: "wrong",
    between: "; ",
};

const CHINESE: Words = Words {
    title: "clearlane 演示",
    note: "此处所有人物均为虚构，并不存在。“转人工”表示由工作人员查验；机器不拒绝任何人。未评估呈现攻击检测。",
    cards: [
        "底库模板数",
        "通行次数",
        "误放行",
        "普通采集放行",
        "困难采集放行",
        "未登记者放行",
        "从画面到判定 p50 / p99，毫秒",
    ],
    columns: ["采集", "登记照", "图片", "判定", "分数或原因", "检索，毫秒", "合计，毫秒"],
    admit: "放行",
    refer: "转人工",
    wrong: "错误",
    between: "；",
};

pub(super) fn html(walks: &[Walk<'_>], captures: &[Capture], totals: &Totals, language: Language) -> String {
    let words = if language == Language::Chinese { &CHINESE } else { &ENGLISH };
    let enrolled: HashMap<&str, &str> = captures
        .iter()
        .filter(|capture| capture.kind == "enrol")
        .map(|capture| (capture.person.as_str(), capture.path.as_str()))
        .collect();
    let reference = |walk: &Walk<'_>| walk.admitted_as.as_deref().and_then(|name| enrolled.get(name)).copied();
    let shown: HashSet<&str> = walks.iter().flat_map(|walk| [Some(walk.picture), reference(walk)]).flatten().collect();
    let mut faces = Faces::default();
    for capture in captures.iter().filter(|capture| shown.contains(capture.path.as_str())) {
        if let Ok(frame) = Frame::decode(&capture.jpeg, &DecodeLimits::default()) {
            faces.add(&capture.path, &pictures::rgb(&frame));
        }
    }
    let rows = walks.iter().map(|walk| row(walk, reference(walk), &faces, words, language));
    let [gallery, passages, wrong, plain, hard, non_enrolled, time] = words.cards;
    let body = html! {
        style { (PreEscaped(faces.style())) }
        p.note { (words.note) }
        ul.cards {
            li { b { (totals.gallery) } (gallery) }
            li { b { (totals.passages) } (passages) }
            li { b { (totals.wrongly_admitted) } (wrong) }
            li { b { (share(totals.plain)) } (plain) }
            li { b { (share(totals.hard)) } (hard) }
            li { b { (share(totals.non_enrolled)) } (non_enrolled) }
            li { b { (format!("{:.1} / {:.1}", totals.p50_ms, totals.p99_ms)) } (time) }
        }
        (table(&words.columns, &[5, 6], rows))
    };
    page(language, words.title, &body)
}

fn share(share: super::totals::Share) -> String {
    format!("{} / {}", share.admitted, share.of)
}

fn row(walk: &Walk<'_>, reference: Option<&str>, faces: &Faces, words: &Words, language: Language) -> Vec<Markup> {
    let ms = |time: std::time::Duration| html! { (format!("{:.1}", 1e3 * time.as_secs_f64())) };
    let times = &walk.passage.times;
    let decision = html! {
        @if let Some(name) = &walk.admitted_as { span.admit { (words.admit) } " " (name) }
        @else { span.refer { (words.refer) } }
    };
    vec![
        faces.face(walk.picture),
        reference.map_or_else(|| html! {}, |path| faces.face(path)),
        html! { (walk.picture) },
        html! { (decision) @if walk.is_wrong() { " " span.wrong { (words.wrong) } } },
        html! { (because(walk, words, language)) },
        ms(times.search),
        ms(times.total),
    ]
}

fn because(walk: &Walk<'_>, words: &Words, language: Language) -> String {
    if let (Some(_), Some(comparison)) = (&walk.admitted_as, &walk.passage.comparison) {
        return format!("{:.4} ≥ {:.4}", comparison.score, comparison.threshold);
    }
    let phrases = walk.passage.decision.reasons().iter().map(|reason| reason.phrase(language));
    phrases.collect::<Vec<_>>().join(words.between)
}
