//! The printed record as a page: no script, no font, no picture, nothing from elsewhere.

use std::fmt::Write as _;

use super::{PrintedRecord, TITLE};

const STYLE: &str = "\
@page { size: A4; margin: 20mm }
body { font: 12pt/1.5 serif; color: #000; background: #fff; max-width: 170mm; margin: 10mm auto }
h1 { font-size: 18pt; text-align: center; margin: 0 0 10mm } h1 span { display: block; font-size: 13pt; font-weight: normal }
table { border-collapse: collapse; width: 100% } th, td { border: 1px solid #000; padding: 2.5mm 4mm; text-align: left }
th { width: 45mm; font-weight: normal } th span { display: block; font-size: 10pt }
td { overflow-wrap: anywhere } .code { font: bold 13pt monospace }
p { font-size: 10pt; margin: 6mm 0 0 }";

pub(super) fn html(record: &PrintedRecord) -> String {
    let mut rows = String::new();
    for (zh, en, value) in record.lines() {
        let class = if value == record.code.to_string() { " class=\"code\"" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{zh}<span lang=\"en\">{en}</span></th><td{class}>{}</td></tr>",
            escaped(&value)
        );
    }
    let (zh, en) = TITLE;
    format!(
        "<!doctype html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><title>{zh} {en}</title>\n\
         <style>\n{STYLE}\n</style></head><body>\n<h1>{zh}<span lang=\"en\">{en}</span></h1>\n<table>\n{rows}</table>\n\
         <p>本页内容摘自口岸通行记录, 以校验码核验为准。</p>\n\
         <p lang=\"en\">Taken from the port's crossing records. It is good as far as an officer finds it confirmed by its \
         checking code.</p>\n</body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
