//! The demonstration as one self-contained HTML page.

use std::collections::HashMap;
use std::fmt::Write as _;

use data_encoding::BASE64;

use super::Walk;
use super::faces::Capture;
use super::totals::Totals;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>clearlane demo</title><style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% } td, th { padding: .35rem .6rem; text-align: left; vertical-align: middle }
tr { border-top: 1px solid #d8dee4 } img { width: 88px; border-radius: 6px; display: block }
.admit { color: #116329; font-weight: 600 } .refer { color: #9a6700; font-weight: 600 } .wrong { background: #ffd8d3 }
.n { text-align: right; font-variant-numeric: tabular-nums } pre { background: #f6f8fa; padding: 1rem; border-radius: 6px }
</style></head><body>
<h1>clearlane demo</h1>
<p>All people here are fictional: none of them exists. A referral sends a traveller to an officer; nobody is rejected by the
machine. Presentation attack detection was not assessed.</p>
"#;

pub(super) fn html(walks: &[Walk<'_>], captures: &[Capture], totals: &Totals) -> String {
    let enrolled: HashMap<&str, &Capture> = captures
        .iter()
        .filter(|capture| capture.kind == "enrol")
        .map(|capture| (capture.person.as_str(), capture))
        .collect();
    let pictures: HashMap<&str, &Capture> = captures.iter().map(|capture| (capture.path.as_str(), capture)).collect();
    let mut page = String::from(HEAD);
    // Writing to a String cannot fail.
    let _ = write!(page, "<pre>{}</pre>\n<table><tr>", escaped(totals.to_string().trim()));
    for column in ["Capture", "Enrolled as", "Picture", "Decision", "Score or reasons", "Search, ms", "Total, ms"] {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("</tr>\n");
    for walk in walks {
        let class = if walk.is_wrong() { " class=wrong" } else { "" };
        let decision = if walk.admitted_as.is_some() { "admit" } else { "refer" };
        let who = walk.admitted_as.as_deref().unwrap_or_default();
        let reference = walk.admitted_as.as_deref().and_then(|name| enrolled.get(name));
        let times = &walk.passage.times;
        let _ = writeln!(
            page,
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td class={decision}>{decision} {}</td><td>{}</td><td class=n>{:.1}</td><td class=n>{:.1}</td></tr>",
            image(pictures.get(walk.picture).copied()),
            image(reference.copied()),
            escaped(walk.picture),
            escaped(who),
            escaped(&walk.because()),
            1e3 * times.search.as_secs_f64(),
            1e3 * times.total.as_secs_f64(),
        );
    }
    page.push_str("</table></body></html>\n");
    page
}

fn image(capture: Option<&Capture>) -> String {
    capture.map_or_else(String::new, |capture| {
        format!("<img alt=\"\" src=\"data:image/jpeg;base64,{}\">", BASE64.encode(&capture.jpeg))
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
